//! `run_read`: the output of a run, while it goes on and after its end.

use super::bad_input::BadInput;
use super::caller::Caller;
use super::common::output_bytes;
use super::present::Reply;
use super::select::Selection;
use super::validate::arguments_as;
use super::{named, wait};
use crate::runs::Stream;
use crate::session::{Session, Wish};
use nono_schemas::{RunReadParams, StreamParam, run_read_schema};
use rmcp::model::JsonObject;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

/// Answers a call.
///
/// # Errors
/// [`BadInput`] says what to change.
pub(super) async fn call(
    session: &Session,
    arguments: JsonObject,
    caller: Caller,
    cancelled: impl Future<Output = ()> + Send,
) -> Result<Reply, BadInput> {
    let params: RunReadParams = arguments_as(run_read_schema(), arguments)?;
    let selection = Selection::parse(params.grep.as_deref(), params.lines.as_deref())?;
    let run = named(session, &params.run_id)?;
    let stream = match params.stream.unwrap_or(StreamParam::All) {
        StreamParam::All => None,
        StreamParam::Stdout => Some(Stream::Stdout),
        StreamParam::Stderr => Some(Stream::Stderr),
    };
    // Who picks lines by number or by pattern means all of them.
    let usual = if selection.is_some() { 0 } else { run.shown() };
    let after = params.after_seq.unwrap_or(usual);
    let end = run.total();
    if after > end {
        return Err(BadInput::BeyondEnd { after, end });
    }
    if let Some(patience) = params.wait_ms.map(Duration::from_millis) {
        let _ticking = caller.progress.map(|progress| progress.follow(Arc::clone(&run)));
        wait::news(&run, after, patience, &mut pin!(cancelled)).await;
    }
    let wish = Wish { after, stream, max_output: output_bytes(params.max_output_bytes) };
    let answer = match selection {
        None => session.answer(&run, &wish).await,
        Some(selection) => session.answer_with(&run, &wish, |view| selection.of(view, &wish)).await,
    };
    Ok(Reply::run(answer))
}

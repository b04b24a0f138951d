//! `run_read`: the output of a run, while it goes on and after its end.

use super::bad_input::BadInput;
use super::caller::Caller;
use super::common::output_bytes;
use super::named::named;
use super::present::Reply;
use super::select::Selection;
use super::validate::arguments_as;
use super::wait::{self, Settled};
use crate::excerpt::Window;
use crate::report::Output;
use crate::runs::{OutputView, Run, Stream};
use crate::session::Session;
use nono_schemas::{RunReadParams, StreamParam, run_read_schema};
use rmcp::model::JsonObject;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long one stream is searched for a pattern.
const MAX_TIME: Duration = Duration::from_secs(1);

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
    let (grep, lines) = (params.grep, params.lines);
    let is_pattern = grep.is_some();
    let parse = move || Selection::parse(grep.as_deref(), lines.as_deref());
    // Only a pattern takes a while to read.
    let selection = match is_pattern {
        true => session.search(parse).await.ok_or(BadInput::SearchFailed)??,
        false => parse()?,
    };
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
    let window = Window { after, stream, max_output: output_bytes(params.max_output_bytes) };
    let selection = selection.map(Arc::new);
    let mut cancelled = pin!(cancelled);
    if let Some(patience) = params.wait_ms.map(Duration::from_millis) {
        let _ticking = caller.progress.map(|progress| progress.follow(Arc::clone(&run)));
        let settled = match &selection {
            None => wait::news(&run, after, patience, &mut cancelled).await,
            Some(lines) if lines.is_of_pattern() => {
                first_match(session, &run, lines, window, patience, &mut cancelled).await
            }
            Some(_) => {
                let behind = params.after_seq.unwrap_or(run.shown());
                wait::news(&run, behind, patience, &mut cancelled).await
            }
        };
        if settled == Settled::Cancelled {
            return Err(BadInput::Cancelled);
        }
    }
    let answer = match selection {
        None => session.answer(&run, &window).await,
        Some(selection) => {
            let id = run.identity.id.clone();
            let pick = |view| pick(session, selection, view, window, id, cancelled);
            session.answer_with(&run, &window, pick).await
        }
    };
    Ok(Reply::run(answer))
}

/// Waits until a line matches, and as [`wait::news`] otherwise.
async fn first_match<C: Future<Output = ()> + Send>(
    session: &Session,
    run: &Run,
    selection: &Arc<Selection>,
    window: Window,
    patience: Duration,
    cancelled: &mut Pin<&mut C>,
) -> Settled {
    let until = Instant::now() + patience;
    loop {
        // Asked first: what comes while it is searched is searched the next time.
        let (searched, begun) = (run.total(), Instant::now());
        let (lines, id) = (Arc::clone(selection), run.identity.id.clone());
        let picked = pick(session, lines, run.view(), window, id, cancelled.as_mut()).await;
        if picked.has_lines() {
            return Settled::News;
        }
        let took = begun.elapsed();
        let left = until.saturating_duration_since(Instant::now());
        match wait::news(run, searched, left, cancelled).await {
            // All of it is searched again, which takes half of the time at most.
            Settled::News => tokio::time::sleep(took).await,
            settled => return settled,
        }
    }
}

/// Picks lines, on a thread of its own: what a client's pattern costs, nobody else waits for. Ends
/// when the call is cancelled, or forgotten.
async fn pick<C: Future<Output = ()> + Send>(
    session: &Session,
    selection: Arc<Selection>,
    view: OutputView,
    window: Window,
    run_id: String,
    cancelled: Pin<&mut C>,
) -> Output {
    let nothing = Output { next_seq: window.after, ..Output::default() };
    let wanted = Wanted::default();
    let asked = Arc::clone(&wanted.0);
    let picked = session.search(move || {
        let mut begun: [Option<Instant>; 2] = [None; 2];
        selection.of(&view, &window, &run_id, |stream| {
            let begun = begun[stream as usize].get_or_insert_with(Instant::now);
            asked.load(Ordering::Relaxed) && begun.elapsed() < MAX_TIME
        })
    });
    tokio::select! {
        biased;
        () = cancelled => nothing,
        picked = picked => picked.unwrap_or(nothing),
    }
}

/// An answer that somebody waits for, until this is dropped.
struct Wanted(Arc<AtomicBool>);

impl Default for Wanted {
    fn default() -> Self {
        Self(Arc::new(AtomicBool::new(true)))
    }
}

impl Drop for Wanted {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

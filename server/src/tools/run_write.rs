//! `run_write`: input for a run that goes on.

use super::bad_input::BadInput;
use super::common::output_bytes;
use super::keys::bytes_of;
use super::named::named;
use super::present::Reply;
use super::validate::arguments_as;
use super::wait;
use crate::audit::By;
use crate::excerpt::Window;
use crate::runs::{NoInput, Size, Written};
use crate::session::Session;
use nono_schemas::{MAX_WRITE_BYTES, RunWriteParams, run_write_schema};
use rmcp::model::JsonObject;
use std::pin::pin;
use std::time::Duration;

/// How long to wait for what comes of the input, unless the call says otherwise.
const YIELD: Duration = Duration::from_secs(1);
/// End of input, as a terminal takes it.
const CTRL_D: u8 = 4;

/// Answers a call.
///
/// # Errors
/// [`BadInput`] says what to change.
pub(super) async fn call(
    session: &Session,
    by: &By,
    arguments: JsonObject,
    cancelled: impl Future<Output = ()> + Send,
) -> Result<Reply, BadInput> {
    let params: RunWriteParams = arguments_as(run_write_schema(), arguments)?;
    let run = named(session, &params.run_id)?;
    let size = size(&params)?;
    let mut bytes = params.text.unwrap_or_default().into_bytes();
    if bytes.len() > MAX_WRITE_BYTES {
        return Err(BadInput::LongText(bytes.len()));
    }
    for key in params.keys.unwrap_or_default() {
        bytes.extend(bytes_of(&key).ok_or_else(|| BadInput::Key(key.clone()))?);
    }
    let eof = params.eof.unwrap_or(false);
    if run.is_over() {
        return Err(BadInput::Over(run.identity.id.clone()));
    }
    session.record(by, &run).await.map_err(BadInput::Unrecorded)?;
    if size.is_some_and(|size| !run.resize(size)) {
        return Err(BadInput::NoTerminal(run.identity.id.clone()));
    }
    let patience = params.yield_ms.map_or(YIELD, Duration::from_millis);
    let after = run.total();
    if !bytes.is_empty() || eof {
        let typed_eof = eof && run.has_terminal();
        if typed_eof {
            bytes.push(CTRL_D);
        }
        let id = || run.identity.id.clone();
        let written = run.write(&bytes, eof && !typed_eof, patience.max(YIELD)).await;
        match written {
            Ok(Written::All) => {}
            Ok(Written::Part(taken)) => {
                return Err(BadInput::NotTaken { id: id(), taken, of: bytes.len() });
            }
            Err(NoInput::Never) => return Err(BadInput::NoStdin(id())),
            Err(NoInput::Closed) => return Err(BadInput::StdinClosed(id())),
        }
    }
    wait::settle(&run, patience, &mut pin!(cancelled)).await;
    let window = Window { after, stream: None, max_output: output_bytes(None) };
    Ok(Reply::run(session.answer(&run, &window).await))
}

fn size(params: &RunWriteParams) -> Result<Option<Size>, BadInput> {
    let number = |n: u64| u16::try_from(n).map_err(|_| BadInput::HalfSize);
    match (params.rows, params.columns) {
        (None, None) => Ok(None),
        (Some(rows), Some(columns)) => {
            Ok(Some(Size { rows: number(rows)?, columns: number(columns)? }))
        }
        _ => Err(BadInput::HalfSize),
    }
}

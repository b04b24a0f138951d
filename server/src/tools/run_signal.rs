//! `run_signal`: a signal to a run, or its end.

use super::bad_input::BadInput;
use super::common::output_bytes;
use super::named::named;
use super::present::Reply;
use super::validate::arguments_as;
use super::wait;
use crate::audit::By;
use crate::excerpt::Window;
use crate::session::Session;
use nix::sys::signal::Signal;
use nono_sandbox::control::SignalTo;
use nono_schemas::{RunSignalParams, ScopeParam, SignalParam, run_signal_schema};
use rmcp::model::JsonObject;
use serde_json::Value;
use std::pin::pin;
use std::time::Duration;

/// Between TERM and KILL, unless the call says otherwise.
const GRACE: Duration = Duration::from_secs(2);
/// For a run to end after it was killed.
const SLACK: Duration = Duration::from_secs(5);
/// How long to watch what a signal that ends nothing does.
const WATCH: Duration = Duration::from_millis(300);

/// Answers a call. To end a run that is over already is no error.
///
/// # Errors
/// [`BadInput`] says what to change.
pub(super) async fn call(
    session: &Session,
    by: &By,
    mut arguments: JsonObject,
    cancelled: impl Future<Output = ()> + Send,
) -> Result<Reply, BadInput> {
    if let Some(Value::String(name)) = arguments.get_mut("signal") {
        *name = short(name);
    }
    let params: RunSignalParams = arguments_as(run_signal_schema(), arguments)?;
    let run = named(session, &params.run_id)?;
    let signal = params.signal.unwrap_or_default();
    session.record(by, &run).await.map_err(BadInput::Unrecorded)?;
    let after = run.shown();
    let grace = params.grace_ms.map_or(GRACE, Duration::from_millis);
    let patience = match (params.scope.unwrap_or_default(), signal) {
        (ScopeParam::Tree, SignalParam::Term) => {
            run.stop(Some(grace));
            grace + SLACK
        }
        (ScopeParam::Tree, SignalParam::Kill) => {
            run.stop(Some(Duration::ZERO));
            SLACK
        }
        (scope, signal) => {
            let to = match scope {
                ScopeParam::Tree => SignalTo::Tree,
                ScopeParam::Leader => SignalTo::Leader,
            };
            run.signal(number(signal) as i32, to);
            WATCH
        }
    };
    wait::settle(&run, patience, &mut pin!(cancelled)).await;
    let window = Window { after, stream: None, max_output: output_bytes(None) };
    Ok(Reply::run(session.answer(&run, &window).await))
}

/// `TERM`, however it is written: `SIGTERM`, `sigterm`, `term`.
fn short(name: &str) -> String {
    let name = name.to_ascii_uppercase();
    name.strip_prefix("SIG").map_or_else(|| name.clone(), str::to_owned)
}

fn number(signal: SignalParam) -> Signal {
    match signal {
        SignalParam::Int => Signal::SIGINT,
        SignalParam::Term => Signal::SIGTERM,
        SignalParam::Kill => Signal::SIGKILL,
        SignalParam::Hup => Signal::SIGHUP,
        SignalParam::Quit => Signal::SIGQUIT,
        SignalParam::Usr1 => Signal::SIGUSR1,
        SignalParam::Usr2 => Signal::SIGUSR2,
        SignalParam::Stop => Signal::SIGSTOP,
        SignalParam::Cont => Signal::SIGCONT,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_signals_are_read_as_they_are_written() {
        assert_eq!(
            ["SIGTERM", "sigusr1", "kill", "HUP"].map(short),
            ["TERM", "USR1", "KILL", "HUP"]
        );
    }
}

//! `nono-mcp run`: one command for a person in a terminal, the same way the tools go.

use crate::audit::By;
use crate::error::ServerError;
use crate::excerpt::Window;
use crate::report::{LONGER_BY_CALL, report_text};
use crate::runs::{Echo, Input};
use crate::session::{Session, Setup};
use crate::tools::{BY_SHELL, prepare_exec};
use nix::sys::signal::Signal;
use nono_schemas::{AuditWho, ExecParams, MAX_TIMEOUT_MS, RunOptions, RunResult, RunStatus};
use std::ffi::OsString;
use std::io::Write;
use std::os::unix::ffi::OsStringExt;
use std::process::ExitCode;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;

/// Exit codes beyond the command's own, as `timeout` and `env` have them.
const TIMED_OUT: u8 = 124;
const REFUSED: u8 = 125;
const SIGNALED: u8 = 128;

/// What a person does instead of a call.
const LONGER_BY_OPTION: &str = "--timeout sets another limit";
const SHELL_BY_HAND: &str = "use `run -- bash -c '...'`";

/// Runs `command`: output as it comes, then the report on standard error.
///
/// # Errors
/// [`ServerError`] if the setup cannot be used.
pub(super) async fn run(
    setup: Setup,
    timeout: Duration,
    command: Vec<OsString>,
    learn: Option<String>,
) -> Result<ExitCode, ServerError> {
    let session = Session::open(&setup)?;
    let params = ExecParams {
        argv: command.iter().map(|a| a.to_string_lossy().into_owned()).collect(),
        options: RunOptions {
            timeout_ms: u64::try_from(timeout.as_millis()).ok(),
            diagnose: Some(learn.is_some()),
            ..RunOptions::default()
        },
    };
    let mut terminate =
        signal(SignalKind::terminate()).map_err(ServerError::doing("watch for SIGTERM"))?;
    // What would have ended the command, were it this process.
    let lost = Arc::new(Notify::new());
    let interrupted = async {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => Signal::SIGINT,
            _ = terminate.recv() => Signal::SIGTERM,
            () = lost.notified() => Signal::SIGPIPE,
        }
    };
    let mut ended_by = None;
    let by = By { who: AuditWho::default(), tool: "nono-mcp run" };
    let started = match prepare_exec(&session.ground, params) {
        Ok(mut wanted) => {
            // JSON has text only; a command line has bytes, and the command gets those.
            wanted.request.argv = command.into_iter().map(OsString::into_vec).collect();
            session.start(&by, wanted, Input::Inherited, Echo::Live(Arc::clone(&lost))).await
        }
        Err(bad) => Err(bad.to_string().replacen(BY_SHELL, SHELL_BY_HAND, 1)),
    };
    let answer = match started {
        Ok(run) => {
            tokio::select! {
                () = run.over() => {}
                signal = interrupted => {
                    ended_by = Some(signal);
                    run.stop(None);
                    run.over().await;
                }
            }
            // It was shown as it came.
            let window = Window { after: run.total(), stream: None, max_output: 0 };
            session.answer(&run, &window).await
        }
        Err(sentence) => session.refuse(&sentence),
    };
    session.close().await;
    let mut report = report_text(&answer.result, &answer.nonce);
    if answer.result.status != RunStatus::Exited {
        // How it ended comes first; what follows may quote anything.
        let summary = answer.result.summary.replacen(LONGER_BY_CALL, LONGER_BY_OPTION, 1);
        report.insert_str(0, &format!("nono-mcp: {summary}\n"));
    }
    let report = session.ground.secrets.without(&report).unwrap_or(report);
    let _nobody_listens = std::io::stderr().write_all(report.as_bytes());
    if let Some(profile) = learn {
        super::learn::draft(&profile, &answer.result);
    }
    Ok(ExitCode::from(exit_code(&answer.result, ended_by)))
}

/// The code this process exits with. `ended_by`: what this process ended the command for.
fn exit_code(result: &RunResult, ended_by: Option<Signal>) -> u8 {
    match result.status {
        RunStatus::Exited => {
            result.exit_code.and_then(|c| u8::try_from(c & 0xff).ok()).unwrap_or(u8::MAX)
        }
        RunStatus::TimedOut => TIMED_OUT,
        RunStatus::Refused => REFUSED,
        RunStatus::Cancelled => {
            let number = ended_by.unwrap_or(Signal::SIGINT) as i32;
            u8::try_from(number).map_or(u8::MAX, |n| SIGNALED.saturating_add(n))
        }
        RunStatus::Running | RunStatus::Killed => {
            let number = result.signal.as_deref().map_or(9, signal_number);
            u8::try_from(number).map_or(u8::MAX, |n| SIGNALED.saturating_add(n))
        }
    }
}

/// The number of `SIGKILL`, or of `signal 40`.
fn signal_number(name: &str) -> i32 {
    let number = name.strip_prefix("signal ").and_then(|n| n.parse().ok());
    number.or_else(|| Signal::from_str(name).ok().map(|s| s as i32)).unwrap_or(0)
}

/// Reads a wall-clock limit from the command line.
///
/// # Errors
/// What is wrong with it, for clap to show.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let at = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(at);
    let factor = match unit {
        "ms" => 1,
        "" | "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err("units are ms, s, m and h".to_owned()),
    };
    let number: u64 = digits.parse().map_err(|_| "not a number".to_owned())?;
    match number.checked_mul(factor) {
        Some(ms) if (1..=MAX_TIMEOUT_MS).contains(&ms) => Ok(Duration::from_millis(ms)),
        _ => Err("must be between 1ms and 1h".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_have_units_and_bounds() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("30"), Ok(Duration::from_secs(30)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        for wrong in ["0", "", "1x", "2h", "99999999999999999999", "-1"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn signals_have_numbers() {
        assert_eq!((signal_number("SIGKILL"), signal_number("signal 40")), (9, 40));
    }
}

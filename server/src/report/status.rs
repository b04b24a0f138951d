//! The verdict on a run, in a field and in a sentence.

use crate::runs::Ended;
use nix::sys::signal::Signal;
use nono_sandbox::control::End;
use nono_sandbox::supervisor::{SetupFailed, Stage};
use nono_schemas::RunStatus;
use std::time::Duration;

/// What became of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) status: RunStatus,
    pub(super) exit_code: Option<i32>,
    pub(super) signal: Option<String>,
    pub(super) sentence: String,
}

impl Verdict {
    fn new(status: RunStatus, sentence: String) -> Self {
        Self { status, exit_code: None, signal: None, sentence }
    }
}

/// The verdict.
pub(super) fn verdict(ended: &Ended, timeout: Duration, wall: Duration) -> Verdict {
    let outcome = match ended {
        Ended::Outcome(outcome) => outcome,
        Ended::Refused(failed) => return Verdict::new(RunStatus::Refused, refusal(failed)),
        Ended::Cut => {
            let sentence = "ended by the shutdown of the server; everything of it was killed";
            return Verdict::new(RunStatus::Cancelled, sentence.into());
        }
        Ended::Lost(why) => {
            let sentence = format!(
                "the run's supervisor was lost ({why}), so how the command ended is not known; \
                 everything of it was killed, and its output so far is kept; run it again"
            );
            return Verdict::new(RunStatus::Killed, sentence);
        }
    };
    let after = duration(outcome.duration.min(wall));
    match outcome.end {
        End::Exited(code) => Verdict {
            exit_code: Some(code),
            ..Verdict::new(RunStatus::Exited, format!("exit {code} after {after}"))
        },
        End::Signaled(number) => {
            let name = signal_name(number);
            Verdict {
                sentence: format!("killed by {name} after {after}"),
                signal: Some(name),
                ..Verdict::new(RunStatus::Killed, String::new())
            }
        }
        End::TimedOut => Verdict::new(
            RunStatus::TimedOut,
            format!(
                "timed out after {}; the process tree was killed and the output so far is kept; \
                 set timeout_ms for a longer limit",
                duration(timeout)
            ),
        ),
        End::Cancelled => {
            Verdict::new(RunStatus::Cancelled, format!("cancelled by the caller after {after}"))
        }
    }
}

/// Why nothing was run, and what to do.
fn refusal(failed: &SetupFailed) -> String {
    let missing = failed.errno == nix::errno::Errno::ENOENT as i32;
    let advice = match failed.stage {
        Stage::Exec if failed.errno == nix::errno::Errno::ENOEXEC as i32 => {
            "the file is not a program for this machine, or a script without `#!`; run it with \
             its interpreter"
        }
        Stage::Exec if failed.errno == nix::errno::Errno::E2BIG as i32 => {
            "arguments and environment are too long together; pass data as stdin or in a file"
        }
        Stage::Exec if missing => "the program or the interpreter in its first line is missing",
        Stage::Exec => "the program could not be started; check its permissions",
        Stage::WorkingDirectory => "the working directory cannot be entered",
        _ => "the sandbox could not be built in full; `nono-mcp doctor` says what is missing",
    };
    format!("refused, nothing was run: {failed}; {advice}")
}

/// `SIGKILL`, or the number of a real-time signal.
fn signal_name(number: i32) -> String {
    Signal::try_from(number).map_or_else(|_| format!("signal {number}"), |s| s.as_str().to_owned())
}

/// A duration as a person would say it.
pub(super) fn duration(duration: Duration) -> String {
    match duration.as_millis() {
        ms @ 0..1000 => format!("{ms}ms"),
        ms @ 1000..120_000 => format!("{}.{}s", ms / 1000, ms % 1000 / 100),
        ms => format!("{}m{:02}s", ms / 60_000, ms / 1000 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_signals_read_well() {
        let shown = |ms| duration(Duration::from_millis(ms));
        assert_eq!(
            (shown(0), shown(999), shown(4_250)),
            ("0ms".into(), "999ms".into(), "4.2s".into())
        );
        assert_eq!((shown(119_999), shown(120_000)), ("119.9s".into(), "2m00s".into()));
        assert_eq!((signal_name(9), signal_name(40)), ("SIGKILL".into(), "signal 40".into()));
    }
}

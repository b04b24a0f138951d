//! How a run stands, in a field and in a sentence.

use super::facts::Facts;
use super::time::duration;
use super::{limits, tree};
use crate::runs::{Ended, State};
use nix::errno::Errno;
use nix::sys::signal::Signal;
use nono_sandbox::control::{End, Outcome};
use nono_sandbox::policy::{Exceeded, Origin, Origins, Resource};
use nono_sandbox::supervisor::{SetupFailed, Stage};
use nono_schemas::RunStatus;
use std::time::Duration;

/// How a call gets more time.
pub(crate) const LONGER_BY_CALL: &str = "set timeout_ms for a longer limit";

/// How a run stands, or what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) status: RunStatus,
    pub(crate) exit_code: Option<i32>,
    pub(crate) signal: Option<String>,
    pub(super) sentence: String,
}

impl Standing {
    fn new(status: RunStatus, sentence: String) -> Self {
        Self { status, exit_code: None, signal: None, sentence }
    }
}

/// Status and exit code alone.
pub(crate) fn standing(state: &State) -> Standing {
    match state {
        State::Live => Standing::new(RunStatus::Running, String::new()),
        State::LeaderEnded(end) => Standing {
            exit_code: exit_code(*end),
            ..Standing::new(RunStatus::Running, String::new())
        },
        // No sentence is made of these.
        State::Over(finished) => {
            ended(&finished.ended, finished.wall, Duration::ZERO, &Origins::default())
        }
    }
}

/// With its sentence.
pub(super) fn told(facts: &Facts<'_>, origins: &Origins) -> Standing {
    let Some(finished) = facts.state.finished() else {
        return Standing { sentence: going_on(facts), ..standing(&facts.state) };
    };
    ended(&finished.ended, finished.wall, facts.identity.timeout, origins)
}

/// What a run that goes on is doing, and what to do about it.
fn going_on(facts: &Facts<'_>) -> String {
    let run = facts.identity;
    let id = &run.id;
    let sight = facts.snapshot.as_ref().map(|s| &s.sight);
    let age = duration(facts.now.saturating_duration_since(run.started));
    let left = duration(run.time_left(facts.now));
    let listening = sight
        .and_then(|s| s.listening.first())
        .map(|l| format!(", listening on {}", tree::place(&l.address)))
        .unwrap_or_default();
    let doing = match (&facts.state, sight.and_then(|s| s.waiting.as_ref())) {
        (State::LeaderEnded(end), _) => {
            let processes = sight.map_or(0, |s| s.total);
            let many = if processes == 1 { "process goes" } else { "processes go" };
            return format!(
                "the command itself ended with {}; {processes} {many} on in the background{listening}, \
                 for at most {left}: run_read or run_signal run_id={id}",
                exit_code(*end).map_or("a signal".into(), |code| format!("exit {code}")),
            );
        }
        (_, Some(_)) => "waits for input: run_write",
        (_, None) => "still running: run_read waits for more, run_signal ends it;",
    };
    format!("{doing} run_id={id} (after {age}{listening}; killed in {left})")
}

fn exit_code(end: End) -> Option<i32> {
    match end {
        End::Exited(code) => Some(code),
        End::Signaled(_) | End::TimedOut | End::Cancelled | End::LimitExceeded(_) => None,
    }
}

/// Of a run that is over.
fn ended(ended: &Ended, wall: Duration, timeout: Duration, origins: &Origins) -> Standing {
    match ended {
        Ended::Outcome(outcome) => concluded(outcome, wall, timeout, origins),
        Ended::Refused(failed) => Standing::new(RunStatus::Refused, refusal(failed)),
        Ended::Cut => {
            let sentence = "ended by the shutdown of the server; everything of it was killed";
            Standing::new(RunStatus::Cancelled, sentence.into())
        }
        Ended::Overrun(exceeded) => {
            let sentence = over_limit(*exceeded, &duration(wall), origins);
            Standing {
                signal: Some("SIGKILL".into()),
                ..Standing::new(RunStatus::Killed, sentence)
            }
        }
        Ended::Lost(why) => {
            let sentence = format!(
                "the run's supervisor was lost ({why}), so how the command ended is not known; \
                 everything of it was killed, and its output so far is kept; run it again"
            );
            Standing::new(RunStatus::Killed, sentence)
        }
    }
}

/// Of a run whose supervisor says how it ended.
fn concluded(outcome: &Outcome, wall: Duration, timeout: Duration, origins: &Origins) -> Standing {
    let after = duration(outcome.duration.min(wall));
    let used = outcome.exceeded.map(|e| format!("used more than {}", limits::words(e).what));
    match outcome.end {
        End::Exited(code) => Standing {
            exit_code: Some(code),
            ..Standing::new(
                RunStatus::Exited,
                format!(
                    "exit {code} after {after}{}",
                    used.map(|u| format!("; it {u}")).unwrap_or_default()
                ),
            )
        },
        End::Signaled(number) => {
            let name = signal_name(number);
            // For too much output it would have been killed as over a limit.
            let output = outcome.exceeded.is_some_and(|e| e.resource == Resource::Output);
            let link = if output { "; it" } else { ", because it" };
            let why = used.map(|used| format!("{link} {used}")).unwrap_or_default();
            Standing {
                sentence: format!("killed by {name} after {after}{why}"),
                signal: Some(name),
                ..Standing::new(RunStatus::Killed, String::new())
            }
        }
        End::LimitExceeded(exceeded) => Standing {
            signal: Some("SIGKILL".into()),
            ..Standing::new(RunStatus::Killed, over_limit(exceeded, &after, origins))
        },
        End::TimedOut => Standing::new(
            RunStatus::TimedOut,
            format!(
                "timed out after {}; the process tree was killed and the output so far is kept; {}",
                duration(timeout),
                LONGER_BY_CALL
            ),
        ),
        End::Cancelled => {
            Standing::new(RunStatus::Cancelled, format!("ended by the caller after {after}"))
        }
    }
}

/// What was killed for a limit, and whose limit that is.
fn over_limit(exceeded: Exceeded, after: &str, origins: &Origins) -> String {
    let words = limits::words(exceeded);
    let set_by = match origins.of(exceeded.resource.limit().field()) {
        Origin::Call => "which this call has set itself",
        Origin::Written(_) | Origin::Default => "which the operator sets in the profile",
    };
    format!(
        "killed after {after}, because it used more than {}: limits.{}, {set_by}",
        words.what, words.field
    )
}

/// Why nothing was run, and what to do.
fn refusal(failed: &SetupFailed) -> String {
    let errno = failed.errno();
    let advice = match failed.stage {
        Stage::Exec if errno == Some(Errno::ENOEXEC) => {
            "the file is not a program for this machine, or a script without `#!`; run it with \
             its interpreter"
        }
        Stage::Exec if errno == Some(Errno::E2BIG) => {
            "arguments and environment are too long together; pass data as stdin or in a file"
        }
        Stage::Exec if errno == Some(Errno::ENOENT) => {
            "the program or the interpreter in its first line is missing"
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_have_names() {
        assert_eq!((signal_name(9), signal_name(40)), ("SIGKILL".into(), "signal 40".into()));
    }
}

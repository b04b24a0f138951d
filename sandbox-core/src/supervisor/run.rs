//! One run, from the start message to the outcome.

use super::bootstrap::Prepared;
use super::cgroup::Groups;
use super::confine::{self, Kernel, Rulesets};
use super::look::InputObject;
use super::mediate::Mediator;
use super::usage::LimitWatch;
use super::watch::{Surroundings, Watch};
use super::{SetupFailed, Stage};
use crate::control::{ControlError, Event, Received, receive_start, send_event};
use crate::groups::GroupsAt;
use crate::sys;
use nix::errno::Errno;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::process::ExitCode;
use std::time::Instant;

/// The supervisor process. The control socket is its standard input; it returns when the run is
/// over and nothing of it is left, or at once if the server went away before giving it work.
#[must_use]
pub fn main() -> ExitCode {
    std::panic::set_hook(Box::new(|_| {
        // A defect ends this run and no other: the listener closes, mediated calls fail, the
        // command dies with us.
        sys::exit_now(101)
    }));
    let Ok(control) = take_control_socket() else { return ExitCode::from(64) };
    // While there is time: nobody waits for this process yet, if it is a spare one.
    let groups = GroupsAt::from_arguments(std::env::args_os().skip(2))
        .filter(|at| at.server == std::os::unix::process::parent_id())
        .map(|at| Groups::enter(&at))
        .unwrap_or_default();
    let received = match receive_start(control.as_fd()) {
        Ok(received) => received,
        Err(ControlError::Closed) => return ExitCode::SUCCESS,
        Err(error) => {
            let failed = SetupFailed::new(Stage::ReadPlan, 0, error.to_string());
            return report(control, &Event::Refused(failed));
        }
    };
    let Ok(ours) = control.try_clone() else { return ExitCode::from(64) };
    match start(ours, received, groups) {
        Ok(watch) => {
            drop(control);
            watch.until_end()
        }
        Err(failed) => report(control, &Event::Refused(failed)),
    }
}

fn report(control: OwnedFd, event: &Event) -> ExitCode {
    // If the server is gone there is nobody to tell.
    match send_event(&File::from(control), event) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::from(65),
    }
}

/// Standard input becomes `/dev/null`; the socket moves above the standard descriptors.
fn take_control_socket() -> io::Result<OwnedFd> {
    let control = io::stdin().as_fd().try_clone_to_owned()?;
    nix::unistd::dup2_stdin(File::open("/dev/null")?)?;
    // Out of the server's terminal and process group: an interrupt there is the server's to handle.
    match nix::unistd::setsid() {
        Ok(_) | Err(Errno::EPERM) => Ok(control),
        Err(errno) => Err(errno.into()),
    }
}

/// Builds the sandbox and lets the command go.
fn start(control: OwnedFd, received: Received, mut groups: Groups) -> Result<Watch, SetupFailed> {
    let Received { plan, stdio } = received;
    let setup = |what: &'static str| {
        move |e: Errno| SetupFailed::new(Stage::ConfineSupervisor, e as i32, what)
    };
    nix::sys::prctl::set_child_subreaper(true).map_err(setup("subreaper"))?;
    let signals = Watch::child_signals().map_err(setup("signalfd"))?;
    let kernel = Kernel::probe(plan.landlock_abi_limit)?;
    groups.set(&plan.limits);
    let input = InputObject::of(&stdio.stdin, plan.terminal);
    let (ruleset, scope) = confine::supervisor(Rulesets::new(&plan.policy, kernel)?, kernel)?;
    let bootstrap = Prepared::new(&plan, stdio, ruleset, kernel.scoped)?.start()?;
    let (armed, listener) = bootstrap.arm()?;
    let mediator = Mediator::start(&plan.policy, listener, kernel.scoped)
        .map_err(|e| SetupFailed::new(Stage::NotifyFilter, 0, e.to_string()))?;
    let running = armed.release()?;
    let limits = LimitWatch::new(plan.limits, groups, Instant::now());
    Ok(Watch::new(plan, running, mediator, Surroundings { control, signals, input, limits, scope }))
}

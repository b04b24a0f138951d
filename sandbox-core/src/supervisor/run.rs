//! One run, from the start message to the outcome.

use super::ahead::Foundation;
use super::bootstrap::Prepared;
use super::cgroup::Groups;
use super::confine;
use super::isolate::{self, Entered, FirstProcess, Guard};
use super::look::InputObject;
use super::mediate;
use super::mounts::{self, seal};
use super::own_network;
use super::usage::LimitWatch;
use super::watch::{Surroundings, Watch};
use super::{SetupFailed, Stage};
use crate::control::{
    ControlError, Event, Received, Stdio, Work, receive_work, send_event, send_listener,
};
use crate::groups::GroupsAt;
use crate::namespaces::{self, Namespaces};
use crate::plan::Plan;
use crate::sys;
use nix::errno::Errno;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::process::ExitCode;
use std::sync::Arc;
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
    let mut arguments = std::env::args_os().skip(2);
    let wanted = arguments.next().and_then(|argument| namespaces::from_argument(&argument));
    let Some(wanted) = wanted else { return ExitCode::from(64) };
    let groups = GroupsAt::from_arguments(arguments)
        .filter(|at| at.server == std::os::unix::process::parent_id())
        .map(|at| Groups::enter(&at))
        .unwrap_or_default();
    let first = match go_inside(wanted) {
        Going::Inside(first) => first,
        Going::Outside(guard) => {
            drop((control, groups));
            return guard.wait();
        }
    };
    serve(control, groups, first)
}

/// Who this process is from now on.
enum Going {
    /// The supervisor, in these namespaces or in none.
    Inside(Result<Option<FirstProcess>, SetupFailed>),
    /// The guard of the process that is.
    Outside(Guard),
}

fn go_inside(wanted: Option<Namespaces>) -> Going {
    match wanted.map(isolate::enter).transpose() {
        Ok(Some(Entered::Guard(guard))) => Going::Outside(guard),
        Ok(Some(Entered::Supervisor(first))) => Going::Inside(Ok(Some(first))),
        Ok(None) => Going::Inside(Ok(None)),
        Err(failed) => Going::Inside(Err(failed)),
    }
}

/// Waits for the plan and sees its run through. `first`: the namespaces this process is in.
fn serve(
    control: OwnedFd,
    groups: Groups,
    first: Result<Option<FirstProcess>, SetupFailed>,
) -> ExitCode {
    let (mut basis, mut ahead, mut made) = (None, None, mounts::Made::default());
    let received = loop {
        match receive_work(control.as_fd()) {
            Ok(Work::Prepare(told)) => {
                // What cannot be built now cannot be built later either, and then somebody is told.
                let mounted = match first {
                    Ok(Some(_)) => made.make(&told),
                    _ => Ok(()),
                };
                ahead = mounted.and_then(|()| Foundation::lay(&told)).ok();
                basis = Some(Arc::new(*told));
            }
            Ok(Work::Start(received)) => break *received,
            Err(ControlError::Closed) => return ExitCode::SUCCESS,
            Err(error) => {
                let failed = SetupFailed::new(Stage::ReadPlan, 0, error.to_string());
                return report(control, &Event::Refused(failed));
            }
        }
    };
    let Some(basis) = basis else {
        let odd = "a start message without a basis";
        return report(control, &Event::Refused(SetupFailed::new(Stage::ReadPlan, 0, odd)));
    };
    let Received { launch, stdio, relay } = received;
    // Where not all runs of a server are in the same namespaces, the plan is the first to say.
    // Then nothing was built ahead either: the guard must not hold a copy of its sockets.
    if launch.namespaces.is_some() && matches!(first, Ok(None)) {
        ahead = None;
    }
    let first = match first {
        Ok(None) => match go_inside(launch.namespaces) {
            Going::Inside(first) => first,
            Going::Outside(guard) => {
                drop((control, groups, stdio, relay));
                return guard.wait();
            }
        },
        known => known,
    };
    let Ok(ours) = control.try_clone() else { return ExitCode::from(64) };
    let work = Commission { plan: Plan { basis, launch }, stdio, relay, made };
    match first.and_then(|first| start(ours, work, ahead, groups, first)) {
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

/// A run that is to be started.
struct Commission {
    plan: Plan,
    stdio: Stdio,
    relay: Option<OwnedFd>,
    /// What is mounted for it already.
    made: mounts::Made,
}

/// Builds the sandbox and lets the command go.
fn start(
    control: OwnedFd,
    work: Commission,
    ahead: Option<Foundation>,
    mut groups: Groups,
    first: Option<FirstProcess>,
) -> Result<Watch, SetupFailed> {
    let Commission { plan, stdio, relay, mut made } = work;
    if plan.launch.namespaces != first.map(|first| first.namespaces) {
        let odd = "the plan asks for other namespaces than this supervisor was started with";
        return Err(SetupFailed::new(Stage::Namespaces, libc::EPROTO, odd));
    }
    match (plan.launch.own_network, first) {
        (false, _) => {}
        (true, Some(first)) => {
            own_network::enter(first)?;
            hand_over_relay(&plan, relay)?;
        }
        (true, None) => {
            let odd = "the plan asks for a network of its own and for no other namespace";
            return Err(SetupFailed::new(Stage::Namespaces, libc::EPROTO, odd));
        }
    }
    match first {
        Some(_) => made.make(&plan.basis)?,
        None => mounts::Made::none_for(&plan.basis)?,
    }
    let setup = |what: &'static str| {
        move |e: Errno| SetupFailed::new(Stage::ConfineSupervisor, e as i32, what)
    };
    nix::sys::prctl::set_child_subreaper(true).map_err(setup("subreaper"))?;
    let signals = Watch::child_signals().map_err(setup("signalfd"))?;
    let Foundation { kernel, rulesets, gate } = Foundation::current(ahead, &plan.basis)?;
    let before = seal::Before::of(&plan.basis.policy.fs);
    if first.is_some() {
        seal::seal(&plan.basis.policy.fs, &before)?;
    }
    groups.set(&plan.launch.limits);
    let input = InputObject::of(&stdio.stdin, plan.launch.terminal);
    let (ruleset, scope) = confine::supervisor(rulesets, kernel, first)?;
    let bootstrap = Prepared::new(&plan, stdio, ruleset, gate)?.start()?;
    let waiting =
        mediate::Waiting::new().map_err(|e| SetupFailed::new(Stage::Filter, 0, e.to_string()))?;
    let (armed, listener) = bootstrap.arm()?;
    let mediator = waiting.start(&plan, listener, kernel.scoped);
    let running = armed.release()?;
    let limits = LimitWatch::new(plan.launch.limits, groups, Instant::now());
    let surroundings = Surroundings { control, signals, input, limits, scope, before };
    Ok(Watch::new(plan, running, mediator, surroundings))
}

/// Gives the server the socket at which the run will look for its proxy, if it has one.
fn hand_over_relay(plan: &Plan, relay: Option<OwnedFd>) -> Result<(), SetupFailed> {
    let (Some(relay), Some(proxy)) = (relay, plan.basis.policy.network.proxy) else {
        return Ok(());
    };
    let listener = own_network::relay(proxy)?;
    send_listener(relay.as_fd(), &listener)
        .map_err(|error| SetupFailed::new(Stage::Namespaces, 0, error.to_string()))
}

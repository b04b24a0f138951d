//! One run, from the start message to the outcome.

use super::cgroup::Groups;
use super::defect;
use super::foundation::Foundation;
use super::isolate::{self, Entered, FirstProcess, Guard};
use super::look::InputObject;
use super::mounts;
use super::own_network;
use super::standby::{Released, Standby};
use super::startup::Startup;
use super::usage::LimitWatch;
use super::watch::{Surroundings, Watch};
use super::{SetupFailed, Stage};
use crate::control::{ControlError, Event, Received, Stdio, Work, receive_work, send_event};
use crate::namespaces::Namespaces;
use crate::plan::{Basis, Plan};
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
    std::panic::set_hook(Box::new(|about| {
        // A defect ends this run and no other: the listener closes, mediated calls fail, the
        // command dies with us.
        defect::tell(about.location());
        sys::exit_now(101)
    }));
    let Ok(control) = take_control_socket() else { return ExitCode::from(64) };
    // While there is time: nobody waits for this process yet, if it is a spare one.
    let startup = Startup::from_arguments(std::env::args_os().skip(2));
    let Some(Startup { namespaces, groups }) = startup else { return ExitCode::from(64) };
    let groups = groups
        .filter(|at| at.server == std::os::unix::process::parent_id())
        .map(|at| Groups::enter(&at))
        .unwrap_or_default();
    let first = match go_inside(namespaces) {
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

fn go_inside(namespaces: Option<Namespaces>) -> Going {
    match namespaces.map(isolate::enter).transpose() {
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
    mut first: Result<Option<FirstProcess>, SetupFailed>,
) -> ExitCode {
    let (mut basis, mut ahead) = (None, Ahead::Nothing);
    let received = loop {
        if let Ahead::Standing(standby) = &ahead
            && let Err(failed) = standby.wait(control.as_fd())
        {
            // The server starts another one, with what it may just have sent.
            return report(control, &Event::Unusable(failed));
        }
        match receive_work(control.as_fd()) {
            // More than one would have to be unbuilt.
            Ok(Work::Prepare(_)) if basis.is_some() => {
                return refuse(control, "told twice what to get ready for");
            }
            Ok(Work::Prepare(told)) => {
                // Where not all runs of a server are in the same namespaces, this is the first to say.
                if matches!(first, Ok(None)) {
                    first = match go_inside(told.namespaces) {
                        Going::Inside(first) => first,
                        Going::Outside(guard) => {
                            drop((control, groups));
                            return guard.wait();
                        }
                    };
                }
                ahead = first.as_ref().map_or(Ahead::Nothing, |first| Ahead::of(&told, *first));
                basis = Some(Arc::new(*told));
            }
            Ok(Work::Start(received)) => break *received,
            Err(ControlError::Closed) => return ExitCode::SUCCESS,
            Err(error) => return refuse(control, &error.to_string()),
        }
    };
    let Some(basis) = basis else { return refuse(control, "a start message without a basis") };
    let Received { launch, stdio, proxy } = received;
    let Ok(ours) = control.try_clone() else { return ExitCode::from(64) };
    let work = Commission { plan: Plan { basis, launch }, stdio, proxy };
    let started = first
        .map_err(NotStarted::Refused)
        .and_then(|first| start(ours, work, ahead, groups, first));
    match started {
        Ok(watch) => {
            drop(control);
            watch.until_end()
        }
        Err(not_started) => report(control, &not_started.into()),
    }
}

fn refuse(control: OwnedFd, odd: &str) -> ExitCode {
    report(control, &Event::Refused(SetupFailed::in_words(Stage::ReadPlan, odd)))
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
    proxy: Option<OwnedFd>,
}

/// What a supervisor has built before there is a request.
#[derive(Debug)]
enum Ahead {
    Nothing,
    /// All of it.
    Standing(Box<Standby>),
    /// It was begun and failed, after which nothing else can be built here.
    Failed(SetupFailed),
}

impl Ahead {
    /// What can be built ahead for runs on `basis`.
    fn of(basis: &Basis, first: Option<FirstProcess>) -> Self {
        if !Standby::is_possible(basis) {
            return Self::Nothing;
        }
        match build(basis, first, None) {
            Ok(standby) => Self::Standing(Box::new(standby)),
            Err(failed) => Self::Failed(failed),
        }
    }
}

/// Mounts, opens, compiles and confines.
fn build(
    basis: &Basis,
    first: Option<FirstProcess>,
    kernel_log_mark: Option<u64>,
) -> Result<Standby, SetupFailed> {
    if basis.namespaces != first.map(|first| first.namespaces) {
        let odd = "the plan asks for other namespaces than this supervisor was started with";
        return Err(SetupFailed::new(Stage::Namespaces, Errno::EPROTO, odd));
    }
    mounts::make(&basis.policy.own_view(), first)?;
    Standby::build(basis, Foundation::lay(basis)?, first, kernel_log_mark)
}

/// Why no command was started.
enum NotStarted {
    /// It cannot be.
    Refused(SetupFailed),
    /// It can be by another supervisor.
    Unusable(SetupFailed),
}

impl From<NotStarted> for Event {
    fn from(not_started: NotStarted) -> Self {
        match not_started {
            NotStarted::Refused(failed) => Self::Refused(failed),
            NotStarted::Unusable(failed) => Self::Unusable(failed),
        }
    }
}

/// Builds what is not built yet and lets the command go.
fn start(
    control: OwnedFd,
    work: Commission,
    ahead: Ahead,
    groups: Groups,
    first: Option<FirstProcess>,
) -> Result<Watch, NotStarted> {
    let standby = match ahead {
        Ahead::Standing(standby) => {
            standby.current(&work.plan.basis.policy).map_err(NotStarted::Unusable)
        }
        Ahead::Failed(failed) => Err(NotStarted::Unusable(failed)),
        Ahead::Nothing => build_now(&work.plan, first).map_err(NotStarted::Refused),
    };
    release(control, work, standby?, groups).map_err(NotStarted::Refused)
}

/// Builds everything for a command that is known.
fn build_now(plan: &Plan, first: Option<FirstProcess>) -> Result<Standby, SetupFailed> {
    enter_network(plan, first)?;
    build(&plan.basis, first, plan.launch.kernel_log_mark)
}

/// Lets the command go.
fn release(
    control: OwnedFd,
    work: Commission,
    standby: Standby,
    mut groups: Groups,
) -> Result<Watch, SetupFailed> {
    let Commission { plan, stdio, proxy } = work;
    groups.set(&plan.launch.limits);
    let input = InputObject::of(&stdio.stdin, plan.launch.terminal);
    let Released { signals, scope, mediator, running, before } =
        standby.release(&plan, stdio, proxy)?;
    let limits = LimitWatch::new(plan.launch.limits, groups, Instant::now());
    let surroundings = Surroundings { control, signals, input, limits, scope, before };
    Ok(Watch::new(plan, running, mediator, surroundings))
}

/// Leaves the machine's network, if the plan says so.
fn enter_network(plan: &Plan, first: Option<FirstProcess>) -> Result<(), SetupFailed> {
    match (plan.basis.own_network, first) {
        (false, _) => Ok(()),
        (true, Some(first)) => own_network::enter(first),
        (true, None) => {
            let odd = "the plan asks for a network of its own and for no other namespace";
            Err(SetupFailed::new(Stage::Namespaces, Errno::EPROTO, odd))
        }
    }
}

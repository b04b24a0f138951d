//! From a plan to a running command (requirements B1 to B4).
//!
//! The states are types: [`Prepared`] → [`Bootstrap`] of [`AwaitingListener`] → of [`Armed`] →
//! [`Running`]. There is no way to release a child before the supervisor holds its listener, and
//! a listener comes from the hand-over and from nowhere else. Dropping an unfinished state kills
//! and reaps the child.

mod child;
mod report;
#[cfg(test)]
mod tests;

use super::{SetupFailed, Stage, canonical};
use crate::AbsPath;
use crate::IpcScope;
use crate::control::{ControlError, Stdio, receive_message, seal, send_fds};
use crate::filter::{Handover, compile};
use crate::plan::Launch;
use crate::policy::{Limits, Policy};
use crate::sys::{self, ForkResult};
use landlock::RulesetCreated;
use nix::errno::Errno;
use nix::fcntl::{OFlag, openat2};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
use nix::sys::wait::waitpid;
use nix::unistd::Pid;
use seccompiler::BpfProgram;
use serde::{Deserialize, Serialize};
use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

/// For every step of the hand-over together. Nothing in there waits for anything but the processor.
const PATIENCE: Duration = Duration::from_secs(10);

/// What confines the child. Made before it exists: on the way into the sandbox it opens nothing.
#[derive(Debug)]
struct Confinement {
    ruleset: RulesetCreated,
    filter: BpfProgram,
    secret: u64,
    /// Where it does what the kernel's audit log has its mark from, and the mark.
    kernel_log_mark: Option<(CString, u64)>,
}

/// What a confined child is to become.
#[derive(Debug)]
pub(super) struct Entry {
    orders: Orders,
    stdio: Stdio,
    cwd: OwnedFd,
}

/// The part of it that is no descriptor.
#[derive(Debug, Serialize, Deserialize)]
struct Orders {
    program: CString,
    argv: Vec<CString>,
    environ: Vec<CString>,
    /// Whether the standard streams are a terminal that becomes the controlling one.
    terminal: bool,
    limits: Limits,
}

impl Entry {
    /// Opens what `launch` names. `workspaces`: as they were opened while there were more rights to
    /// get to them.
    pub(super) fn new(
        launch: &Launch,
        stdio: Stdio,
        workspaces: &[(AbsPath, OwnedFd)],
    ) -> Result<Self, SetupFailed> {
        let strings = |all: &[Vec<u8>]| {
            all.iter().map(|s| c_string(s)).collect::<Result<Vec<_>, SetupFailed>>()
        };
        let orders = Orders {
            program: c_string(launch.program.as_bytes())?,
            argv: strings(&launch.argv)?,
            environ: strings(&launch.environ)?,
            terminal: launch.terminal,
            limits: launch.limits,
        };
        Ok(Self { orders, stdio, cwd: open_folder(&launch.cwd, workspaces)? })
    }
}

/// The filter of a policy, and the one way past it: the hand-over of the listener.
#[derive(Debug)]
pub(super) struct Gate {
    filter: BpfProgram,
    secret: u64,
    /// Our end of the bootstrap socket pair, and the child's.
    sockets: (OwnedFd, OwnedFd),
}

impl Gate {
    /// Compiles the filter.
    pub(super) fn new(policy: &Policy, ipc: IpcScope) -> Result<Self, SetupFailed> {
        let sockets =
            socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)
                .map_err(|e| SetupFailed::new(Stage::Fork, e, "bootstrap socket pair"))?;
        let secret = sys::random_bytes()
            .map(u64::from_ne_bytes)
            .map_err(|e| SetupFailed::new(Stage::Fork, e, "random secret"))?;
        let handover = Handover { fd: child::handover_number(&sockets.1), secret };
        let filter = compile(policy, handover, ipc)
            .map_err(|e| SetupFailed::in_words(Stage::Filter, e.to_string()))?;
        Ok(Self { filter, secret, sockets })
    }
}

/// Ready to fork.
#[derive(Debug)]
pub(super) struct Prepared {
    confinement: Confinement,
    /// As in [`Gate`].
    sockets: (OwnedFd, OwnedFd),
}

impl Prepared {
    /// `kernel_log_mark`: as in [`Launch`].
    pub(super) fn new(
        policy: &Policy,
        ruleset: RulesetCreated,
        gate: Gate,
        kernel_log_mark: Option<u64>,
    ) -> Result<Self, SetupFailed> {
        let Gate { filter, secret, sockets } = gate;
        let kernel_log_mark = kernel_log_mark.map(|mark| placed(policy, mark)).transpose()?;
        Ok(Self { confinement: Confinement { ruleset, filter, secret, kernel_log_mark }, sockets })
    }

    /// Forks. The child goes its way; the parent waits for the listener.
    pub(super) fn start(self) -> Result<Bootstrap<AwaitingListener>, SetupFailed> {
        let supervisor = Pid::this();
        let Self { confinement, sockets: (ours, theirs) } = self;
        match sys::fork().map_err(|e| SetupFailed::new(Stage::Fork, e, "fork"))? {
            ForkResult::Parent { child } => {
                drop(theirs);
                let (child, deadline) = (Child(Some(child)), Instant::now() + PATIENCE);
                Ok(Bootstrap { child, socket: ours, deadline, state: AwaitingListener })
            }
            ForkResult::Child => {
                drop(ours);
                child::become_command(confinement, theirs, supervisor)
            }
        }
    }
}

fn c_string(bytes: &[u8]) -> Result<CString, SetupFailed> {
    CString::new(bytes)
        .map_err(|_| SetupFailed::new(Stage::ReadPlan, Errno::EINVAL, "NUL byte in the plan"))
}

/// A mark for the kernel's log, and a name for it below the folder for temporary files that nobody
/// can have taken.
fn placed(policy: &Policy, mark: u64) -> Result<(CString, u64), SetupFailed> {
    let place = policy.fs.tmpdir.join(format!(".{mark:016x}"));
    let place = place.map_err(|e| SetupFailed::in_words(Stage::Landlock, e.to_string()))?;
    Ok((c_string(place.as_bytes())?, mark))
}

/// The working directory, by the path that was checked and no link put there since. A folder on the
/// way to the workspace may be closed to this process by now.
fn open_folder(path: &AbsPath, workspaces: &[(AbsPath, OwnedFd)]) -> Result<OwnedFd, SetupFailed> {
    let below = |(workspace, folder): &(AbsPath, OwnedFd)| {
        let below = path.as_path().strip_prefix(workspace.as_path()).ok()?;
        openat2(folder, &Path::new(".").join(below), canonical::how(OFlag::O_DIRECTORY)).ok()
    };
    let opened = match canonical::open(path, OFlag::O_DIRECTORY) {
        Err(Errno::EACCES) => workspaces.iter().find_map(below).ok_or(Errno::EACCES),
        opened => opened,
    };
    opened.map_err(|e| SetupFailed::new(Stage::WorkingDirectory, e, format!("open {path}")))
}

/// A child that is not the command yet. Dropped: killed and reaped.
#[derive(Debug)]
struct Child(Option<Pid>);

impl Child {
    /// It is the command now; whoever owns the tree reaps it.
    fn hand_over(mut self) -> Option<Pid> {
        self.0.take()
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let Some(pid) = self.0.take() else { return };
        // Our own child, not reaped yet: the number cannot mean another process.
        let _already_dead = kill(pid, Signal::SIGKILL);
        while waitpid(pid, None) == Err(Errno::EINTR) {}
    }
}

/// A bootstrap in progress.
#[derive(Debug)]
pub(super) struct Bootstrap<State> {
    child: Child,
    socket: OwnedFd,
    deadline: Instant,
    state: State,
}

/// The child confines itself.
#[derive(Debug)]
pub(super) struct AwaitingListener;

/// The supervisor holds the listener; the child waits for the go.
#[derive(Debug)]
pub(super) struct Armed;

/// The child has become the command.
#[derive(Debug)]
pub(super) struct Running {
    /// Its process id.
    pub(super) leader: Pid,
}

impl Bootstrap<AwaitingListener> {
    /// Receives the listener.
    pub(super) fn arm(self) -> Result<(Bootstrap<Armed>, OwnedFd), SetupFailed> {
        let AwaitingListener = self.state;
        let (message, descriptors) = receive(&self.socket, self.deadline)?;
        report::decode(&message, descriptors.len())?;
        let missing = || SetupFailed::new(Stage::Handover, Errno::EPROTO, "listener missing");
        let listener = descriptors.into_iter().next().ok_or_else(missing)?;
        check_listener(&listener)?;
        let Self { child, socket, deadline, .. } = self;
        Ok((Bootstrap { child, socket, deadline, state: Armed }, listener))
    }
}

impl Bootstrap<Armed> {
    /// Lets the child execute. The caller must be answering notifications by now.
    pub(super) fn release(self, entry: &Entry) -> Result<Running, SetupFailed> {
        self.release_within(entry, PATIENCE)
    }

    fn release_within(self, entry: &Entry, most: Duration) -> Result<Running, SetupFailed> {
        let Armed = self.state;
        // It may have waited for long.
        let deadline = Instant::now() + most;
        let failed = |error: ControlError| {
            SetupFailed::in_words(Stage::AwaitRelease, format!("order the command: {error}"))
        };
        let Entry { orders, stdio, cwd } = entry;
        let orders = seal(orders).map_err(failed)?;
        let descriptors = [&orders, &stdio.stdin, &stdio.stdout, &stdio.stderr, cwd];
        send_fds(self.socket.as_fd(), report::GO, &descriptors).map_err(failed)?;
        // The child's end closes with `execve`, so the end of the stream is success.
        let (message, _) = receive(&self.socket, deadline)?;
        if !message.is_empty() {
            let odd = || SetupFailed::new(Stage::Exec, Errno::EPROTO, "not a known message");
            return Err(report::decode_failure(&message).unwrap_or_else(odd));
        }
        let gone = || SetupFailed::new(Stage::Exec, Errno::ESRCH, "the child is gone");
        self.child.hand_over().map(|leader| Running { leader }).ok_or_else(gone)
    }
}

/// One message with its descriptors, within the deadline. Empty: the peer is gone.
fn receive(socket: &OwnedFd, deadline: Instant) -> Result<(Vec<u8>, Vec<OwnedFd>), SetupFailed> {
    await_readable(socket, deadline)?;
    let mut bytes = [0u8; report::MAX_MESSAGE + 1];
    let (length, descriptors) = receive_message(socket.as_fd(), &mut bytes)
        .map_err(|e| SetupFailed::new(Stage::Handover, e, "bootstrap socket"))?;
    Ok((bytes.get(..length).unwrap_or_default().to_vec(), descriptors))
}

fn await_readable(socket: &OwnedFd, deadline: Instant) -> Result<(), SetupFailed> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::ZERO);
        match poll(&mut [PollFd::new(socket.as_fd(), PollFlags::POLLIN)], timeout) {
            Ok(0) => {
                let late = "the child sent no message in time";
                return Err(SetupFailed::new(Stage::Handover, Errno::ETIMEDOUT, late));
            }
            Ok(_) => return Ok(()),
            Err(Errno::EINTR) => {}
            Err(e) => return Err(SetupFailed::new(Stage::Handover, e, "poll")),
        }
    }
}

/// Only the kernel makes a file with this name.
fn check_listener(listener: &OwnedFd) -> Result<(), SetupFailed> {
    let link = format!("/proc/self/fd/{}", listener.as_raw_fd());
    let target = std::fs::read_link(link).unwrap_or_default();
    if target.as_os_str() == "anon_inode:seccomp notify" {
        return Ok(());
    }
    Err(SetupFailed::new(
        Stage::Handover,
        Errno::EPROTO,
        "the descriptor is not a seccomp listener",
    ))
}

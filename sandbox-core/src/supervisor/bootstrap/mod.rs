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

use super::{SetupFailed, Stage};
use crate::control::Stdio;
use crate::filter::{Handover, compile};
use crate::plan::Plan;
use crate::policy::{Limits, Policy};
use crate::sys::{self, ForkResult};
use landlock::RulesetCreated;
use nix::cmsg_space;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, OpenHow, ResolveFlag, openat2};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::sys::socket::{
    AddressFamily, ControlMessageOwned, MsgFlags, SockFlag, SockType, recvmsg, socketpair,
};
use nix::sys::wait::waitpid;
use nix::unistd::Pid;
use seccompiler::BpfProgram;
use std::ffi::CString;
use std::io::IoSliceMut;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};

/// For every step of the hand-over together. Nothing in there waits for anything but the processor.
const PATIENCE: Duration = Duration::from_secs(10);

/// Everything the child needs, made before it exists: after the fork only system calls are left.
#[derive(Debug)]
struct Command {
    program: CString,
    argv: Vec<CString>,
    environ: Vec<CString>,
    cwd: OwnedFd,
    stdio: Stdio,
    ruleset: RulesetCreated,
    filter: BpfProgram,
    secret: u64,
    /// Whether the standard streams are a terminal that becomes the controlling one.
    terminal: bool,
    limits: Limits,
    /// Where, and with what, it makes itself known to the kernel's audit log.
    introduction: Option<(CString, u64)>,
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
    /// Compiles the filter. `scoped`: the kernel keeps signals inside, so it need not.
    pub(super) fn new(policy: &Policy, scoped: bool) -> Result<Self, SetupFailed> {
        let sockets =
            socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)
                .map_err(|e| SetupFailed::new(Stage::Fork, e as i32, "bootstrap socket pair"))?;
        let secret = sys::random_bytes()
            .map(u64::from_ne_bytes)
            .map_err(|e| SetupFailed::new(Stage::Fork, e as i32, "random secret"))?;
        let handover = Handover { fd: child::handover_number(&sockets.1), secret };
        let filter = compile(policy, handover, scoped)
            .map_err(|e| SetupFailed::new(Stage::Filter, 0, e.to_string()))?;
        Ok(Self { filter, secret, sockets })
    }
}

/// Ready to fork.
#[derive(Debug)]
pub(super) struct Prepared {
    command: Command,
    /// As in [`Gate`].
    sockets: (OwnedFd, OwnedFd),
}

impl Prepared {
    /// Opens what `plan` names.
    pub(super) fn new(
        plan: &Plan,
        stdio: Stdio,
        ruleset: RulesetCreated,
        gate: Gate,
    ) -> Result<Self, SetupFailed> {
        let Gate { filter, secret, sockets } = gate;
        let strings = |all: &[Vec<u8>]| {
            all.iter().map(|s| c_string(s)).collect::<Result<Vec<_>, SetupFailed>>()
        };
        let command = Command {
            program: c_string(plan.launch.program.as_bytes())?,
            argv: strings(&plan.launch.argv)?,
            environ: strings(&plan.launch.environ)?,
            cwd: open_folder(plan)?,
            stdio,
            ruleset,
            filter,
            secret,
            terminal: plan.launch.terminal,
            limits: plan.launch.limits,
            introduction: introduction(plan)?,
        };
        Ok(Self { command, sockets })
    }

    /// Forks. The child goes its way; the parent waits for the listener.
    pub(super) fn start(self) -> Result<Bootstrap<AwaitingListener>, SetupFailed> {
        let supervisor = Pid::this();
        let Self { command, sockets: (ours, theirs) } = self;
        match sys::fork().map_err(|e| SetupFailed::new(Stage::Fork, e as i32, "fork"))? {
            ForkResult::Parent { child } => {
                drop(theirs);
                let (child, deadline) = (Child(Some(child)), Instant::now() + PATIENCE);
                Ok(Bootstrap { child, socket: ours, deadline, state: AwaitingListener })
            }
            ForkResult::Child => {
                drop(ours);
                child::become_command(command, theirs, supervisor)
            }
        }
    }
}

fn c_string(bytes: &[u8]) -> Result<CString, SetupFailed> {
    CString::new(bytes)
        .map_err(|_| SetupFailed::new(Stage::ReadPlan, libc::EINVAL, "NUL byte in the plan"))
}

/// A name below the folder for temporary files that nobody can have taken.
fn introduction(plan: &Plan) -> Result<Option<(CString, u64)>, SetupFailed> {
    let Some(token) = plan.launch.kernel_log_token else { return Ok(None) };
    let place = plan.basis.policy.fs.tmpdir.join(format!(".{token:016x}"));
    let place = place.map_err(|e| SetupFailed::new(Stage::Landlock, 0, e.to_string()))?;
    Ok(Some((c_string(place.as_bytes())?, token)))
}

/// The working directory, by the path that was checked and no link put there since.
fn open_folder(plan: &Plan) -> Result<OwnedFd, SetupFailed> {
    let how = OpenHow::new()
        .flags(OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC)
        .resolve(ResolveFlag::RESOLVE_NO_SYMLINKS);
    openat2(AT_FDCWD, plan.launch.cwd.as_path(), how).map_err(|e| {
        SetupFailed::new(Stage::WorkingDirectory, e as i32, format!("open {}", plan.launch.cwd))
    })
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
        let missing = || SetupFailed::new(Stage::Handover, libc::EPROTO, "listener missing");
        let listener = descriptors.into_iter().next().ok_or_else(missing)?;
        check_listener(&listener)?;
        let Self { child, socket, deadline, .. } = self;
        Ok((Bootstrap { child, socket, deadline, state: Armed }, listener))
    }
}

impl Bootstrap<Armed> {
    /// Lets the child execute. The caller must be answering notifications by now.
    pub(super) fn release(self) -> Result<Running, SetupFailed> {
        let Armed = self.state;
        nix::unistd::write(&self.socket, &[report::GO])
            .map_err(|e| SetupFailed::new(Stage::AwaitRelease, e as i32, "send the go"))?;
        // The child's end closes with `execve`, so the end of the stream is success.
        let (message, _) = receive(&self.socket, self.deadline)?;
        if !message.is_empty() {
            let odd = || SetupFailed::new(Stage::Exec, libc::EPROTO, "not a known message");
            return Err(report::decode_failure(&message).unwrap_or_else(odd));
        }
        let gone = || SetupFailed::new(Stage::Exec, libc::ESRCH, "the child is gone");
        self.child.hand_over().map(|leader| Running { leader }).ok_or_else(gone)
    }
}

/// One message with its descriptors, within the deadline. Empty: the peer is gone.
fn receive(socket: &OwnedFd, deadline: Instant) -> Result<(Vec<u8>, Vec<OwnedFd>), SetupFailed> {
    let failed = |e: Errno| SetupFailed::new(Stage::Handover, e as i32, "bootstrap socket");
    await_readable(socket, deadline)?;
    let mut bytes = [0u8; report::MAX_MESSAGE + 1];
    let mut space = cmsg_space!([RawFd; 4]);
    let mut parts = [IoSliceMut::new(&mut bytes)];
    let message =
        recvmsg::<()>(socket.as_raw_fd(), &mut parts, Some(&mut space), MsgFlags::MSG_CMSG_CLOEXEC)
            .map_err(failed)?;
    let mut descriptors = Vec::new();
    for control in message.cmsgs().map_err(failed)? {
        if let ControlMessageOwned::ScmRights(raw) = control {
            descriptors.extend(raw.into_iter().map(sys::own_received));
        }
    }
    let length = message.bytes;
    Ok((bytes.get(..length).unwrap_or_default().to_vec(), descriptors))
}

fn await_readable(socket: &OwnedFd, deadline: Instant) -> Result<(), SetupFailed> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::ZERO);
        match poll(&mut [PollFd::new(socket.as_fd(), PollFlags::POLLIN)], timeout) {
            Ok(0) => {
                let late = "the child sent no message in time";
                return Err(SetupFailed::new(Stage::Handover, libc::ETIMEDOUT, late));
            }
            Ok(_) => return Ok(()),
            Err(Errno::EINTR) => {}
            Err(e) => return Err(SetupFailed::new(Stage::Handover, e as i32, "poll")),
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
    Err(SetupFailed::new(Stage::Handover, libc::EPROTO, "the descriptor is not a seccomp listener"))
}

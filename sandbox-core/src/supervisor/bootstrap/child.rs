//! The forked child, step by step until it is the command. Nothing here returns to the caller.

use super::report::{self, GO, NO_ERRNO};
use super::{Confinement, Entry};
use crate::control::{ControlError, Stdio, receive_fds, unseal};
use crate::policy::Limits;
use crate::supervisor::Stage;
use crate::supervisor::confine;
use crate::sys;
use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::Signal;
use nix::unistd::{self, Pid};
use std::convert::Infallible;
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

/// A step that failed.
type Failed = (Stage, Errno);

fn at(stage: Stage) -> impl Fn(Errno) -> Failed {
    move |errno| (stage, errno)
}

/// Becomes the command, or reports the step that failed and ends.
pub(super) fn become_command(confinement: Confinement, socket: OwnedFd, supervisor: Pid) -> ! {
    let failure = match steps(confinement, &socket, supervisor) {
        Ok(never) => match never {},
        Err((stage, errno)) => report::encode_failure(stage, errno as i32),
    };
    // `write` is trapped by no filter. If it fails, the supervisor sees the socket close.
    let _closed_instead = unistd::write(&socket, &failure);
    sys::exit_now(127)
}

/// The order is the contract; `docs/ARCHITECTURE.md` gives the reason for each place in it.
fn steps(
    confinement: Confinement,
    socket: &OwnedFd,
    supervisor: Pid,
) -> Result<Infallible, Failed> {
    unistd::setsid().map_err(at(Stage::Session))?;
    sys::reset_signals().map_err(at(Stage::Session))?;
    // Readable for the supervisor, which the fork of an undumpable process would not be.
    nix::sys::prctl::set_dumpable(true).map_err(at(Stage::Session))?;
    // Opened now and written later: who waits for orders need not be the first to go.
    let score = File::options().write(true).open("/proc/self/oom_score_adj").ok();
    stay_with(supervisor).map_err(at(Stage::ParentDeath))?;
    sys::drop_capabilities().map_err(at(Stage::Capabilities))?;
    nix::sys::prctl::set_no_new_privs().map_err(at(Stage::NoNewPrivileges))?;
    confine::enforce(confinement.ruleset).map_err(|f| (f.stage, f.errno().unwrap_or(NO_ERRNO)))?;
    if let Some((name, mark)) = &confinement.kernel_log_mark {
        // No rule gives the right to make a device, so this is refused, and the log has the mark.
        let _refused = sys::try_to_make_device(name, *mark);
    }
    let listener = sys::install_filter(&confinement.filter).map_err(at(Stage::Filter))?;
    let secret = confinement.secret;
    sys::send_with_secret(socket.as_fd(), &[report::LISTENER], listener.as_fd(), secret)
        .map_err(at(Stage::Handover))?;
    drop(listener);
    execute(&await_orders(socket)?, score)
}

/// Does what was ordered. Everything that confines is behind it.
fn execute(entry: &Entry, score: Option<File>) -> Result<Infallible, Failed> {
    let Entry { orders, stdio, cwd } = entry;
    // Where memory runs out, this goes before what started it. Not worth a refusal if it fails.
    let _stays_as_it_is = score.map(|mut score| score.write_all(b"300"));
    standard_streams(stdio).map_err(at(Stage::Stdio))?;
    if orders.terminal {
        sys::take_controlling_terminal().map_err(at(Stage::Stdio))?;
    }
    limit(&orders.limits).map_err(at(Stage::Limits))?;
    unistd::fchdir(cwd).map_err(at(Stage::WorkingDirectory))?;
    // The one place that ends every inherited descriptor: flagged here, closed once by `execve`.
    sys::close_on_exec_from(3).map_err(at(Stage::Exec))?;
    unistd::execve(&orders.program, &orders.argv, &orders.environ).map_err(at(Stage::Exec))
}

/// Limits the kernel keeps for each process. Never above what this one was given.
fn limit(limits: &Limits) -> Result<(), Errno> {
    // Too little for a file, and not none: helpers that the kernel pipes a core to get it whatever
    // the limit is, with the environment's secrets in it, unless that is 1 (fs/coredump.c).
    const NO_CORE: u64 = 1;
    let (_, most) = getrlimit(Resource::RLIMIT_CORE)?;
    setrlimit(Resource::RLIMIT_CORE, NO_CORE.min(most), NO_CORE.min(most))?;
    if let Some(wanted) = limits.soft_open_files {
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
        setrlimit(Resource::RLIMIT_NOFILE, wanted.min(soft), hard)?;
    }
    // A little more: the supervisor, which counts the whole tree, comes first and says why.
    let cpu = limits.cpu.map(|cpu| cpu.as_secs().saturating_add(2));
    let wanted = [
        (Resource::RLIMIT_CPU, cpu),
        (Resource::RLIMIT_FSIZE, limits.file_size_bytes),
        (Resource::RLIMIT_NOFILE, limits.open_files),
        (Resource::RLIMIT_NPROC, limits.user_tasks),
    ];
    for (resource, limit) in wanted {
        let Some(limit) = limit else { continue };
        let (soft, hard) = getrlimit(resource)?;
        setrlimit(resource, limit.min(soft), limit.min(hard))?;
    }
    Ok(())
}

/// The three descriptors the command starts with.
fn standard_streams(stdio: &Stdio) -> Result<(), Errno> {
    unistd::dup2_stdin(&stdio.stdin)?;
    unistd::dup2_stdout(&stdio.stdout)?;
    unistd::dup2_stderr(&stdio.stderr)
}

/// Dies with the supervisor. The check closes the gap before the signal was asked for.
fn stay_with(supervisor: Pid) -> Result<(), Errno> {
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)?;
    if unistd::getppid() == supervisor { Ok(()) } else { Err(Errno::ESRCH) }
}

/// Waits for the supervisor, for as long as there is no command.
fn await_orders(socket: &OwnedFd) -> Result<Entry, Failed> {
    let failed = |error: ControlError| match error {
        ControlError::Call { errno, .. } => (Stage::AwaitRelease, errno),
        _ => (Stage::AwaitRelease, Errno::EPROTO),
    };
    match receive_fds(socket.as_fd()).map_err(failed)? {
        (GO, descriptors) => {
            let odd = |_| (Stage::AwaitRelease, Errno::EPROTO);
            let [memory, stdin, stdout, stderr, cwd]: [_; 5] =
                descriptors.try_into().map_err(odd)?;
            let orders = unseal(memory).map_err(failed)?;
            Ok(Entry { orders, stdio: Stdio { stdin, stdout, stderr }, cwd })
        }
        _ => Err((Stage::AwaitRelease, Errno::EPROTO)),
    }
}

/// The number the hand-over's exemption is made for.
pub(super) fn handover_number(socket: &OwnedFd) -> i32 {
    socket.as_raw_fd()
}

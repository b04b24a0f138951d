//! Other processes: what can be done to them, and how to outlive one's own first process.

use crate::number;
use crate::sys::{self, Outcome, unix_address};
use nix::errno::Errno;
use nix::unistd::{ForkResult, fork, getpid, getppid, setsid};
use std::time::Duration;

pub fn run(name: &str, rest: &[&str]) -> Option<Outcome> {
    Some(match (name, rest) {
        ("descriptors", &[]) => descriptors(),
        ("write-everywhere", &[]) => write_everywhere(),
        ("ids", &[]) => Ok(nix::unistd::geteuid().to_string()),
        ("victim", &[]) => victim(),
        ("idle", &[_tag]) => idle(),
        ("daemon", &[_tag, output]) => daemon(output),
        ("fork-chains", &[tag, n]) => number(n).and_then(|n| fork_chains(tag, n)),
        ("vfork-connect", &[address]) => vfork_connect(address),
        ("daemon-connect", &[address, result]) => daemon_connect(address, result),
        ("stop-storm", &[address, n]) => number(n).and_then(|n| stop_storm(address, n)),
        ("orphan-connect", &[address, result]) => orphan_connect(address, result),
        ("ptrace", &[pid]) => target(pid).and_then(ptrace),
        ("vm-read", &[pid, at]) => target(pid).and_then(|p| vm_read(p, at)),
        ("memory-file", &[pid, at]) => target(pid).and_then(|p| memory_file(p, at)),
        ("steal-descriptor", &[pid, fd]) => target(pid).and_then(|p| steal(p, fd)),
        ("list-descriptors", &[pid]) => target(pid).and_then(list_descriptors),
        ("open-descriptors", &[pid]) => target(pid).and_then(open_descriptors),
        ("read-environ", &[pid]) => target(pid).and_then(read_environ),
        ("signal-by", &[way, pid, signal]) => target(pid).and_then(|p| signal_by(way, p, signal)),
        ("signal-children", &[]) => signal_children(),
        ("own-descriptor", &[pid]) => target(pid).and_then(own_descriptor),
        ("kill", &[pid, signal]) => target(pid).and_then(|p| kill(p, signal)),
        ("pidfd-signal", &[pid, signal]) => target(pid).and_then(|p| pidfd_signal(p, signal)),
        ("prlimit", &[pid]) => target(pid).and_then(prlimit),
        ("priority", &[pid]) => target(pid).and_then(priority),
        ("affinity", &[pid]) => target(pid).and_then(affinity),
        _ => return None,
    })
}

/// A process id, or `parent`.
fn target(word: &str) -> Result<usize, Errno> {
    if word == "parent" { Ok(getppid().as_raw() as usize) } else { number(word) }
}

fn io(error: std::io::Error) -> Errno {
    Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO))
}

/// Every open descriptor and what it is, the one used for looking left out.
fn descriptors() -> Outcome {
    let mut found = Vec::new();
    for number in open_numbers()? {
        if let Ok(what) = std::fs::read_link(format!("/proc/self/fd/{number}")) {
            found.push(format!("{number}={}", what.display()));
        }
    }
    Ok(found.join(" "))
}

fn open_numbers() -> Result<Vec<i32>, Errno> {
    let entries = std::fs::read_dir("/proc/self/fd").map_err(io)?;
    let mut numbers: Vec<i32> =
        entries.flatten().filter_map(|e| e.file_name().to_str()?.parse().ok()).collect();
    // The listing's own descriptor is closed by now.
    numbers.retain(|n| sys::call(libc::SYS_fcntl, &[*n as usize, libc::F_GETFD as usize]).is_ok());
    numbers.sort_unstable();
    Ok(numbers)
}

/// Writes rubbish to every descriptor above 2; says to how many.
fn write_everywhere() -> Outcome {
    let mut taken = 0;
    for number in open_numbers()?.into_iter().filter(|n| *n > 2) {
        let rubbish = [0xff_u8; 64];
        let args = [number as usize, rubbish.as_ptr() as usize, rubbish.len()];
        taken += usize::from(sys::call(libc::SYS_write, &args).is_ok());
    }
    Ok(taken.to_string())
}

static SECRET: [u8; 16] = *b"victim's secret!";

/// A process to be attacked: says where its secret lies, then waits until its parent is gone.
fn victim() -> Outcome {
    let death = libc::SIGKILL as usize;
    sys::call(libc::SYS_prctl, &[libc::PR_SET_PDEATHSIG as usize, death])?;
    // Under Yama, let anybody attach: what refuses is to be the sandbox.
    let anybody = usize::MAX;
    let _ = sys::call(libc::SYS_prctl, &[libc::PR_SET_PTRACER as usize, anybody]);
    println!("{}", &raw const SECRET as usize);
    idle()
}

fn idle() -> Outcome {
    loop {
        std::thread::sleep(Duration::from_secs(3600));
    }
}

/// Forks twice with a session of its own in between, ignores polite signals and stays. With
/// `hold` it keeps stdout and stderr open, with `closed` it does not.
fn daemon(output: &str) -> Outcome {
    let (reader, writer) = nix::unistd::pipe()?;
    // SAFETY: this process has one thread.
    if let ForkResult::Parent { .. } = unsafe { fork() }? {
        drop(writer);
        // Comes back when the daemon says that it is there.
        nix::unistd::read(&reader, &mut [0; 1])?;
        return Ok("daemon runs".to_owned());
    }
    setsid()?;
    // SAFETY: as above, in the child.
    if let ForkResult::Parent { .. } = unsafe { fork() }? {
        std::process::exit(0);
    }
    for signal in [libc::SIGTERM, libc::SIGHUP, libc::SIGINT] {
        // SAFETY: ignoring a signal installs no code.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
    }
    if output == "closed" {
        (0..3).for_each(sys::close);
    }
    nix::unistd::write(&writer, b"!")?;
    drop(writer);
    idle()
}

/// `n` processes that never stand still: each forks and leaves its child to go on, in a session of
/// its own. Whoever kills by looking first comes too late.
fn fork_chains(_tag: &str, n: usize) -> Outcome {
    for _ in 0..n {
        // SAFETY: this process has one thread.
        if let ForkResult::Parent { .. } = unsafe { fork() }? {
            continue;
        }
        (0..3).for_each(sys::close);
        loop {
            let _ = setsid();
            // SAFETY: as above, in every child.
            if let Ok(ForkResult::Parent { .. }) = unsafe { fork() } {
                // SAFETY: ends at once, without what `exit` would run.
                unsafe { libc::_exit(0) };
            }
        }
    }
    Ok("they run".to_owned())
}

/// The grandchild connects once its parent is gone and writes what came of it; the first process
/// waits for that file.
fn orphan_connect(address: &str, result: &str) -> Outcome {
    let first = getpid();
    // SAFETY: this process has one thread.
    if let ForkResult::Child = unsafe { fork() }? {
        let middle = getpid();
        // SAFETY: as above, in the child.
        if let ForkResult::Parent { .. } = unsafe { fork() }? {
            std::process::exit(0);
        }
        while getppid() == middle {
            std::thread::sleep(Duration::from_millis(1));
        }
        let outcome = connect_once(address).map_err(|e| format!("{e:?}"));
        let adopted = if getppid() == first { "child" } else { "orphan" };
        let line = format!("{adopted} {}", outcome.unwrap_or_else(|e| e));
        let _ = std::fs::write(format!("{result}.new"), line);
        let _ = std::fs::rename(format!("{result}.new"), result);
        std::process::exit(0);
    }
    for _ in 0..5000 {
        if let Ok(text) = std::fs::read_to_string(result) {
            return Ok(text);
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    Err(Errno::ETIMEDOUT)
}

/// Connects in a child that shares our memory and stops us until it ends, as `posix_spawn` makes
/// them.
fn vfork_connect(address: &str) -> Outcome {
    extern "C" fn child(job: *mut libc::c_void) -> libc::c_int {
        // SAFETY: the parent is stopped and keeps both alive.
        let (address, result) = unsafe { &mut *job.cast::<(&str, Option<Outcome>)>() };
        *result = Some(connect_once(address));
        0
    }
    let mut stack = vec![0_u8; 256 << 10];
    let mut job: (&str, Option<Outcome>) = (address, None);
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
    // SAFETY: the child runs on a stack of its own and ends before this thread goes on; stacks grow
    // downwards from the end.
    let pid = unsafe {
        let end = stack.as_mut_ptr().add(stack.len()).cast();
        libc::clone(child, end, flags, (&raw mut job).cast())
    };
    if pid < 0 {
        return Err(Errno::last());
    }
    nix::sys::wait::waitpid(nix::unistd::Pid::from_raw(pid), None)?;
    job.1.unwrap_or(Err(Errno::EIO))
}

/// A daemon as they are made: fork, a session of its own, fork, its own standard streams, and the
/// first process gone. It connects then and leaves the result in a file.
fn daemon_connect(address: &str, result: &str) -> Outcome {
    // SAFETY: this process has one thread.
    if let ForkResult::Parent { child } = unsafe { fork() }? {
        nix::sys::wait::waitpid(child, None)?;
        return Ok("left".to_owned());
    }
    setsid()?;
    // SAFETY: as above, in the child.
    if let ForkResult::Parent { .. } = unsafe { fork() }? {
        std::process::exit(0);
    }
    while nix::sys::signal::kill(nix::unistd::Pid::from_raw(first_of_session()?), None).is_ok() {
        std::thread::sleep(Duration::from_millis(1));
    }
    let said = match connect_once(address) {
        Ok(detail) => format!("ok {detail}"),
        Err(errno) => format!("{errno:?}"),
    };
    let _ = std::fs::write(format!("{result}.new"), said);
    let _ = std::fs::rename(format!("{result}.new"), result);
    std::process::exit(0);
}

/// The leader of our session, which has left it to us.
fn first_of_session() -> Result<i32, Errno> {
    nix::unistd::getsid(None).map(nix::unistd::Pid::as_raw)
}

/// Connects `n` times while the parent stops and continues us as fast as it can.
fn stop_storm(address: &str, n: usize) -> Outcome {
    // SAFETY: this process has one thread.
    match unsafe { fork() }? {
        ForkResult::Child => {
            // Connecting alone: reading with a timeout fails after a stop everywhere (signal(7)).
            let address = unix_address(address);
            let connects = || {
                let fd = sys::socket(libc::AF_UNIX, libc::SOCK_STREAM, 0)?;
                let connected = sys::connect(fd, &address);
                sys::close(fd);
                connected
            };
            let right = (0..n).filter(|_| connects().is_ok()).count();
            std::process::exit(i32::from(right != n));
        }
        ForkResult::Parent { child } => {
            use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
            let mut rounds = 0_u64;
            loop {
                for signal in [libc::SIGSTOP, libc::SIGCONT] {
                    let args = [child.as_raw() as usize, signal as usize];
                    sys::call(libc::SYS_kill, &args)?;
                }
                rounds += 1;
                match waitpid(child, Some(WaitPidFlag::WNOHANG))? {
                    WaitStatus::Exited(_, 0) => return Ok(format!("{n} in {rounds} rounds")),
                    WaitStatus::Exited(..) | WaitStatus::Signaled(..) => return Err(Errno::EIO),
                    _ => {}
                }
            }
        }
    }
}

fn connect_once(address: &str) -> Outcome {
    let fd = sys::socket(libc::AF_UNIX, libc::SOCK_STREAM, 0)?;
    sys::connect(fd, &unix_address(address))?;
    sys::receive_timeout(fd, 5000);
    sys::read_text(fd)
}

fn ptrace(pid: usize) -> Outcome {
    sys::call(libc::SYS_ptrace, &[libc::PTRACE_SEIZE as usize, pid, 0, 0])?;
    Ok(String::new())
}

fn vm_read(pid: usize, at: &str) -> Outcome {
    let mut buffer = [0_u8; SECRET.len()];
    let local = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    let remote =
        libc::iovec { iov_base: number::<usize>(at)? as *mut libc::c_void, iov_len: buffer.len() };
    let args = [pid, &raw const local as usize, 1, &raw const remote as usize, 1, 0];
    sys::call(libc::SYS_process_vm_readv, &args)?;
    Ok(String::from_utf8_lossy(&buffer).into_owned())
}

fn memory_file(pid: usize, at: &str) -> Outcome {
    use std::os::unix::fs::FileExt;
    let file = std::fs::File::open(format!("/proc/{pid}/mem")).map_err(io)?;
    let mut buffer = [0_u8; SECRET.len()];
    file.read_exact_at(&mut buffer, number(at)?).map_err(io)?;
    Ok(String::from_utf8_lossy(&buffer).into_owned())
}

fn steal(pid: usize, fd: &str) -> Outcome {
    let handle = sys::call(libc::SYS_pidfd_open, &[pid, 0])?;
    sys::call(libc::SYS_pidfd_getfd, &[handle, number(fd)?, 0])?;
    Ok(String::new())
}

fn list_descriptors(pid: usize) -> Outcome {
    let entries = std::fs::read_dir(format!("/proc/{pid}/fd")).map_err(io)?;
    let mut names = Vec::new();
    for entry in entries {
        let path = entry.map_err(io)?.path();
        names.push(std::fs::read_link(&path).map_err(io)?.display().to_string());
    }
    Ok(names.len().to_string())
}

/// Opens what is behind every number that could be there, without listing them first.
fn open_descriptors(pid: usize) -> Outcome {
    let mut result = Err(Errno::ENOENT);
    for number in 0..64 {
        match std::fs::File::open(format!("/proc/{pid}/fd/{number}")).map_err(io) {
            Ok(_) => return Ok(number.to_string()),
            Err(Errno::ENOENT) => {}
            Err(other) => result = Err(other),
        }
    }
    result
}

fn read_environ(pid: usize) -> Outcome {
    let bytes = std::fs::read(format!("/proc/{pid}/environ")).map_err(io)?;
    Ok(String::from_utf8_lossy(&bytes).replace('\0', " "))
}

fn kill(pid: usize, signal: &str) -> Outcome {
    sys::call(libc::SYS_kill, &[pid, number(signal)?])?;
    Ok(String::new())
}

/// Every call that sends a signal to one process.
const WAYS: [&str; 6] = ["kill", "tkill", "tgkill", "queue", "thread-queue", "pidfd"];

/// One signal by one of [`WAYS`], or by `group` to the process's group.
fn signal_by(way: &str, pid: usize, signal: &str) -> Outcome {
    let signal: usize = number(signal)?;
    let mut info = [0_i32; 32];
    info[0] = signal as i32;
    info[2] = libc::SI_QUEUE;
    let info = info.as_ptr() as usize;
    match way {
        "kill" => sys::call(libc::SYS_kill, &[pid, signal])?,
        "tkill" => sys::call(libc::SYS_tkill, &[pid, signal])?,
        "tgkill" => sys::call(libc::SYS_tgkill, &[pid, pid, signal])?,
        "queue" => sys::call(libc::SYS_rt_sigqueueinfo, &[pid, signal, info])?,
        "thread-queue" => sys::call(libc::SYS_rt_tgsigqueueinfo, &[pid, pid, signal, info])?,
        "pidfd" => {
            let handle = sys::call(libc::SYS_pidfd_open, &[pid, 0])?;
            sys::call(libc::SYS_pidfd_send_signal, &[handle, signal, 0, 0])?
        }
        "group" => {
            let group = sys::call(libc::SYS_getpgid, &[pid])?;
            sys::call(libc::SYS_kill, &[group.wrapping_neg(), signal])?
        }
        _ => return Err(Errno::EINVAL),
    };
    Ok(String::new())
}

/// Ends a child of ours by each of [`WAYS`]; says by how many that worked.
fn signal_children() -> Outcome {
    use nix::sys::signal::Signal;
    use nix::sys::wait::{WaitStatus, waitpid};
    for way in WAYS {
        // SAFETY: this process has one thread.
        match unsafe { fork() }? {
            ForkResult::Child => return idle(),
            ForkResult::Parent { child } => {
                signal_by(way, child.as_raw() as usize, "15")?;
                if waitpid(child, None)? != WaitStatus::Signaled(child, Signal::SIGTERM, false) {
                    return Err(Errno::EIO);
                }
            }
        }
    }
    Ok(WAYS.len().to_string())
}

/// Makes another process the owner of a descriptor, so that the kernel signals it for us.
fn own_descriptor(pid: usize) -> Outcome {
    let [fd, _] = sys::socketpair(libc::AF_UNIX, libc::SOCK_STREAM)?;
    sys::call(libc::SYS_fcntl, &[fd as usize, libc::F_SETOWN as usize, pid])?;
    Ok(String::new())
}

fn pidfd_signal(pid: usize, signal: &str) -> Outcome {
    let handle = sys::call(libc::SYS_pidfd_open, &[pid, 0])?;
    sys::call(libc::SYS_pidfd_send_signal, &[handle, number(signal)?, 0, 0])?;
    Ok(String::new())
}

/// Lowers another process's core size limit to what it is.
fn prlimit(pid: usize) -> Outcome {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    let core = libc::RLIMIT_CORE as usize;
    sys::call(libc::SYS_prlimit64, &[pid, core, 0, &raw mut limit as usize])?;
    sys::call(libc::SYS_prlimit64, &[pid, core, &raw const limit as usize, 0])?;
    Ok(String::new())
}

fn priority(pid: usize) -> Outcome {
    sys::call(libc::SYS_setpriority, &[libc::PRIO_PROCESS as usize, pid, 5])?;
    Ok(String::new())
}

fn affinity(pid: usize) -> Outcome {
    let mut mask = [0_u64; 16];
    let size = size_of_val(&mask);
    sys::call(libc::SYS_sched_getaffinity, &[pid, size, mask.as_mut_ptr() as usize])?;
    sys::call(libc::SYS_sched_setaffinity, &[pid, size, mask.as_ptr() as usize])?;
    Ok(String::new())
}

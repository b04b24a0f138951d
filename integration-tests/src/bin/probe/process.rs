//! Other processes: what can be done to them, and how to outlive one's own first process.

use crate::number;
use crate::sys::{self, Outcome};
use nix::errno::Errno;
use nix::unistd::{ForkResult, fork, getppid, setsid};
use std::time::{Duration, Instant};

pub fn run(name: &str, rest: &[&str]) -> Option<Outcome> {
    Some(match (name, rest) {
        ("descriptors", &[]) => descriptors(),
        ("write-everywhere", &[]) => write_everywhere(),
        ("ids", &[]) => Ok(nix::unistd::geteuid().to_string()),
        ("victim", &[]) => victim(),
        ("idle", &[_tag]) => idle(),
        ("churn", &[_tag, n]) => number(n).and_then(churn),
        ("daemon", &[_tag, output]) => daemon(output),
        ("fork-chains", &[tag, n]) => number(n).and_then(|n| fork_chains(tag, n)),
        ("comets", &[lanes, seconds]) => {
            number(lanes).and_then(|n| comets(n, Duration::from_secs(number(seconds)?)))
        }
        ("ptrace", &[pid]) => target(pid).and_then(ptrace),
        ("vm-read", &[pid, at]) => target(pid).and_then(|p| vm_read(p, at)),
        ("memory-file", &[pid, at]) => target(pid).and_then(|p| memory_file(p, at)),
        ("steal-descriptor", &[pid, fd]) => target(pid).and_then(|p| steal(p, fd)),
        ("list-descriptors", &[pid]) => target(pid).and_then(list_descriptors),
        ("open-descriptors", &[pid]) => target(pid).and_then(open_descriptors),
        ("read-environ", &[pid]) => target(pid).and_then(read_environ),
        ("own-descriptor", &[pid]) => target(pid).and_then(own_descriptor),
        ("kill", &[pid, signal]) => target(pid).and_then(|p| kill(p, signal)),
        ("pidfd-signal", &[pid, signal]) => target(pid).and_then(|p| pidfd_signal(p, signal)),
        ("prlimit", &[pid]) => target(pid).and_then(prlimit),
        ("priority", &[pid]) => target(pid).and_then(priority),
        ("affinity", &[pid]) => target(pid).and_then(affinity),
        ("own-numbers", &[]) => own_numbers(),
        _ => return None,
    })
}

/// A process id, or `parent`.
pub fn target(word: &str) -> Result<usize, Errno> {
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

/// So many processes, deaf to polite signals, that fork and reap without end.
fn churn(processes: u32) -> Outcome {
    use nix::sys::signal::{SigHandler, Signal, signal};
    // SAFETY: ignoring a signal runs no code.
    unsafe { signal(Signal::SIGTERM, SigHandler::SigIgn) }?;
    for _ in 0..processes {
        // SAFETY: this process has one thread.
        if let ForkResult::Child = unsafe { fork() }? {
            loop {
                // SAFETY: as above. No process to be had: another one ends soon.
                match unsafe { fork() } {
                    Ok(ForkResult::Child) => std::process::exit(0),
                    Ok(ForkResult::Parent { child }) => drop(nix::sys::wait::waitpid(child, None)),
                    Err(_) => std::thread::yield_now(),
                }
            }
        }
    }
    idle()
}

pub fn idle() -> Outcome {
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

/// `lanes` chains of processes that do nothing but fork and exit, for so long at most: more of them
/// end than can be reaped. Polite signals are ignored. The file `comets` in the working directory is
/// locked for as long as one of them, or this process, which stays, is alive.
fn comets(lanes: usize, life: Duration) -> Outcome {
    let until = Instant::now() + life;
    let file = std::fs::File::create("comets").map_err(io)?;
    let lock = nix::fcntl::Flock::lock(file, nix::fcntl::FlockArg::LockExclusiveNonblock);
    let _lock = lock.map_err(|(_, errno)| errno)?;
    for signal in [libc::SIGTERM, libc::SIGHUP, libc::SIGINT, libc::SIGCHLD] {
        // SAFETY: ignoring a signal installs no code.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
    }
    for _ in 0..lanes {
        // SAFETY: this process has one thread.
        if let ForkResult::Parent { .. } = unsafe { fork() }? {
            continue;
        }
        (0..3).for_each(sys::close);
        let _ = setsid();
        while Instant::now() < until {
            // SAFETY: as above, in every child.
            match unsafe { fork() } {
                Ok(ForkResult::Child) => {}
                Ok(ForkResult::Parent { .. }) => {
                    // SAFETY: ends at once, without what `exit` would run.
                    unsafe { libc::_exit(0) }
                }
                Err(_) => std::thread::yield_now(),
            }
        }
        std::process::exit(0);
    }
    std::thread::sleep(life);
    Ok("they are gone".to_owned())
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

/// Limits, priority, processors and scheduling of this process and its threads, each by its number,
/// asked by a thread that is not the first. Names those for which everything works, and the group.
fn own_numbers() -> Outcome {
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let _told = tell.send(sys::call(libc::SYS_gettid, &[]));
        std::thread::park();
    });
    let other = told.recv().map_err(|_| Errno::EIO)??;
    let work = move || -> Outcome {
        let (thread, process) = (sys::call(libc::SYS_gettid, &[])?, std::process::id() as usize);
        let all = [("thread", thread), ("process", process), ("other", other)];
        let mut words: Vec<_> =
            all.into_iter().filter(|(_, number)| everything(*number)).map(|(who, _)| who).collect();
        words.extend(own_group().is_ok().then_some("group"));
        Ok(words.join(" "))
    };
    std::thread::spawn(work).join().map_err(|_| Errno::EIO)?
}

/// Whether all calls work on the thread or process of this number.
fn everything(number: usize) -> bool {
    /// linux/sched/types.h; ordinary scheduling.
    static ORDINARY: [u32; 12] = [48, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0];
    const IOPRIO_BEST_EFFORT: usize = 2 << 13 | 4;
    let none = 0_i32;
    let none = &raw const none as usize;
    let attr = ORDINARY.as_ptr() as usize;
    let calls: [Outcome; 7] = [
        prlimit(number),
        priority(number),
        affinity(number),
        sys::call(libc::SYS_sched_setscheduler, &[number, 0, none]).map(|_| String::new()),
        sys::call(libc::SYS_sched_setparam, &[number, none]).map(|_| String::new()),
        sys::call(libc::SYS_sched_setattr, &[number, attr, 0]).map(|_| String::new()),
        sys::call(libc::SYS_ioprio_set, &[1, number, IOPRIO_BEST_EFFORT]).map(|_| String::new()),
    ];
    calls.iter().all(Result::is_ok)
}

fn own_group() -> Outcome {
    // Outside it is whoever started this that would be reniced; inside it leads a session already.
    let _leads = sys::call(libc::SYS_setpgid, &[0, 0]);
    sys::call(libc::SYS_setpriority, &[libc::PRIO_PGRP as usize, 0, 5])?;
    Ok(String::new())
}

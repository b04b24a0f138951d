//! Blocking connects, the signals that interrupt them, and who waits for whom.

use crate::number;
use crate::sys::{self, LOCALHOST, Outcome, inet_address, unix_address};
use crate::unix::{full_listener, socket_kind};
use nix::errno::Errno;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

pub fn run(name: &str, rest: &[&str]) -> Option<Outcome> {
    Some(match (name, rest) {
        ("blocked-interrupted", &[path]) => interrupted_unix(path),
        ("blocked-restarted", &[path]) => restarted_unix(path),
        ("blocked-tcp-interrupted", &[]) => interrupted_tcp(),
        ("blocked-ignored", &[path]) => ignored(path),
        ("blocked-herd", &[path, other, n]) => number(n).and_then(|n| herd(path, other, n)),
        ("blocked-released", &[path, other, n]) => number(n).and_then(|n| released(path, other, n)),
        ("blocked-crowd", &[path, n, _tag]) => number(n).and_then(|n| crowd_forever(path, n)),
        ("blocked-forever", &[path]) => blocked_forever(path),
        ("signal-storm", &[path, n]) => number(n).and_then(|n| storm(path, n)),
        _ => return None,
    })
}

static HANDLED: AtomicUsize = AtomicUsize::new(0);

extern "C" fn count(_: libc::c_int) {
    HANDLED.fetch_add(1, Ordering::SeqCst);
}

/// Counts SIGALRM, with or without restarting interrupted calls.
fn handle_alarm(flags: SaFlags) -> Result<(), Errno> {
    let action = SigAction::new(SigHandler::Handler(count), flags, SigSet::empty());
    // SAFETY: the handler only touches an atomic.
    unsafe { sigaction(Signal::SIGALRM, &action) }.map(drop)
}

/// SIGALRM every 100 ms, from now on: a single one could come before the connect blocks.
fn alarm_every_100_ms() -> Result<(), Errno> {
    let tick = libc::timeval { tv_sec: 0, tv_usec: 100_000 };
    let timer = libc::itimerval { it_interval: tick, it_value: tick };
    let args = [libc::ITIMER_REAL as usize, &raw const timer as usize, 0];
    sys::call(libc::SYS_setitimer, &args).map(drop)
}

fn interrupted_unix(path: &str) -> Outcome {
    let _listener = full_listener(path)?;
    handle_alarm(SaFlags::empty())?;
    let fd = socket_kind("stream")?;
    alarm_every_100_ms()?;
    sys::connect(fd, &unix_address(path))?;
    Ok("connected".to_owned())
}

/// With SA_RESTART the call goes on; a second thread makes room after two signals.
fn restarted_unix(path: &str) -> Outcome {
    let listener = full_listener(path)?;
    handle_alarm(SaFlags::SA_RESTART)?;
    let fd = socket_kind("stream")?;
    let room = std::thread::spawn(move || {
        mask_alarm();
        while HANDLED.load(Ordering::SeqCst) < 2 {
            std::thread::sleep(Duration::from_millis(5));
        }
        sys::accept(listener).map(drop)
    });
    alarm_every_100_ms()?;
    sys::connect(fd, &unix_address(path))?;
    room.join().map_err(|_| Errno::EIO)??;
    Ok("restarted".to_owned())
}

/// Keeps the timer's signal away from this thread, so that the blocked one gets it.
fn mask_alarm() {
    let mut set = SigSet::empty();
    set.add(Signal::SIGALRM);
    let _ = set.thread_block();
}

/// A TCP listener whose queue is full drops what comes next, so connecting waits in silence.
fn interrupted_tcp() -> Outcome {
    let (listener, fillers) = full_tcp_listener()?;
    handle_alarm(SaFlags::empty())?;
    let fd = sys::socket(libc::AF_INET, libc::SOCK_STREAM, 0)?;
    alarm_every_100_ms()?;
    let result = sys::connect(fd, &inet_address(LOCALHOST, sys::local_port(listener)?));
    fillers.into_iter().for_each(sys::close);
    result.map(|()| "connected".to_owned())
}

fn full_tcp_listener() -> Result<(RawFd, Vec<RawFd>), Errno> {
    let listener = sys::socket(libc::AF_INET, libc::SOCK_STREAM, 0)?;
    sys::bind(listener, &inet_address(LOCALHOST, 0))?;
    sys::listen(listener, 0)?;
    let address = inet_address(LOCALHOST, sys::local_port(listener)?);
    let mut fillers = Vec::new();
    loop {
        let fd = sys::socket(libc::AF_INET, libc::SOCK_STREAM | libc::SOCK_NONBLOCK, 0)?;
        fillers.push(fd);
        match sys::connect(fd, &address) {
            Ok(()) | Err(Errno::EINPROGRESS) => {}
            Err(other) => return Err(other),
        }
        if !sys::poll(fd, libc::POLLOUT, 300)? {
            return Ok((listener, fillers));
        }
    }
}

/// Signals that are ignored or that the process does not handle must not end the wait.
fn ignored(path: &str) -> Outcome {
    let listener = full_listener(path)?;
    let ignore = SigAction::new(SigHandler::SigIgn, SaFlags::empty(), SigSet::empty());
    // SAFETY: ignoring a signal installs no code.
    unsafe { sigaction(Signal::SIGALRM, &ignore) }?;
    let fd = socket_kind("stream")?;
    alarm_every_100_ms()?;
    let room = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(500));
        sys::accept(listener).map(drop)
    });
    sys::connect(fd, &unix_address(path))?;
    room.join().map_err(|_| Errno::EIO)??;
    Ok("connected".to_owned())
}

/// `n` threads that block on a full queue, and what their calls come to.
fn crowd(path: &str, n: usize) -> Result<Receiver<Result<(), Errno>>, Errno> {
    let started = std::sync::Arc::new(AtomicUsize::new(0));
    let (sender, results) = mpsc::channel();
    for _ in 0..n {
        let (address, started, sender) = (unix_address(path), started.clone(), sender.clone());
        std::thread::Builder::new()
            .stack_size(64 * 1024)
            .spawn(move || {
                let socket = socket_kind("stream");
                started.fetch_add(1, Ordering::SeqCst);
                let _ = sender.send(socket.and_then(|fd| sys::connect(fd, &address)));
            })
            .map_err(|_| Errno::EAGAIN)?;
    }
    while started.load(Ordering::SeqCst) < n {
        std::thread::sleep(Duration::from_millis(1));
    }
    // They have announced themselves; give the last ones time to be inside the call.
    std::thread::sleep(Duration::from_millis(300));
    Ok(results)
}

/// Says by a file beside the socket that the crowd stands, and stays until somebody kills us.
fn crowd_forever(path: &str, n: usize) -> Outcome {
    let _listener = full_listener(path)?;
    let _blocked = crowd(path, n)?;
    std::fs::write(format!("{path}.stands"), "").map_err(|_| Errno::EACCES)?;
    loop {
        std::thread::sleep(Duration::from_secs(3600));
    }
}

/// `n` threads block on a full queue; how long does one more connect elsewhere take, in ms?
fn herd(path: &str, other: &str, n: usize) -> Outcome {
    let _listener = full_listener(path)?;
    let server = socket_kind("stream")?;
    sys::bind(server, &unix_address(other))?;
    sys::listen(server, 16)?;
    let _blocked = crowd(path, n)?;
    let mut worst = Duration::ZERO;
    for _ in 0..8 {
        let fd = socket_kind("stream")?;
        let start = Instant::now();
        sys::connect(fd, &unix_address(other))?;
        worst = worst.max(start.elapsed());
    }
    Ok(worst.as_millis().to_string())
}

/// `n` threads block on a full queue, one more connects elsewhere, then there is room for all.
fn released(path: &str, other: &str, n: usize) -> Outcome {
    let listener = full_listener(path)?;
    let server = socket_kind("stream")?;
    sys::bind(server, &unix_address(other))?;
    sys::listen(server, 1)?;
    let results = crowd(path, n)?;
    // Long enough for whoever looks after blocked calls to have looked many times.
    std::thread::sleep(Duration::from_millis(1000));
    if let Ok(result) = results.try_recv() {
        return Ok(format!("one did not stay blocked: {result:?}"));
    }
    sys::connect(socket_kind("stream")?, &unix_address(other))?;
    std::thread::spawn(move || while sys::accept(listener).map(sys::close).is_ok() {});
    let mut connected = 0;
    for _ in 0..n {
        match results.recv_timeout(Duration::from_secs(20)) {
            Ok(Ok(())) => connected += 1,
            other => return Ok(format!("{connected} connected, then {other:?}")),
        }
    }
    Ok(format!("{connected} connected"))
}

/// Blocks until somebody kills us.
fn blocked_forever(path: &str) -> Outcome {
    let _listener = full_listener(path)?;
    let fd = socket_kind("stream")?;
    println!("blocking");
    sys::connect(fd, &unix_address(path))?;
    Ok("connected".to_owned())
}

/// Connects `n` times while signals rain on the caller; every connect must come out right.
fn storm(path: &str, n: usize) -> Outcome {
    handle_alarm(SaFlags::SA_RESTART)?;
    let tick = libc::timeval { tv_sec: 0, tv_usec: 50 };
    let timer = libc::itimerval { it_interval: tick, it_value: tick };
    sys::call(libc::SYS_setitimer, &[0, &raw const timer as usize, 0])?;
    let address = unix_address(path);
    let mut interrupted = 0;
    for _ in 0..n {
        let fd = socket_kind("stream")?;
        loop {
            match sys::connect(fd, &address) {
                Ok(()) => break,
                Err(Errno::EINTR) => interrupted += 1,
                Err(other) => return Err(other),
            }
        }
        sys::close(fd);
    }
    Ok(format!("{n} signals {} interrupted {interrupted}", HANDLED.load(Ordering::SeqCst) > 0))
}

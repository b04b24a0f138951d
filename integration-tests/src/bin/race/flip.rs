//! The changing hand of each race.

use crate::Target;
use crate::passing::Passing;
use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, IntoRawFd, RawFd};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::thread::JoinHandle;

/// Bytes that a thread or another process changes while the kernel reads them.
pub struct Shared {
    bytes: &'static [AtomicU8],
}

impl Shared {
    /// A shared mapping that holds `bytes` and survives `fork` as the same memory.
    pub fn new(bytes: &[u8]) -> io::Result<&'static Self> {
        let access = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_SHARED | libc::MAP_ANONYMOUS;
        // SAFETY: a new anonymous mapping, larger than any address.
        let page = unsafe { libc::mmap(std::ptr::null_mut(), 4096, access, flags, -1, 0) };
        if page == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the mapping is zeroed, never unmapped, and only used through atomics.
        let all = unsafe { std::slice::from_raw_parts(page.cast::<AtomicU8>(), bytes.len()) };
        for (cell, byte) in all.iter().zip(bytes) {
            cell.store(*byte, Ordering::SeqCst);
        }
        Ok(Box::leak(Box::new(Self { bytes: all })))
    }

    pub fn pointer(&self) -> *const u8 {
        self.bytes.as_ptr().cast()
    }

    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Writes the bytes that differ between `from` and `to`.
    pub fn write(&self, from: &[u8], to: &[u8]) {
        for (cell, (old, new)) in self.bytes.iter().zip(from.iter().zip(to)) {
            if old != new {
                cell.store(*new, Ordering::SeqCst);
            }
        }
    }
}

type Step = Box<dyn FnMut() + Send>;

/// A hand that is ready to move.
pub enum Flipper {
    /// Every try has one of its own.
    InTarget,
    /// A thread of this process.
    Thread(Step),
    /// Another process of the sandbox, by a mapping that both have.
    Process(Step),
    /// Another process of the sandbox that shares all of our memory (`CLONE_VM`). Its step must
    /// call nothing: it has our thread-local storage too.
    Sharer(Step),
}

/// A hand that moves.
pub enum Running {
    Nothing,
    Thread { stop: Arc<AtomicBool>, thread: JoinHandle<()> },
    Process(libc::pid_t),
}

impl Flipper {
    pub fn start(self) -> Running {
        match self {
            Flipper::InTarget => Running::Nothing,
            Flipper::Thread(mut step) => {
                let stop = Arc::new(AtomicBool::new(false));
                let seen = stop.clone();
                let thread = std::thread::spawn(move || {
                    while !seen.load(Ordering::Relaxed) {
                        step();
                    }
                });
                Running::Thread { stop, thread }
            }
            Flipper::Process(mut step) => {
                // SAFETY: this process has one thread.
                let child = unsafe { libc::fork() };
                if child == 0 {
                    // SAFETY: the hand ends with the process whose memory it changes.
                    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
                    loop {
                        step();
                    }
                }
                Running::Process(child)
            }
            Flipper::Sharer(step) => Running::Process(share(step)),
        }
    }
}

/// Starts a process with our memory and a stack of its own. It lives until it is killed.
fn share(step: Step) -> libc::pid_t {
    extern "C" fn hand(step: *mut libc::c_void) -> libc::c_int {
        // SAFETY: leaked below for this process alone.
        let step = unsafe { &mut *step.cast::<Step>() };
        loop {
            step();
        }
    }
    let stack = Box::leak(vec![0_u8; 64 << 10].into_boxed_slice());
    let step = Box::into_raw(Box::new(step)).cast();
    // SAFETY: stacks grow downwards from the end; both live as long as this process, which kills
    // the other one first.
    unsafe {
        let end = stack.as_mut_ptr().add(stack.len()).cast();
        libc::clone(hand, end, libc::CLONE_VM | libc::SIGCHLD, step)
    }
}

impl Running {
    pub fn stop(self) {
        match self {
            Running::Nothing => {}
            Running::Thread { stop, thread } => {
                stop.store(true, Ordering::Relaxed);
                let _ = thread.join();
            }
            Running::Process(child) => {
                // SAFETY: a child of ours that nobody has waited for.
                unsafe { libc::kill(child, libc::SIGKILL) };
                // SAFETY: as above.
                unsafe { libc::waitpid(child, std::ptr::null_mut(), 0) };
            }
        }
    }
}

/// Builds both hands of a race.
pub fn prepare(
    mode: &str,
    forbidden: &str,
    granted: &str,
    workdir: &str,
) -> io::Result<(Target, Flipper)> {
    let (bad, good) = (unix_address(forbidden), unix_address(granted));
    if bad.len() != good.len() && mode != "bind" {
        return Err(io::Error::other("the two paths differ in length"));
    }
    match mode {
        "family" => {
            let mut inet = bad.clone();
            inet[..2].copy_from_slice(&(libc::AF_INET as u16).to_ne_bytes());
            let shared = Shared::new(&bad)?;
            Ok((Target::Memory(shared), Flipper::Thread(two_ways(shared, bad, inet))))
        }
        "path" => {
            let shared = Shared::new(&bad)?;
            Ok((Target::Memory(shared), Flipper::Thread(two_ways(shared, bad, good))))
        }
        "memory" => {
            let shared = Shared::new(&bad)?;
            Ok((Target::Memory(shared), Flipper::Process(two_ways(shared, bad, good))))
        }
        "dup2" => descriptor_race(bad),
        "symlink" => {
            let (a, b) = (format!("{workdir}/link-a"), format!("{workdir}/link-b"));
            link(forbidden, &a)?;
            link(granted, &b)?;
            Ok((Target::Path(unix_address(&a)), Flipper::Thread(exchange(&a, &b)?)))
        }
        "folder" => {
            let (a, b) = (format!("{workdir}/dir-a"), format!("{workdir}/dir-b"));
            link(parent(forbidden)?, &a)?;
            link(parent(granted)?, &b)?;
            let path = format!("{a}/{}", name(granted)?);
            Ok((Target::Path(unix_address(&path)), Flipper::Thread(exchange(&a, &b)?)))
        }
        "chmod" => {
            let [bad, good] = [forbidden, granted].map(|p| [p.as_bytes(), b"\0"].concat());
            let shared = Shared::new(&bad)?;
            Ok((Target::Mode(shared), Flipper::Thread(two_ways(shared, bad, good))))
        }
        "sharer" => {
            let shared = Shared::new(&bad)?;
            Ok((Target::Memory(shared), Flipper::Sharer(two_ways(shared, bad, good))))
        }
        "sendto" | "sendmsg" => {
            let shared = Shared::new(&bad)?;
            let target = Target::Mail { shared, by_message: mode == "sendmsg" };
            Ok((target, Flipper::Thread(two_ways(shared, bad, good))))
        }
        "passing" => Ok((Target::Passing(Passing::new(bad, good)?), Flipper::InTarget)),
        "bind" => {
            let (a, b) = (format!("{workdir}/dir-a"), format!("{workdir}/dir-b"));
            link(parent(forbidden)?, &a)?;
            link(parent(granted)?, &b)?;
            let swap = exchange(&a, &b)?;
            Ok((Target::Folder(a), Flipper::Thread(swap)))
        }
        "own" => own_race(forbidden, workdir),
        "chdir" => {
            let folders = [c_string(parent(forbidden)?)?, c_string(parent(granted)?)?];
            let step: Step = Box::new(move || {
                for folder in &folders {
                    // SAFETY: changes the folder of the whole process, which is the point.
                    unsafe { libc::chdir(folder.as_ptr()) };
                }
            });
            Ok((Target::Path(unix_address(name(granted)?)), Flipper::Thread(step)))
        }
        _ => Err(io::Error::other("no such race")),
    }
}

fn two_ways(shared: &'static Shared, one: Vec<u8>, other: Vec<u8>) -> Step {
    Box::new(move || {
        shared.write(&one, &other);
        std::hint::spin_loop();
        shared.write(&other, &one);
        std::hint::spin_loop();
    })
}

/// A number behind which a TCP and a UNIX socket alternate.
fn descriptor_race(address: Vec<u8>) -> io::Result<(Target, Flipper)> {
    const UNIX: RawFd = 200;
    const INET: RawFd = 201;
    const NUMBER: RawFd = 202;
    let inet = std::net::TcpListener::bind("127.0.0.1:0")?;
    // SAFETY: high numbers that nothing in this process uses.
    unsafe { libc::dup2(inet.into_raw_fd(), INET) };
    let step: Step = Box::new(move || {
        for from in [UNIX, INET] {
            // SAFETY: as above.
            unsafe { libc::dup2(from, NUMBER) };
        }
    });
    Ok((Target::Number { address, unix: UNIX, number: NUMBER }, Flipper::Thread(step)))
}

/// A socket of our own changes places with a link to the forbidden one.
fn own_race(forbidden: &str, workdir: &str) -> io::Result<(Target, Flipper)> {
    let (own, other) = (format!("{workdir}/own.sock"), format!("{workdir}/other"));
    let _ = std::fs::remove_file(&own);
    let listener = UnixListener::bind(&own)?;
    listener.set_nonblocking(true)?;
    link(forbidden, &other)?;
    let mut swap = exchange(&own, &other)?;
    let step: Step = Box::new(move || {
        swap();
        // Our own visitors are sent away, so that the queue never fills.
        debug_assert!(listener.as_raw_fd() >= 0);
        while listener.accept().is_ok() {}
    });
    Ok((Target::Path(unix_address(&own)), Flipper::Thread(step)))
}

/// Two names change places in one step.
fn exchange(a: &str, b: &str) -> io::Result<Step> {
    let (a, b) = (c_string(a)?, c_string(b)?);
    Ok(Box::new(move || {
        let (cwd, swap) = (libc::AT_FDCWD, libc::RENAME_EXCHANGE);
        // SAFETY: both are terminated strings.
        unsafe { libc::renameat2(cwd, a.as_ptr(), cwd, b.as_ptr(), swap) };
    }))
}

fn link(target: &str, at: &str) -> io::Result<()> {
    let _ = std::fs::remove_file(at);
    std::os::unix::fs::symlink(target, at)
}

fn parent(path: &str) -> io::Result<&str> {
    Path::new(path)
        .parent()
        .and_then(Path::to_str)
        .ok_or_else(|| io::Error::other("a path without a folder"))
}

fn name(path: &str) -> io::Result<&str> {
    Path::new(path)
        .file_name()
        .and_then(|n| n.to_str())
        .ok_or_else(|| io::Error::other("a path without a name"))
}

fn c_string(text: &str) -> io::Result<CString> {
    CString::new(text).map_err(io::Error::other)
}

fn unix_address(path: &str) -> Vec<u8> {
    [&(libc::AF_UNIX as u16).to_ne_bytes()[..], path.as_bytes(), b"\0"].concat()
}

//! A program with two hands: one connects, the other changes what the call is about while it is
//! being judged. `nono-race MODE TRIES FORBIDDEN GRANTED WORKDIR` prints `reached K of N` and what
//! became of the other tries.
//!
//! Reaching is judged by what was read: the granted socket greets with `granted`, and any other
//! greeting can only have come from the forbidden one. FORBIDDEN and GRANTED have the same file
//! name and the same length.

mod flip;
mod passing;

use flip::{Flipper, Shared};
use passing::Passing;
use std::io::Read;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::time::Duration;

/// What the tries came to.
#[derive(Default)]
struct Tally {
    reached: u64,
    granted: u64,
    refused: u64,
}

/// What the connecting hand uses in every try.
enum Target {
    /// The address in shared memory, on a socket of its own.
    Memory(&'static Shared),
    /// A fixed path.
    Path(Vec<u8>),
    /// The address in shared memory, for datagrams.
    Mail { shared: &'static Shared, by_message: bool },
    /// The path in shared memory, of a file whose mode is changed.
    Mode(&'static Shared),
    /// A folder that changes, in which every try binds a new name.
    Folder(String),
    /// The forbidden address, on a descriptor number whose socket changes.
    Number { address: Vec<u8>, unix: RawFd, number: RawFd },
    /// A number whose socket is changed by threads of every try's own.
    Passing(Passing),
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [mode, tries, forbidden, granted, workdir] = &args[..] else {
        eprintln!("usage: nono-race MODE TRIES FORBIDDEN GRANTED WORKDIR");
        return ExitCode::from(2);
    };
    let Ok(tries) = tries.parse::<u64>() else {
        eprintln!("not a number of tries: {tries}");
        return ExitCode::from(2);
    };
    match flip::prepare(mode, forbidden, granted, workdir) {
        Ok((target, flipper)) => {
            let tally = run(tries, &target, flipper);
            println!(
                "reached {} of {tries} granted {} refused {}",
                tally.reached, tally.granted, tally.refused
            );
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("cannot prepare {mode}: {error}");
            ExitCode::from(2)
        }
    }
}

fn run(tries: u64, target: &Target, flipper: Flipper) -> Tally {
    let running = flipper.start();
    let mut tally = Tally::default();
    for number in 0..tries {
        let outcome = match target {
            Target::Mail { shared, by_message } => mail(shared, *by_message),
            Target::Mode(shared) => mode(shared),
            Target::Passing(hands) => hands.send(number).then(|| b"granted".to_vec()),
            Target::Folder(folder) => bind(&format!("{folder}/{number}")),
            _ => attempt(target),
        };
        match outcome {
            Some(greeting) if greeting == b"granted" => tally.granted += 1,
            Some(_) => tally.reached += 1,
            None => tally.refused += 1,
        }
    }
    running.stop();
    tally
}

/// One connect; the greeting if it came through.
fn attempt(target: &Target) -> Option<Vec<u8>> {
    // SAFETY: plain system call.
    let fresh = unsafe { libc::socket(libc::AF_UNIX, libc::SOCK_STREAM, 0) };
    if fresh < 0 {
        return None;
    }
    // SAFETY: the descriptor is new and nobody else's.
    let fresh = unsafe { OwnedFd::from_raw_fd(fresh) };
    let connected = match target {
        Target::Mail { .. } | Target::Mode(_) | Target::Folder(_) | Target::Passing(_) => false,
        Target::Memory(shared) => connect(fresh.as_raw_fd(), shared.pointer(), shared.len()),
        Target::Path(address) => connect(fresh.as_raw_fd(), address.as_ptr(), address.len()),
        Target::Number { address, unix, number } => {
            // SAFETY: puts the fresh socket where the other hand takes it from.
            unsafe { libc::dup2(fresh.as_raw_fd(), *unix) };
            connect(*number, address.as_ptr(), address.len())
        }
    };
    // A reused number may belong to an earlier socket: only what can be read here counts here, and
    // the listener's own count covers the rest.
    if !connected {
        return None;
    }
    let mut stream = UnixStream::from(fresh);
    stream.set_read_timeout(Some(Duration::from_millis(500))).ok()?;
    let mut greeting = Vec::new();
    stream.read_to_end(&mut greeting).ok()?;
    (!greeting.is_empty()).then_some(greeting)
}

/// One datagram to the changing address. Who got it, only the listeners know.
fn mail(shared: &Shared, by_message: bool) -> Option<Vec<u8>> {
    // SAFETY: plain system call.
    let fd = unsafe { libc::socket(libc::AF_UNIX, libc::SOCK_DGRAM, 0) };
    if fd < 0 {
        return None;
    }
    // SAFETY: the descriptor is new and nobody else's.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    let (name, length) = (shared.pointer(), shared.len() as libc::socklen_t);
    let mut part = libc::iovec { iov_base: name.cast_mut().cast(), iov_len: 1 };
    // SAFETY: all-zero is a valid `msghdr`: null pointers with zero lengths.
    let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
    header.msg_name = name.cast_mut().cast();
    header.msg_namelen = length;
    header.msg_iov = &raw mut part;
    header.msg_iovlen = 1;
    let flags = libc::MSG_DONTWAIT;
    let sent = match by_message {
        // SAFETY: the header points at live buffers; see `connect` on who writes to them.
        true => unsafe { libc::sendmsg(fd.as_raw_fd(), &raw const header, flags) },
        // SAFETY: as above.
        false => unsafe {
            libc::sendto(fd.as_raw_fd(), name.cast(), 1, flags, name.cast(), length)
        },
    };
    (sent == 1).then(|| b"granted".to_vec())
}

/// One change of a mode. Whose mode it was, only the files show.
fn mode(shared: &Shared) -> Option<Vec<u8>> {
    // SAFETY: the path is terminated whatever the other hand does: it writes no terminator and
    // takes none away.
    let changed = unsafe { libc::chmod(shared.pointer().cast(), 0o751) };
    (changed == 0).then(|| b"granted".to_vec())
}

/// One bind. Where the socket is now, only the folders show.
fn bind(path: &str) -> Option<Vec<u8>> {
    std::os::unix::net::UnixListener::bind(path).ok().map(|_| b"granted".to_vec())
}

fn connect(fd: RawFd, address: *const u8, length: usize) -> bool {
    // SAFETY: the address is a live buffer of `length` bytes. That somebody writes to it meanwhile
    // is what this program is for; the kernel copies it.
    unsafe { libc::connect(fd, address.cast(), length as libc::socklen_t) == 0 }
}

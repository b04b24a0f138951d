//! AF_UNIX: connect, bind, pairs, abstract names.

use crate::number;
use crate::sys::{self, Outcome, unix_address};
use nix::errno::Errno;
use std::os::fd::RawFd;

pub fn run(name: &str, rest: &[&str]) -> Option<Outcome> {
    Some(match (name, rest) {
        ("connect", &[kind, address]) => connect(kind, address),
        ("connect-many", &[address, n]) => connect_many(address, n),
        ("connect-threads", &[address, threads, each]) => connect_threads(address, threads, each),
        ("connect-in", &[folder, address]) => connect_in(folder, address),
        ("connect-fork", &[address]) => connect_fork(address),
        ("connect-nonblocking-full", &[path]) => nonblocking_full(path),
        ("wait-connect", &[path, go]) => wait_connect(path, go),
        ("bind", &[kind, address]) => bind(kind, address),
        ("serve-self", &[kind, address]) => serve_self(kind, address),
        ("visited", &[address]) => visited(address),
        ("mail-self", &[address]) => mail_self(address),
        ("connect-flood", &[address, threads, each]) => connect_flood(address, threads, each),
        ("bind-flood", &[folder, n]) => bind_flood(folder, n),
        ("autobind", &[]) => autobind(),
        ("socket", &[kind]) => socket_kind(kind).map(|_| String::new()),
        ("pair", &[kind]) => pair(kind),
        ("pair-reconnect", &[address]) => pair_reconnect(address),
        ("hard-link-connect", &[target, link]) => hard_link_connect(target, link),
        ("replace-own", &[own, target]) => replace_own(own, target),
        _ => return None,
    })
}

/// The socket type behind a word.
pub fn kind_number(kind: &str) -> Result<i32, Errno> {
    Ok(match kind {
        "stream" => libc::SOCK_STREAM,
        "dgram" => libc::SOCK_DGRAM,
        "seqpacket" => libc::SOCK_SEQPACKET,
        "raw" => libc::SOCK_RAW,
        _ => return Err(Errno::EINVAL),
    })
}

pub fn socket_kind(kind: &str) -> Result<RawFd, Errno> {
    sys::socket(libc::AF_UNIX, kind_number(kind)?, 0)
}

/// Connects and reads the greeting; a datagram peer has none.
fn connect(kind: &str, address: &str) -> Outcome {
    let fd = socket_kind(kind)?;
    sys::connect(fd, &unix_address(address))?;
    if matches!(kind, "dgram" | "raw") {
        sys::sendto(fd, b"knock", 0, &[])?;
        return Ok(String::new());
    }
    sys::receive_timeout(fd, 5000);
    sys::read_text(fd)
}

/// Connects `n` times in a row; says how many, and stops at the first error.
fn connect_many(address: &str, n: &str) -> Outcome {
    let address = unix_address(address);
    let n: usize = number(n)?;
    for _ in 0..n {
        let fd = sys::socket(libc::AF_UNIX, libc::SOCK_STREAM, 0)?;
        sys::connect(fd, &address)?;
        sys::close(fd);
    }
    Ok(n.to_string())
}

fn connect_threads(address: &str, threads: &str, each: &str) -> Outcome {
    let (count, total): (usize, usize) = (number(threads)?, number(each)?);
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..count).map(|_| scope.spawn(|| connect_many(address, each))).collect();
        for one in all {
            one.join().map_err(|_| Errno::EIO)??;
        }
        Ok((count * total).to_string())
    })
}

/// Changes the folder first, so that the address is relative to it.
fn connect_in(folder: &str, address: &str) -> Outcome {
    std::env::set_current_dir(folder).map_err(|_| Errno::ENOENT)?;
    connect("stream", address)
}

/// Connects in a child, a grandchild in its own session, and a thread of the first process.
fn connect_fork(address: &str) -> Outcome {
    let own = std::env::current_exe().map_err(|_| Errno::ENOENT)?;
    let mut seen = Vec::new();
    for wrapper in [vec![], vec!["setsid".to_owned(), "-w".to_owned()]] {
        let mut words = wrapper;
        words.push(own.to_string_lossy().into_owned());
        words.extend(["connect".to_owned(), "stream".to_owned(), address.to_owned()]);
        let output = std::process::Command::new(&words[0])
            .args(&words[1..])
            .output()
            .map_err(|_| Errno::ENOENT)?;
        seen.push(String::from_utf8_lossy(&output.stdout).trim().to_owned());
    }
    let thread = std::thread::scope(|s| s.spawn(|| connect("stream", address)).join());
    seen.push(match thread.map_err(|_| Errno::EIO)? {
        Ok(detail) => format!("ok {detail}"),
        Err(errno) => format!("{errno:?}"),
    });
    Ok(seen.join(","))
}

/// A listener of our own with a full queue: what does a non-blocking connect say?
fn nonblocking_full(path: &str) -> Outcome {
    let _listener = full_listener(path)?;
    let fd = socket_kind("stream")?;
    sys::set_nonblocking(fd)?;
    sys::connect(fd, &unix_address(path))?;
    Ok("connected".to_owned())
}

/// Binds `path`, listens with the smallest queue and fills it. The filling sockets stay open.
pub fn full_listener(path: &str) -> Result<RawFd, Errno> {
    let _ = std::fs::remove_file(path);
    let address = unix_address(path);
    let listener = socket_kind("stream")?;
    sys::bind(listener, &address)?;
    sys::listen(listener, 0)?;
    loop {
        let fd = socket_kind("stream")?;
        sys::set_nonblocking(fd)?;
        match sys::connect(fd, &address) {
            Ok(()) => {}
            Err(Errno::EAGAIN) => return Ok(listener),
            Err(other) => return Err(other),
        }
    }
}

/// Says what connecting gives now, makes the file `go`, then waits for the socket to work.
fn wait_connect(path: &str, go: &str) -> Outcome {
    let first = match connect("stream", path) {
        Ok(_) => "ok".to_owned(),
        Err(errno) => format!("{errno:?}"),
    };
    std::fs::write(go, b"").map_err(|_| Errno::EACCES)?;
    let bound = std::time::Instant::now() + std::time::Duration::from_secs(30);
    loop {
        match connect("stream", path) {
            Ok(greeting) => return Ok(format!("{first} then {greeting}")),
            Err(errno) if std::time::Instant::now() > bound => return Err(errno),
            Err(_) => std::thread::sleep(std::time::Duration::from_millis(10)),
        }
    }
}

fn bind(kind: &str, address: &str) -> Outcome {
    let fd = socket_kind(kind)?;
    sys::bind(fd, &unix_address(address))?;
    Ok(String::new())
}

/// Binds, listens, connects and says hello to itself.
fn serve_self(kind: &str, address: &str) -> Outcome {
    let listener = socket_kind(kind)?;
    sys::bind(listener, &unix_address(address))?;
    sys::listen(listener, 8)?;
    let client = socket_kind(kind)?;
    sys::connect(client, &unix_address(address))?;
    let served = sys::accept(listener)?;
    sys::sendto(served, b"hello", 0, &[])?;
    sys::read_text(client)
}

/// Binds, listens and waits for one visitor.
fn visited(address: &str) -> Outcome {
    let listener = socket_kind("stream")?;
    sys::bind(listener, &unix_address(address))?;
    sys::listen(listener, 8)?;
    if !sys::poll(listener, libc::POLLIN, 30_000)? {
        return Err(Errno::ETIMEDOUT);
    }
    let visitor = sys::accept(listener)?;
    sys::sendto(visitor, b"welcome", 0, &[])?;
    Ok("visited".to_owned())
}

/// A datagram from one socket of ours to another.
fn mail_self(address: &str) -> Outcome {
    let to = socket_kind("dgram")?;
    sys::bind(to, &unix_address(address))?;
    let from = socket_kind("dgram")?;
    sys::sendto(from, b"letter", 0, &unix_address(address))?;
    sys::read_text(to)
}

/// `threads` threads connect `each` times, whatever comes of it; says how often what came.
fn connect_flood(address: &str, threads: &str, each: &str) -> Outcome {
    let (threads, each): (usize, usize) = (number(threads)?, number(each)?);
    let address = unix_address(address);
    let one = || {
        let mut refused = 0_usize;
        for _ in 0..each {
            let fd = socket_kind("stream")?;
            match sys::connect(fd, &address) {
                Err(Errno::EACCES) => refused += 1,
                Err(other) => return Err(other),
                Ok(()) => {}
            }
            sys::close(fd);
        }
        Ok(refused)
    };
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..threads).map(|_| scope.spawn(one)).collect();
        let mut refused = 0;
        for thread in all {
            refused += thread.join().map_err(|_| Errno::EIO)??;
        }
        Ok(format!("refused {refused} of {}", threads * each))
    })
}

/// Binds `n` names in a folder, whatever comes of it; says how many were refused.
fn bind_flood(folder: &str, n: &str) -> Outcome {
    let mut refused = 0;
    for name in 0..number(n)? {
        let name: usize = name;
        let fd = socket_kind("stream")?;
        match sys::bind(fd, &unix_address(&format!("{folder}/{name}"))) {
            Err(Errno::EACCES) => refused += 1,
            Err(other) => return Err(other),
            Ok(()) => {}
        }
        sys::close(fd);
    }
    Ok(format!("refused {refused}"))
}

/// Lets the kernel choose an abstract name (a bind with the family alone) and connects to it.
fn autobind() -> Outcome {
    let listener = socket_kind("stream")?;
    sys::bind(listener, &(libc::AF_UNIX as u16).to_ne_bytes())?;
    sys::listen(listener, 1)?;
    let mut name = [0_u8; 110];
    let mut size = name.len() as libc::socklen_t;
    let args = [listener as usize, name.as_mut_ptr() as usize, &raw mut size as usize];
    sys::call(libc::SYS_getsockname, &args)?;
    let client = socket_kind("stream")?;
    sys::connect(client, &name[..size as usize])?;
    Ok(String::new())
}

fn pair(kind: &str) -> Outcome {
    let [a, b] = sys::socketpair(libc::AF_UNIX, kind_number(kind)?)?;
    sys::sendto(a, b"across", 0, &[])?;
    sys::read_text(b)
}

/// A datagram pair can be pointed at another socket after the fact; a stream pair cannot.
fn pair_reconnect(address: &str) -> Outcome {
    let [a, _b] = sys::socketpair(libc::AF_UNIX, libc::SOCK_DGRAM)?;
    sys::connect(a, &unix_address(address))?;
    sys::sendto(a, b"knock", 0, &[])?;
    Ok(String::new())
}

/// Gives a foreign socket a name in a folder of our own, and connects to that.
fn hard_link_connect(target: &str, link: &str) -> Outcome {
    let _ = std::fs::remove_file(link);
    std::fs::hard_link(target, link)
        .map_err(|e| Errno::from_raw(e.raw_os_error().unwrap_or(libc::EIO)))?;
    connect("stream", link)
}

/// Binds a socket of our own, then puts a link to a foreign one in its place.
fn replace_own(own: &str, target: &str) -> Outcome {
    let _ = std::fs::remove_file(own);
    let listener = socket_kind("stream")?;
    sys::bind(listener, &unix_address(own))?;
    sys::listen(listener, 8)?;
    let client = socket_kind("stream")?;
    sys::connect(client, &unix_address(own))?;
    let io = |e: std::io::Error| Errno::from_raw(e.raw_os_error().unwrap_or(libc::EIO));
    std::fs::remove_file(own).map_err(io)?;
    std::os::unix::fs::symlink(target, own).map_err(io)?;
    connect("stream", own)
}

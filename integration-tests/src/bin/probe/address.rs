//! Odd addresses and odd descriptors. Inside and outside must give the same errno.

use crate::sys::{self, LOCALHOST, Outcome, inet_address, unix_address};
use crate::unix::socket_kind;
use nix::errno::Errno;

pub fn run(name: &str, rest: &[&str]) -> Option<Outcome> {
    Some(match (name, rest) {
        ("odd", &[case]) => odd(case)?,
        ("odd-at", &[case, path]) => odd_at(case, path)?,
        _ => return None,
    })
}

/// A raw `connect` with any three numbers.
fn raw_connect(fd: usize, pointer: usize, length: usize) -> Outcome {
    sys::call(libc::SYS_connect, &[fd, pointer, length]).map(|_| String::new())
}

/// A page that may not be touched, right behind one that may: the address of the border.
fn page_border() -> Result<usize, Errno> {
    let flags = (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS) as usize;
    let access = (libc::PROT_READ | libc::PROT_WRITE) as usize;
    let base = sys::call(libc::SYS_mmap, &[0, 8192, access, flags, usize::MAX, 0])?;
    sys::call(libc::SYS_mprotect, &[base + 4096, 4096, libc::PROT_NONE as usize])?;
    Ok(base + 4096)
}

/// Writes `bytes` so that they end `spare` bytes before the border.
fn place_before(border: usize, bytes: &[u8], spare: usize) -> usize {
    let start = border - spare - bytes.len();
    // SAFETY: `border` is the end of a private, writable page of our own that nothing else uses,
    // and callers place far less than a page.
    unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), start as *mut u8, bytes.len()) };
    start
}

fn odd(case: &str) -> Option<Outcome> {
    let stream = || socket_kind("stream").map(|fd| fd as usize);
    let some = unix_address("/nonexistent/socket");
    let at = some.as_ptr() as usize;
    Some(match case {
        "null" => stream().and_then(|fd| raw_connect(fd, 0, 110)),
        "unmapped" => stream().and_then(|fd| raw_connect(fd, 8, 110)),
        "kernel-pointer" => stream().and_then(|fd| raw_connect(fd, usize::MAX - 4096, 110)),
        "border" => page_border().and_then(|border| {
            let start = place_before(border, &some[..8], 0);
            raw_connect(stream()?, start, 110)
        }),
        "length-0" => stream().and_then(|fd| raw_connect(fd, at, 0)),
        "length-1" => stream().and_then(|fd| raw_connect(fd, at, 1)),
        "length-2" => stream().and_then(|fd| raw_connect(fd, at, 2)),
        "length-111" => {
            let long = [&some[..], &[0; 128]].concat();
            stream().and_then(|fd| raw_connect(fd, long.as_ptr() as usize, 111))
        }
        "length-129" => {
            let long = [&some[..], &[0; 256]].concat();
            stream().and_then(|fd| raw_connect(fd, long.as_ptr() as usize, 129))
        }
        "length-negative" => stream().and_then(|fd| raw_connect(fd, at, u32::MAX as usize)),
        "closed-descriptor" => raw_connect(987, at, some.len()),
        "not-a-socket" => raw_connect(0, at, some.len()),
        "inet-on-unix" => {
            let inet = inet_address(LOCALHOST, 9);
            stream().and_then(|fd| raw_connect(fd, inet.as_ptr() as usize, inet.len()))
        }
        "unix-on-inet" => sys::socket(libc::AF_INET, libc::SOCK_STREAM, 0)
            .and_then(|fd| raw_connect(fd as usize, at, some.len())),
        "unspec-on-unix" => {
            stream().and_then(|fd| raw_connect(fd, [0_u8; 16].as_ptr() as usize, 16))
        }
        "unspec-on-tcp" => sys::socket(libc::AF_INET, libc::SOCK_STREAM, 0)
            .and_then(|fd| raw_connect(fd as usize, [0_u8; 16].as_ptr() as usize, 16)),
        "unspec-on-udp" => sys::socket(libc::AF_INET, libc::SOCK_DGRAM, 0)
            .and_then(|fd| raw_connect(fd as usize, [0_u8; 16].as_ptr() as usize, 16)),
        "bind-null" => {
            stream().and_then(|fd| sys::call(libc::SYS_bind, &[fd, 0, 110]).map(|_| String::new()))
        }
        _ => return None,
    })
}

/// Cases around a socket or file at `path`, which the caller may reach.
fn odd_at(case: &str, path: &str) -> Option<Outcome> {
    let address = unix_address(path);
    let stream = || socket_kind("stream");
    let plain = |r: Result<(), Errno>| r.map(|()| String::new());
    Some(match case {
        "no-terminator" => {
            stream().and_then(|fd| plain(sys::connect(fd, &address[..address.len() - 1])))
        }
        "more-than-the-path" => {
            let longer = [&address[..], b"/ignored\0"].concat();
            stream().and_then(|fd| plain(sys::connect(fd, &longer)))
        }
        "full-108" => {
            let mut padded = unix_address(&pad_path(path, 108)?);
            padded.pop();
            stream().and_then(|fd| plain(sys::connect(fd, &padded)))
        }
        "before-the-border" => page_border().and_then(|border| {
            let start = place_before(border, &address, 0);
            raw_connect(stream()? as usize, start, address.len())
        }),
        "plain" => stream().and_then(|fd| plain(sys::connect(fd, &address))),
        "wrong-type" => socket_kind("seqpacket").and_then(|fd| plain(sys::connect(fd, &address))),
        "twice" => stream().and_then(|fd| {
            sys::connect(fd, &address)?;
            plain(sys::connect(fd, &address))
        }),
        "listening" => stream().and_then(|fd| {
            sys::bind(fd, &unix_address(&format!("{path}.own")))?;
            sys::listen(fd, 1)?;
            plain(sys::connect(fd, &address))
        }),
        "bind-taken" => stream().and_then(|fd| plain(sys::bind(fd, &address))),
        "bind-twice" => stream().and_then(|fd| {
            sys::bind(fd, &unix_address(&format!("{path}.first")))?;
            plain(sys::bind(fd, &unix_address(&format!("{path}.second"))))
        }),
        "bind-mode" => bind_mode(&format!("{path}.mode")),
        _ => return None,
    })
}

/// The path with `./` put in until it has exactly `length` bytes.
fn pad_path(path: &str, length: usize) -> Option<String> {
    let (folder, name) = path.rsplit_once('/')?;
    let missing = length.checked_sub(path.len())?;
    let dots = "./".repeat(missing / 2);
    let slash = if missing % 2 == 1 { "/" } else { "" };
    Some(format!("{folder}/{slash}{dots}{name}"))
}

/// Binding applies the caller's own umask and owner.
fn bind_mode(path: &str) -> Outcome {
    use std::os::unix::fs::MetadataExt;
    let _ = std::fs::remove_file(path);
    sys::call(libc::SYS_umask, &[0o027])?;
    let fd = socket_kind("stream")?;
    sys::bind(fd, &unix_address(path))?;
    let meta = std::fs::symlink_metadata(path).map_err(|_| Errno::ENOENT)?;
    Ok(format!("{:o} {}:{}", meta.mode() & 0o7777, meta.uid(), meta.gid()))
}

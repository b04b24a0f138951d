//! How long one call takes, in nanoseconds: the median of many, or another quantile.

use crate::number;
use crate::sys::{self, LOCALHOST, Outcome, inet_address, unix_address};
use nix::errno::Errno;
use std::os::fd::RawFd;
use std::time::Instant;

pub fn run(name: &str, rest: &[&str]) -> Option<Outcome> {
    Some(match (name, rest) {
        ("time-tcp", &[port, n]) => number(port)
            .and_then(|p| connects(libc::AF_INET, &inet_address(LOCALHOST, p), n, MEDIAN)),
        ("time-unix", &[path, n]) => connects(libc::AF_UNIX, &unix_address(path), n, MEDIAN),
        ("time-unix", &[path, n, quantile]) => {
            number(quantile).and_then(|q| connects(libc::AF_UNIX, &unix_address(path), n, q))
        }
        ("time-send", &[n]) => pair().and_then(|fds| sends(fds, n, false)),
        ("time-sendmsg", &[n]) => pair().and_then(|fds| sends(fds, n, true)),
        ("time-chmod", &[path, n]) => modes(path, n),
        ("time-open", &[path, n]) => opens(path, n),
        _ => return None,
    })
}

const MEDIAN: f64 = 0.5;

/// A quantile of `n` measurements.
fn quantile(n: &str, which: f64, mut measure: impl FnMut() -> Result<u64, Errno>) -> Outcome {
    let n: usize = number(n)?;
    let mut all = (0..n).map(|_| measure()).collect::<Result<Vec<_>, _>>()?;
    all.sort_unstable();
    let at = (n as f64 * which) as usize;
    Ok(all.get(at).ok_or(Errno::EINVAL)?.to_string())
}

fn nanos(start: Instant) -> u64 {
    u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

fn connects(domain: i32, address: &[u8], n: &str, which: f64) -> Outcome {
    quantile(n, which, || {
        let fd = sys::socket(domain, libc::SOCK_STREAM, 0)?;
        let start = Instant::now();
        sys::connect(fd, address)?;
        let took = nanos(start);
        sys::close(fd);
        Ok(took)
    })
}

fn pair() -> Result<[RawFd; 2], Errno> {
    sys::socketpair(libc::AF_UNIX, libc::SOCK_STREAM)
}

/// One byte there and read again; only the sending is timed.
fn sends([from, to]: [RawFd; 2], n: &str, message: bool) -> Outcome {
    let data = [0_u8; 1];
    let mut part = libc::iovec { iov_base: data.as_ptr() as *mut libc::c_void, iov_len: 1 };
    // SAFETY: all-zero is a valid `msghdr`: null pointers with zero lengths.
    let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
    header.msg_iov = &raw mut part;
    header.msg_iovlen = 1;
    quantile(n, MEDIAN, || {
        let start = Instant::now();
        if message {
            sys::call(libc::SYS_sendmsg, &[from as usize, &raw const header as usize, 0])?;
        } else {
            sys::sendto(from, &data, 0, &[])?;
        }
        let took = nanos(start);
        sys::read_text(to)?;
        Ok(took)
    })
}

fn modes(path: &str, n: &str) -> Outcome {
    let path = std::ffi::CString::new(path).map_err(|_| Errno::EINVAL)?;
    quantile(n, MEDIAN, || {
        let start = Instant::now();
        let args = [libc::AT_FDCWD as usize, path.as_ptr() as usize, 0o644];
        sys::call(libc::SYS_fchmodat, &args)?;
        Ok(nanos(start))
    })
}

fn opens(path: &str, n: &str) -> Outcome {
    let path = std::ffi::CString::new(path).map_err(|_| Errno::EINVAL)?;
    quantile(n, MEDIAN, || {
        let start = Instant::now();
        let args = [libc::AT_FDCWD as usize, path.as_ptr() as usize, libc::O_RDONLY as usize, 0];
        let fd = sys::call(libc::SYS_openat, &args)?;
        let took = nanos(start);
        sys::close(fd as RawFd);
        Ok(took)
    })
}

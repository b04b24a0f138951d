//! Another process's memory.

use nix::errno::Errno;
use nix::sys::uio::{RemoteIoVec, process_vm_readv, process_vm_writev};
use nix::unistd::Pid;
use std::io::{IoSlice, IoSliceMut};

/// Reads up to `buffer.len()` bytes at `address` of thread `tid`; stops early at the first page
/// that cannot be read. Returns how many bytes were read, at least 1.
///
/// # Errors
/// `EFAULT` for unreadable memory, `EPERM` without ptrace access, `ESRCH` if the task is gone.
pub fn read_memory(tid: i32, address: u64, buffer: &mut [u8]) -> Result<usize, Errno> {
    if buffer.is_empty() {
        return Ok(0);
    }
    let base = usize::try_from(address).map_err(|_| Errno::EFAULT)?;
    // A transfer is cut at iovec borders only, so the remote side is one piece per page: a string
    // that ends just before an unmapped page is still read (process_vm_readv(2)).
    const PAGE: usize = 4096;
    let mut pieces = Vec::with_capacity(buffer.len() / PAGE + 2);
    let (mut at, end) = (base, base.checked_add(buffer.len()).ok_or(Errno::EFAULT)?);
    while at < end {
        let next = (at / PAGE).saturating_add(1).saturating_mul(PAGE).min(end);
        pieces.push(RemoteIoVec { base: at, len: next - at });
        at = next;
    }
    match process_vm_readv(Pid::from_raw(tid), &mut [IoSliceMut::new(buffer)], &pieces)? {
        0 => Err(Errno::EFAULT),
        read => Ok(read),
    }
}

/// Writes all of `bytes` at `address` of thread `tid`.
///
/// # Errors
/// `EFAULT` if not all of it is writable there, `EPERM` without ptrace access, `ESRCH` if the task
/// is gone.
pub fn write_memory(tid: i32, address: u64, bytes: &[u8]) -> Result<(), Errno> {
    let base = usize::try_from(address).map_err(|_| Errno::EFAULT)?;
    let remote = RemoteIoVec { base, len: bytes.len() };
    match process_vm_writev(Pid::from_raw(tid), &[IoSlice::new(bytes)], &[remote])? {
        written if written == bytes.len() => Ok(()),
        _ => Err(Errno::EFAULT),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_own_memory_and_reports_unmapped() {
        let source = *b"some bytes";
        let mut copy = [0u8; 10];
        let me = i32::try_from(std::process::id()).unwrap();
        assert_eq!(read_memory(me, source.as_ptr() as u64, &mut copy), Ok(10));
        assert_eq!(copy, source);
        assert_eq!(read_memory(me, 8, &mut copy), Err(Errno::EFAULT));
        assert_eq!(read_memory(me, u64::MAX - 3, &mut copy), Err(Errno::EFAULT));
    }
}

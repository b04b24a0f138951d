//! Extended attributes.

use nix::errno::Errno;
use std::ffi::CString;

fn terminated(bytes: &[u8]) -> Result<CString, Errno> {
    CString::new(bytes).map_err(|_| Errno::EINVAL)
}

/// Sets an extended attribute of what `path` means, links followed.
///
/// # Errors
/// As setxattr(2).
pub fn set_xattr(path: &str, name: &[u8], value: &[u8], flags: i32) -> Result<(), Errno> {
    let (path, name) = (terminated(path.as_bytes())?, terminated(name)?);
    let (data, size) = (value.as_ptr().cast(), value.len());
    // SAFETY: both strings are terminated, `data` has `size` bytes, and all outlive the call, which
    // only reads them.
    let result = unsafe { libc::setxattr(path.as_ptr(), name.as_ptr(), data, size, flags) };
    Errno::result(result).map(|_| ())
}

/// Removes an extended attribute of what `path` means, links followed.
///
/// # Errors
/// As removexattr(2).
pub fn remove_xattr(path: &str, name: &[u8]) -> Result<(), Errno> {
    let (path, name) = (terminated(path.as_bytes())?, terminated(name)?);
    // SAFETY: both strings are terminated and outlive the call, which only reads them.
    Errno::result(unsafe { libc::removexattr(path.as_ptr(), name.as_ptr()) }).map(|_| ())
}

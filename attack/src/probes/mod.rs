//! The probes, by area.

pub(crate) mod devices;
pub(crate) mod doors;
pub(crate) mod files;
pub(crate) mod inet;
pub(crate) mod inherited;
pub(crate) mod ipc;
pub(crate) mod later;
pub(crate) mod lifetimes;
pub(crate) mod links;
pub(crate) mod metadata;
pub(crate) mod namespaces;
pub(crate) mod options;
pub(crate) mod processes;
pub(crate) mod procfs;
pub(crate) mod resources;
pub(crate) mod terminals;
pub(crate) mod unix;

use crate::Outcome;
use nix::errno::Errno;
use std::ffi::CString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// The errno behind an error of the library.
fn io(error: io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::UnknownErrno, Errno::from_raw)
}

/// Nothing to add.
fn done<T>(result: Result<T, Errno>) -> Outcome {
    result.map(|_| String::new())
}

/// The same from the library.
fn did<T>(result: io::Result<T>) -> Outcome {
    result.map(|_| String::new()).map_err(io)
}

fn c_path(path: &Path) -> Result<CString, Errno> {
    CString::new(path.as_os_str().as_bytes()).map_err(|_| Errno::EINVAL)
}

//! `--run-as`: a server started as root goes on as an ordinary user.

use crate::error::ServerError;
use nix::unistd::{User, geteuid};
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Makes sure that this process is `name`'s: starts this program anew as that user, with its home
/// and without other groups, or does nothing if it is that user's already.
///
/// # Errors
/// [`ServerError::RunAs`] if there is no such user, or only root could become it.
pub(super) fn run_as(name: &str) -> Result<(), ServerError> {
    let failed = |source: io::Error| ServerError::RunAs { user: name.to_owned(), source };
    let found = User::from_name(name).map_err(|errno| failed(errno.into()))?;
    let missing = || failed(io::Error::new(io::ErrorKind::NotFound, "no such user"));
    let user = found.ok_or_else(missing)?;
    if geteuid() == user.uid {
        return Ok(());
    }
    if !geteuid().is_root() {
        return Err(failed(io::ErrorKind::PermissionDenied.into()));
    }
    // As root, the library drops all other groups first. The same arguments: the new process sees
    // that it is this user's.
    let error = Command::new("/proc/self/exe")
        .arg0("nono-mcp")
        .args(std::env::args_os().skip(1))
        .uid(user.uid.as_raw())
        .gid(user.gid.as_raw())
        .env("HOME", &user.dir)
        .env("USER", name)
        .env("LOGNAME", name)
        .env("SHELL", &user.shell)
        .exec();
    Err(failed(error))
}

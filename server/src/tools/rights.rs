//! Looking at the file system with no more rights than a command has.

use super::bad_input::BadInput;
use nono_sandbox::{AbsPath, sys};
use std::io::ErrorKind;

/// Does this in a thread without capabilities: what a command could not find out about links and
/// folders of others, no question about it finds out either.
///
/// # Errors
/// A sentence, where there can be no such thread.
pub(super) fn with_a_commands_rights<T: Send>(
    look: impl FnOnce() -> T + Send,
) -> Result<T, String> {
    let cannot = |why: &dyn std::fmt::Display| format!("cannot look as a command: {why}");
    if !sys::has_capabilities().map_err(|errno| cannot(&errno))? {
        return Ok(look());
    }
    let looking = || sys::drop_capabilities().map(|()| look());
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().spawn_scoped(scope, looking);
        let thread = thread.map_err(|error| cannot(&error))?;
        let seen = thread.join().unwrap_or_else(|defect| std::panic::resume_unwind(defect));
        seen.map_err(|errno| cannot(&errno))
    })
}

/// Looks with a command's rights for what a call names.
///
/// Commands are handed their working directory, and so can be in a workspace that lies below a
/// folder they may not enter. Nothing in it can be found there by its name, so where that is so the
/// server's rights count.
///
/// # Errors
/// [`BadInput`], what `look` says among it.
pub(super) fn look<T: Send>(
    workspace: &AbsPath,
    look: impl Fn() -> Result<T, BadInput> + Send + Sync,
) -> Result<T, BadInput> {
    let seen = with_a_commands_rights(|| {
        let closed = workspace.as_path().metadata().is_err_and(|error| is_closed(error.kind()));
        (!closed).then(&look)
    });
    seen.map_err(BadInput::CannotLook)?.unwrap_or_else(look)
}

/// Whether it is the permissions of a folder on the way that say no.
pub(super) fn is_closed(error: ErrorKind) -> bool {
    error == ErrorKind::PermissionDenied
}

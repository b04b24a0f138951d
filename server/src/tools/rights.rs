//! Looking at the file system with no more rights than a command has.

use super::bad_input::BadInput;
use crate::commands_rights::with_a_commands_rights;
use nono_sandbox::AbsPath;
use std::io::ErrorKind;

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
    seen.map_err(|error| BadInput::CannotLook(error.to_string()))?.unwrap_or_else(look)
}

/// Whether it is the permissions of a folder on the way that say no.
pub(super) fn is_closed(error: ErrorKind) -> bool {
    error == ErrorKind::PermissionDenied
}

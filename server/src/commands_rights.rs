//! What the server does with the rights that a command has: none of root's.

use nono_sandbox::sys;
use std::io;

/// Does this, which executes nothing, in a thread without capabilities: what a command could not find
/// out or change, this does not either.
///
/// # Errors
/// If there can be no such thread.
pub(crate) fn with_a_commands_rights<T: Send>(act: impl FnOnce() -> T + Send) -> io::Result<T> {
    if !sys::has_capabilities()? {
        return Ok(act());
    }
    let acting = || {
        sys::drop_own_capabilities()?;
        Ok(act())
    };
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().spawn_scoped(scope, acting)?;
        thread.join().unwrap_or_else(|defect| std::panic::resume_unwind(defect))
    })
}

//! Why the audit log cannot be used.

use std::io;
use std::path::PathBuf;

/// Why the audit log cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AuditError {
    /// The system refused.
    #[error("cannot {what} the audit log {}: {source}", .path.display())]
    File {
        /// What was being done.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Somebody else could write to it.
    #[error("the audit log cannot be trusted to {}: it {why}", .path.display())]
    Unsafe {
        /// The file.
        path: PathBuf,
        /// Why.
        why: &'static str,
    },
    /// It does not end as a server left it.
    #[error(
        "the audit log {} is damaged: {why}; `nono-mcp audit verify` says more. Keep it, and its \
         head file, under another name, and a new one is started",
        .path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
}

//! Why the server cannot start or go on. Why a run is not started is told by the runs.

use crate::audit::AuditError;
use crate::kernel_log::KernelLogError;
use nono_sandbox::path::PathError;
use std::io;
use std::path::PathBuf;

/// Why the server cannot start or go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServerError {
    /// A workspace is missing or not a folder.
    #[error("workspace {}: {source}; name an existing folder with --workspace", .path.display())]
    Workspace {
        /// As given.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A workspace is named for a battery that brings its own.
    #[error(
        "--workspace cannot be used with --attack: probes make, change and remove files, so they \
         get a workspace made for them; leave --workspace out, and say with --profile and --network \
         what is to be tried"
    )]
    OwnWorkspace,
    /// A workspace cannot be named in a policy.
    #[error("workspace: {0}")]
    WorkspacePath(#[from] PathError),
    /// The profile cannot be used.
    #[error("{0}")]
    Profile(Box<nono_profiles::ProfileError>),
    /// A secret of the operator cannot be had.
    #[error("credential {name} ({at}): {problem}")]
    Credential {
        /// The variable.
        name: String,
        /// Where it is written.
        at: String,
        /// What is wrong; nothing of the secret.
        problem: String,
    },
    /// Secrets could not be kept out of output.
    #[error("cannot look for secrets in output: {0}; use fewer or shorter ones")]
    Redaction(String),
    /// Calls could not tell two profiles apart.
    #[error(
        "two of the profiles named by --allow-profile are called `{0}`; give one of them another name"
    )]
    ProfileTwice(String),
    /// The profile wants denials from the kernel's audit log.
    #[error(
        "diagnostics.filesystem is `audit`, and the kernel's audit log cannot be read: {0}; \
         or let the profile say `writes`"
    )]
    KernelLog(#[from] KernelLogError),
    /// The private temporary folder cannot be made.
    #[error("cannot make a private folder in {}: {source}; set TMPDIR to a writable folder outside of the workspaces", .path.display())]
    TemporaryFolder {
        /// Where.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The user of `--run-as` cannot be had.
    #[error(
        "cannot run as {user}: {source}; --run-as takes a user's name and a server started by root"
    )]
    RunAs {
        /// Its name.
        user: String,
        /// What the system said.
        source: io::Error,
    },
    /// A system call failed.
    #[error("{what}: {source}")]
    System {
        /// What was being done.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The audit log cannot be used.
    #[error("{0}")]
    Audit(#[from] AuditError),
    /// Spans cannot be exported.
    #[error("{0}")]
    Telemetry(String),
    /// The MCP session could not be set up.
    #[error("cannot serve MCP on standard input and output: {0}")]
    Serve(String),
    /// MCP cannot be served over HTTP.
    #[error(transparent)]
    Http(#[from] crate::transport::HttpError),
    /// A demonstration did not show what it promises.
    #[error("{0}")]
    Demo(String),
}

impl ServerError {
    /// Adds what was being done to a system error, for `map_err`.
    pub(crate) fn doing(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::System { what, source }
    }
}

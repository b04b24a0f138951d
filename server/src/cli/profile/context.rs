//! What profiles are looked at in, and how they are named.

use crate::error::ServerError;
use nono_profiles::{Context, MissingFolders, ProfileError, ProfileRef, ProjectFile};
use nono_sandbox::AbsPath;

/// A profile cannot be used.
pub(super) fn unusable(error: ProfileError) -> ServerError {
    ServerError::Profile(Box::new(error))
}

/// This machine and the current directory, for looking only: nothing is made, and the project
/// file counts only where what holds here is asked for.
pub(super) fn context(project_file: ProjectFile) -> Result<Context, ServerError> {
    let workspaces = crate::session::workspaces(&[])?;
    let temporary = std::env::temp_dir();
    let tmpdir = temporary
        .canonicalize()
        .map_err(|source| ServerError::TemporaryFolder { path: temporary, source })?;
    // Stands in for the private folder that a server would make in there.
    let uid = nix::unistd::geteuid().as_raw();
    let environment = std::env::vars_os().collect();
    let mut context = Context::new(workspaces, AbsPath::new(tmpdir)?, environment, uid);
    context.missing_folders = MissingFolders::Leave;
    context.machine = nono_profiles::Machine::probe(nono_sandbox::host::Host::probe().landlock_abi);
    context.own.program = crate::session::own_program();
    context.project_file = project_file;
    Ok(context)
}

/// The profile of that name, or in that file.
pub(super) fn reference(text: &str) -> ProfileRef {
    ProfileRef::from(text)
}

//! What profiles are looked at in, and how they are named.

use crate::cli::print::show;
use crate::error::ServerError;
use nono_profiles::{Context, MissingFolders, ProfileError, ProfileRef, ProjectFile};
use nono_sandbox::AbsPath;
use std::path::PathBuf;
use tempfile::TempDir;

/// A profile cannot be used.
pub(super) fn unusable(error: ProfileError) -> ServerError {
    ServerError::Profile(Box::new(error))
}

/// What profiles are looked at with.
pub(super) struct Looking {
    pub(super) context: Context,
    /// Stands in for a workspace.
    _empty: Option<TempDir>,
}

/// This machine and the current directory, for looking only: nothing is made, and the project
/// file counts only where what holds here is asked for. Where the current directory can be no
/// workspace, an empty one stands in for it: what is asked is mostly about the profile.
pub(super) fn looking(project_file: ProjectFile) -> Result<Looking, ServerError> {
    let temporary = std::env::temp_dir();
    let unusable = |source| ServerError::TemporaryFolder { path: temporary.clone(), source };
    let tmpdir = AbsPath::new(temporary.canonicalize().map_err(unusable)?)?;
    // Stands in for the private folder that a server would make in there.
    let uid = nix::unistd::geteuid().as_raw();
    let environment = std::env::vars_os().collect();
    let mut context = Context::new(Vec::new(), tmpdir, environment, uid)
        .with_account(crate::session::account_home(uid));
    let homes = [&context.home, &context.other_home];
    let is_workspace = std::env::current_dir()
        .is_ok_and(|here| !homes.into_iter().flatten().any(|home| home.starts_with(&here)));
    let empty = if is_workspace { None } else { Some(tempfile::tempdir().map_err(unusable)?) };
    let named: Vec<PathBuf> = empty.iter().map(|folder| folder.path().to_path_buf()).collect();
    if let Some(folder) = &empty {
        let note = "the current directory can be no workspace; an empty folder stands in for it";
        show(std::io::stderr(), &format!("{note}: {}\n", folder.path().display()));
    }
    context.workspaces = crate::session::workspaces(&named)?;
    context.missing_folders = MissingFolders::Leave;
    context.machine = nono_profiles::Machine::probe(nono_sandbox::host::Host::probe().landlock_abi);
    context.own.program = crate::session::own_program();
    context.project_file = project_file;
    Ok(Looking { context, _empty: empty })
}

/// The profile of that name, or in that file.
pub(super) fn reference(text: &str) -> ProfileRef {
    ProfileRef::from(text)
}

//! What a profile is resolved against.

use crate::machine::Machine;
use crate::reference::ProfileRef;
use nono_sandbox::AbsPath;
use nono_sandbox::policy::NetworkMode;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Everything outside of the profile that resolution depends on, as values.
///
/// The crate never asks the running process for its environment, user or working directory, so the
/// same context and the same files give the same policy.
#[derive(Debug, Clone)]
pub struct Context {
    /// The workspace folders, at least one. They must exist; symbolic links in them are resolved.
    pub workspaces: Vec<AbsPath>,
    /// The private temporary folder of this server. It must exist.
    pub tmpdir: AbsPath,
    /// The user's home, which `~` and `$HOME` stand for; `None` if there is none.
    pub home: Option<PathBuf>,
    /// The home of the user's account, if that is another one: what is denied in a home and lies
    /// there is denied there too.
    pub other_home: Option<PathBuf>,
    /// Environment the server was started with.
    pub environment: BTreeMap<OsString, OsString>,
    /// User the server runs as; `$UID`, and the only owner below whom folders are made.
    pub uid: u32,
    /// What to do about folders a profile asks to be made.
    pub missing_folders: MissingFolders,
    /// The system, for entries that have conditions.
    pub machine: Machine,
    /// What the server itself depends on.
    pub own: OwnFiles,
    /// The network mode the operator asks for, in place of the profile's.
    pub network: Option<NetworkMode>,
    /// Whether the first workspace may narrow the profile by a file of its own.
    pub project_file: ProjectFile,
}

/// What results name where no line of a profile closes a path.
pub(crate) const OWN: &str = "nono-mcp";

/// What the server itself depends on. No profile opens any of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OwnFiles {
    /// The server's program: commands may run it and not change it.
    pub program: Option<AbsPath>,
    /// Files and folders commands neither read nor write, such as the audit log. The folder of the
    /// server's configuration, `$XDG_CONFIG_HOME/nono-mcp`, is always among them.
    pub closed: Vec<AbsPath>,
    /// Profiles it obeys besides the one that is resolved: those that calls may choose, and those of
    /// others whom it serves. Commands do not change them.
    pub profiles: Vec<ProfileRef>,
    /// Workspaces of others whom it serves. What lies there, their commands can put elsewhere.
    pub workspaces: Vec<AbsPath>,
}

/// What to do with `.nono/profile.json` in the first workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProjectFile {
    /// Narrow the profile by it, if it is there.
    Apply,
    /// Leave it alone.
    Ignore,
}

/// What to do about a missing folder whose entry says `create`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MissingFolders {
    /// Make it with mode 0700: a server about to run commands.
    Create,
    /// Note it: somebody only wants to see the policy.
    Leave,
}

impl Context {
    /// A context whose home is `HOME` of `environment` (if that is an absolute path) and which
    /// makes missing folders.
    #[must_use]
    pub fn new(
        workspaces: Vec<AbsPath>,
        tmpdir: AbsPath,
        environment: BTreeMap<OsString, OsString>,
        uid: u32,
    ) -> Self {
        let home = environment
            .get(std::ffi::OsStr::new("HOME"))
            .map(PathBuf::from)
            .filter(|home| home.is_absolute());
        Self {
            workspaces,
            tmpdir,
            home,
            other_home: None,
            environment,
            uid,
            missing_folders: MissingFolders::Create,
            machine: Machine::default(),
            own: OwnFiles::default(),
            network: None,
            project_file: ProjectFile::Apply,
        }
    }

    /// With the home of the user's account: the home where `HOME` names none, as programs that ask
    /// for one have it (getpwuid(3)), and else another one.
    #[must_use]
    pub fn with_account(mut self, home: Option<PathBuf>) -> Self {
        match (&self.home, home) {
            (None, home) => self.home = home,
            (Some(known), Some(home)) if *known != home => self.other_home = Some(home),
            _ => {}
        }
        self
    }

    /// The same with another home.
    pub(crate) fn at_home(&self, home: &Path) -> Self {
        Self { home: Some(home.to_owned()), other_home: None, ..self.clone() }
    }

    /// The workspaces of everybody whom the server serves.
    pub(crate) fn all_workspaces(&self) -> impl Iterator<Item = &AbsPath> + Clone {
        self.workspaces.iter().chain(&self.own.workspaces)
    }

    /// The folder of the server's configuration: `$XDG_CONFIG_HOME/nono-mcp`.
    #[must_use]
    pub fn own_folder(&self) -> Option<PathBuf> {
        let named = self.environment.get(std::ffi::OsStr::new("XDG_CONFIG_HOME"));
        let config = named.map(PathBuf::from).filter(|path| path.is_absolute());
        let config = config.or_else(|| self.home.as_ref().map(|home| home.join(".config")))?;
        Some(config.join("nono-mcp"))
    }

    /// The folder in which profiles of the user's own are looked for by name.
    #[must_use]
    pub fn profile_folder(&self) -> Option<PathBuf> {
        self.own_folder().map(|folder| folder.join("profiles"))
    }
}

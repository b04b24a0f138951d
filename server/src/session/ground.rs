//! What the server knows from its start on: workspaces, profile, kernel, private folder.

use super::repository;
use crate::audit::AuditSetup;
use crate::error::ServerError;
use crate::folder::PrivateFolder;
use crate::proxy::Proxy;
use crate::report::Suppressed;
use crate::sandbox::Sandbox;
use crate::secrets::Secrets;
use nono_profiles::{
    Context, Credential, Machine, MissingFolders, Offer, ProfileRef, ProjectFile, Resolved,
};
use nono_sandbox::AbsPath;
use nono_sandbox::host::Host;
use nono_sandbox::namespaces::Namespaces;
use nono_sandbox::plan::Basis;
use nono_sandbox::policy::{NetworkMode, Policy, Protected, SettledPolicy};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::net::SocketAddr;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

/// The variable a server's token may come in. No command sees it, however clients reach the server.
pub(crate) const TOKEN_VARIABLE: &str = "NONO_MCP_TOKEN";

/// Where commands work and what they may do, as the operator named it.
#[derive(Debug, Clone)]
pub(crate) struct Setup {
    /// Workspace folders; the current directory if empty.
    pub(crate) workspaces: Vec<PathBuf>,
    /// The profile.
    pub(crate) profile: ProfileRef,
    /// Profiles that calls may choose, to stay within them as well.
    pub(crate) allowed_profiles: Vec<ProfileRef>,
    /// What to do about folders the profile asks to be made.
    pub(crate) missing_folders: MissingFolders,
    /// The network mode the operator asks for, in place of the profile's.
    pub(crate) network: Option<NetworkMode>,
    /// Where this server listens. No command reaches it, in any mode, unless the profile names it.
    pub(crate) own_endpoints: Vec<SocketAddr>,
    /// Pretend that this is the newest Landlock ABI there is.
    pub(crate) landlock_abi_limit: Option<u32>,
    /// Commands that may run at once.
    pub(crate) max_runs: u32,
    /// What to record, and where.
    pub(crate) audit: Option<AuditSetup>,
    /// Files of the server's own that no profile opens.
    pub(crate) closed: Vec<AbsPath>,
    /// Whom else the server serves.
    pub(crate) others: Others,
}

/// What concerns everybody who is served, whoever asks.
#[derive(Debug, Clone, Default)]
pub(crate) struct Others {
    /// As [`Setup::workspaces`].
    pub(crate) workspaces: Vec<PathBuf>,
    /// As [`Setup::profile`].
    pub(crate) profiles: Vec<ProfileRef>,
}

/// A setup, resolved against this machine.
#[derive(Debug)]
pub(crate) struct Ground {
    /// The sandbox of calls that do not ask for less.
    pub(crate) sandbox: Arc<Sandbox>,
    /// Where the secrets are that commands get.
    credentials: Vec<Credential>,
    /// The secrets, where commands are run.
    pub(crate) secrets: Secrets,
    /// What calls may ask for instead.
    pub(crate) offer: Offer,
    /// The kernel.
    pub(crate) host: Host,
    /// As in [`Setup`].
    landlock_abi_limit: Option<u32>,
    /// The private temporary folder.
    pub(super) folder: PrivateFolder,
}

impl Ground {
    /// What runs under a policy rest on: with the address of their proxy, and with what stays as it
    /// is by now.
    pub(super) fn basis(
        &self,
        policy: &SettledPolicy,
        protected: Vec<Protected>,
        proxy: Option<&Proxy>,
    ) -> Arc<Basis> {
        let policy = policy.clone().with_protected(protected).with_proxy(proxy.map(Proxy::address));
        Arc::new(Basis {
            landlock_abi_limit: self.landlock_abi_limit,
            namespaces: self.host.namespaces_for(&policy),
            own_network: self.host.isolates_network(&policy),
            policy,
        })
    }

    /// Resolves `setup` and makes the private folder.
    ///
    /// # Errors
    /// [`ServerError`] names the workspace or the profile entry to change.
    pub(crate) fn prepare(setup: &Setup) -> Result<Self, ServerError> {
        let workspaces = workspaces(&setup.workspaces)?;
        let others = workspaces_of_others(setup)?;
        let folder = PrivateFolder::make(&[workspaces.as_slice(), &others].concat())?;
        let uid = nix::unistd::geteuid().as_raw();
        let mut environment: BTreeMap<_, _> = std::env::vars_os().collect();
        // No profile can pass it on.
        environment.remove(OsStr::new(TOKEN_VARIABLE));
        let mut context = Context::new(workspaces, folder.path().clone(), environment, uid)
            .with_account(account_home(uid));
        if context.home.is_none() {
            tracing::warn!(
                "HOME is not set and the user has no account: what profiles deny below `~` is \
                 nowhere, and stays open if a workspace holds it"
            );
        }
        context.missing_folders = setup.missing_folders;
        context.network = setup.network;
        let host = Host::probe()
            .limited(setup.landlock_abi_limit)
            .with_namespaces(crate::runs::namespaces());
        context.machine = Machine::probe(host.landlock_abi);
        context.own.program = own_program();
        if let Some(audit) = &setup.audit {
            context.own.closed.extend(audit.files()?);
        }
        context.own.closed.extend(setup.closed.iter().cloned());
        let obeyed = std::iter::once(&setup.profile).chain(&setup.allowed_profiles);
        context.own.profiles = obeyed.chain(&setup.others.profiles).cloned().collect();
        context.own.workspaces = others;
        let resolved = nono_profiles::resolve(&setup.profile, &context)
            .map_err(|e| ServerError::Profile(Box::new(e)))?;
        for note in resolved.notes.iter().filter(|n| n.is_warning()) {
            tracing::warn!("{note}");
        }
        let Resolved { mut policy, suppress_unix_sockets, suppress_paths, .. } = resolved;
        let (credentials, absent) = (resolved.credentials, resolved.absent);
        let mut operators = resolved.operators;
        for workspace in &policy.fs.workspaces {
            if let Some(folder) = repository::out_of_reach(workspace, &policy.fs) {
                tracing::warn!(
                    "git will find no repository in {workspace}: it belongs to {folder}, which \
                     commands cannot read; add the folder that holds that with --workspace"
                );
            }
        }
        let suppress = Suppressed { sockets: suppress_unix_sockets, paths: suppress_paths };
        for policy in operators.iter_mut().chain([&mut policy]) {
            policy.network.own = setup.own_endpoints.clone();
        }
        // What takes more would have the kernel pick its victims among all programs.
        let most = host.memory_bytes / 4 * 3;
        policy.limits.memory_bytes = policy.limits.memory_bytes.or((most > 0).then_some(most));
        let offer = offer(policy.clone(), &setup.allowed_profiles, &context)?;
        Ok(Self {
            sandbox: Arc::new(
                Sandbox::new(policy, &host, suppress).with_absent(absent).with_operators(operators),
            ),
            credentials,
            secrets: Secrets::default(),
            offer,
            host,
            landlock_abi_limit: setup.landlock_abi_limit,
            folder,
        })
    }

    /// The namespaces of runs that do not ask for less.
    pub(super) fn namespaces(&self) -> Option<Namespaces> {
        self.host.namespaces_for(&self.sandbox.policy)
    }

    /// As [`Ground::prepare`], for running commands: with the operator's secrets. To be called
    /// before this process becomes the parent of other processes' children.
    ///
    /// # Errors
    /// [`ServerError`] if the setup cannot be used or a secret cannot be had.
    pub(crate) fn open(setup: &Setup) -> Result<Self, ServerError> {
        let ground = Self::prepare(setup)?;
        let secrets = Secrets::fetch(&ground.credentials)?;
        Ok(Self { secrets, ..ground })
    }

    pub(super) fn is_open(&self) -> bool {
        self.sandbox.policy.network.mode == NetworkMode::Open
    }

    /// The first workspace folder.
    pub(crate) fn workspace(&self) -> &AbsPath {
        self.sandbox.workspace()
    }
}

/// The operator's policy and the profiles that calls may choose. Whatever those ask for, a call
/// stays within `own`, so nothing is made for them and the project file has its say there.
fn offer(own: Policy, allowed: &[ProfileRef], context: &Context) -> Result<Offer, ServerError> {
    let looking = Context {
        missing_folders: MissingFolders::Leave,
        project_file: ProjectFile::Ignore,
        ..context.clone()
    };
    let mut offer = Offer::new(own);
    for profile in allowed {
        let resolved = nono_profiles::resolve(profile, &looking)
            .map_err(|e| ServerError::Profile(Box::new(e)))?;
        let name = match profile {
            ProfileRef::Name(name) => name.clone(),
            ProfileRef::File(_) => resolved.policy.name.clone(),
        };
        if offer.names().any(|known| known == name) {
            return Err(ServerError::ProfileTwice(name));
        }
        offer.add(&name, &resolved.policy);
    }
    Ok(offer)
}

/// The home of a user's account; `None` if there is no account, or none with a home.
pub(crate) fn account_home(uid: u32) -> Option<PathBuf> {
    let user = nix::unistd::User::from_uid(nix::unistd::Uid::from_raw(uid)).ok()??;
    user.dir.is_absolute().then_some(user.dir)
}

/// The running program, for profiles to keep unchanged; `None` if it was removed since.
pub(crate) fn own_program() -> Option<AbsPath> {
    std::env::current_exe().ok()?.canonicalize().ok().and_then(|path| AbsPath::new(path).ok())
}

/// The workspace folders as they are named, links on the way to them included: resolution judges
/// where those lie.
pub(crate) fn workspaces(named: &[PathBuf]) -> Result<Vec<AbsPath>, ServerError> {
    let here = [PathBuf::from(".")];
    let named = if named.is_empty() { &here } else { named };
    named.iter().map(|path| workspace(path)).collect()
}

fn workspaces_of_others(setup: &Setup) -> Result<Vec<AbsPath>, ServerError> {
    setup.others.workspaces.iter().map(|path| workspace(path)).collect()
}

fn workspace(path: &Path) -> Result<AbsPath, ServerError> {
    let unusable = |source| ServerError::Workspace { path: path.to_path_buf(), source };
    if !path.metadata().map_err(unusable)?.is_dir() {
        return Err(unusable(std::io::ErrorKind::NotADirectory.into()));
    }
    let named = without_parents(path).map_err(unusable)?;
    if let Ok(target) = named.read_link() {
        tracing::warn!(
            "the workspace {} is a link, to {}: commands work there",
            named.display(),
            target.display()
        );
    }
    Ok(AbsPath::new(named)?)
}

/// The absolute path, each `..` taken out together with the name before it.
///
/// # Errors
/// If that name is a link, so that `..` leads elsewhere.
fn without_parents(path: &Path) -> std::io::Result<PathBuf> {
    let mut at = PathBuf::new();
    for component in std::path::absolute(path)?.components() {
        if component != Component::ParentDir {
            at.push(component);
        } else if at.is_symlink() {
            let message = format!(
                "{} is a link and `..` leads back from where it leads; name the folder itself",
                at.display()
            );
            return Err(std::io::Error::new(std::io::ErrorKind::InvalidInput, message));
        } else {
            at.pop();
        }
    }
    Ok(at)
}

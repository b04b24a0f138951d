//! What the server knows from its start on: workspaces, profile, kernel, private folder.

use super::repository;
use crate::audit::AuditSetup;
use crate::error::ServerError;
use crate::folder::PrivateFolder;
use crate::proxy::Proxy;
use crate::report::Suppressed;
use crate::sandbox::Sandbox;
use crate::secrets::Secrets;
use crate::transport::TOKEN_VARIABLE;
use nono_profiles::{
    Context, Credential, Machine, MissingFolders, Offer, ProfileRef, ProjectFile, Resolved,
};
use nono_sandbox::AbsPath;
use nono_sandbox::host::Host;
use nono_sandbox::namespaces::Namespaces;
use nono_sandbox::plan::Basis;
use nono_sandbox::policy::{NetworkMode, Policy};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

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
    /// What runs under a policy rest on: with the address of their proxy.
    pub(super) fn basis(&self, policy: &Policy, proxy: Option<&Proxy>) -> Arc<Basis> {
        let mut policy = policy.clone();
        policy.network.proxy = proxy.map(Proxy::address);
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
        let folder = PrivateFolder::make(&workspaces)?;
        let uid = nix::unistd::geteuid().as_raw();
        let mut environment: BTreeMap<_, _> = std::env::vars_os().collect();
        // No profile can pass it on.
        environment.remove(OsStr::new(TOKEN_VARIABLE));
        let mut context = Context::new(workspaces, folder.path().clone(), environment, uid);
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
        let resolved = nono_profiles::resolve(&setup.profile, &context)
            .map_err(|e| ServerError::Profile(Box::new(e)))?;
        for note in resolved.notes.iter().filter(|n| n.is_warning()) {
            tracing::warn!("{note}");
        }
        let Resolved { mut policy, suppress_unix_sockets, suppress_paths, credentials, .. } =
            resolved;
        for workspace in &policy.fs.workspaces {
            if let Some(folder) = repository::out_of_reach(workspace, &policy.fs) {
                tracing::warn!(
                    "git will find no repository in {workspace}: it belongs to {folder}, which \
                     commands cannot read; add the folder that holds that with --workspace"
                );
            }
        }
        let suppress = Suppressed { sockets: suppress_unix_sockets, paths: suppress_paths };
        policy.network.own = setup.own_endpoints.clone();
        // What takes more would have the kernel pick its victims among all programs.
        let most = host.memory_bytes / 4 * 3;
        policy.limits.memory_bytes = policy.limits.memory_bytes.or((most > 0).then_some(most));
        let offer = offer(policy.clone(), &setup.allowed_profiles, &context)?;
        Ok(Self {
            sandbox: Arc::new(Sandbox::new(policy, &host, suppress)),
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

/// The running program, for profiles to keep unchanged; `None` if it was removed since.
pub(crate) fn own_program() -> Option<AbsPath> {
    std::env::current_exe().ok()?.canonicalize().ok().and_then(|path| AbsPath::new(path).ok())
}

/// The workspace folders, canonical.
pub(crate) fn workspaces(named: &[PathBuf]) -> Result<Vec<AbsPath>, ServerError> {
    let here = [PathBuf::from(".")];
    let named = if named.is_empty() { &here } else { named };
    named.iter().map(|path| workspace(path)).collect()
}

fn workspace(path: &Path) -> Result<AbsPath, ServerError> {
    let unusable = |source| ServerError::Workspace { path: path.to_path_buf(), source };
    let canonical = path.canonicalize().map_err(unusable)?;
    if !canonical.is_dir() {
        return Err(unusable(std::io::ErrorKind::NotADirectory.into()));
    }
    Ok(AbsPath::new(canonical)?)
}

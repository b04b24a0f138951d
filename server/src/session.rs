//! What the server knows from its start on: workspaces, profile, kernel, private folder.

use crate::audit::{Act, Audit, AuditError, AuditSetup, By, Trail};
use crate::error::ServerError;
use crate::excerpt;
use crate::folder::PrivateFolder;
use crate::kernel_log::KernelLog;
use crate::proxy::{Proxy, Tenancy};
use crate::report::{Answer, Facts, History, Output, Suppressed};
use crate::runs::{Echo, Identity, Input, Job, OutputView, Pool, Run, Runs, Stream};
use crate::sandbox::Sandbox;
use crate::secrets::Secrets;
use crate::tools::{Tasks, Wanted};
use crate::transport::TOKEN_VARIABLE;
use nono_profiles::{
    Context, Credential, Machine, MissingFolders, Offer, ProfileRef, ProjectFile, Resolved,
};
use nono_sandbox::AbsPath;
use nono_sandbox::groups;
use nono_sandbox::host::Host;
use nono_sandbox::namespaces::Namespaces;
use nono_sandbox::plan::{Basis, plan};
use nono_sandbox::policy::{NetworkMode, Observe, Policy};
use nono_schemas::NotStarted;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

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
    folder: PrivateFolder,
}

impl Ground {
    /// What runs under a policy rest on: with the address of their proxy.
    fn basis(&self, policy: &Policy, proxy: Option<&Proxy>) -> Arc<Basis> {
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
        let folder = PrivateFolder::make()?;
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
    fn namespaces(&self) -> Option<Namespaces> {
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

    fn is_open(&self) -> bool {
        self.sandbox.policy.network.mode == NetworkMode::Open
    }

    /// The first workspace folder.
    pub(crate) fn workspace(&self) -> &AbsPath {
        self.sandbox.workspace()
    }
}

/// What the sessions of a server share.
#[derive(Debug)]
pub(crate) struct Common {
    /// Places for runs.
    pub(crate) pool: Arc<Pool>,
    audit: Audit,
    proxy: Option<Arc<Proxy>>,
}

/// What all of them say, if they say the same.
fn agreed(mut all: impl Iterator<Item = Option<Namespaces>>) -> Option<Namespaces> {
    let first = all.next().flatten()?;
    all.all(|other| other == Some(first)).then_some(first)
}

impl Common {
    /// Opens the audit log and prepares places for `setup.max_runs` runs on these grounds, which
    /// belong to principals of these names if there are several.
    ///
    /// # Errors
    /// [`ServerError`] if one of them cannot be used.
    pub(crate) fn open(
        setup: &Setup,
        grounds: &[Ground],
        names: &[&str],
    ) -> Result<Self, ServerError> {
        for missing in grounds.iter().filter_map(|ground| ground.sandbox.missing.as_ref()) {
            tracing::warn!("every command will be refused: {missing}");
        }
        let cgroups = grounds.first().map(|g| g.host.cgroups.clone()).unwrap_or_default();
        groups::remove_abandoned(&cgroups);
        let audit = match (&setup.audit, grounds.first()) {
            (Some(audit), Some(first)) => {
                let policies = grounds.iter().map(|ground| &ground.sandbox.policy);
                let principals: Vec<_> = names.iter().copied().zip(policies).collect();
                Audit::open(audit, &first.sandbox.policy, &principals)?
            }
            _ => Audit::default(),
        };
        let namespaces = agreed(grounds.iter().map(Ground::namespaces));
        let proxy = proxy_for(grounds)?.map(Arc::new);
        let basis =
            grounds.first().map(|ground| ground.basis(&ground.sandbox.policy, proxy.as_deref()));
        let folder = std::env::temp_dir();
        let kernel_log = kernel_log_for(grounds)?;
        let pool = Pool::new(setup.max_runs, folder, cgroups, namespaces, basis, kernel_log)?;
        Ok(Self { pool, audit, proxy })
    }
}

/// The kernel's audit log, if one of the profiles wants refusals from there.
fn kernel_log_for(grounds: &[Ground]) -> Result<Option<KernelLog>, ServerError> {
    let wants = |ground: &&Ground| ground.sandbox.policy.observe == Observe::Audit;
    let Some(ground) = grounds.iter().find(wants) else { return Ok(None) };
    Ok(Some(KernelLog::open(ground.host.landlock_abi)?))
}

/// The proxy of runs on these grounds. A call can narrow an open network to one that has a proxy.
fn proxy_for(grounds: &[Ground]) -> Result<Option<Proxy>, ServerError> {
    match grounds.iter().map(|ground| ground.sandbox.policy.network.mode).max() {
        None | Some(NetworkMode::None | NetworkMode::Loopback) => Ok(None),
        Some(NetworkMode::Open) if grounds.iter().all(Ground::is_open) => Ok(Proxy::start()
            .inspect_err(|error| tracing::warn!(%error, "runs cannot be given a proxy"))
            .ok()),
        Some(NetworkMode::Proxy | NetworkMode::Hosts | NetworkMode::Open) => {
            Proxy::start().map(Some)
        }
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

/// One principal's state: the ground, and the runs on it. Nothing in it is anybody else's.
#[derive(Debug)]
pub(crate) struct Session {
    /// Whose it is; `None` where there are no tokens.
    pub(crate) principal: Option<String>,
    /// What does not change.
    pub(crate) ground: Ground,
    /// What runs rest on that do not ask for less.
    basis: Arc<Basis>,
    /// What earlier answers said about denials.
    pub(crate) history: History,
    /// The runs.
    pub(crate) runs: Runs,
    /// Calls that go on as tasks.
    pub(crate) tasks: Tasks,
    /// Where it is written down what commands are run.
    pub(crate) audit: Audit,
    /// What runs reach listed hosts by; `None` if none of them can have a network.
    proxy: Option<Arc<Proxy>>,
    started: Instant,
}

/// Which part of a run's output an answer is about, and how much of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wish {
    /// Only what lies behind this position.
    pub(crate) after: u64,
    /// Only this stream.
    pub(crate) stream: Option<Stream>,
    /// Bytes in the answer.
    pub(crate) max_output: usize,
}

impl Session {
    /// A session that is alone on its server.
    ///
    /// # Errors
    /// [`ServerError`] if the setup cannot be used.
    pub(crate) fn open(setup: &Setup) -> Result<Arc<Self>, ServerError> {
        let ground = Ground::open(setup)?;
        let common = Common::open(setup, std::slice::from_ref(&ground), &[])?;
        Ok(Self::open_beside(ground, None, setup.max_runs, &common))
    }

    /// A session beside others: at most `max_runs` of the places of all.
    pub(crate) fn open_beside(
        ground: Ground,
        principal: Option<String>,
        max_runs: u32,
        common: &Common,
    ) -> Arc<Self> {
        let secrets = ground.secrets.patterns().cloned();
        let runs = Runs::new(Arc::clone(&common.pool), max_runs, secrets);
        let proxy = common.proxy.clone();
        let (history, started) = (History::default(), Instant::now());
        let audit = common.audit.clone();
        let tasks = Tasks::default();
        let basis = ground.basis(&ground.sandbox.policy, proxy.as_deref());
        Arc::new(Self { principal, ground, basis, history, runs, tasks, audit, proxy, started })
    }

    /// Starts one command. The one way every tool runs anything.
    ///
    /// # Errors
    /// A sentence that says why nothing was started.
    pub(crate) async fn start(
        &self,
        by: &By,
        wanted: Wanted,
        input: Input,
        echo: Echo,
    ) -> Result<Arc<Run>, String> {
        let number = crate::random::hex::<16>().map_err(|e| format!("cannot name the run: {e}"))?;
        let identity = Identity {
            id: format!("r-{number}"),
            label: wanted.label(),
            argv: wanted.request.argv.clone(),
            timeout: wanted.request.timeout,
            started: Instant::now(),
        };
        let (policy, request) = (&wanted.sandbox.policy, Some(&wanted.request));
        let act = Act { by, run_id: &identity.id, policy, request };
        let trail = self.audit.call(act).await.map_err(unrecorded)?;
        let id = identity.id.clone();
        let started = self.launch(identity, trail.clone(), wanted, input, echo).await;
        match &started {
            Ok(run) if run.identity.id == id => {}
            Ok(_) => trail.not_started(NotStarted::Repeated).await,
            Err((why, _)) => trail.not_started(*why).await,
        }
        started.map_err(|(_, sentence)| sentence)
    }

    /// Starts what has been recorded.
    async fn launch(
        &self,
        identity: Identity,
        trail: Trail,
        mut wanted: Wanted,
        input: Input,
        echo: Echo,
    ) -> Result<Arc<Run>, (NotStarted, String)> {
        let sandbox = Arc::clone(&wanted.sandbox);
        if let Some(missing) = &sandbox.missing {
            let sentence = format!("the sandbox cannot be built on this machine: {missing}");
            return Err((NotStarted::NoSandbox, sentence));
        }
        self.ground.secrets.inject(&sandbox.policy, &mut wanted.request.env);
        let mut plan = plan(&self.basis(&sandbox), wanted.request)
            .map_err(|error| (NotStarted::Unplannable, error.to_string()))?;
        let network = &plan.basis.policy.network;
        let tenancy = match self.proxy.as_ref().filter(|_| network.mode.has_proxy()) {
            Some(proxy) => Some(proxy.admit(network).map_err(|error| {
                (NotStarted::Failed, format!("the run gets no place at its proxy: {error}"))
            })?),
            None => None,
        };
        plan.launch.proxy = tenancy.as_ref().map(Tenancy::secret);
        let job = Job { identity, sandbox, plan, input, echo, trail, tenancy };
        let why = |error: &ServerError| match error {
            ServerError::Busy { .. } => NotStarted::Busy,
            ServerError::KeyInUse { .. } => NotStarted::KeyInUse,
            ServerError::ShuttingDown => NotStarted::ShuttingDown,
            _ => NotStarted::Failed,
        };
        self.runs.start(job, wanted.key).await.map_err(|error| (why(&error), error.to_string()))
    }

    /// What runs in a sandbox rest on. Most are in the operator's.
    fn basis(&self, sandbox: &Arc<Sandbox>) -> Arc<Basis> {
        if Arc::ptr_eq(sandbox, &self.ground.sandbox) {
            return Arc::clone(&self.basis);
        }
        self.ground.basis(&sandbox.policy, self.proxy.as_deref())
    }

    /// Records that a call is about to do something to a run.
    ///
    /// # Errors
    /// A sentence that says why it must not be done.
    pub(crate) async fn record(&self, by: &By, run: &Run) -> Result<(), String> {
        let policy = &run.sandbox.policy;
        let act = Act { by, run_id: &run.identity.id, policy, request: None };
        self.audit.call(act).await.map(drop).map_err(unrecorded)
    }

    /// An answer about a run, as it is now.
    pub(crate) async fn answer(&self, run: &Run, wish: &Wish) -> Answer {
        self.answer_with(run, wish, |view| excerpt::output(view, wish)).await
    }

    /// The same with output of the caller's choice.
    pub(crate) async fn answer_with(
        &self,
        run: &Run,
        wish: &Wish,
        choose: impl FnOnce(&OutputView) -> Output,
    ) -> Answer {
        let snapshot = if run.is_over() { None } else { run.look().await };
        // The state after the output would claim an end whose last words are missing.
        let state = run.state();
        let Ok(nonce) = crate::random::hex::<4>() else {
            return self.refuse("the kernel gives no random numbers for the report");
        };
        let facts = Facts {
            identity: &run.identity,
            state,
            snapshot,
            nonce,
            max_output: wish.max_output,
            now: Instant::now(),
        };
        let view = run.view();
        let small = view.in_memory();
        let answer = || {
            let output = choose(&view);
            run.show(output.next_seq);
            Answer::about(run.sandbox.view(), &facts, &output, &self.history)
        };
        // Reading megabytes from the spool would hold other calls up; changing threads for a few
        // lines holds this one up.
        if small { answer() } else { tokio::task::block_in_place(answer) }
    }

    /// An answer that says why nothing was run.
    pub(crate) fn refuse(&self, sentence: &str) -> Answer {
        Answer::refused(self.ground.sandbox.view(), sentence)
    }

    /// How long ago the server was started.
    pub(crate) fn age(&self) -> Duration {
        self.started.elapsed()
    }

    /// Ends every run and removes the private folder. Takes less than a second.
    pub(crate) async fn close(&self) {
        self.runs.shut_down().await;
        self.audit.close().await;
        self.ground.folder.remove();
    }

    /// The same for all sessions of a server.
    pub(crate) async fn close_all(sessions: &[Arc<Self>]) {
        // The pool and the log are the same for all.
        if let Some(first) = sessions.first() {
            first.runs.shut_down().await;
            first.audit.close().await;
        }
        sessions.iter().for_each(|session| session.ground.folder.remove());
    }
}

/// Nothing happens that the operator wants recorded and that cannot be. Why not is for the
/// operator, and in the log.
fn unrecorded(_logged: AuditError) -> String {
    "nothing was done: the operator wants every command recorded, and the audit log cannot be \
     written; only the operator can put that right"
        .to_owned()
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

//! What the server knows from its start on: workspaces, profile, kernel, private folder.

use crate::error::ServerError;
use crate::folder::PrivateFolder;
use crate::report::{Answer, Facts, View};
use crate::runs::{Echo, Ended, Finished, Input, Job, Runs};
use crate::tools::Wanted;
use globset::GlobSet;
use nono_profiles::{Context, Machine, MissingFolders, ProfileRef, Resolved};
use nono_sandbox::AbsPath;
use nono_sandbox::host::{Host, LayerState};
use nono_sandbox::plan::plan;
use nono_sandbox::policy::Policy;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where commands work and what they may do, as the operator named it.
#[derive(Debug, Clone)]
pub(crate) struct Setup {
    /// Workspace folders; the current directory if empty.
    pub(crate) workspaces: Vec<PathBuf>,
    /// The profile.
    pub(crate) profile: ProfileRef,
    /// What to do about folders the profile asks to be made.
    pub(crate) missing_folders: MissingFolders,
    /// Pretend that this is the newest Landlock ABI there is.
    pub(crate) landlock_abi_limit: Option<u32>,
}

/// A setup, resolved against this machine.
#[derive(Debug)]
pub(crate) struct Ground {
    /// What commands may do.
    pub(crate) policy: Policy,
    /// Which denials stay out of reports.
    pub(crate) suppress: GlobSet,
    /// What this kernel enforces.
    pub(crate) layers: Vec<LayerState>,
    /// Why nothing can run here, if that is so.
    pub(crate) missing: Option<String>,
    /// The kernel.
    pub(crate) host: Host,
    /// As in [`Setup`].
    landlock_abi_limit: Option<u32>,
    /// The private temporary folder.
    folder: PrivateFolder,
}

impl Ground {
    /// Resolves `setup` and makes the private folder.
    ///
    /// # Errors
    /// [`ServerError`] names the workspace or the profile entry to change.
    pub(crate) fn prepare(setup: &Setup) -> Result<Self, ServerError> {
        let workspaces = workspaces(&setup.workspaces)?;
        let folder = PrivateFolder::make()?;
        let uid = nix::unistd::geteuid().as_raw();
        let mut context =
            Context::new(workspaces, folder.path().clone(), std::env::vars_os().collect(), uid);
        context.missing_folders = setup.missing_folders;
        let host = Host::probe().limited(setup.landlock_abi_limit);
        context.machine = Machine::probe(host.landlock_abi);
        context.own.program = own_program();
        let resolved = nono_profiles::resolve(&setup.profile, &context)
            .map_err(|e| ServerError::Profile(Box::new(e)))?;
        for note in resolved.notes.iter().filter(|n| n.is_warning()) {
            tracing::warn!("{note}");
        }
        let Resolved { policy, suppress_unix_sockets, .. } = resolved;
        Ok(Self {
            layers: host.layers(&policy),
            missing: host.missing(&policy),
            suppress: suppress_unix_sockets,
            policy,
            host,
            landlock_abi_limit: setup.landlock_abi_limit,
            folder,
        })
    }

    /// What reports need of it.
    pub(crate) fn view(&self) -> View<'_> {
        View {
            policy: &self.policy,
            suppress: &self.suppress,
            layers: &self.layers,
            is_folder: &|path| path.as_path().is_dir(),
        }
    }

    /// The first workspace folder.
    pub(crate) fn workspace(&self) -> &AbsPath {
        self.policy.fs.workspaces.first().unwrap_or(&self.policy.fs.tmpdir)
    }
}

/// A server's state: the ground, and the runs on it.
#[derive(Debug)]
pub(crate) struct Session {
    /// What does not change.
    pub(crate) ground: Ground,
    runs: Runs,
}

impl Session {
    /// Prepares the ground and the runs.
    ///
    /// # Errors
    /// [`ServerError`] if the setup cannot be used.
    pub(crate) fn open(setup: &Setup) -> Result<Arc<Self>, ServerError> {
        let ground = Ground::prepare(setup)?;
        if let Some(missing) = &ground.missing {
            tracing::warn!("every command will be refused: {missing}");
        }
        Ok(Arc::new(Self { ground, runs: Runs::new()? }))
    }

    /// Runs one command and tells what became of it. The one way every tool runs anything.
    pub(crate) async fn run(
        &self,
        wanted: Wanted,
        input: Input,
        echo: Echo,
        cancel: impl Future<Output = ()> + Send,
    ) -> Answer {
        let max_output = wanted.max_output;
        let timeout = wanted.request.timeout;
        let started = match self.start(wanted, input, echo, cancel).await {
            Ok(started) => started,
            Err(sentence) => return self.refuse(&sentence),
        };
        let (run_id, finished, nonce) = started;
        tracing::info!(run_id, wall = ?finished.wall, "run over");
        if let Ended::Lost(why) = &finished.ended {
            tracing::error!(run_id, why, "a supervisor was lost");
        }
        let facts = Facts { run_id, nonce, timeout, max_output };
        Answer::finished(self.ground.view(), &facts, &finished)
    }

    /// An answer that says why nothing was run.
    pub(crate) fn refuse(&self, sentence: &str) -> Answer {
        Answer::refused(self.ground.view(), sentence)
    }

    async fn start(
        &self,
        wanted: Wanted,
        input: Input,
        echo: Echo,
        cancel: impl Future<Output = ()> + Send,
    ) -> Result<(String, Finished, String), String> {
        if let Some(missing) = &self.ground.missing {
            return Err(format!("the sandbox cannot be built on this machine: {missing}"));
        }
        let names =
            || Ok((format!("r-{}", crate::random::hex::<16>()?), crate::random::hex::<4>()?));
        let (run_id, nonce) =
            names().map_err(|e: std::io::Error| format!("cannot name the run: {e}"))?;
        let mut plan = plan(&self.ground.policy, wanted.request).map_err(|e| e.to_string())?;
        plan.landlock_abi_limit = self.ground.landlock_abi_limit;
        let finished = self.runs.run(Job { plan, input, echo }, cancel).await;
        Ok((run_id, finished.map_err(|e| e.to_string())?, nonce))
    }

    /// Ends every run and removes the private folder. Takes less than a second.
    pub(crate) async fn close(&self) {
        self.runs.shut_down().await;
        self.ground.folder.remove();
    }
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

//! The state of one principal: what its runs rest on, and the runs.

mod ground;
mod repository;
mod shared;
mod tasks;
mod wanted;

pub(crate) use ground::{
    Ground, Others, Setup, TOKEN_VARIABLE, account_home, own_program, workspaces,
};
pub(crate) use shared::{Owned, Shared};
pub(crate) use tasks::{Begun, Tasks};
pub(crate) use wanted::Wanted;

use crate::audit::{Act, Audit, AuditError, By, Trail};
use crate::error::ServerError;
use crate::excerpt::{self, Window};
use crate::folder;
use crate::proxy::{Proxy, Share, Tenancy};
use crate::report::{Answer, Facts, History, Output};
use crate::runs::{Echo, Identity, Input, Job, OutputView, Run, Runs, StartError};
use crate::sandbox::Sandbox;
use nono_sandbox::plan::{Basis, plan};
use nono_schemas::NotStarted;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::Instant;

/// One principal's state: the ground, and the runs on it. Nothing in it is anybody else's.
#[derive(Debug)]
pub(crate) struct Session {
    /// Whose it is; `None` where there are no tokens.
    pub(crate) principal: Option<String>,
    /// What does not change.
    pub(crate) ground: Ground,
    /// What runs rest on that do not ask for less: that of the last one.
    basis: Mutex<Arc<Basis>>,
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
    /// What its runs have of that together.
    share: Arc<Share>,
    /// Whoever holds it searches output.
    searching: Arc<Semaphore>,
    started: Instant,
}

impl Session {
    /// A session that is alone on its server.
    ///
    /// # Errors
    /// [`ServerError`] if the setup cannot be used.
    pub(crate) fn open(setup: &Setup) -> Result<Arc<Self>, ServerError> {
        let ground = Ground::open(setup)?;
        let shared = Shared::open(setup, &[Owned { name: None, ground: &ground }])?;
        Ok(Self::open_beside(ground, None, setup.max_runs, &shared))
    }

    /// A session beside others: at most `max_runs` of the places of all.
    pub(crate) fn open_beside(
        ground: Ground,
        principal: Option<String>,
        max_runs: u32,
        shared: &Shared,
    ) -> Arc<Self> {
        let secrets = ground.secrets.patterns().cloned();
        let runs = Runs::new(Arc::clone(&shared.pool), max_runs, secrets);
        let proxy = shared.proxy.clone();
        let share = Share::of(shared.principals);
        let (history, started) = (History::default(), Instant::now());
        let audit = shared.audit.clone();
        let tasks = Tasks::default();
        let policy = &ground.sandbox.policy;
        let basis = Mutex::new(ground.basis(policy, policy.fs.protected.clone(), proxy.as_deref()));
        let searching = Arc::new(Semaphore::new(1));
        Arc::new(Self {
            principal,
            ground,
            basis,
            history,
            runs,
            tasks,
            audit,
            proxy,
            share,
            searching,
            started,
        })
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
        // Looks at as many files as commands have made repositories: not on a thread that answers.
        let basis = tokio::task::block_in_place(|| self.basis(&sandbox));
        let basis = basis.map_err(|sentence| (NotStarted::Failed, sentence))?;
        let plan = plan(&basis, wanted.request)
            .map_err(|error| (NotStarted::Unplannable, error.to_string()))?;
        let network = &plan.basis.policy.network;
        let proxy = self.proxy.as_ref().filter(|_| network.mode.has_proxy());
        let tenancy = proxy.map(|_| Tenancy::new(network, Arc::clone(&self.share)));
        let job = Job { identity, sandbox, plan, input, echo, trail, tenancy };
        self.runs.start(job, wanted.key).await.map_err(|error| (why(&error), error.to_string()))
    }

    /// What a run in a sandbox rests on that starts now. Most are in the operator's, and find what
    /// the last one found.
    ///
    /// # Errors
    /// A sentence that says what of the policy cannot be kept.
    fn basis(&self, sandbox: &Arc<Sandbox>) -> Result<Arc<Basis>, String> {
        let policy = &sandbox.policy;
        let protected = nono_profiles::protected_now(policy)?;
        let build = |protected| self.ground.basis(policy, protected, self.proxy.as_deref());
        if !Arc::ptr_eq(sandbox, &self.ground.sandbox) {
            return Ok(build(protected));
        }
        let mut basis = self.basis.lock().unwrap_or_else(PoisonError::into_inner);
        if basis.policy.fs.protected != protected {
            *basis = build(protected);
        }
        Ok(Arc::clone(&basis))
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
    pub(crate) async fn answer(&self, run: &Run, window: &Window) -> Answer {
        let choose = |view: OutputView| async move {
            let choose = || excerpt::output(&view, window);
            // Reading megabytes from the spool would hold other calls up; changing threads for a
            // few lines holds this one up.
            if view.in_memory() { choose() } else { tokio::task::block_in_place(choose) }
        };
        self.answer_with(run, window, choose).await
    }

    /// The same with output of the caller's choice.
    pub(crate) async fn answer_with<F: Future<Output = Output> + Send>(
        &self,
        run: &Run,
        window: &Window,
        choose: impl FnOnce(OutputView) -> F + Send,
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
            max_output: window.max_output,
            now: Instant::now(),
        };
        let output = choose(run.view()).await;
        run.show(output.next_seq);
        Answer::about(run.sandbox.view(), &facts, &output, &self.history)
    }

    /// Does what may take a while to compute, on a thread of its own and one at a time: it holds up
    /// nobody but its own principal. `None` if it did not come to its end. Who does not wait for it
    /// any more has to end it.
    pub(crate) async fn search<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let alone = Arc::clone(&self.searching).acquire_owned().await.ok()?;
        let done = tokio::task::spawn_blocking(move || {
            let done = work();
            drop(alone);
            done
        });
        done.await.inspect_err(|error| tracing::error!(%error, "a search has failed")).ok()
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
        self.ground.folder.remove(folder::deadline());
    }

    /// The same for all sessions of a server.
    pub(crate) async fn close_all(sessions: &[Arc<Self>]) {
        // The pool and the log are the same for all.
        if let Some(first) = sessions.first() {
            first.runs.shut_down().await;
            first.audit.close().await;
        }
        let until = folder::deadline();
        sessions.iter().for_each(|session| session.ground.folder.remove(until));
    }
}

/// The same in a word, for the record.
fn why(error: &StartError) -> NotStarted {
    match error {
        StartError::Busy { .. } => NotStarted::Busy,
        StartError::KeyInUse { .. } => NotStarted::KeyInUse,
        StartError::ShuttingDown => NotStarted::ShuttingDown,
        StartError::System { .. } | StartError::Handover(_) => NotStarted::Failed,
    }
}

/// Nothing happens that the operator wants recorded and that cannot be. Why not is for the
/// operator, and in the log.
fn unrecorded(_logged: AuditError) -> String {
    "nothing was done: the operator wants every command recorded, and the audit log cannot be \
     written; only the operator can put that right"
        .to_owned()
}

//! A run that lacks nothing but its command: this process and the child are confined, the listener is
//! here, and somebody waits to answer.
//!
//! A spare supervisor goes that far before there is a request. What it has built cannot be built
//! again, since nobody here has the rights any more; so it is used only if everything it was built
//! on is still there. Whoever hands out work looks at that first; here it is looked at once more.

use super::bootstrap::{Armed, Bootstrap, Entry, Prepared, Running};
use super::canonical;
use super::confine::{self, SignalScope};
use super::foundation::Foundation;
use super::isolate::FirstProcess;
use super::mediate::{self, Mediator};
use super::mounts::seal::{self, Before};
use super::snapshot::Snapshot;
use super::watch::Watch;
use super::{SetupFailed, Stage};
use crate::AbsPath;
use crate::IpcScope;
use crate::control::Stdio;
use crate::plan::{Basis, Plan};
use crate::policy::{Observe, Policy};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signalfd::SignalFd;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// See the module's description.
#[derive(Debug)]
pub(super) struct Standby {
    signals: SignalFd,
    scope: Option<SignalScope>,
    bootstrap: Bootstrap<Armed>,
    listener: OwnedFd,
    ipc: IpcScope,
    first: Option<FirstProcess>,
    mediator: mediate::Waiting,
    workspaces: Vec<(AbsPath, OwnedFd)>,
    /// What lay at the paths of the rules, and what stays as it is, both as this process sees them
    /// since it is confined.
    snapshot: Snapshot,
    before: Before,
}

/// A running command with what watches it.
pub(super) struct Released {
    pub(super) signals: SignalFd,
    pub(super) scope: Option<SignalScope>,
    pub(super) mediator: Mediator,
    pub(super) running: Running,
    pub(super) before: Before,
}

impl Standby {
    /// Whether that can be done before the launch is known. A network of the run's own is made with
    /// rights that are gone then, and the kernel's audit log is shown a number of the run's.
    pub(super) fn is_possible(basis: &Basis) -> bool {
        !basis.own_network && basis.policy.observe != Observe::Audit
    }

    /// Confines this process, for good, and a child. `kernel_log_mark`: see [`Prepared::new`].
    pub(super) fn build(
        basis: &Basis,
        foundation: Foundation,
        first: Option<FirstProcess>,
        kernel_log_mark: Option<u64>,
    ) -> Result<Self, SetupFailed> {
        let setup = |what: &'static str| {
            move |e: Errno| SetupFailed::new(Stage::ConfineSupervisor, e, what)
        };
        let policy = &basis.policy;
        nix::sys::prctl::set_child_subreaper(true).map_err(setup("subreaper"))?;
        let signals = Watch::child_signals().map_err(setup("signalfd"))?;
        if first.is_some() {
            seal::seal(&policy.fs, &Before::of(&policy.fs))?;
        }
        let opened = |path: &AbsPath| Some((path.clone(), canonical::find(path).ok()??));
        let workspaces = policy.fs.workspaces.iter().filter_map(opened).collect();
        let Foundation { kernel, mut rulesets, gate } = foundation;
        let snapshot = std::mem::take(&mut rulesets.snapshot);
        let (ruleset, scope) = confine::supervisor(rulesets, kernel, first)?;
        let bootstrap = Prepared::new(policy, ruleset, gate, kernel_log_mark)?.start()?;
        let (snapshot, before) = (snapshot.again(), Before::of(&policy.fs));
        let mediator = mediate::Waiting::new(&policy.fs)
            .map_err(|e| SetupFailed::in_words(Stage::Filter, e.to_string()))?;
        let (bootstrap, listener) = bootstrap.arm()?;
        let ipc = kernel.ipc;
        Ok(Self {
            signals,
            scope,
            bootstrap,
            listener,
            ipc,
            first,
            mediator,
            workspaces,
            snapshot,
            before,
        })
    }

    /// Waits until there is something on `control`.
    ///
    /// # Errors
    /// If the child is gone: this is no good for anything any more.
    pub(super) fn wait(&self, control: BorrowedFd<'_>) -> Result<(), SetupFailed> {
        let failed = |errno: Errno, what| SetupFailed::new(Stage::ReadPlan, errno, what);
        let on = |fd| PollFd::new(fd, PollFlags::POLLIN);
        loop {
            let mut fds = [on(control), on(self.signals.as_fd())];
            match poll(&mut fds, PollTimeout::NONE) {
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(failed(errno, "wait for work")),
                Ok(_) if fds[1].any().unwrap_or(true) => {
                    return Err(failed(Errno::ECHILD, "the child that waited is gone"));
                }
                Ok(_) => return Ok(()),
            }
        }
    }

    /// This one, if everything is as it was when it was built.
    ///
    /// # Errors
    /// If it is not.
    pub(super) fn current(mut self, policy: &Policy) -> Result<Self, SetupFailed> {
        let now = Before::of(&policy.fs);
        if !self.snapshot.is_current() || !now.same_objects(&self.before) {
            let odd = "files that the sandbox rests on were replaced just now";
            return Err(SetupFailed::new(Stage::ReadPlan, Errno::ESTALE, odd));
        }
        self.before = now;
        Ok(self)
    }

    /// Lets the child become the command.
    pub(super) fn release(
        self,
        plan: &Plan,
        stdio: Stdio,
        proxy: Option<OwnedFd>,
    ) -> Result<Released, SetupFailed> {
        let Self { signals, scope, bootstrap, listener, ipc, first, mediator, before, .. } = self;
        let entry = Entry::new(&plan.launch, stdio, &self.workspaces)?;
        let mediator = mediator.start(plan, listener, ipc, first, proxy);
        let running = bootstrap.release(&entry)?;
        Ok(Released { signals, scope, mediator, running, before })
    }
}

//! One supervisor process, seen from the server: our own binary, started again.

use super::admit::Places;
use super::halt::Halt;
use super::orphans::Family;
use super::start_error::StartError;
use super::sweep::SWEEP;
use crate::error::ServerError;
use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, recv};
use nono_sandbox::control::{
    self, ControlError, Decoder, Event, Order, send_basis, send_order, send_start,
};
use nono_sandbox::groups::{self, GroupsAt};
use nono_sandbox::namespaces::Namespaces;
use nono_sandbox::plan::{Basis, Cgroups, Plan};
use nono_sandbox::supervisor::{Snapshot, Startup};
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream as StdUnixStream;
use std::process::Stdio;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::time::timeout;

/// How long a supervisor may take to exit once its socket is closed.
const EXIT_PATIENCE: Duration = Duration::from_secs(2);
/// The same for one without namespaces. Killed, it leaves its run to this process, which has no
/// signal that reaches all of it at once; and among hundreds of busy processes it is late.
const ALONE_PATIENCE: Duration = Duration::from_secs(4);

/// Starts supervisors. The only place that starts a process once the server serves.
#[derive(Debug)]
pub(super) struct Supervisors {
    /// The running binary, so that an upgrade on disk cannot mix versions.
    binary: File,
    family: Arc<Family>,
    /// Where each supervisor makes groups for its run.
    groups: Arc<OnceLock<GroupsAt>>,
    /// What each supervisor makes before it waits for work.
    namespaces: Option<Namespaces>,
    /// What tells when none of them is waited for any longer.
    places: Arc<Places>,
}

impl Supervisors {
    /// Opens the running binary, and makes this process the one that inherits what a crashed
    /// supervisor leaves behind.
    ///
    /// # Errors
    /// [`ServerError::System`] if `/proc` is missing.
    pub(super) fn new(
        namespaces: Option<Namespaces>,
        places: Arc<Places>,
    ) -> Result<Self, ServerError> {
        nix::sys::prctl::set_child_subreaper(true)
            .map_err(|errno| ServerError::doing("become a subreaper")(errno.into()))?;
        let binary = File::open("/proc/self/exe")
            .map_err(ServerError::doing("open /proc/self/exe; is /proc mounted"))?;
        let (family, groups) = (Arc::default(), Arc::default());
        Ok(Self { binary, family, groups, namespaces, places })
    }

    /// Starts one; it waits for its plan.
    ///
    /// # Errors
    /// [`StartError::System`] if processes or descriptors have run out.
    pub(super) fn start(&self) -> Result<Supervisor, StartError> {
        let (ours, theirs) =
            StdUnixStream::pair().map_err(StartError::doing("make a socket pair"))?;
        ours.set_nonblocking(true).map_err(StartError::doing("make a socket pair"))?;
        let startup = Startup { namespaces: self.namespaces, groups: self.groups.get().cloned() };
        let child = self
            .start_self(startup.to_arguments(), OwnedFd::from(theirs).into(), Stdio::inherit())
            .map_err(StartError::doing("start a supervisor"))?;
        let control =
            UnixStream::from_std(ours).map_err(StartError::doing("watch a supervisor"))?;
        Ok(Supervisor {
            child,
            control,
            decoder: Decoder::default(),
            basis: None,
            snapshot: Snapshot::default(),
            family: Arc::clone(&self.family),
            groups: Arc::clone(&self.groups),
            halt: self.places.halt.subscribe(),
        })
    }

    /// From now on supervisors make groups below `cgroups`, and a sweeper removes them once this
    /// process is gone. Without a sweeper there are no groups.
    pub(super) fn use_groups(&self, cgroups: Cgroups) -> Option<Child> {
        cgroups.all().next()?;
        let groups = GroupsAt { server: std::process::id(), parents: cgroups };
        // It outlives this process for a moment, so it holds nothing that somebody waits to see closed.
        let arguments = std::iter::once(SWEEP.into()).chain(groups.to_arguments()).collect();
        match self.start_self(arguments, Stdio::piped(), Stdio::null()) {
            Ok(sweeper) => {
                // Set once, before the first supervisor is started.
                let _set_before = self.groups.set(groups);
                Some(sweeper)
            }
            Err(error) => {
                tracing::warn!(%error, "no control groups: their sweeper cannot be started");
                None
            }
        }
    }

    /// Starts our own binary again.
    fn start_self(
        &self,
        arguments: Vec<OsString>,
        stdin: Stdio,
        stderr: Stdio,
    ) -> io::Result<Child> {
        let mut command = Command::new(format!("/proc/self/fd/{}", self.binary.as_raw_fd()));
        command
            .arg0("nono-mcp")
            .args(arguments)
            .env_clear()
            .current_dir("/")
            .stdin(stdin)
            .stdout(Stdio::null())
            .stderr(stderr);
        self.family.adopt(|| command.spawn())
    }
}

/// What a run starts with: its plan, and the command's ends of its streams.
#[derive(Debug)]
pub(super) struct Commission {
    pub(super) plan: Plan,
    pub(super) stdio: control::Stdio,
    /// Where the run's connections to its proxy go, if it has one.
    pub(super) proxy: Option<OwnedFd>,
}

/// A supervisor process. Dropping it ends its run: it sees its socket close.
#[derive(Debug)]
pub(super) struct Supervisor {
    child: Child,
    control: UnixStream,
    decoder: Decoder<Event>,
    /// What it was told that its run will rest on.
    basis: Option<Arc<Basis>>,
    /// What lay at the paths of that.
    snapshot: Snapshot,
    family: Arc<Family>,
    groups: Arc<OnceLock<GroupsAt>>,
    /// Held until it is reaped: a server that ends waits for that.
    halt: watch::Receiver<Halt>,
}

impl Supervisor {
    /// Its process id, unless it has been reaped.
    pub(super) fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Whether it is still there and has said nothing: one that waits for work has nothing to say.
    pub(super) fn is_alive(&mut self) -> bool {
        // Its end of the socket closes before it can be waited for.
        let flags = MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT;
        let quiet = recv(self.control.as_raw_fd(), &mut [0], flags) == Err(Errno::EAGAIN);
        quiet && matches!(self.child.try_wait(), Ok(None))
    }

    /// Whether it was told to get ready for this.
    pub(super) fn is_for(&self, basis: &Arc<Basis>) -> bool {
        self.basis.as_ref().is_some_and(|told| Arc::ptr_eq(told, basis) || told == basis)
    }

    /// Whether what it has built is of what is there now. It cannot build anything anew, and what it
    /// has mounted it can see only from inside.
    pub(super) fn is_current(&self) -> bool {
        self.snapshot.is_current()
    }

    /// Says what its run will rest on, unless it knows. It can be told once.
    ///
    /// # Errors
    /// [`StartError::Handover`] if the supervisor is gone.
    pub(super) fn prepare(&mut self, basis: &Arc<Basis>) -> Result<(), StartError> {
        if !self.is_for(basis) {
            // Before it looks itself: what changes in between counts as changed.
            self.snapshot = Snapshot::of(&basis.policy.paths());
            send_basis(self.control.as_fd(), basis)?;
            self.basis = Some(Arc::clone(basis));
        }
        Ok(())
    }

    /// Hands over the plan, the command's streams and the way to the proxy.
    ///
    /// # Errors
    /// [`StartError::Handover`] if the supervisor is gone.
    pub(super) fn start(&mut self, commission: &Commission) -> Result<(), StartError> {
        let Commission { plan, stdio, proxy } = commission;
        self.prepare(&plan.basis)?;
        Ok(send_start(self.control.as_fd(), &plan.launch, stdio, proxy.as_ref())?)
    }

    /// The next event; `None` once the supervisor has closed the socket. Safe to cancel.
    ///
    /// # Errors
    /// [`ControlError`] if what came is not an event.
    pub(super) async fn next_event(&mut self) -> Result<Option<Event>, ControlError> {
        let mut chunk = [0; 4096];
        loop {
            if let Some(event) = self.decoder.next_message()? {
                return Ok(Some(event));
            }
            match self.control.read(&mut chunk).await {
                Ok(0) | Err(_) => return Ok(None),
                Ok(length) => self.decoder.push(&chunk[..length]),
            }
        }
    }

    /// Sends an order. If the supervisor is gone, the next event says so.
    pub(super) async fn order(&mut self, order: &Order) {
        let mut bytes = Vec::new();
        let sent = match send_order(&mut bytes, order) {
            Ok(()) => self.control.write_all(&bytes).await,
            Err(error) => Err(std::io::Error::other(error)),
        };
        if let Err(error) = sent {
            tracing::debug!(%error, ?order, "a supervisor was gone before it got an order");
        }
    }

    /// Lets go of a supervisor whose run is over; it is reaped in the background.
    pub(super) fn retire(self) {
        tokio::spawn(self.reap());
    }

    /// Whether the kernel has killed something of its run because memory ran out.
    pub(super) fn ran_out_of_memory(&self) -> bool {
        let group = self.groups.get().zip(self.child.id());
        group.is_some_and(|(at, id)| groups::ran_out_of_memory(at, id))
    }

    /// Ends a run that has not reported its end, and everything that is left of it.
    pub(super) async fn bury(self) {
        let family = Arc::clone(&self.family);
        if let (Some(at), Some(id)) = (self.groups.get(), self.child.id()) {
            groups::kill(at, id);
        }
        self.reap().await;
        family.kill_orphans().await;
    }

    /// Closes the socket, waits for the exit, and forces it when it takes too long.
    async fn reap(self) {
        let Self { mut child, control, family, groups: at, mut halt, basis, .. } = self;
        let pid = child.id();
        let alone = basis.is_some_and(|basis| basis.namespaces.is_none());
        drop(control);
        let exited = tokio::select! {
            exited = child.wait() => exited.is_ok(),
            () = out_of_patience(&mut halt, alone) => false,
        };
        if !exited {
            tracing::warn!(?pid, "a supervisor did not exit and was killed");
            if let Err(error) = child.kill().await {
                tracing::error!(%error, ?pid, "cannot kill a supervisor");
            }
            family.forget(pid);
            family.kill_orphans().await;
        }
        family.forget(pid);
        let Some(pid) = pid.filter(|_| at.get().is_some()) else { return };
        // Takes microseconds, unless the kernel is still letting go of the last process.
        let removed = tokio::task::spawn_blocking(move || {
            if let Some(at) = at.get() {
                groups::remove(at, pid);
            }
        });
        if let Err(error) = removed.await {
            tracing::debug!(%error, "the server ended before the groups of a run were removed");
        }
    }
}

/// Waits for as long as a supervisor may take to exit. `alone`: it has no namespaces.
async fn out_of_patience(halt: &mut watch::Receiver<Halt>, alone: bool) {
    if alone {
        return tokio::time::sleep(ALONE_PATIENCE).await;
    }
    let told = async {
        if halt.wait_for(|halt| *halt == Halt::Kill).await.is_err() {
            // Whoever would say so is gone.
            std::future::pending::<()>().await;
        }
    };
    // Either way.
    let _told_or_late = timeout(EXIT_PATIENCE, told).await;
}

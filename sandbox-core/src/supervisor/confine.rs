//! Rights given up, by the supervisor for itself and by the child for the command.

use super::canonical::{self, PROC};
use super::isolate::FirstProcess;
use super::snapshot::Snapshot;
use super::{SetupFailed, Stage};
use crate::IpcScope;
use crate::control::TreeTier;
use crate::decide::FileKind;
use crate::host::{MINIMUM_ABI, SCOPES_ABI};
use crate::plan::landlock::{LandlockRule, rules};
use crate::policy::{Observe, Policy};
use crate::sys;
use landlock::{
    ABI, Access as _, AccessFs, BitFlags, CompatLevel, Compatible, PathBeneath, Ruleset,
    RulesetAttr, RulesetCreated, RulesetCreatedAttr, RulesetStatus,
};
use nix::errno::Errno;
use nix::sys::stat::fstat;
use std::os::fd::OwnedFd;

/// What the running kernel's Landlock can do, as far as a run depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Kernel {
    abi: ABI,
    pub(super) ipc: IpcScope,
}

impl Kernel {
    /// Asks the kernel. With a `limit` it pretends to be no newer than that: the operator's switch
    /// for trying the way older kernels take.
    pub(super) fn probe(limit: Option<u32>) -> Result<Self, SetupFailed> {
        let abi = sys::landlock_abi().min(limit.unwrap_or(u32::MAX));
        if abi < MINIMUM_ABI {
            let found = if abi == 0 { "no Landlock".into() } else { format!("Landlock ABI {abi}") };
            return Err(SetupFailed::new(
                Stage::Landlock,
                Errno::EOPNOTSUPP,
                format!("this kernel has {found}; ABI {MINIMUM_ABI} (Linux 6.2) is needed"),
            ));
        }
        let ipc = if abi >= SCOPES_ABI { IpcScope::Kernel } else { IpcScope::Mediated };
        Ok(Self { abi: ABI::from(i32::try_from(abi).unwrap_or(i32::MAX)), ipc })
    }
}

/// The two rule sets of a run, made from the same opened objects.
#[derive(Debug)]
pub(super) struct Rulesets {
    /// The supervisor's: the command's, plus reading `/proc`. Everything it does on the command's
    /// behalf is thereby checked by the kernel once more, and an abstract socket or a signal of its
    /// reaches its own run alone.
    supervisor: RulesetCreated,
    /// The command's own. Nested in the supervisor's domain, so the supervisor may read the
    /// command's memory, and not the other way round.
    pub(super) command: RulesetCreated,
    /// What lay at the paths of the rules.
    pub(super) snapshot: Snapshot,
}

impl Rulesets {
    /// Opens what the policy names and makes both.
    pub(super) fn new(policy: &Policy, kernel: Kernel) -> Result<Self, SetupFailed> {
        let abi = kernel.abi;
        let (mut supervisor, mut command) =
            (handle_everything(kernel)?, handle_everything(kernel)?);
        let mut snapshot = Snapshot::default();
        for rule in rules(policy, abi) {
            snapshot.note(rule.path.clone());
            let Some(Opened { object, access }) = open_rule(&rule, abi)? else { continue };
            supervisor = add(supervisor, &object, access)?;
            command = add(command, &object, access)?;
        }
        let access = AccessFs::ReadFile | AccessFs::ReadDir;
        let proc = LandlockRule { path: PROC.to_path(), access };
        if let Some(Opened { object, access }) = open_rule(&proc, abi)? {
            supervisor = add(supervisor, &object, access)?;
        }
        if policy.observe == Observe::Audit {
            // What is done on the command's behalf is told by the mediator. What the command does
            // comes after its exec, which is not logged unless asked for (Linux 6.15).
            supervisor = supervisor.log_same_exec(false).map_err(unusual)?;
            command = command.log_new_exec(true).map_err(unusual)?;
        }
        Ok(Self { supervisor, command, snapshot })
    }
}

fn unusual(error: impl std::fmt::Display) -> SetupFailed {
    SetupFailed::in_words(Stage::Landlock, format!("landlock rule set: {error}"))
}

/// An empty rule set: everything this ABI knows is handled, so nothing is allowed.
fn handle_everything(kernel: Kernel) -> Result<RulesetCreated, SetupFailed> {
    let ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::from_all(kernel.abi));
    // An empty set of scopes is an error to ask for.
    let ruleset = match kernel.ipc {
        IpcScope::Kernel => ruleset.and_then(|r| r.scope(landlock::Scope::from_all(kernel.abi))),
        IpcScope::Mediated => ruleset,
    };
    ruleset.and_then(|r| r.create()).map_err(unusual)
}

fn add(
    ruleset: RulesetCreated,
    object: &OwnedFd,
    access: BitFlags<AccessFs>,
) -> Result<RulesetCreated, SetupFailed> {
    ruleset.add_rule(PathBeneath::new(object, access)).map_err(unusual)
}

/// Opens a rule's path. A rule whose object is gone grants nothing.
fn open_rule(rule: &LandlockRule, abi: ABI) -> Result<Option<Opened>, SetupFailed> {
    let failed =
        |errno: Errno| SetupFailed::new(Stage::Landlock, errno, format!("open {}", rule.path));
    let Some(object) = canonical::find(&rule.path).map_err(failed)? else { return Ok(None) };
    let stat = fstat(&object).map_err(failed)?;
    let access = if FileKind::of(&stat) == FileKind::Folder {
        rule.access
    } else {
        rule.access & AccessFs::from_file(abi)
    };
    Ok(if access.is_empty() { None } else { Some(Opened { object, access }) })
}

/// The object of a rule.
struct Opened {
    object: OwnedFd,
    access: BitFlags<AccessFs>,
}

/// Enforces a rule set on the calling thread and everything it starts.
pub(super) fn enforce(ruleset: RulesetCreated) -> Result<(), SetupFailed> {
    let status = ruleset
        .restrict_self()
        .map_err(|e| SetupFailed::new(Stage::Landlock, Errno::last(), e.to_string()))?;
    if status.ruleset != RulesetStatus::FullyEnforced || !status.no_new_privs {
        return Err(SetupFailed::in_words(Stage::Landlock, "only partly enforced"));
    }
    Ok(())
}

/// The supervisor confines itself, for good; the command's rule set is what is left.
pub(super) fn supervisor(
    rulesets: Rulesets,
    kernel: Kernel,
    first: Option<FirstProcess>,
) -> Result<(RulesetCreated, Option<SignalScope>), SetupFailed> {
    let failed = |what: &'static str| {
        move |errno: Errno| SetupFailed::new(Stage::ConfineSupervisor, errno, what)
    };
    sys::drop_capabilities().map_err(failed("drop capabilities"))?;
    nix::sys::prctl::set_no_new_privs().map_err(failed("no_new_privs"))?;
    nix::sys::prctl::set_dumpable(false).map_err(failed("not dumpable"))?;
    enforce(rulesets.supervisor)?;
    let scope = match first {
        Some(first) => Some(SignalScope::of_namespace(first)),
        None => SignalScope::of_this_process(kernel),
    };
    Ok((rulesets.command, scope))
}

/// Proof that the kernel keeps this process's signals inside the run, so that a signal to everybody
/// reaches the run and nobody else.
#[derive(Debug)]
pub(super) struct SignalScope(TreeTier);

impl SignalScope {
    /// From the first process of a process namespace nobody outside of it can be named.
    fn of_namespace(_first: FirstProcess) -> Self {
        Self(TreeTier::Namespace)
    }

    /// What keeps them inside.
    pub(super) fn tier(&self) -> TreeTier {
        self.0
    }

    /// By this process's Landlock domain (ABI 6).
    ///
    /// Only for a process that has just been confined. The server, of the same user and outside,
    /// must be out of reach, or there is no proof.
    fn of_this_process(kernel: Kernel) -> Option<Self> {
        let server = nix::sys::signal::kill(nix::unistd::getppid(), None);
        (kernel.ipc == IpcScope::Kernel && server == Err(Errno::EPERM))
            .then_some(Self(TreeTier::Domain))
    }

    /// Sends a signal to every process of the run at once: the kernel goes through all processes
    /// while none can be made (kill(2) with -1), so no fork gets past it.
    pub(super) fn signal_everybody(&self, signal: i32) {
        let Ok(signal) = nix::sys::signal::Signal::try_from(signal) else { return };
        // An error means that there is nobody.
        let _nobody = nix::sys::signal::kill(nix::unistd::Pid::from_raw(-1), signal);
    }
}

//! Rights given up, by the supervisor for itself and by the child for the command.

use super::{SetupFailed, Stage};
use crate::AbsPath;
use crate::plan::landlock::{LandlockRule, rules};
use crate::policy::Policy;
use crate::sys;
use landlock::{
    ABI, Access as _, AccessFs, BitFlags, CompatLevel, Compatible, PathBeneath, Ruleset,
    RulesetAttr, RulesetCreated, RulesetCreatedAttr, RulesetStatus, Scope,
};
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, OpenHow, ResolveFlag, openat2};
use nix::sys::stat::{SFlag, fstat};
use std::os::fd::OwnedFd;

/// The oldest Landlock ABI this sandbox is complete on: from 6 on (Linux 6.12) signals and abstract
/// sockets are kept inside.
pub(crate) const MINIMUM_ABI: u32 = 6;

/// The running kernel's ABI, as the `landlock` crate names it.
fn abi() -> Result<ABI, SetupFailed> {
    let abi = sys::landlock_abi();
    if abi < MINIMUM_ABI {
        let found = if abi == 0 { "no Landlock".into() } else { format!("Landlock ABI {abi}") };
        return Err(SetupFailed::new(
            Stage::Landlock,
            libc::EOPNOTSUPP,
            format!("this kernel has {found}; ABI {MINIMUM_ABI} (Linux 6.12) is needed"),
        ));
    }
    Ok(ABI::from(i32::try_from(abi).unwrap_or(i32::MAX)))
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
}

impl Rulesets {
    /// Opens what the policy names and makes both.
    pub(super) fn new(policy: &Policy) -> Result<Self, SetupFailed> {
        let abi = abi()?;
        let (mut supervisor, mut command) = (handle_everything(abi)?, handle_everything(abi)?);
        for rule in rules(policy, abi) {
            let Some((object, access)) = open_rule(&rule, abi)? else { continue };
            supervisor = add(supervisor, &object, access)?;
            command = add(command, &object, access)?;
        }
        let access = AccessFs::ReadFile | AccessFs::ReadDir;
        let proc = LandlockRule { path: AbsPath::root().join("proc").map_err(unusual)?, access };
        if let Some((object, access)) = open_rule(&proc, abi)? {
            supervisor = add(supervisor, &object, access)?;
        }
        Ok(Self { supervisor, command })
    }
}

fn unusual(error: impl std::fmt::Display) -> SetupFailed {
    SetupFailed::new(Stage::Landlock, 0, format!("landlock rule set: {error}"))
}

/// An empty rule set: everything this ABI knows is handled, so nothing is allowed.
fn handle_everything(abi: ABI) -> Result<RulesetCreated, SetupFailed> {
    Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::from_all(abi))
        .and_then(|r| r.scope(Scope::from_all(abi)))
        .and_then(|r| r.create())
        .map_err(unusual)
}

fn add(
    ruleset: RulesetCreated,
    object: &OwnedFd,
    access: BitFlags<AccessFs>,
) -> Result<RulesetCreated, SetupFailed> {
    ruleset.add_rule(PathBeneath::new(object, access)).map_err(unusual)
}

/// Opens a rule's path without following any link: the path was canonical when the policy was
/// made, so a link in it now was put there since, perhaps by an earlier run. A rule whose object is
/// gone grants nothing.
fn open_rule(
    rule: &LandlockRule,
    abi: ABI,
) -> Result<Option<(OwnedFd, BitFlags<AccessFs>)>, SetupFailed> {
    let how = OpenHow::new()
        .flags(OFlag::O_PATH | OFlag::O_CLOEXEC)
        .resolve(ResolveFlag::RESOLVE_NO_SYMLINKS);
    let failed = |errno: Errno| {
        SetupFailed::new(Stage::Landlock, errno as i32, format!("open {}", rule.path))
    };
    let object = match openat2(AT_FDCWD, rule.path.as_path(), how) {
        Ok(object) => object,
        Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP | Errno::EACCES) => return Ok(None),
        Err(errno) => return Err(failed(errno)),
    };
    let mode = SFlag::from_bits_truncate(fstat(&object).map_err(failed)?.st_mode);
    let folder = mode & SFlag::S_IFMT == SFlag::S_IFDIR;
    let access = if folder { rule.access } else { rule.access & AccessFs::from_file(abi) };
    Ok(if access.is_empty() { None } else { Some((object, access)) })
}

/// Enforces a rule set on the calling thread and everything it starts.
pub(super) fn enforce(ruleset: RulesetCreated) -> Result<(), SetupFailed> {
    let status = ruleset
        .restrict_self()
        .map_err(|e| SetupFailed::new(Stage::Landlock, Errno::last_raw(), e.to_string()))?;
    if status.ruleset != RulesetStatus::FullyEnforced || !status.no_new_privs {
        return Err(SetupFailed::new(Stage::Landlock, 0, "only partly enforced"));
    }
    Ok(())
}

/// The supervisor confines itself, for good; the command's rule set is what is left.
pub(super) fn supervisor(rulesets: Rulesets) -> Result<RulesetCreated, SetupFailed> {
    let failed = |what: &'static str| {
        move |errno: Errno| SetupFailed::new(Stage::ConfineSupervisor, errno as i32, what)
    };
    sys::drop_capabilities().map_err(failed("drop capabilities"))?;
    nix::sys::prctl::set_no_new_privs().map_err(failed("no_new_privs"))?;
    nix::sys::prctl::set_dumpable(false).map_err(failed("not dumpable"))?;
    enforce(rulesets.supervisor)?;
    Ok(rulesets.command)
}

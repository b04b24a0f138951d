//! Landlock rules as data. Pure; `supervisor::confine` opens the paths and enforces them.

use crate::AbsPath;
use crate::policy::{Access, FsPolicy, FsRule, Mediation, Policy, Reach, Scope};
use landlock::{ABI, AccessFs, BitFlags};

/// One rule to add: rights below (or on) a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LandlockRule {
    /// Canonical path.
    pub path: AbsPath,
    /// Rights, all of them known to the running ABI.
    pub access: BitFlags<AccessFs>,
}

/// Rights a rule can hold on something that is not a folder.
fn on_file(abi: ABI) -> BitFlags<AccessFs> {
    AccessFs::from_file(abi)
}

/// The kernel's rights for ours. Device nodes can never be made.
fn rights(rule: &FsRule, fs: &FsPolicy, abi: ABI) -> BitFlags<AccessFs> {
    let FsRule { path, scope, access, .. } = rule;
    let mut rights = BitFlags::<AccessFs>::empty();
    if access.contains(Access::READ) {
        rights |= AccessFs::ReadFile | AccessFs::ReadDir;
    }
    if access.contains(Access::EXECUTE) {
        rights |= AccessFs::Execute;
    }
    if access.contains(Access::WRITE) {
        rights |= AccessFs::from_write(abi)
            & !(AccessFs::MakeChar
                | AccessFs::MakeBlock
                | AccessFs::MakeSock
                | AccessFs::IoctlDev
                | AccessFs::ResolveUnix);
        // Terminal and device commands only on devices that are granted by name, and on terminals
        // of the run's own.
        if rule.is_for_device() || fs.are_own_terminals(path) {
            rights |= AccessFs::from_write(abi) & AccessFs::IoctlDev;
        }
    }
    if access.contains(Access::MAKE_SOCKET) {
        rights |= AccessFs::MakeSock;
    }
    match scope {
        Scope::Tree => rights,
        Scope::File => rights & on_file(abi),
    }
}

/// All rules of a policy, in its order, for a kernel with this ABI.
#[must_use]
pub fn rules(policy: &Policy, abi: ABI) -> Vec<LandlockRule> {
    let mut rules: Vec<LandlockRule> = policy
        .fs
        .rules
        .iter()
        .map(|r| LandlockRule { path: r.path.clone(), access: rights(r, &policy.fs, abi) })
        .filter(|r| !r.access.is_empty())
        .collect();
    if AccessFs::from_all(abi).contains(AccessFs::ResolveUnix) {
        rules.extend(socket_rules(policy));
    }
    rules
}

use landlock::Access as _;

/// ABI 9 and newer judge connecting to a pathname socket as well. The kernel knows trees only, so
/// a grant of direct children becomes its folder; mediation keeps the exact line.
fn socket_rules(policy: &Policy) -> Vec<LandlockRule> {
    let access: BitFlags<AccessFs> = AccessFs::ResolveUnix.into();
    match policy.unix.mediation {
        Mediation::Off => vec![LandlockRule { path: AbsPath::root(), access }],
        Mediation::Pathname => policy
            .unix
            .grants
            .iter()
            .map(|grant| match grant.reach {
                Reach::Exact | Reach::Children | Reach::Subtree => {
                    LandlockRule { path: grant.path.clone(), access }
                }
            })
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{
        Environment, Isolation, Limits, NetworkMode, NetworkPolicy, Observe, Origins, Source,
        UnixGrant, UnixPolicy,
    };
    use crate::rate::Quota;
    use std::num::NonZeroU32;

    fn policy(rules: Vec<(&str, Scope, Access)>) -> Policy {
        let source = || Source { profile: "t".into(), rule: "r".into(), line: None };
        let path = |p: &str| AbsPath::new(p).unwrap();
        Policy {
            name: "t".into(),
            fs: FsPolicy::of_rules(
                rules
                    .into_iter()
                    .map(|(p, scope, access)| FsRule {
                        path: path(p),
                        scope,
                        access,
                        source: source(),
                    })
                    .collect(),
            ),
            unix: UnixPolicy {
                mediation: Mediation::Pathname,
                grants: vec![UnixGrant {
                    path: path("/run/x"),
                    reach: Reach::Exact,
                    bind: false,
                    source: source(),
                }],
                datagrams: false,
            },
            network: NetworkPolicy::of_mode(NetworkMode::Open),
            environment: Environment::default(),
            rate: Quota { per_second: NonZeroU32::MIN, burst: NonZeroU32::MIN },
            observe: Observe::Off,
            limits: Limits::default(),
            isolation: Isolation::Auto,
            origins: Origins::default(),
        }
    }

    #[test]
    fn writing_never_makes_devices_or_sockets() {
        let policy = policy(vec![("/ws", Scope::Tree, Access::WRITE)]);
        for abi in [ABI::V1, ABI::V3, ABI::V5, ABI::V7, ABI::V9, ABI::V10] {
            let access = rules(&policy, abi)[0].access;
            assert!(!access.intersects(
                AccessFs::MakeChar | AccessFs::MakeBlock | AccessFs::MakeSock | AccessFs::IoctlDev
            ));
            assert!(AccessFs::from_all(abi).contains(access), "{abi:?}");
        }
    }

    #[test]
    fn files_get_file_rights_and_devices_their_commands() {
        let all = Access::READ | Access::WRITE;
        let policy = policy(vec![("/dev/tty", Scope::File, all), ("/etc/hosts", Scope::File, all)]);
        let rules = rules(&policy, ABI::V7);
        assert!(rules[0].access.contains(AccessFs::IoctlDev));
        assert!(!rules[1].access.contains(AccessFs::IoctlDev));
        assert!(!rules[1].access.intersects(AccessFs::ReadDir | AccessFs::MakeReg));
    }

    #[test]
    fn socket_grants_become_rules_from_abi_9_on() {
        let policy = policy(vec![]);
        assert!(rules(&policy, ABI::V8).is_empty());
        let rules = rules(&policy, ABI::V9);
        assert_eq!(rules.len(), 1);
        assert_eq!(rules[0].path, AbsPath::new("/run/x").unwrap());
        assert_eq!(rules[0].access, BitFlags::from(AccessFs::ResolveUnix));
    }
}

//! Narrowing never widens, over generated policies; and what it is for.

use super::*;
use nono_sandbox::AbsPath;
use nono_sandbox::policy::{
    Access, FsPolicy, FsRule, Isolation, Limit, Limits, Lookup, Mediation, NetworkMode,
    NetworkPolicy, Observe, Origin, Origins, Reach, Scope, Source, UnixGrant, UnixPolicy,
};
use proptest::prelude::*;
use std::num::NonZeroU32;

/// Every path that can occur: three names, three levels.
fn paths() -> Vec<AbsPath> {
    let mut all = vec![AbsPath::root()];
    let mut level = all.clone();
    for _ in 0..3 {
        level = level
            .iter()
            .flat_map(|path| ["a", "b", "t"].map(|name| path.join(name).unwrap()))
            .collect();
        all.extend(level.iter().cloned());
    }
    all
}

fn path() -> impl Strategy<Value = AbsPath> {
    prop::sample::select(paths())
}

fn source() -> Source {
    Source { profile: "t".into(), rule: "r".into(), line: None }
}

fn rule() -> impl Strategy<Value = FsRule> {
    (path(), any::<bool>(), 1u8..16).prop_map(|(path, tree, bits)| FsRule {
        path,
        scope: if tree { Scope::Tree } else { Scope::File },
        access: Access::from_bits_truncate(bits),
        source: source(),
    })
}

fn grant() -> impl Strategy<Value = UnixGrant> {
    let reach = prop_oneof![Just(Reach::Exact), Just(Reach::Children), Just(Reach::Subtree)];
    (path(), reach, any::<bool>()).prop_map(|(path, reach, bind)| UnixGrant {
        path,
        reach,
        bind,
        source: source(),
    })
}

fn policy() -> impl Strategy<Value = Policy> {
    let parts = (
        prop::collection::vec(rule(), 0..8),
        prop::collection::vec(grant(), 0..5),
        any::<[bool; 3]>(),
        prop::collection::btree_map("[A-D]", prop::collection::vec(any::<u8>(), 0..2), 0..4),
        limits(),
    );
    parts.prop_map(|(rules, grants, [off, datagrams, open], variables, limits)| Policy {
        name: "p".into(),
        fs: FsPolicy {
            workspaces: vec![AbsPath::new("/a").unwrap()],
            tmpdir: AbsPath::new("/t").unwrap(),
            ..FsPolicy::of_rules(rules)
        },
        unix: UnixPolicy {
            mediation: if off { Mediation::Off } else { Mediation::Pathname },
            grants,
            datagrams,
        },
        network: NetworkPolicy::of_mode(if open { NetworkMode::Open } else { NetworkMode::None }),
        environment: Environment { variables, ..Environment::default() },
        rate: Quota { per_second: NonZeroU32::MIN, burst: NonZeroU32::MIN },
        observe: Observe::All,
        limits,
        isolation: Isolation::Auto,
        origins: Origins::default(),
    })
}

fn single_rights() -> impl Iterator<Item = Access> {
    Access::all().iter()
}

fn may(policy: &Policy, path: &AbsPath, access: Access) -> bool {
    policy.fs.lookup(path, access) == Lookup::Allowed
}

fn connects(policy: &Policy, path: &AbsPath) -> bool {
    policy.unix.mediation == Mediation::Off || policy.unix.connect_grant(path).is_some()
}

fn binds(policy: &Policy, path: &AbsPath) -> bool {
    policy.unix.mediation == Mediation::Off || policy.unix.bind_grant(path).is_some()
}

/// Whatever `narrow` allows, `wide` allows.
fn assert_within(narrow: &Policy, wide: &Policy) {
    for path in paths() {
        for access in single_rights() {
            assert!(!may(narrow, &path, access) || may(wide, &path, access), "{path} {access:?}");
        }
        assert!(!connects(narrow, &path) || connects(wide, &path), "connect {path}");
        assert!(!binds(narrow, &path) || binds(wide, &path), "bind {path}");
    }
    assert!(narrow.network.mode <= wide.network.mode);
    assert!(limits_within(&narrow.limits, &wide.limits));
    let wide_datagrams = wide.unix.datagrams || wide.unix.mediation == Mediation::Off;
    assert!(!narrow.unix.datagrams || wide_datagrams);
    assert!(wide.unix.mediation == Mediation::Off || narrow.unix.mediation == Mediation::Pathname);
    for (name, value) in &narrow.environment.variables {
        assert_eq!(wide.environment.variables.get(name), Some(value));
    }
}

/// An offer of `base`, with `listed` to choose as well.
fn offer(base: &Policy, listed: &Policy) -> Offer {
    let mut offer = Offer::new(base.clone());
    offer.add("listed", listed);
    offer
}

/// A limit each time it is there, as tight as any.
fn limits() -> impl Strategy<Value = Limits> {
    prop::collection::vec((prop::sample::select(&Limit::ALL[..]), 1u64..5), 0..4).prop_map(|list| {
        let mut limits = Limits::default();
        list.into_iter().for_each(|(limit, most)| limits.set(limit, most));
        limits
    })
}

/// Whether `narrow` has no limit above `wide`'s.
fn limits_within(narrow: &Limits, wide: &Limits) -> bool {
    let most = |limits: &Limits, limit| limits.get(limit).unwrap_or(u64::MAX);
    Limit::ALL.into_iter().all(|limit| most(narrow, limit) <= most(wide, limit))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn an_intersection_is_exactly_what_both_allow(a in policy(), b in policy()) {
        let both = intersection(&a, &b);
        assert_within(&both, &a);
        for path in paths() {
            for access in single_rights() {
                prop_assert_eq!(
                    may(&both, &path, access),
                    may(&a, &path, access) && may(&b, &path, access),
                    "{} {:?}", path, access
                );
            }
            prop_assert_eq!(connects(&both, &path), connects(&a, &path) && connects(&b, &path));
            prop_assert_eq!(binds(&both, &path), binds(&a, &path) && binds(&b, &path));
        }
        let names: Vec<_> = both.environment.variables.keys().collect();
        let expected: Vec<_> = a.environment.variables.keys()
            .filter(|name| b.environment.variables.contains_key(*name)).collect();
        prop_assert_eq!(names, expected);
    }

    #[test]
    fn narrowing_never_widens(
        base in policy(),
        listed in policy(),
        choose in any::<bool>(),
        network in prop::option::of(prop::sample::select(NetworkMode::ALL.to_vec())),
        writable in prop::option::of(prop::collection::vec((path(), any::<bool>()), 0..3)),
        asked in limits(),
    ) {
        let wanted = Narrowing {
            profile: choose.then(|| "listed".to_owned()),
            network,
            writable: writable.map(|list| {
                list.into_iter().map(|(path, is_folder)| Writable { path, is_folder }).collect()
            }),
            limits: asked,
        };
        let narrow = match offer(&base, &listed).narrow(&wanted) {
            Ok(narrow) => narrow,
            // Refused only for what the call is not given anyway.
            Err(NarrowError::WiderLimit { .. }) => {
                prop_assert!(!limits_within(&asked, &base.limits) || choose);
                return Ok(());
            }
            Err(_) => return Ok(()),
        };
        assert_within(&narrow, &base);
        prop_assert!(limits_within(&narrow.limits, &asked));
        if choose {
            for path in paths() {
                for access in single_rights() {
                    prop_assert!(!may(&narrow, &path, access) || may(&listed, &path, access));
                }
            }
            prop_assert!(narrow.network.mode <= listed.network.mode);
        }
        if let Some(network) = network {
            prop_assert_eq!(narrow.network.mode, network);
        }
        if let Some(writable) = &wanted.writable {
            for path in paths().iter().filter(|path| !path.is_within(&base.fs.tmpdir)) {
                let kept = writable.iter().any(|w| {
                    *path == w.path || w.is_folder && path.is_within(&w.path)
                });
                prop_assert!(kept || !may(&narrow, path, Access::WRITE), "{}", path);
                prop_assert_eq!(
                    may(&narrow, path, Access::READ),
                    may(&base, path, Access::READ) && (!choose || may(&listed, path, Access::READ))
                );
            }
            for wanted in writable {
                prop_assert!(may(&narrow, &wanted.path, Access::WRITE));
            }
        }
    }
}

fn simple(rules: &[(&str, Access)], network: NetworkMode) -> Policy {
    let one = NonZeroU32::MIN;
    let rules = rules.iter().map(|(path, access)| FsRule {
        path: AbsPath::new(*path).unwrap(),
        scope: Scope::Tree,
        access: *access,
        source: source(),
    });
    Policy {
        name: "base".into(),
        fs: FsPolicy {
            workspaces: vec![AbsPath::new("/a").unwrap()],
            tmpdir: AbsPath::new("/t").unwrap(),
            ..FsPolicy::of_rules(rules.collect())
        },
        unix: UnixPolicy { mediation: Mediation::Pathname, grants: vec![], datagrams: false },
        network: NetworkPolicy::of_mode(network),
        environment: Environment::default(),
        rate: Quota { per_second: one, burst: one },
        observe: Observe::All,
        limits: Limits { open_files: Some(50), ..Limits::default() },
        isolation: Isolation::Auto,
        origins: Origins::default(),
    }
}

#[test]
fn widening_requests_are_refused_with_the_reason() {
    let base = simple(&[("/a", Access::READ | Access::WRITE)], NetworkMode::None);
    let mut offered = Offer::new(base.clone());
    offered.add("strict", &base);
    let refused = |wanted: Narrowing| offered.narrow(&wanted).unwrap_err().to_string();
    let message = refused(Narrowing { network: Some(NetworkMode::Open), ..Narrowing::default() });
    assert!(message.contains("network open was asked for, and the profile has none"), "{message}");
    let outside = Writable { path: AbsPath::new("/b").unwrap(), is_folder: true };
    let message = refused(Narrowing { writable: Some(vec![outside]), ..Narrowing::default() });
    assert!(message.contains("/b is not writable by the profile"), "{message}");
    assert!(message.ends_with("writable: /a"), "{message}");
    let limits = Limits { open_files: Some(51), ..Limits::default() };
    let message = refused(Narrowing { limits, ..Narrowing::default() });
    assert!(message.starts_with("limits.open_files 51 was asked for, and a run may have 50"));
    assert!(message.contains("ask for at most 50"), "{message}");
    let unknown = |name: &str| Narrowing { profile: Some(name.into()), ..Narrowing::default() };
    assert!(refused(unknown("strikt")).contains("did you mean `strict`?"));
    assert!(refused(unknown("coding")).contains("to choose from: strict"));
    let none = Offer::new(base).narrow(&unknown("x")).unwrap_err().to_string();
    assert!(none.contains("offers none"), "{none}");
}

#[test]
fn a_narrower_value_says_where_it_comes_from() {
    let written = |line| {
        let source = Source { line: Some(line), ..source() };
        Origin::Written(source)
    };
    let mut base = simple(&[], NetworkMode::Open);
    base.origins.set("network.mode", written(1));
    base.origins.set("limits.open_files", written(2));
    let mut listed = simple(&[], NetworkMode::None);
    listed.limits.open_files = Some(99);
    listed.limits.tasks = Some(7);
    listed.origins.set("network.mode", written(3));
    listed.origins.set("limits.open_files", written(4));
    listed.origins.set("limits.processes", written(5));
    let limits = Limits { output_bytes: Some(9), tasks: Some(7), ..Limits::default() };
    let wanted = Narrowing { profile: Some("listed".into()), limits, ..Narrowing::default() };
    let narrow = offer(&base, &listed).narrow(&wanted).unwrap();
    assert_eq!(narrow.name, "listed");
    let of = |field| narrow.origins.of(field).clone();
    assert_eq!(of("network.mode"), written(3));
    assert_eq!((narrow.limits.open_files, of("limits.open_files")), (Some(50), written(2)));
    // Asking for what is there anyway changes nothing.
    assert_eq!((narrow.limits.tasks, of("limits.processes")), (Some(7), written(5)));
    assert_eq!((narrow.limits.output_bytes, of("limits.output_bytes")), (Some(9), Origin::Call));
    assert_eq!(of("rate.burst"), Origin::Default);
}

#[test]
fn nothing_asked_nothing_changed() {
    let base = simple(&[("/a", Access::WRITE)], NetworkMode::Open);
    let same = Offer::new(base.clone()).narrow(&Narrowing::default()).unwrap();
    assert_eq!(same, base);
}

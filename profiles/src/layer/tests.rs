//! Laying layers over each other, over generated layers.

use super::*;
use nono_sandbox::policy::{Limit, NetworkMode};
use proptest::prelude::*;

fn sourced<T>(value: T, line: u32) -> Sourced<T> {
    let source = Source { profile: "t".into(), rule: "r".into(), line: Some(line) };
    Sourced { value, source, built_in: false }
}

fn list() -> impl Strategy<Value = List<String>> {
    let names = || prop::collection::vec("[a-e]", 0..5);
    (names(), names(), any::<u8>()).prop_map(|(added, removed, line)| List {
        added: List::adding(added.into_iter().map(|name| sourced(name, u32::from(line))).collect())
            .added,
        removed: removed
            .into_iter()
            .map(|name| Removal { name, source: sourced((), 0).source, used: false })
            .collect(),
    })
}

fn single() -> impl Strategy<Value = Single> {
    let network = prop::option::of(prop::sample::select(NetworkMode::ALL.to_vec()));
    let limits = prop::collection::btree_map(prop::sample::select(&Limit::ALL[..]), 1u64..9, 0..4);
    let parts = (network, prop::option::of(any::<bool>()), any::<u8>(), limits);
    parts.prop_map(|(network, on, line, limits)| Single {
        limits: limits
            .into_iter()
            .map(|(limit, most)| (limit, sourced(most, u32::from(line))))
            .collect(),
        network: network.map(|n| sourced(n, u32::from(line))),
        read_only: on.map(|on| sourced(on, u32::from(line))),
        datagrams: on.map(|on| sourced(!on, u32::from(line))),
        ..Single::default()
    })
}

fn layer() -> impl Strategy<Value = Layer> {
    (list(), list(), single()).prop_map(|(groups, suppressed, single)| Layer {
        groups,
        suppress_unix_sockets: suppressed,
        single,
        ..Layer::default()
    })
}

fn same(a: &List<String>, b: &List<String>) -> bool {
    let removed = |list: &List<String>| {
        let mut names: Vec<String> = list.removed.iter().map(|r| r.name.clone()).collect();
        names.sort_unstable();
        names.dedup();
        names
    };
    a.added == b.added && removed(a) == removed(b)
}

proptest! {
    #[test]
    fn grouping_does_not_matter(a in layer(), b in layer(), c in layer()) {
        let left = c.clone().over(b.clone()).over(a.clone());
        let right = c.over(b.over(a));
        prop_assert!(same(&left.groups, &right.groups));
        prop_assert!(same(&left.suppress_unix_sockets, &right.suppress_unix_sockets));
        prop_assert_eq!(left.single, right.single);
    }

    #[test]
    fn nothing_is_the_neutral_layer(a in layer()) {
        let over = a.clone().over(Layer::default());
        let under = Layer::default().over(a.clone());
        prop_assert!(same(&over.groups, &a.groups) && same(&under.groups, &a.groups));
        prop_assert_eq!(&over.single, &a.single);
        prop_assert_eq!(&under.single, &a.single);
    }

    #[test]
    fn a_list_has_no_repetitions(a in list(), b in list()) {
        let both = b.over(a);
        for (at, entry) in both.added.iter().enumerate() {
            prop_assert!(both.added.iter().skip(at + 1).all(|other| other.value != entry.value));
        }
    }
}

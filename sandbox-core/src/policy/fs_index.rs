//! The question that watched calls ask most, "is this allowed?", answered without asking every rule.

use super::kept::folded;
use super::{Access, FsPolicy, Scope};
use crate::AbsPath;
use std::collections::{HashMap, HashSet};

/// What an [`FsPolicy`] allows, by path.
///
/// A policy has hundreds of rules and kept paths, and a watched call waits while they are asked: one
/// by one they cost it more than the call. Here a path costs a look-up for each folder it is in. It
/// says only whether; the policy says why not.
#[derive(Debug)]
pub struct FsIndex {
    said: HashMap<Box<[u8]>, Said>,
    /// What stays as it is however it is spelled, folded.
    any_case: HashSet<Vec<u8>>,
}

/// What is said about one path.
#[derive(Debug, Clone, Copy, Default)]
struct Said {
    /// Given by rules for the tree below it.
    tree: Access,
    /// Given by rules for the path alone.
    alone: Access,
    /// It stays as it is.
    kept: bool,
}

impl FsIndex {
    /// The index of a policy.
    #[must_use]
    pub fn new(policy: &FsPolicy) -> Self {
        let mut said: HashMap<Box<[u8]>, Said> = HashMap::new();
        for rule in &policy.rules {
            let entry = said.entry(rule.path.as_bytes().into()).or_default();
            match rule.scope {
                Scope::Tree => entry.tree |= rule.access,
                Scope::File => entry.alone |= rule.access,
            }
        }
        let (any_case, exact): (Vec<_>, Vec<_>) = policy.kept.iter().partition(|k| k.any_case);
        for kept in exact {
            said.entry(kept.path.as_bytes().into()).or_default().kept = true;
        }
        let any_case = any_case.into_iter().map(|kept| folded(kept.path.as_bytes())).collect();
        Self { said, any_case }
    }

    /// Whether it stays as it is however it is spelled.
    fn keeps_any_case(&self, path: &AbsPath) -> bool {
        !self.any_case.is_empty()
            && holders(&folded(path.as_bytes())).any(|holder| self.any_case.contains(holder))
    }

    /// Whether [`FsPolicy::lookup`] says [`Allowed`](super::Lookup::Allowed).
    #[must_use]
    pub fn allows(&self, path: &AbsPath, access: Access) -> bool {
        self.about(path).allow(access)
    }

    /// Whether [`FsPolicy::lookup_name`] says [`Allowed`](super::Lookup::Allowed).
    #[must_use]
    pub fn allows_name(&self, path: &AbsPath, access: Access) -> bool {
        let folder = path.parent().unwrap_or_else(AbsPath::root);
        let there = self.about(&folder);
        let kept = there.kept || self.said_of(path.as_bytes()).kept;
        Said { kept: kept || self.keeps_any_case(path), ..there }.allow(access)
    }

    /// All that counts for a path.
    fn about(&self, path: &AbsPath) -> Said {
        let alone = self.said_of(path.as_bytes()).alone;
        let start = Said { alone, kept: self.keeps_any_case(path), ..Said::default() };
        holders(path.as_bytes()).map(|holder| self.said_of(holder)).fold(start, |all, said| Said {
            tree: all.tree | said.tree,
            kept: all.kept || said.kept,
            ..all
        })
    }

    fn said_of(&self, path: &[u8]) -> Said {
        self.said.get(path).copied().unwrap_or_default()
    }
}

impl Said {
    fn allow(self, access: Access) -> bool {
        let stays = self.kept && access.intersects(Access::CHANGES);
        (self.tree | self.alone).contains(access) && !stays
    }
}

/// The path and every folder it is in, the root first.
fn holders(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    let slashes = path.iter().enumerate().skip(1).filter(|(_, byte)| **byte == b'/');
    let folders = slashes.filter_map(|(at, _)| path.get(..at));
    let itself = (path.len() > 1).then_some(path);
    std::iter::once(&b"/"[..]).chain(folders).chain(itself)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{FsRule, Kept, Lookup, Source};
    use proptest::prelude::*;

    fn source() -> Source {
        Source { profile: "t".into(), rule: "r".into(), line: None }
    }

    /// Few names, so that rules and paths meet.
    fn path() -> impl Strategy<Value = AbsPath> {
        let names = prop::collection::vec(prop::sample::select(vec!["a", "b", "A", "ab"]), 0..4);
        names.prop_map(|names| AbsPath::new(format!("/{}", names.join("/"))).unwrap())
    }

    fn access() -> impl Strategy<Value = Access> {
        any::<u8>().prop_map(Access::from_bits_truncate)
    }

    fn policy() -> impl Strategy<Value = FsPolicy> {
        let scope = prop::bool::ANY.prop_map(|tree| if tree { Scope::Tree } else { Scope::File });
        let rule = (path(), scope, access()).prop_map(|(path, scope, access)| FsRule {
            path,
            scope,
            access,
            source: source(),
        });
        let kept = (path(), prop::bool::ANY).prop_map(|(path, any_case)| Kept {
            path,
            source: source(),
            any_case,
        });
        let (rules, kept) = (prop::collection::vec(rule, 0..6), prop::collection::vec(kept, 0..3));
        (rules, kept).prop_map(|(rules, kept)| FsPolicy { kept, ..FsPolicy::of_rules(rules) })
    }

    proptest! {
        #[test]
        fn the_index_says_what_the_rules_say(policy in policy(), path in path(), access in access()) {
            let index = FsIndex::new(&policy);
            let allowed = |answer| answer == Lookup::Allowed;
            prop_assert_eq!(index.allows(&path, access), allowed(policy.lookup(&path, access)));
            let name = allowed(policy.lookup_name(&path, access));
            prop_assert_eq!(index.allows_name(&path, access), name);
        }
    }

    #[test]
    fn every_folder_holds_what_is_in_it() {
        let seen = |path: &str| -> Vec<String> {
            holders(path.as_bytes()).map(|h| String::from_utf8(h.to_vec()).unwrap()).collect()
        };
        assert_eq!(seen("/"), ["/"]);
        assert_eq!(seen("/a"), ["/", "/a"]);
        assert_eq!(seen("/a/b c/d"), ["/", "/a", "/a/b c", "/a/b c/d"]);
    }
}

//! The question that watched calls ask most, "is this allowed?", answered without asking every rule.

use super::protected::folded;
use super::{Access, FsPolicy, Scope};
use crate::AbsPath;
use std::collections::{HashMap, HashSet};

/// What an [`FsPolicy`] allows, by path.
///
/// A policy has hundreds of rules and protected paths, and a watched call waits while they are
/// asked: one by one they cost it more than the call. Here a path costs a look-up for each folder it
/// is in. It says only whether; the policy says why not.
#[derive(Debug)]
pub struct FsIndex {
    said: HashMap<Box<[u8]>, Said>,
    /// What stays as it is however it is spelled, folded.
    any_case: HashSet<Vec<u8>>,
    /// The folders on the way to that, folded.
    on_the_way: HashSet<Vec<u8>>,
}

/// What is said about one path.
#[derive(Debug, Clone, Copy, Default)]
struct Said {
    /// Given by rules for the tree below it.
    tree: Access,
    /// Given by rules for the path alone.
    alone: Access,
    /// It stays as it is.
    protected: bool,
    /// It holds something that stays as it is.
    holds_protected: bool,
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
        let (any_case, exact): (Vec<_>, Vec<_>) = policy.protected.iter().partition(|k| k.any_case);
        for protected in exact {
            for holder in holders(protected.path.as_bytes()) {
                said.entry(holder.into()).or_default().holds_protected = true;
            }
            said.entry(protected.path.as_bytes().into()).or_default().protected = true;
        }
        let any_case: HashSet<Vec<u8>> =
            any_case.into_iter().map(|protected| folded(protected.path.as_bytes())).collect();
        let on_the_way =
            any_case.iter().flat_map(|protected| holders(protected)).map(<[u8]>::to_vec);
        Self { said, on_the_way: on_the_way.collect(), any_case }
    }

    /// Whether it stays as it is however it is spelled.
    fn protects_any_case(&self, path: &AbsPath) -> bool {
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
        let there = self.about(&folder(path));
        let protected = there.protected || self.said_of(path.as_bytes()).protected;
        Said { protected: protected || self.protects_any_case(path), ..there }.allow(access)
    }

    /// Whether a name may be moved, linked or exchanged: nothing that stays as it is goes with either
    /// name, both folders may be changed, and neither gives rights that the other does not. Where
    /// this says no, [`relocation`](crate::decide::relocation) may still find nothing against it.
    #[must_use]
    pub fn allows_move(&self, from: &AbsPath, to: &AbsPath) -> bool {
        let free = |name| self.allows_name(name, Access::WRITE) && !self.holds_protected(name);
        let rights = |name: &AbsPath| self.about(&folder(name)).granted();
        free(from) && free(to) && rights(from) == rights(to)
    }

    /// Whether something that stays as it is lies in it.
    fn holds_protected(&self, path: &AbsPath) -> bool {
        let folded = || folded(path.as_bytes());
        self.said_of(path.as_bytes()).holds_protected
            || (!self.on_the_way.is_empty() && self.on_the_way.contains(&folded()))
    }

    /// All that counts for a path.
    fn about(&self, path: &AbsPath) -> Said {
        let alone = self.said_of(path.as_bytes()).alone;
        let start = Said { alone, protected: self.protects_any_case(path), ..Said::default() };
        holders(path.as_bytes()).map(|holder| self.said_of(holder)).fold(start, |all, said| Said {
            tree: all.tree | said.tree,
            protected: all.protected || said.protected,
            ..all
        })
    }

    fn said_of(&self, path: &[u8]) -> Said {
        self.said.get(path).copied().unwrap_or_default()
    }
}

impl Said {
    fn allow(self, access: Access) -> bool {
        let stays = self.protected && access.intersects(Access::CHANGES);
        self.granted().contains(access) && !stays
    }

    fn granted(self) -> Access {
        self.tree | self.alone
    }
}

/// The folder a name is in.
fn folder(name: &AbsPath) -> AbsPath {
    name.parent().unwrap_or_else(AbsPath::root)
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
    use crate::decide::{Relocation, relocation};
    use crate::policy::{FsRule, Lookup, Protected, Source};
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
        let protected = (path(), prop::bool::ANY).prop_map(|(path, any_case)| Protected {
            path,
            source: source(),
            any_case,
        });
        let (rules, protected) =
            (prop::collection::vec(rule, 0..6), prop::collection::vec(protected, 0..3));
        (rules, protected)
            .prop_map(|(rules, protected)| FsPolicy { protected, ..FsPolicy::of_rules(rules) })
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

        #[test]
        fn no_move_is_allowed_that_the_rules_refuse(policy in policy(), from in path(), to in path()) {
            if FsIndex::new(&policy).allows_move(&from, &to) {
                for how in [Relocation::Rename, Relocation::Exchange, Relocation::Link] {
                    for is_folder in [false, true] {
                        prop_assert_eq!(relocation(&policy, how, &from, &to, is_folder), None);
                    }
                }
            }
        }
    }

    #[test]
    fn the_usual_move_is_allowed_and_one_of_a_folder_that_holds_something_protected_is_not() {
        let path = |p: &str| AbsPath::new(p).unwrap();
        let access = Access::READ | Access::CHANGES;
        let rule = FsRule { path: path("/ws"), scope: Scope::Tree, access, source: source() };
        for any_case in [false, true] {
            let protected = Protected { path: path("/ws/.git/hooks"), source: source(), any_case };
            let policy =
                FsPolicy { protected: vec![protected], ..FsPolicy::of_rules(vec![rule.clone()]) };
            let index = FsIndex::new(&policy);
            let allows = |from, to| index.allows_move(&path(from), &path(to));
            assert!(allows("/ws/.git/HEAD.lock", "/ws/.git/HEAD") && allows("/ws/a", "/ws/d/a"));
            for (from, to) in [
                ("/ws/.git", "/ws/x"),
                ("/ws/x", "/ws/.git"),
                ("/ws/x", "/ws/.git/hooks/x"),
                ("/ws/.git/hooks", "/ws/x"),
                ("/ws", "/x"),
                ("/ws/x", "/x"),
            ] {
                assert!(!allows(from, to), "{from} {to}");
            }
            assert_eq!(allows("/ws/.GIT", "/ws/x"), !any_case);
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

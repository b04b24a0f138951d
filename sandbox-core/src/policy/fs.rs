//! File-system rules and the one question asked of them.

use super::{Denied, Hiding, Protected, ProtectedPattern, ReadOnly, Source, Tmp};
use crate::AbsPath;
use serde::{Deserialize, Serialize};

bitflags::bitflags! {
    /// What may be done with a path. Landlock's finer rights are derived from these in one place
    /// ([`crate::plan::landlock`]).
    #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
    pub struct Access: u8 {
        /// Read files, list folders.
        const READ = 1;
        /// Execute files.
        const EXECUTE = 2;
        /// Write and truncate files; in a tree also create, remove, rename and link.
        const WRITE = 4;
        /// Create sockets by `bind`. Only the `unix_socket*_bind` grants give this.
        const MAKE_SOCKET = 8;
    }
}

impl Access {
    /// Rights that change something: a socket that is made is a new name as well.
    pub const CHANGES: Self = Self::WRITE.union(Self::MAKE_SOCKET);
}

/// Whether a rule covers one object or a whole tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Scope {
    /// Exactly this file.
    File,
    /// This folder and everything below it.
    Tree,
}

/// One grant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FsRule {
    /// Canonical path of an object that existed when the profile was resolved.
    pub path: AbsPath,
    /// One object or a tree.
    pub scope: Scope,
    /// What it allows.
    pub access: Access,
    /// Where it was written.
    pub source: Source,
}

impl FsRule {
    /// Whether the rule says anything about `path`.
    #[must_use]
    pub fn covers(&self, path: &AbsPath) -> bool {
        match self.scope {
            Scope::File => *path == self.path,
            Scope::Tree => path.is_within(&self.path),
        }
    }

    /// Whether the rule is for one device, granted by its name.
    #[must_use]
    pub fn is_for_device(&self) -> bool {
        self.scope == Scope::File && self.path.as_path().starts_with("/dev")
    }
}

/// All grants of a policy. Rights add up: Landlock has no deny rule, so neither has this type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FsPolicy {
    /// The grants, in the order the profile gave them.
    pub rules: Vec<FsRule>,
    /// What no rule may open: credential stores, the server's own files. Resolution has already
    /// made sure that no rule covers them; kept to word denials better.
    pub denied: Vec<Denied>,
    /// What the grants lack because the profile is read-only; kept to word denials better.
    pub read_only: Option<ReadOnly>,
    /// What stays as it is although a rule lets it be written.
    pub protected: Vec<Protected>,
    /// What more of that is looked for when a run starts.
    pub protected_patterns: Vec<ProtectedPattern>,
    /// The trees in which anything is found to stay as it is: the workspaces, and what the operator
    /// lets be written beside them.
    pub protected_roots: Vec<AbsPath>,
    /// The workspace folders, which results name as writable roots.
    pub workspaces: Vec<AbsPath>,
    /// The private temporary folder of this server.
    pub tmpdir: AbsPath,
    /// What is at `/tmp`.
    pub tmp: Tmp,
    /// What is seen of `denied`.
    pub hiding: Hiding,
    /// Whether the terminals that have names are those the run has made, and no others.
    pub own_terminals: bool,
}

/// The answer to "may this be done with that path?".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lookup<'p> {
    /// The rules together allow it.
    Allowed,
    /// No rule covers the path.
    NoGrant,
    /// Rules cover the path, without the access asked for; the nearest one is named.
    InsufficientAccess(&'p FsRule),
    /// The path is denied; no rule opens it.
    Denied(&'p Denied),
    /// The rules allow it, and the path is protected: it stays as it is all the same.
    Protected(&'p Protected),
}

impl FsPolicy {
    /// What these rules allow, and nothing said beside them.
    #[must_use]
    pub fn of_rules(rules: Vec<FsRule>) -> Self {
        Self {
            rules,
            denied: Vec::new(),
            read_only: None,
            protected: Vec::new(),
            protected_patterns: Vec::new(),
            protected_roots: Vec::new(),
            workspaces: Vec::new(),
            tmpdir: AbsPath::root(),
            tmp: Tmp::default(),
            hiding: Hiding::default(),
            own_terminals: false,
        }
    }

    /// Whether `access` to the canonical `path` is allowed, and if not, why.
    #[must_use]
    pub fn lookup(&self, path: &AbsPath, access: Access) -> Lookup<'_> {
        self.judge(path, path, access)
    }

    /// Whether the *name* `path` may be made, removed or moved. That is a right on the folder, so
    /// neither a rule for the file itself nor one for the tree it heads gives it.
    #[must_use]
    pub fn lookup_name(&self, path: &AbsPath, access: Access) -> Lookup<'_> {
        self.judge(path, &path.parent().unwrap_or_else(AbsPath::root), access)
    }

    /// Whether something empty is seen in the place of `path`, or of what holds it.
    #[must_use]
    pub fn hides(&self, path: &AbsPath) -> bool {
        self.hiding == Hiding::On && matches!(self.lookup(path, Access::READ), Lookup::Denied(_))
    }

    /// What would be replaced if something else came to be at the name `path`, or went from there.
    #[must_use]
    pub fn protected_by_name(&self, path: &AbsPath) -> Option<&Protected> {
        self.protected.iter().find(|protected| protected.goes_with(path))
    }

    /// Everything the rules together allow on the canonical `path`.
    #[must_use]
    pub fn rights(&self, path: &AbsPath) -> Access {
        self.rules.iter().filter(|r| r.covers(path)).fold(Access::empty(), |all, r| all | r.access)
    }

    /// What denies `path`, if something does.
    #[must_use]
    pub fn denied_by(&self, path: &AbsPath) -> Option<&Denied> {
        self.denied.iter().find(|denied| path.is_within(&denied.path))
    }

    /// Asks the rules about `holder`, for the sake of `path`.
    fn judge(&self, path: &AbsPath, holder: &AbsPath, access: Access) -> Lookup<'_> {
        let mut granted = Access::empty();
        let mut nearest: Option<&FsRule> = None;
        for rule in self.rules.iter().filter(|r| r.covers(holder)) {
            granted |= rule.access;
            // What only lets sockets be made says nothing about files.
            let about = rule.access != Access::MAKE_SOCKET || access.contains(rule.access);
            if about && nearest.is_none_or(|n| rule.path.is_within(&n.path)) {
                nearest = Some(rule);
            }
        }
        if granted.contains(access) {
            let changes = access.intersects(Access::CHANGES);
            let protected =
                self.protected.iter().find(|protected| changes && protected.holds(path));
            return protected.map_or(Lookup::Allowed, Lookup::Protected);
        }
        if let Some(denied) = self.denied_by(path) {
            return Lookup::Denied(denied);
        }
        nearest.map_or(Lookup::NoGrant, Lookup::InsufficientAccess)
    }

    /// Folders that are writable as a whole: workspaces first, then the temporary folder, then
    /// the rest in profile order, without repetitions.
    #[must_use]
    pub fn writable_roots(&self) -> Vec<&AbsPath> {
        let mut roots: Vec<&AbsPath> = Vec::new();
        let granted = self
            .rules
            .iter()
            .filter(|r| r.scope == Scope::Tree && r.access.contains(Access::WRITE))
            .filter(|r| !self.are_own_terminals(&r.path))
            .map(|r| &r.path);
        for path in self.workspaces.iter().chain([&self.tmpdir]).chain(granted) {
            let writable = self.lookup(path, Access::WRITE) == Lookup::Allowed;
            if writable && !roots.contains(&path) {
                roots.push(path);
            }
        }
        roots
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Source;

    #[test]
    fn a_name_belongs_to_its_folder() {
        let path = |p: &str| AbsPath::new(p).unwrap();
        let rule = |p: &str, scope| FsRule {
            path: path(p),
            scope,
            access: Access::READ | Access::CHANGES,
            source: Source { profile: "t".into(), rule: p.into(), line: None },
        };
        let policy = FsPolicy {
            denied: vec![Denied { path: path("/a/tree/key"), source: None }],
            protected: vec![Protected {
                path: path("/a/tree/.envrc"),
                source: rule("/", Scope::Tree).source,
                any_case: false,
            }],
            ..FsPolicy::of_rules(vec![rule("/a/file", Scope::File), rule("/a/tree", Scope::Tree)])
        };
        let (write, socket) = (Access::WRITE, Access::MAKE_SOCKET);
        assert_eq!(policy.lookup(&path("/a/file"), write), Lookup::Allowed);
        assert_eq!(policy.lookup_name(&path("/a/file"), write), Lookup::NoGrant);
        assert_eq!(policy.lookup(&path("/a/tree"), write), Lookup::Allowed);
        assert_eq!(policy.lookup_name(&path("/a/tree"), write), Lookup::NoGrant);
        assert_eq!(policy.lookup_name(&path("/a/tree/x"), write), Lookup::Allowed);
        let execute = policy.lookup_name(&path("/a/tree/key"), Access::EXECUTE);
        assert_eq!(execute, Lookup::Denied(&policy.denied[0]));
        let envrc = path("/a/tree/.envrc");
        assert!(matches!(policy.lookup(&envrc, write), Lookup::Protected(_)));
        assert!(matches!(policy.lookup_name(&envrc, Access::READ | write), Lookup::Protected(_)));
        assert!(matches!(policy.lookup_name(&envrc, socket), Lookup::Protected(_)));
        assert_eq!(policy.lookup_name(&path("/a/tree/s"), socket), Lookup::Allowed);
        assert_eq!(policy.lookup(&envrc, Access::READ), Lookup::Allowed);
        assert_eq!(policy.lookup_name(&path("/a/tree/.env"), write), Lookup::Allowed);
        assert_eq!(policy.rights(&path("/a")), Access::empty());
        assert_eq!(policy.rights(&path("/a/tree/x")), Access::READ | Access::CHANGES);
    }

    #[test]
    fn the_rule_that_is_named_is_about_what_was_asked() {
        let path = |p: &str| AbsPath::new(p).unwrap();
        let rule = |name: &str, access| FsRule {
            path: path("/ws"),
            scope: Scope::Tree,
            access,
            source: Source { profile: "t".into(), rule: name.into(), line: None },
        };
        let (read, sockets) = (rule("read", Access::READ), rule("sockets", Access::MAKE_SOCKET));
        let policy = FsPolicy::of_rules(vec![read.clone(), sockets.clone()]);
        let asked = |access| policy.lookup_name(&path("/ws/z"), access);
        assert_eq!(asked(Access::WRITE), Lookup::InsufficientAccess(&read));
        let both = asked(Access::WRITE | Access::MAKE_SOCKET);
        assert_eq!(both, Lookup::InsufficientAccess(&sockets));
        let policy = FsPolicy::of_rules(vec![sockets]);
        assert_eq!(policy.lookup(&path("/ws/z"), Access::READ), Lookup::NoGrant);
    }
}

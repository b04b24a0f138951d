//! AF_UNIX grants.

use super::Source;
use crate::AbsPath;
use serde::{Deserialize, Serialize};

/// Profile switch `linux.af_unix_mediation`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mediation {
    /// Pathname sockets need a grant; `connect` and `bind` are performed by the supervisor.
    Pathname,
    /// AF_UNIX is not mediated.
    Off,
}

/// Which paths a grant covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reach {
    /// Exactly this path (`unix_socket`).
    Exact,
    /// Direct children of this folder (`unix_socket_dir`).
    Children,
    /// Everything below this folder (`unix_socket_subtree`).
    Subtree,
}

/// One of the six `unix_socket*` grants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnixGrant {
    /// The path as far as it could be canonicalised when the profile was resolved; the socket, and
    /// even the folder, may appear later.
    pub path: AbsPath,
    /// Which paths it covers.
    pub reach: Reach,
    /// Whether it also allows `bind`.
    pub bind: bool,
    /// Where it was written.
    pub source: Source,
}

impl UnixGrant {
    /// Whether the grant covers the canonical `path`.
    #[must_use]
    pub fn covers(&self, path: &AbsPath) -> bool {
        match self.reach {
            Reach::Exact => *path == self.path,
            Reach::Children => path.parent().as_ref() == Some(&self.path),
            Reach::Subtree => path.is_below(&self.path),
        }
    }
}

/// What a command may do with AF_UNIX sockets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnixPolicy {
    /// Whether grants are enforced at all.
    pub mediation: Mediation,
    /// The grants.
    pub grants: Vec<UnixGrant>,
    /// Whether datagram sockets may be made. Without it, `socket` and `socketpair` give stream and
    /// sequenced-packet sockets only, and no send needs to be looked at for AF_UNIX.
    pub datagrams: bool,
}

impl UnixPolicy {
    /// The grant that allows connecting or sending to the canonical `path`.
    #[must_use]
    pub fn connect_grant(&self, path: &AbsPath) -> Option<&UnixGrant> {
        self.grants.iter().find(|g| g.covers(path))
    }

    /// The grant that allows binding the canonical `path`; one that covers the whole tree below
    /// its folder, if there is one.
    #[must_use]
    pub fn bind_grant(&self, path: &AbsPath) -> Option<&UnixGrant> {
        let grants = || self.grants.iter().filter(|g| g.bind && g.covers(path));
        grants().find(|g| g.reach == Reach::Subtree).or_else(|| grants().next())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(path: &str, reach: Reach, bind: bool) -> UnixGrant {
        let source = Source { profile: "t".into(), rule: "r".into(), line: None };
        UnixGrant { path: AbsPath::new(path).unwrap(), reach, bind, source }
    }

    #[test]
    fn reach() {
        let path = |s: &str| AbsPath::new(s).unwrap();
        let table: &[(Reach, &str, bool)] = &[
            (Reach::Exact, "/run/a", true),
            (Reach::Exact, "/run/a/b", false),
            (Reach::Exact, "/run/ab", false),
            (Reach::Children, "/run/a/b", true),
            (Reach::Children, "/run/a", false),
            (Reach::Children, "/run/a/b/c", false),
            (Reach::Subtree, "/run/a/b/c", true),
            (Reach::Subtree, "/run/a", false),
            (Reach::Subtree, "/run/ab/c", false),
        ];
        for (reach, target, covered) in table {
            assert_eq!(
                grant("/run/a", *reach, false).covers(&path(target)),
                *covered,
                "{reach:?} {target}"
            );
        }
    }

    #[test]
    fn bind_needs_a_bind_grant() {
        let policy = UnixPolicy {
            mediation: Mediation::Pathname,
            grants: vec![grant("/a/s", Reach::Exact, false), grant("/b", Reach::Subtree, true)],
            datagrams: false,
        };
        let path = |s: &str| AbsPath::new(s).unwrap();
        assert!(policy.connect_grant(&path("/a/s")).is_some());
        assert!(policy.bind_grant(&path("/a/s")).is_none());
        assert!(policy.bind_grant(&path("/b/x/s")).is_some());
        assert!(policy.connect_grant(&path("/b/x/s")).is_some());
    }
}

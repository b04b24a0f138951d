//! Rules against an oracle that compares lists of names: paths, file rules, what stays as it is,
//! and socket grants.

use crate::bytes::Bytes;
use nono_sandbox::AbsPath;
use nono_sandbox::policy::{
    Access, FsIndex, FsPolicy, FsRule, Lookup, Mediation, Protected, Reach, Scope, Source,
    UnixGrant, UnixPolicy,
};
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

/// What the policy answers about a path is what follows from the names in it.
pub fn grants(bytes: &[u8]) {
    let mut bytes = Bytes::new(bytes);
    let Some(asked) = path(&mut bytes) else { return };
    let access = Access::from_bits_truncate(bytes.u8());
    files(&mut bytes, &asked, access);
    sockets(&mut bytes, &asked);
}

/// A path, and the oracle's view of it.
#[derive(Debug)]
struct Named {
    path: AbsPath,
    names: Vec<Vec<u8>>,
}

impl Named {
    fn is_in(&self, tree: &Named) -> bool {
        self.names.starts_with(&tree.names)
    }

    /// In how many folders below `tree` it is.
    fn below(&self, tree: &Named) -> Option<usize> {
        self.is_in(tree).then(|| self.names.len() - tree.names.len())
    }
}

/// A path out of few names, so that paths meet; now and then out of any bytes.
fn path(bytes: &mut Bytes<'_>) -> Option<Named> {
    let mut written = Vec::new();
    if bytes.u8().is_multiple_of(8) {
        let length = usize::from(bytes.u8() % 32);
        written.extend_from_slice(bytes.some(length));
    } else {
        for _ in 0..bytes.u8() % 5 {
            written.push(b'/');
            written.extend_from_slice(bytes.of(&[
                &b"a"[..],
                b"b",
                b"ab",
                b"a b",
                b".",
                b"..",
                b"",
            ]));
        }
    }
    let named = names(&written);
    let made = AbsPath::new(OsString::from_vec(written.clone())).ok();
    assert_eq!(made.is_some(), named.is_some(), "{written:?}");
    let (path, names) = (made?, named?);
    let plain: Vec<u8> = names.iter().flat_map(|name| [b"/", name.as_slice()].concat()).collect();
    assert_eq!(path.as_bytes(), if plain.is_empty() { b"/" } else { plain.as_slice() });
    Some(Named { path, names })
}

/// The names in a path; `None` if it is none that can be judged.
fn names(bytes: &[u8]) -> Option<Vec<Vec<u8>>> {
    if bytes.first() != Some(&b'/') || bytes.contains(&0) {
        return None;
    }
    let names = bytes.split(|b| *b == b'/').filter(|n| !n.is_empty() && *n != b".");
    let names: Vec<Vec<u8>> = names.map(<[u8]>::to_vec).collect();
    (!names.contains(&b"..".to_vec())).then_some(names)
}

fn source() -> Source {
    Source { profile: "f".into(), rule: "f".into(), line: None }
}

fn files(bytes: &mut Bytes<'_>, asked: &Named, access: Access) {
    // A name is a matter of its folder.
    let holder = Named {
        path: asked.path.parent().unwrap_or_else(AbsPath::root),
        names: asked.names.split_last().map_or_else(Vec::new, |(_, folder)| folder.to_vec()),
    };
    let (mut granted, mut granted_on_name) = (Access::empty(), Access::empty());
    let (mut rules, mut protected, mut stays) = (Vec::new(), Vec::new(), false);
    for _ in 0..bytes.u8() % 8 {
        let Some(rule) = path(bytes) else { continue };
        let (scope, access) =
            (bytes.of(&[Scope::File, Scope::Tree]), Access::from_bits_truncate(bytes.u8()));
        let covers = |path: &Named| match scope {
            Scope::File => path.names == rule.names,
            Scope::Tree => path.is_in(&rule),
        };
        granted |= if covers(asked) { access } else { Access::empty() };
        granted_on_name |= if covers(&holder) { access } else { Access::empty() };
        rules.push(FsRule { path: rule.path, scope, access, source: source() });
    }
    for _ in 0..bytes.u8() % 3 {
        let Some(path) = path(bytes) else { continue };
        stays |= asked.is_in(&path);
        protected.push(Protected { path: path.path, source: source(), any_case: false });
    }
    let fs = FsPolicy { protected, ..FsPolicy::of_rules(rules) };
    // To make a socket is to make a name.
    let stays = stays && access.intersects(Access::WRITE | Access::MAKE_SOCKET);
    let (allowed, name) =
        (granted.contains(access) && !stays, granted_on_name.contains(access) && !stays);
    assert_eq!(fs.rights(&asked.path), granted);
    assert_eq!(fs.lookup(&asked.path, access) == Lookup::Allowed, allowed);
    assert_eq!(fs.lookup_name(&asked.path, access) == Lookup::Allowed, name);
    let index = FsIndex::new(&fs);
    assert_eq!(index.allows(&asked.path, access), allowed);
    assert_eq!(index.allows_name(&asked.path, access), name);
}

fn sockets(bytes: &mut Bytes<'_>, asked: &Named) {
    let (mut connects, mut binds) = (false, false);
    let mut grants = Vec::new();
    for _ in 0..bytes.u8() % 8 {
        let Some(path) = path(bytes) else { continue };
        let bind = bytes.bool();
        let reach = bytes.of(&[Reach::Exact, Reach::Children, Reach::Subtree]);
        let covers = asked.below(&path).is_some_and(|deeper| match reach {
            Reach::Exact => deeper == 0,
            Reach::Children => deeper == 1,
            Reach::Subtree => deeper > 0,
        });
        connects |= covers;
        binds |= covers && bind;
        grants.push(UnixGrant { path: path.path, reach, bind, source: source() });
    }
    let unix = UnixPolicy { mediation: Mediation::Pathname, grants, datagrams: false };
    assert_eq!(unix.connect_grant(&asked.path).is_some(), connects);
    assert_eq!(unix.bind_grant(&asked.path).is_some(), binds);
}

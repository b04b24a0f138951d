//! Rules against an oracle that compares lists of names: paths, file rules, socket grants.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use nono_sandbox::AbsPath;
use nono_sandbox::policy::{
    Access, FsPolicy, FsRule, Lookup, Mediation, Reach, Scope, Source, UnixGrant, UnixPolicy,
};
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

#[derive(Arbitrary, Debug)]
struct Input {
    rules: Vec<(Vec<u8>, bool, u8)>,
    grants: Vec<(Vec<u8>, u8, bool)>,
    asked: Vec<u8>,
    access: u8,
}

/// The names in a path; `None` if it is none that can be judged.
fn names(bytes: &[u8]) -> Option<Vec<&[u8]>> {
    if bytes.first() != Some(&b'/') || bytes.contains(&0) {
        return None;
    }
    let names = bytes.split(|b| *b == b'/').filter(|n| !n.is_empty() && *n != b".");
    let names: Vec<&[u8]> = names.collect();
    (!names.contains(&&b".."[..])).then_some(names)
}

fn path(bytes: &[u8]) -> Option<AbsPath> {
    let made = AbsPath::new(OsString::from_vec(bytes.to_vec())).ok();
    let names = names(bytes);
    assert_eq!(made.is_some(), names.is_some(), "{bytes:?}");
    let (made, names) = (made?, names?);
    let plain: Vec<u8> = names.iter().flat_map(|name| [b"/", *name].concat()).collect();
    assert_eq!(made.as_bytes(), if plain.is_empty() { b"/" } else { plain.as_slice() });
    Some(made)
}

fn source() -> Source {
    Source { profile: "f".into(), rule: "f".into(), line: None }
}

fuzz_target!(|input: Input| {
    let Some(asked) = path(&input.asked) else { return };
    let wanted = names(&input.asked).expect("it is a path");
    let access = Access::from_bits_truncate(input.access);
    let mut granted = Access::empty();
    let mut rules = Vec::new();
    for (bytes, tree, bits) in &input.rules {
        let (Some(path), Some(names)) = (path(bytes), names(bytes)) else { continue };
        let access = Access::from_bits_truncate(*bits);
        if if *tree { wanted.starts_with(&names) } else { wanted == names } {
            granted |= access;
        }
        let scope = if *tree { Scope::Tree } else { Scope::File };
        rules.push(FsRule { path, scope, access, source: source() });
    }
    let fs = FsPolicy { rules, protected: vec![], kept: vec![], workspaces: vec![], tmpdir: AbsPath::root() };
    assert_eq!(fs.lookup(&asked, access) == Lookup::Allowed, granted.contains(access));
    assert_eq!(fs.rights(&asked), granted);

    let (mut connects, mut binds) = (false, false);
    let mut grants = Vec::new();
    for (bytes, reach, bind) in &input.grants {
        let (Some(path), Some(names)) = (path(bytes), names(bytes)) else { continue };
        let below = wanted.starts_with(&names);
        let deeper = wanted.len().saturating_sub(names.len());
        let (reach, covers) = match reach % 3 {
            0 => (Reach::Exact, below && deeper == 0),
            1 => (Reach::Children, below && deeper == 1),
            _ => (Reach::Subtree, below && deeper > 0),
        };
        connects |= covers;
        binds |= covers && *bind;
        grants.push(UnixGrant { path, reach, bind: *bind, source: source() });
    }
    let unix = UnixPolicy { mediation: Mediation::Pathname, grants, datagrams: false };
    assert_eq!(unix.connect_grant(&asked).is_some(), connects);
    assert_eq!(unix.bind_grant(&asked).is_some(), binds);
});

//! Fewer sockets.

use super::Writable;
use nono_sandbox::AbsPath;
use nono_sandbox::policy::{Mediation, Policy, Reach, UnixGrant, UnixPolicy};

/// What both allow. A policy without mediation allows every socket.
pub(super) fn intersection(a: &UnixPolicy, b: &UnixPolicy) -> UnixPolicy {
    let datagrams = |policy: &UnixPolicy| policy.datagrams || policy.mediation == Mediation::Off;
    let (mediation, grants) = match (a.mediation, b.mediation) {
        (Mediation::Off, Mediation::Off) => (Mediation::Off, a.grants.clone()),
        (Mediation::Off, Mediation::Pathname) => (Mediation::Pathname, b.grants.clone()),
        (Mediation::Pathname, Mediation::Off) => (Mediation::Pathname, a.grants.clone()),
        (Mediation::Pathname, Mediation::Pathname) => {
            let pairs = a.grants.iter().flat_map(|a| b.grants.iter().map(move |b| (a, b)));
            (Mediation::Pathname, pairs.filter_map(|(a, b)| overlap(a, b)).collect())
        }
    };
    UnixPolicy { mediation, grants, datagrams: datagrams(a) && datagrams(b) }
}

/// The paths both grants cover.
fn overlap(a: &UnixGrant, b: &UnixGrant) -> Option<UnixGrant> {
    let inner = if within(a, b) {
        a
    } else if within(b, a) {
        b
    } else {
        return None;
    };
    Some(UnixGrant {
        path: inner.path.clone(),
        reach: inner.reach,
        bind: a.bind && b.bind,
        source: a.source.clone(),
    })
}

/// Whether `outer` covers everything `inner` does. Two grants either lie within one another like
/// this or have nothing in common.
fn within(inner: &UnixGrant, outer: &UnixGrant) -> bool {
    match (inner.reach, outer.reach) {
        (Reach::Exact, _) => outer.covers(&inner.path),
        (Reach::Children, Reach::Children) => inner.path == outer.path,
        (Reach::Children | Reach::Subtree, Reach::Subtree) => inner.path.is_within(&outer.path),
        (Reach::Children, Reach::Exact) | (Reach::Subtree, Reach::Exact | Reach::Children) => false,
    }
}

/// Takes the right to bind from all grants but those for `writable` and the temporary folder.
pub(super) fn bind_only(policy: &mut Policy, writable: &[Writable]) {
    let tmpdir = policy.fs.tmpdir.clone();
    let folders = writable.iter().filter(|w| w.is_folder).map(|w| &w.path).chain([&tmpdir]);
    let mut grants = Vec::new();
    for grant in &policy.unix.grants {
        if !grant.bind {
            grants.push(grant.clone());
            continue;
        }
        let inside = folders.clone().filter_map(|folder| below(grant, folder));
        grants.extend(inside);
        grants.push(UnixGrant { bind: false, ..grant.clone() });
    }
    policy.unix.grants = grants;
}

/// The part of a grant that lies below `folder`.
fn below(grant: &UnixGrant, folder: &AbsPath) -> Option<UnixGrant> {
    let source = grant.source.clone();
    let tree = UnixGrant { path: folder.clone(), reach: Reach::Subtree, bind: true, source };
    overlap(grant, &tree)
}

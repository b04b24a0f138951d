//! Denials of a run, gathered into what a reader sees as one thing.

use super::view::View;
use super::wire;
use nono_sandbox::AbsPath;
use nono_sandbox::record::{Confidence, Denial, Kind};
use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// From this many different targets in one folder on, the folder is named instead.
const SIBLINGS: usize = 4;

/// One thing for the reader: a refused target, or several in one folder.
#[derive(Debug, Clone)]
pub(super) struct Group<'d> {
    /// The first refusal.
    pub(super) first: &'d Denial,
    /// All of them, one for each target.
    pub(super) members: Vec<&'d Denial>,
    /// The folder they are in, where it stands for them.
    pub(super) folder: Option<AbsPath>,
    /// Refusals, repetitions included.
    pub(super) count: u64,
    /// Milliseconds after the start of the run: the last one.
    pub(super) last_ms: u64,
}

impl<'d> Group<'d> {
    /// A group of these; `None` if there are none.
    fn of(members: Vec<&'d Denial>, folder: Option<AbsPath>) -> Option<Self> {
        let first = *members.first()?;
        let count = members.iter().map(|d| d.count).sum();
        let last_ms = members.iter().map(|d| d.last_ms).max().unwrap_or_default();
        Some(Self { first, members, folder, count, last_ms })
    }
}

/// What members of a group have in common.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Key<'d> {
    kind: Kind,
    access: nono_schemas::Access,
    errno: i32,
    rule: Option<(&'d str, &'d str)>,
    reason: u8,
    exe: &'d [u8],
    confidence: Confidence,
    folder: Option<AbsPath>,
}

/// Gathers denials, in order of first occurrence.
pub(super) fn group<'d>(view: View<'_>, denials: &[&'d Denial]) -> Vec<Group<'d>> {
    let mut order: Vec<Vec<&'d Denial>> = Vec::new();
    let mut index: HashMap<Key<'d>, usize> = HashMap::new();
    for denial in denials {
        let at = *index.entry(key(denial)).or_insert(order.len());
        match order.get_mut(at) {
            Some(group) => group.push(denial),
            None => order.push(vec![denial]),
        }
    }
    order.into_iter().flat_map(|members| split(view, members)).collect()
}

fn key<'d>(denial: &'d Denial) -> Key<'d> {
    let folder = denial_path(denial).map(|p| p.parent().unwrap_or_else(AbsPath::root));
    Key {
        kind: denial.kind,
        access: wire::access(denial.operation),
        errno: denial.errno,
        rule: denial.rule.as_ref().map(|r| (r.profile.as_str(), r.rule.as_str())),
        reason: denial.reason as u8,
        exe: &denial.exe,
        confidence: denial.confidence,
        folder,
    }
}

/// Few stay apart, so that each is named; many become their folder.
fn split<'d>(view: View<'_>, members: Vec<&'d Denial>) -> Vec<Group<'d>> {
    let folder = members.first().and_then(|d| denial_path(d)).and_then(|p| p.parent());
    let named =
        matches!(members.first().map(|d| d.kind), Some(Kind::Fs | Kind::Exec | Kind::UnixSocket));
    // A folder with denied files in it would say more than is meant.
    let whole = folder.filter(|f| named && !view.policy.fs.denied.iter().any(|p| p.path == *f));
    let mut targets: Vec<Option<AbsPath>> = members.iter().map(|d| denial_path(d)).collect();
    targets.sort_unstable();
    targets.dedup();
    match whole {
        Some(folder) if targets.len() >= SIBLINGS => {
            Group::of(members, Some(folder)).into_iter().collect()
        }
        _ => by_target(members),
    }
}

/// One group for each target: a file that was opened and then removed is one thing.
fn by_target<'d>(members: Vec<&'d Denial>) -> Vec<Group<'d>> {
    let mut groups: Vec<Vec<&'d Denial>> = Vec::new();
    for denial in members {
        let same = |g: &&mut Vec<&'d Denial>| {
            g.first().is_some_and(|f| {
                (f.operation, &f.target, &f.host)
                    == (denial.operation, &denial.target, &denial.host)
            })
        };
        match groups.iter_mut().find(same) {
            Some(group) => group.push(denial),
            None => groups.push(vec![denial]),
        }
    }
    groups.into_iter().filter_map(|g| Group::of(g, None)).collect()
}

/// The path a denial is about: resolved where it could be, else as given.
pub(super) fn denial_path(denial: &Denial) -> Option<AbsPath> {
    if !matches!(denial.kind, Kind::Fs | Kind::Exec | Kind::UnixSocket) {
        return None;
    }
    let bytes = denial.resolved.as_deref().unwrap_or(&denial.target);
    AbsPath::new(Path::new(OsStr::from_bytes(bytes))).ok()
}

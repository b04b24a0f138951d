//! Renames and hard links: two names, one verdict, as Landlock gives it.

use crate::AbsPath;
use crate::policy::{Access, FsPolicy, Lookup, Protected};
use nix::errno::Errno;

/// How a name is moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relocation {
    /// `rename`
    Rename,
    /// `renameat2` with `RENAME_EXCHANGE`
    Exchange,
    /// `link`
    Link,
}

/// Why a relocation is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Obstacle {
    /// The old name's folder may not be changed.
    From,
    /// The new name's folder may not be changed.
    To,
    /// Both may, but the file would have more rights there than here.
    MoreRights,
}

/// Whether the rules refuse it, or it would change what stays as it is, with the errno the kernel
/// gives: `EACCES` where a name may not be made or removed, else `EXDEV`
/// (`current_check_refer_path` in security/landlock/fs.c).
#[must_use]
pub fn relocation(
    fs: &FsPolicy,
    how: Relocation,
    from: &AbsPath,
    to: &AbsPath,
    is_folder: bool,
) -> Option<(Obstacle, Errno)> {
    // A link leaves the old name as it is, but a second name lets the file be changed.
    let leaves = |protected: &Protected| match how {
        Relocation::Link => protected.holds(from),
        Relocation::Rename | Relocation::Exchange => protected.goes_with(from),
    };
    if fs.protected.iter().any(leaves) {
        return Some((Obstacle::From, Errno::EACCES));
    }
    if fs.protected_by_name(to).is_some() {
        return Some((Obstacle::To, Errno::EACCES));
    }
    let writable = |name: &AbsPath| fs.lookup_name(name, Access::WRITE) == Lookup::Allowed;
    let (here, there) = (writable(from), writable(to));
    if from.parent() == to.parent() {
        let obstacle = if how == Relocation::Link { Obstacle::To } else { Obstacle::From };
        return (!here).then_some((obstacle, Errno::EACCES));
    }
    match (how, here, there) {
        // A link takes nothing away from the old folder, so only the right to refer is missing.
        (Relocation::Link, _, false) => Some((Obstacle::To, Errno::EACCES)),
        (Relocation::Link, false, true) => Some((Obstacle::From, Errno::EXDEV)),
        (_, false, _) => Some((Obstacle::From, Errno::EACCES)),
        (_, true, false) => Some((Obstacle::To, Errno::EACCES)),
        (_, true, true) => {
            let grows = more_rights(fs, from, to, is_folder)
                || (how == Relocation::Exchange && more_rights(fs, to, from, is_folder));
            grows.then_some((Obstacle::MoreRights, Errno::EXDEV))
        }
    }
}

/// Whether an object has rights at `to` that it does not have at `from`. Rules of its own go with
/// it.
fn more_rights(fs: &FsPolicy, from: &AbsPath, to: &AbsPath, is_folder: bool) -> bool {
    let folder = |path: &AbsPath| fs.rights(&path.parent().unwrap_or_else(AbsPath::root));
    let of_files = Access::READ | Access::WRITE | Access::EXECUTE;
    let counted = if is_folder { Access::all() } else { of_files };
    let gained = folder(to) - (folder(from) | fs.rights(from));
    gained.intersects(counted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{FsRule, Scope, Source};

    #[test]
    fn verdicts_are_the_kernels() {
        let path = |p: &str| AbsPath::new(p).unwrap();
        let all = Access::READ | Access::WRITE | Access::EXECUTE;
        let data = Access::READ | Access::WRITE;
        let rule = |p: &str, access| FsRule {
            path: path(p),
            scope: Scope::Tree,
            access,
            source: Source { profile: "t".into(), rule: p.into(), line: None },
        };
        let fs = FsPolicy {
            protected: vec![Protected {
                path: path("/ws/.git/config"),
                source: rule("/ws", all).source,
                any_case: false,
            }],
            ..FsPolicy::of_rules(vec![
                rule("/ws", all),
                rule("/tmp", all),
                rule("/shm", data),
                rule("/usr", Access::READ),
            ])
        };
        use Relocation::{Exchange, Link, Rename};
        let table = [
            (Rename, "/ws/a", "/ws/b", None),
            (Rename, "/ws/a", "/ws/d/b", None),
            (Rename, "/ws/a", "/tmp/a", None),
            (Rename, "/ws/a", "/shm/a", None),
            (Rename, "/shm/a", "/ws/a", Some((Obstacle::MoreRights, Errno::EXDEV))),
            (Link, "/shm/a", "/ws/a", Some((Obstacle::MoreRights, Errno::EXDEV))),
            (Exchange, "/ws/a", "/shm/a", Some((Obstacle::MoreRights, Errno::EXDEV))),
            (Rename, "/usr/a", "/ws/a", Some((Obstacle::From, Errno::EACCES))),
            (Rename, "/ws/a", "/usr/a", Some((Obstacle::To, Errno::EACCES))),
            (Rename, "/usr/a", "/usr/b", Some((Obstacle::From, Errno::EACCES))),
            (Link, "/usr/a", "/ws/a", Some((Obstacle::From, Errno::EXDEV))),
            (Link, "/ws/a", "/usr/a", Some((Obstacle::To, Errno::EACCES))),
            (Link, "/usr/a", "/usr/b", Some((Obstacle::To, Errno::EACCES))),
            (
                Rename,
                "/ws/.git/config.lock",
                "/ws/.git/config",
                Some((Obstacle::To, Errno::EACCES)),
            ),
            (Rename, "/ws/.git/config", "/ws/x", Some((Obstacle::From, Errno::EACCES))),
            (Rename, "/ws/.git", "/ws/old", Some((Obstacle::From, Errno::EACCES))),
            (Rename, "/ws/new", "/ws/.git", Some((Obstacle::To, Errno::EACCES))),
            (Exchange, "/ws/new", "/ws/.git", Some((Obstacle::To, Errno::EACCES))),
            (Link, "/ws/.git/config", "/ws/x", Some((Obstacle::From, Errno::EACCES))),
            (Rename, "/ws/.git/index.lock", "/ws/.git/index", None),
        ];
        for (how, from, to, expected) in table {
            let got = relocation(&fs, how, &path(from), &path(to), false);
            assert_eq!(got, expected, "{how:?} {from} {to}");
        }
    }
}

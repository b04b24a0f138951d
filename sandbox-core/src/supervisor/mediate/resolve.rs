//! From a caller's path to the object it means, pinned by a descriptor.
//!
//! The caller's root is ours (the filter refuses `chroot` and mount calls), its working
//! directory is not, and neither is `/proc/self`. The fast way is one `openat2` that follows no
//! link: what it opens is where the path says, and what it does not find without a link on the way
//! the caller does not find either. Links cost a second one and the question where it led. Where
//! that finds nothing, or a path goes through a magic link or a `self` of `/proc`, it is walked
//! from link to link, with the caller's eyes: what is missing in our `/proc/self` says nothing
//! about the caller's. A path that begins with `/proc/self`, or with one of the links to it in
//! `/dev`, begins with the caller's folder there instead.

use crate::AbsPath;
use crate::decide::FileKind;
use crate::supervisor::mediate::Caller;
use crate::supervisor::mediate::place::{LeadsTo, NewPlace, PIN, Place};
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, OpenHow, ResolveFlag, openat, openat2, readlinkat};
use nix::sys::stat::{Mode, fstat};
use nix::sys::statfs::{PROC_SUPER_MAGIC, fstatfs};
use std::collections::VecDeque;
use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// What happens to a symbolic link at the end of the path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::supervisor) enum Last {
    Follow,
    NoFollow,
}

/// As many links as the kernel follows (path_resolution(7)).
pub(in crate::supervisor) const MAX_LINKS: u32 = 40;

/// Pins the object of `path` as `caller` means it, relative to the folder `dirfd`.
pub(super) fn resolve_at(
    caller: &Caller<'_>,
    dirfd: i32,
    path: &[u8],
    last: Last,
) -> Result<Place, Errno> {
    let absolute = path.first() == Some(&b'/');
    if !absolute && let Some(whole) = plain(caller, dirfd, path) {
        match resolve(caller, None, whole.as_bytes(), last) {
            Ok(place) => return Ok(place),
            // The way from the root may be closed where the one from the folder is not.
            Err(Errno::EACCES) => {}
            // Nothing is there, or the folder was moved since it was named.
            Err(errno) if plain(caller, dirfd, path).as_ref() == Some(&whole) => {
                return Err(errno);
            }
            Err(_) => {}
        }
    }
    let base = if absolute { None } else { Some(caller.folder(dirfd)?) };
    resolve(caller, base.as_ref(), path, last)
}

/// The whole of a path that goes straight down, relative to the folder `dirfd` of `caller`. Naming
/// a folder costs half of what holding it does. Not of a path that says that its end is a folder:
/// it would lose that.
pub(in crate::supervisor) fn plain(
    caller: &Caller<'_>,
    dirfd: i32,
    path: &[u8],
) -> Option<AbsPath> {
    plain_in(|| caller.folder_path(dirfd).ok(), path)
}

/// The same, relative to a folder that is called `folder`.
pub(in crate::supervisor) fn plain_in(
    folder: impl FnOnce() -> Option<AbsPath>,
    path: &[u8],
) -> Option<AbsPath> {
    if path.is_empty() || path == b"." || path.ends_with(b"/") || path.ends_with(b"/.") {
        return None;
    }
    let written = OsStr::from_bytes(path);
    let plain = match path.first() {
        Some(b'/') => AbsPath::new(written).ok()?,
        _ => named_folder(folder()?)?.join(written).ok()?,
    };
    // What is too long for a system call has to be followed from its folder.
    (plain.as_bytes().len() < libc::PATH_MAX as usize).then_some(plain)
}

/// A folder's path, unless the kernel may have added to it that the folder has no name any more: that
/// is no way to it, and may be one to another.
fn named_folder(path: AbsPath) -> Option<AbsPath> {
    (!path.as_bytes().ends_with(b" (deleted)")).then_some(path)
}

/// Pins the object of `path`, relative to `base`.
pub(in crate::supervisor) fn resolve(
    caller: &Caller<'_>,
    base: Option<&OwnedFd>,
    path: &[u8],
    last: Last,
) -> Result<Place, Errno> {
    find(caller, base, path, last)?.place()
}

/// What `path` leads to, relative to `base`. What this does not find the caller does not find
/// either, and for the same reason.
pub(in crate::supervisor) fn find(
    caller: &Caller<'_>,
    base: Option<&OwnedFd>,
    path: &[u8],
    last: Last,
) -> Result<LeadsTo, Errno> {
    if path.is_empty() {
        return Err(Errno::ENOENT);
    }
    if let Some(theirs) = in_callers_proc(caller, path)? {
        return match find_in_callers_proc(&theirs, last) {
            Err(Errno::ELOOP) => walk(caller, None, &theirs, last),
            found => found,
        };
    }
    let open = |resolve| {
        let how = how(last, resolve);
        match (path.first(), base) {
            (Some(b'/'), _) => openat2(AT_FDCWD, OsStr::from_bytes(path), how),
            (_, Some(base)) => openat2(base, OsStr::from_bytes(path), how),
            // Our own working directory is nobody's business.
            (_, None) => Err(Errno::EBADF),
        }
    };
    let fast = match open(ResolveFlag::RESOLVE_NO_SYMLINKS) {
        Ok(object) => found_straight(object, path),
        Err(Errno::ELOOP) => open(ResolveFlag::RESOLVE_NO_MAGICLINKS).and_then(Place::of),
        Err(errno) => return Err(errno),
    };
    // Whoever leaves no file system on the way from the root has not been in a `/proc`.
    let on_one_mount = || {
        let how = ResolveFlag::RESOLVE_NO_MAGICLINKS | ResolveFlag::RESOLVE_NO_XDEV;
        path.first() == Some(&b'/') && matches!(open(how), Err(Errno::ENOENT))
    };
    match fast {
        Ok(place) if !in_own_proc(&place.path) => Ok(LeadsTo::Place(place)),
        Err(Errno::ENOENT) if on_one_mount() => Err(Errno::ENOENT),
        _ => walk(caller, base, path, last),
    }
}

/// What a path without links leads to. Without `..` in it, it is canonical as it is written.
fn found_straight(object: OwnedFd, path: &[u8]) -> Result<Place, Errno> {
    match AbsPath::new(OsStr::from_bytes(path)) {
        Ok(path) => Ok(Place { object, path }),
        Err(_) => Place::of(object),
    }
}

/// A path that begins with the caller's folder in `/proc`, written without a link to it. Programs
/// use few others there, and walking to it takes some forty calls.
fn in_callers_proc(caller: &Caller<'_>, path: &[u8]) -> Result<Option<Vec<u8>>, Errno> {
    let Some(rest) = of_self(path) else { return Ok(None) };
    let folder = format!("/proc/{}/", caller.process()?).into_bytes();
    Ok(Some([&folder[..], &rest].concat()))
}

/// What comes behind `/proc/self/` in a path that begins with it, or with one of the usual links to
/// something in it.
fn of_self(path: &[u8]) -> Option<Vec<u8>> {
    const SELF: &[u8] = b"/proc/self/";
    if let Some(rest) = path.strip_prefix(SELF) {
        return Some(rest.to_vec());
    }
    let written = path.strip_prefix(b"/dev/")?;
    let (link, rest) = written.split_at(written.iter().position(|b| *b == b'/')?);
    if link != b"fd" {
        return None;
    }
    let text = readlinkat(AT_FDCWD, "/dev/fd").ok()?;
    let folder = text.as_bytes().strip_prefix(SELF)?;
    Some([folder, rest].concat())
}

/// What such a path leads to. `ELOOP` if it has to be walked.
fn find_in_callers_proc(path: &[u8], last: Last) -> Result<LeadsTo, Errno> {
    let written = OsStr::from_bytes(path);
    let open = |resolve| openat2(AT_FDCWD, written, how(last, resolve));
    match open(ResolveFlag::RESOLVE_NO_SYMLINKS) {
        Ok(object) => found_straight(object, path).map(LeadsTo::Place),
        // One magic link at the end, which means the same to everybody.
        Err(Errno::ELOOP) if is_descriptor(path) => LeadsTo::of(open(ResolveFlag::empty())?, None),
        Err(errno) => Err(errno),
    }
}

/// Whether this is `/proc/N/fd/N`.
fn is_descriptor(path: &[u8]) -> bool {
    let number = |name: &[u8]| !name.is_empty() && name.iter().all(u8::is_ascii_digit);
    match path.split(|b| *b == b'/').collect::<Vec<_>>()[..] {
        [b"", b"proc", process, b"fd", descriptor] => number(process) && number(descriptor),
        _ => false,
    }
}

/// How an object is pinned.
pub(super) fn how(last: Last, resolve: ResolveFlag) -> OpenHow {
    let follow = if last == Last::NoFollow { OFlag::O_NOFOLLOW } else { OFlag::empty() };
    OpenHow::new().flags(PIN | follow).resolve(resolve)
}

/// Whether a path may lead over a link, so that what it means is not where it says. One that leads
/// nowhere without a link leads nowhere else either. One that is closed on the way from the root may
/// be open from the folder that a program holds.
pub(in crate::supervisor) fn may_have_links(path: &AbsPath, last: Last) -> bool {
    let found = openat2(AT_FDCWD, path.as_path(), how(last, ResolveFlag::RESOLVE_NO_SYMLINKS));
    !matches!(found, Ok(_) | Err(Errno::ENOENT | Errno::ENOTDIR))
}

/// Pins the object of a path that no caller waits for, relative to `base`. Nothing that depends on
/// who asks has a meaning then: magic links and what is in `/proc` are not followed.
pub(in crate::supervisor) fn resolve_quoted(base: &OwnedFd, path: &[u8]) -> Result<Place, Errno> {
    let how = OpenHow::new().flags(PIN).resolve(ResolveFlag::RESOLVE_NO_MAGICLINKS);
    let place = openat2(base, OsStr::from_bytes(path), how).and_then(Place::of)?;
    if place.path.as_path().starts_with("/proc") { Err(Errno::ELOOP) } else { Ok(place) }
}

/// Pins the folder of `path` and splits off the name.
pub(in crate::supervisor) fn resolve_new(
    caller: &Caller<'_>,
    base: Option<&OwnedFd>,
    path: &[u8],
) -> Result<NewPlace, Errno> {
    let (folder, name) = split(path)?;
    Ok(NewPlace { folder: resolve(caller, base, folder, Last::Follow)?, name: name.to_vec() })
}

/// The folder of a path, and the name. `EEXIST` where the path can only mean a folder that is there:
/// no call makes, moves or removes a name by such a path.
pub(super) fn split(path: &[u8]) -> Result<(&[u8], &[u8]), Errno> {
    let end = path.iter().rposition(|b| *b != b'/').map_or(0, |at| at + 1);
    let path = path.get(..end).unwrap_or_default();
    let start = path.iter().rposition(|b| *b == b'/').map_or(0, |at| at + 1);
    let (folder, name) = path.split_at(start);
    if name.is_empty() || name == b"." || name == b".." {
        return Err(Errno::EEXIST);
    }
    Ok((if folder.is_empty() { b"." } else { folder }, name))
}

/// Whether the kernel took *our* `/proc/self` for the caller's.
fn in_own_proc(path: &AbsPath) -> bool {
    let mut components = path.as_path().components().skip(1);
    let proc = components.next().is_some_and(|c| c.as_os_str() == "proc");
    proc && components.next().is_some_and(|c| *c.as_os_str() == *std::process::id().to_string())
}

/// Follows a path as the caller would, one component after the other.
fn walk(
    caller: &Caller<'_>,
    base: Option<&OwnedFd>,
    path: &[u8],
    last: Last,
) -> Result<LeadsTo, Errno> {
    let root = || openat(AT_FDCWD, "/", PIN | OFlag::O_DIRECTORY, Mode::empty());
    let mut at = match base {
        Some(base) if path.first() != Some(&b'/') => base.try_clone().map_err(|_| Errno::EMFILE)?,
        _ => root()?,
    };
    // Where `at` was found, and by which name.
    let mut holder: Option<(OwnedFd, Vec<u8>)> = None;
    let mut rest: VecDeque<Vec<u8>> = components(path);
    let mut links = 0;
    while let Some(name) = rest.pop_front() {
        let next = openat(&at, OsStr::from_bytes(&name), PIN | OFlag::O_NOFOLLOW, Mode::empty())?;
        let is_end = rest.is_empty();
        let is_link = FileKind::of(&fstat(&next)?) == FileKind::Link;
        if !is_link || (is_end && last == Last::NoFollow) {
            holder = Some((std::mem::replace(&mut at, next), name));
            continue;
        }
        links += 1;
        if links > MAX_LINKS {
            return Err(Errno::ELOOP);
        }
        match link_target(caller, &at, &next, &name)? {
            LinkTarget::Object(object) => {
                at = object;
                holder = None;
            }
            LinkTarget::Text(text) => {
                if text.first() == Some(&b'/') {
                    at = root()?;
                }
                for component in components(&text).into_iter().rev() {
                    rest.push_front(component);
                }
            }
        }
    }
    LeadsTo::of(at, holder)
}

/// Where a symbolic link leads.
enum LinkTarget {
    /// Walk on with this text.
    Text(Vec<u8>),
    /// A magic link: the kernel says which object it means.
    Object(OwnedFd),
}

fn link_target(
    caller: &Caller<'_>,
    folder: &OwnedFd,
    link: &OwnedFd,
    name: &[u8],
) -> Result<LinkTarget, Errno> {
    let text = || readlinkat(link, "").map(|t| LinkTarget::Text(t.into_vec()));
    if fstatfs(link).is_ok_and(|fs| fs.filesystem_type() != PROC_SUPER_MAGIC) {
        return text();
    }
    match (is_proc_root(folder)?, name) {
        (true, b"self") => Ok(LinkTarget::Text(caller.status()?.tgid.to_string().into_bytes())),
        (true, b"thread-self") => {
            let (tgid, tid) = (caller.status()?.tgid, caller.tid());
            Ok(LinkTarget::Text(format!("{tgid}/task/{tid}").into_bytes()))
        }
        (true, _) => text(),
        (false, _) => {
            openat(folder, OsStr::from_bytes(name), PIN, Mode::empty()).map(LinkTarget::Object)
        }
    }
}

/// The root of procfs has inode 1 (`PROC_ROOT_INO`).
fn is_proc_root(folder: &OwnedFd) -> Result<bool, Errno> {
    let proc = fstatfs(folder)?.filesystem_type() == PROC_SUPER_MAGIC;
    Ok(proc && fstat(folder)?.st_ino == 1)
}

/// Components in order, without empty ones and dots. A trailing slash is a dot at the end, which
/// opens a folder and nothing else, and has a link before it followed.
fn components(path: &[u8]) -> VecDeque<Vec<u8>> {
    let mut all: VecDeque<Vec<u8>> = path
        .split(|b| *b == b'/')
        .filter(|c| !c.is_empty() && *c != b".")
        .map(<[u8]>::to_vec)
        .collect();
    if path.ends_with(b"/") || path.ends_with(b"/.") || path == b"." {
        all.push_back(b".".to_vec());
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_path_says_whether_it_is_a_folder() {
        let joined = |path: &[u8]| components(path).into_iter().collect::<Vec<_>>().join(&b'|');
        for (path, expected) in [
            (&b"/a//./b"[..], &b"a|b"[..]),
            (b"a/../b", b"a|..|b"),
            (b"a/", b"a|."),
            (b"a/.", b"a|."),
            (b".", b"."),
            (b"/", b"."),
        ] {
            assert_eq!(joined(path), expected, "{}", String::from_utf8_lossy(path));
        }
    }

    #[test]
    fn what_is_of_the_caller_in_proc_is_known_by_its_path() {
        let rest = |path: &str| of_self(path.as_bytes()).map(|r| String::from_utf8(r).unwrap());
        for (path, expected) in [
            ("/proc/self/maps", "maps"),
            ("/proc/self/fd/3", "fd/3"),
            ("/proc/self/", ""),
            ("/dev/fd/3", "fd/3"),
        ] {
            assert_eq!(rest(path).as_deref(), Some(expected), "{path}");
        }
        for path in ["/proc/self", "/proc/1/maps", "/proc/selfish/x", "/dev/fd", "/dev/pts/1"] {
            assert_eq!(rest(path), None, "{path}");
        }
    }

    #[test]
    fn a_descriptor_is_named_by_two_numbers() {
        for path in ["/proc/1/fd/0", "/proc/12/fd/255"] {
            assert!(is_descriptor(path.as_bytes()), "{path}");
        }
        for path in [
            "/proc/1/fd/",
            "/proc/1/fd",
            "/proc/1/fd/3/x",
            "/proc/1/fd/..",
            "/proc//fd/1",
            "/proc/1/cwd",
            "/proc/1/task/1/fd/0",
            "proc/1/fd/0",
        ] {
            assert!(!is_descriptor(path.as_bytes()), "{path}");
        }
    }

    #[test]
    fn names_are_split_off_unless_they_can_only_be_folders() {
        assert_eq!(split(b"/a/b/"), Ok((&b"/a/"[..], &b"b"[..])));
        assert_eq!(split(b"b"), Ok((&b"."[..], &b"b"[..])));
        for path in [&b"/"[..], b"", b"a/..", b"a/./", b"."] {
            assert_eq!(split(path), Err(Errno::EEXIST));
        }
    }
}

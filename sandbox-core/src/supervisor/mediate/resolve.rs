//! From a caller's path to the object it means, pinned by a descriptor.
//!
//! The caller's root is ours (the filter refuses `chroot` and mount calls), its working
//! directory is not, and neither is `/proc/self`. The fast way is one `openat2` that follows no
//! link: what it opens is where the path says. Links cost a second one and the question where it
//! led; where a path goes through a magic link or a `self` of `/proc`, it is walked component by
//! component.

use crate::AbsPath;
use crate::decide::FileKind;
use crate::supervisor::mediate::{Caller, pinned};
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, OpenHow, ResolveFlag, openat, openat2, readlinkat};
use nix::sys::stat::{Mode, fstat, fstatat};
use nix::sys::statfs::{PROC_SUPER_MAGIC, fstatfs};
use std::collections::VecDeque;
use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// What happens to a symbolic link at the end of the path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::supervisor) enum Last {
    Follow,
    NoFollow,
}

/// An object and where it is.
#[derive(Debug)]
pub(in crate::supervisor) struct Place {
    /// `O_PATH` descriptor: names the object whatever happens to its path.
    pub(in crate::supervisor) object: OwnedFd,
    /// Canonical path of the object when it was pinned.
    pub(in crate::supervisor) path: AbsPath,
}

/// The folder of a name that need not exist, and the name.
#[derive(Debug)]
pub(in crate::supervisor) struct NewPlace {
    pub(in crate::supervisor) folder: Place,
    pub(in crate::supervisor) name: Vec<u8>,
}

impl NewPlace {
    /// The path the name would have.
    pub(in crate::supervisor) fn path(&self) -> Result<AbsPath, Errno> {
        self.folder.path.join(OsStr::from_bytes(&self.name)).map_err(|_| Errno::EINVAL)
    }
}

/// As many links as the kernel follows (path_resolution(7)).
const MAX_LINKS: u32 = 40;

const PIN: OFlag = OFlag::O_PATH.union(OFlag::O_CLOEXEC);

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
    if path.is_empty() || path == b"." || path.ends_with(b"/") || path.ends_with(b"/.") {
        return None;
    }
    let written = OsStr::from_bytes(path);
    let plain = match path.first() {
        Some(b'/') => AbsPath::new(written).ok()?,
        _ => caller.folder_path(dirfd).ok()?.join(written).ok()?,
    };
    // What is too long for a system call has to be followed from its folder.
    (plain.as_bytes().len() < libc::PATH_MAX as usize).then_some(plain)
}

/// Pins the object of `path`, relative to `base`.
pub(in crate::supervisor) fn resolve(
    caller: &Caller<'_>,
    base: Option<&OwnedFd>,
    path: &[u8],
    last: Last,
) -> Result<Place, Errno> {
    if path.is_empty() {
        return Err(Errno::ENOENT);
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
    // A path without links and without `..` is canonical as it is written.
    let written = AbsPath::new(OsStr::from_bytes(path)).ok();
    let direct = written.map(|path| (open(ResolveFlag::RESOLVE_NO_SYMLINKS), path));
    let found = match direct {
        Some((Ok(object), path)) => Ok(Place { object, path }),
        None | Some((Err(Errno::ELOOP), _)) => {
            open(ResolveFlag::RESOLVE_NO_MAGICLINKS).and_then(place)
        }
        Some((Err(errno), _)) => Err(errno),
    };
    match found {
        Ok(place) if !in_own_proc(&place.path) => Ok(place),
        Ok(_) | Err(Errno::ELOOP) => walk(caller, base, path, last),
        Err(errno) => Err(errno),
    }
}

/// How an object is pinned.
fn how(last: Last, resolve: ResolveFlag) -> OpenHow {
    let follow = if last == Last::NoFollow { OFlag::O_NOFOLLOW } else { OFlag::empty() };
    OpenHow::new().flags(PIN | follow).resolve(resolve)
}

/// Whether a path may lead over a link, so that what it means is not where it says. One that leads
/// nowhere without a link leads nowhere else either.
pub(in crate::supervisor) fn may_have_links(path: &AbsPath, last: Last) -> bool {
    let found = openat2(AT_FDCWD, path.as_path(), how(last, ResolveFlag::RESOLVE_NO_SYMLINKS));
    !matches!(found, Ok(_) | Err(Errno::ENOENT | Errno::ENOTDIR | Errno::EACCES))
}

/// Pins the object of a path that no caller waits for, relative to `base`. Nothing that depends on
/// who asks has a meaning then: magic links and what is in `/proc` are not followed.
pub(in crate::supervisor) fn resolve_quoted(base: &OwnedFd, path: &[u8]) -> Result<Place, Errno> {
    let how = OpenHow::new().flags(PIN).resolve(ResolveFlag::RESOLVE_NO_MAGICLINKS);
    let place = openat2(base, OsStr::from_bytes(path), how).and_then(place)?;
    if place.path.as_path().starts_with("/proc") { Err(Errno::ELOOP) } else { Ok(place) }
}

/// Pins the folder of `path` and splits off the name.
pub(in crate::supervisor) fn resolve_new(
    caller: &Caller<'_>,
    base: Option<&OwnedFd>,
    path: &[u8],
) -> Result<NewPlace, Errno> {
    let end = path.iter().rposition(|b| *b != b'/').map_or(0, |at| at + 1);
    let path = path.get(..end).unwrap_or_default();
    let start = path.iter().rposition(|b| *b == b'/').map_or(0, |at| at + 1);
    let (folder, name) = path.split_at(start);
    if name.is_empty() || name == b"." || name == b".." {
        return Err(Errno::EEXIST);
    }
    let folder = if folder.is_empty() { b"." } else { folder };
    Ok(NewPlace { folder: resolve(caller, base, folder, Last::Follow)?, name: name.to_vec() })
}

/// Names a pinned object. An object without a path (unlinked, another mount namespace) is gone.
fn place(object: OwnedFd) -> Result<Place, Errno> {
    let path = readlinkat(AT_FDCWD, pinned::name(&object).as_str())?;
    let path = AbsPath::new(path).map_err(|_| Errno::ENOENT)?;
    Ok(Place { object, path })
}

/// Whether the kernel took *our* `/proc/self` for the caller's.
fn in_own_proc(path: &AbsPath) -> bool {
    let mut components = path.as_path().components().skip(1);
    let proc = components.next().is_some_and(|c| c.as_os_str() == "proc");
    proc && components.next().is_some_and(|c| *c.as_os_str() == *std::process::id().to_string())
}

fn walk(
    caller: &Caller<'_>,
    base: Option<&OwnedFd>,
    path: &[u8],
    last: Last,
) -> Result<Place, Errno> {
    let root = || openat(AT_FDCWD, "/", PIN | OFlag::O_DIRECTORY, Mode::empty());
    let mut at = match base {
        Some(base) if path.first() != Some(&b'/') => base.try_clone().map_err(|_| Errno::EMFILE)?,
        _ => root()?,
    };
    let mut rest: VecDeque<Vec<u8>> = components(path);
    let mut links = 0;
    while let Some(name) = rest.pop_front() {
        let next = openat(&at, OsStr::from_bytes(&name), PIN | OFlag::O_NOFOLLOW, Mode::empty())?;
        let is_end = rest.is_empty();
        if !is_link(&next)? || (is_end && last == Last::NoFollow) {
            at = next;
            continue;
        }
        links += 1;
        if links > MAX_LINKS {
            return Err(Errno::ELOOP);
        }
        match link_target(caller, &at, &next, &name)? {
            LinkTarget::Object(object) => at = object,
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
    place(at)
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

fn is_link(object: &OwnedFd) -> Result<bool, Errno> {
    let stat = fstatat(object.as_fd(), "", AtFlags::AT_EMPTY_PATH)?;
    Ok(FileKind::of(&stat) == FileKind::Link)
}

/// Components in order, without empty ones and dots. A trailing slash is a dot at the end, which
/// opens a folder and nothing else.
fn components(path: &[u8]) -> VecDeque<Vec<u8>> {
    path.split(|b| *b == b'/').filter(|c| !c.is_empty() && *c != b".").map(<[u8]>::to_vec).collect()
}

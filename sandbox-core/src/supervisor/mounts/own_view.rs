//! Mounts that rest on the policy alone, so that a spare supervisor has them before there is a
//! request: the private `/tmp`, terminals of the run's own, and nothing where what is closed would be.

use super::kind;
use crate::AbsPath;
use crate::policy::{OwnView, PrivateTmp, Tmp};
use crate::supervisor::canonical::{self, PROC};
use crate::supervisor::isolate::FirstProcess;
use crate::supervisor::{SetupFailed, Stage};
use crate::sys;
use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat, openat2};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::stat::{Mode, SFlag, mkdirat};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

/// Mounts what a run sees differently.
///
/// Before any path of the policy is opened; half a view is none.
///
/// # Errors
/// What could not be mounted, and if there is no mount namespace of the run's own.
pub(in crate::supervisor) fn make(
    view: &OwnView,
    first: Option<FirstProcess>,
) -> Result<(), SetupFailed> {
    if first.is_none() && *view != OwnView::default() {
        let odd = "the policy needs mounts, and the plan asks for no namespace";
        return Err(SetupFailed::new(Stage::Namespaces, Errno::EPROTO, odd));
    }
    if let Some(tmp) = &view.tmp {
        private_tmp(tmp)?;
    }
    if let Some(place) = &view.terminals {
        terminals(place)?;
    }
    hide(&view.hidden)
}

fn failed(what: &'static str, path: &AbsPath) -> impl Fn(Errno) -> SetupFailed {
    move |errno| SetupFailed::new(Stage::Namespaces, errno, format!("{what} {path}"))
}

/// A trial, in a process of its own: whether what most runs see differently can be mounted.
pub(in crate::supervisor) fn attempt() -> Result<(), SetupFailed> {
    let place = OwnView::place_of_terminals();
    if place.as_path().is_dir() { terminals(&place) } else { Ok(()) }
}

/// A file system of terminals that starts empty (devpts, each mount of which has its own since Linux
/// 4.7). `/dev/ptmx` beside it makes its terminals in there.
fn terminals(place: &AbsPath) -> Result<(), SetupFailed> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC;
    let options = "ptmxmode=0666,mode=0620";
    mount(Some("devpts"), place.as_path(), Some("devpts"), flags, Some(options))
        .map_err(failed("mount", place))
}

/// Puts the private folder over `/tmp`, and what stays there back into it.
fn private_tmp(tmp: &PrivateTmp) -> Result<(), SetupFailed> {
    let place = Tmp::path();
    let over = existing(&place)?;
    let second = |path: &AbsPath| {
        let object = existing(path)?;
        sys::second_mount(object.as_fd()).map_err(failed("mount", path))
    };
    let ours = second(&tmp.folder)?;
    // Before they are covered.
    let stays = tmp.stays.iter().map(|path| Ok((path, second(path)?)));
    let stays = stays.collect::<Result<Vec<_>, SetupFailed>>()?;
    sys::attach(ours.as_fd(), over.as_fd()).map_err(failed("mount over", &place))?;
    for (path, mount) in stays {
        let stands = stand(&existing(&place)?, path).map_err(failed("keep", path))?;
        sys::attach(mount.as_fd(), stands.as_fd()).map_err(failed("keep", path))?;
    }
    Ok(())
}

fn existing(path: &AbsPath) -> Result<OwnedFd, SetupFailed> {
    let object = canonical::find(path).map_err(failed("open", path))?;
    object.ok_or_else(|| failed("open", path)(Errno::ENOENT))
}

/// A folder of this path below the new `/tmp`, made if it is missing. Other runs write there as
/// well: no link is followed, and what is there and no folder stops the run.
fn stand(tmp: &OwnedFd, path: &AbsPath) -> Result<OwnedFd, Errno> {
    let below = path.as_path().strip_prefix(Tmp::path().as_path()).unwrap_or(Path::new(""));
    let how = OpenHow::new()
        .flags(OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW)
        .resolve(ResolveFlag::RESOLVE_NO_SYMLINKS | ResolveFlag::RESOLVE_BENEATH);
    let mut at = tmp.try_clone().map_err(|_| Errno::EMFILE)?;
    for name in below.components() {
        let name = Path::new(name.as_os_str());
        match mkdirat(&at, name, Mode::S_IRWXU) {
            Ok(()) | Err(Errno::EEXIST) => at = openat2(&at, name, how)?,
            Err(errno) => return Err(errno),
        }
    }
    Ok(at)
}

/// Puts something empty over each of these that exists. Nobody may enter or read it: a run has its
/// user's rights and none of root's.
fn hide(paths: &[AbsPath]) -> Result<(), SetupFailed> {
    let mut there = Vec::new();
    for path in paths {
        let object = canonical::find(path).map_err(failed("hide", path))?;
        there.extend(object.map(|object| (path, object)));
    }
    if there.is_empty() {
        return Ok(());
    }
    let proc = PROC.to_path();
    let cover = Cover::over(&proc).map_err(failed("make a cover at", &proc))?;
    for (path, object) in &there {
        cover.put_over(object).map_err(failed("hide", path))?;
    }
    cover.fold().map_err(failed("take the cover off", &proc))
}

/// What is seen instead: an empty folder and an empty file without any permission, on a file system
/// of their own that cannot be written. Only what is attached somewhere can be mounted a second
/// time (before Linux 6.15), so for a moment it lies over a folder that is always there.
struct Cover<'p> {
    place: &'p AbsPath,
    folder: OwnedFd,
    file: OwnedFd,
}

impl<'p> Cover<'p> {
    fn over(place: &'p AbsPath) -> Result<Self, Errno> {
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
        mount(Some("tmpfs"), place.as_path(), Some("tmpfs"), flags, Some("mode=700,size=4k"))?;
        let root = canonical::find(place)?.ok_or(Errno::ENOENT)?;
        let nobody = Mode::empty();
        mkdirat(&root, "folder", nobody)?;
        let made = OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_WRONLY | OFlag::O_CLOEXEC;
        drop(openat(&root, "file", made, nobody)?);
        sys::make_read_only(root.as_fd())?;
        let pinned = |name| openat(&root, name, OFlag::O_PATH | OFlag::O_CLOEXEC, nobody);
        Ok(Self { place, folder: pinned("folder")?, file: pinned("file")? })
    }

    fn put_over(&self, object: &OwnedFd) -> Result<(), Errno> {
        let with = if kind(object)? == SFlag::S_IFDIR { &self.folder } else { &self.file };
        sys::attach(sys::second_mount(with.as_fd())?.as_fd(), object.as_fd())
    }

    /// Takes it from where it lies; what was put over something stays.
    fn fold(self) -> Result<(), Errno> {
        umount2(self.place.as_path(), MntFlags::MNT_DETACH)
    }
}

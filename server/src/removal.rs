//! Removal of a folder that commands could write to, while one of them may still be at it.
//!
//! Everything goes by descriptors and single names in them: a name that has come to be a link is
//! removed as a link, and only folders that were reached one by one, from a descriptor of the first
//! one, get another mode. Nothing outside is changed, whatever is swapped in between.
//!
//! Folders in folders are moved to the top before they are emptied. So the depth of a tree, which is
//! the commands' choice, takes neither descriptors nor stack.

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, openat, renameat};
use nix::sys::stat::{FchmodatFlags, Mode, fchmod, fchmodat, fstat};
use nix::unistd::{UnlinkatFlags, unlinkat};
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Names of one folder that are taken in at once.
const MOST_NAMES: usize = 65_536;

/// How far a removal came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Emptied {
    /// Nothing is left.
    Wholly,
    /// The time was over first.
    InPart,
}

/// Removes everything in `top`, until it is done or `until`: how deep and how full a folder is, and
/// whether somebody keeps filling it, is the commands' choice.
///
/// # Errors
/// The first thing that could not be removed, once nothing else can be.
pub(crate) fn empty(top: BorrowedFd<'_>, until: Instant) -> Result<Emptied, Errno> {
    usable(top, |mode| fchmod(top, mode))?;
    // Not a name that an earlier removal has left, which may be full.
    let moved = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().subsec_nanos();
    let mut removal = Removal { top, until, moved: u64::from(moved) };
    loop {
        let Pass { progress, failed } = removal.pass()?;
        match (progress, failed) {
            _ if removal.is_over() => return Ok(Emptied::InPart),
            (true, _) => {}
            (false, Some(errno)) => return Err(errno),
            (false, None) => return Ok(Emptied::Wholly),
        }
    }
}

/// One removal, and how it stands.
struct Removal<'f> {
    top: BorrowedFd<'f>,
    until: Instant,
    /// The number that was given last to a folder that was moved up.
    moved: u64,
}

/// What one look at everything in the top folder came to.
#[derive(Debug, Default)]
struct Pass {
    /// Something is gone, or nearer to it.
    progress: bool,
    failed: Option<Errno>,
}

impl Pass {
    fn note(&mut self, done: Result<(), Errno>) {
        match done {
            Ok(()) => self.progress = true,
            // Somebody else removed it.
            Err(Errno::ENOENT) => {}
            Err(errno) => self.failed = self.failed.or(Some(errno)),
        }
    }
}

impl Removal<'_> {
    fn is_over(&self) -> bool {
        Instant::now() >= self.until
    }

    fn pass(&mut self) -> Result<Pass, Errno> {
        let mut pass = Pass::default();
        for name in names(self.top)? {
            if self.is_over() {
                break;
            }
            match unlinkat(self.top, name.as_c_str(), UnlinkatFlags::NoRemoveDir) {
                // POSIX has the second one (unlink(2)).
                Err(Errno::EISDIR | Errno::EPERM) => self.remove_folder(&name, &mut pass),
                done => pass.note(done),
            }
        }
        Ok(pass)
    }

    /// Removes a folder in the top one, or at least what is in it: files go, folders move up.
    fn remove_folder(&mut self, name: &CStr, pass: &mut Pass) {
        let top = self.top;
        let remove = || unlinkat(top, name, UnlinkatFlags::RemoveDir);
        let folder = match remove() {
            Err(Errno::ENOTEMPTY | Errno::EEXIST) => open_folder(top, name),
            done => return pass.note(done),
        };
        let inside = folder.and_then(|folder| Ok((names(folder.as_fd())?, folder)));
        let (inside, folder) = match inside {
            Ok(opened) => opened,
            Err(errno) => return pass.note(Err(errno)),
        };
        for name in inside {
            if self.is_over() {
                return;
            }
            match unlinkat(&folder, name.as_c_str(), UnlinkatFlags::NoRemoveDir) {
                Err(Errno::EISDIR | Errno::EPERM) => pass.note(self.move_up(&folder, &name)),
                done => pass.note(done),
            }
        }
        pass.note(remove());
    }

    /// Moves a folder to the top, where the next pass finds it.
    fn move_up(&mut self, folder: &OwnedFd, name: &CStr) -> Result<(), Errno> {
        match unlinkat(folder, name, UnlinkatFlags::RemoveDir) {
            Err(Errno::ENOTEMPTY | Errno::EEXIST) => {}
            done => return done,
        }
        // A folder that may not be written cannot be given another parent.
        pin(folder.as_fd(), name)?;
        self.moved += 1;
        renameat(folder, name, self.top, format!(".removed-{}", self.moved).as_str())
    }
}

/// Opens a folder, and nothing but a folder, so that what is in it can be removed.
fn open_folder(parent: BorrowedFd<'_>, name: &CStr) -> Result<OwnedFd, Errno> {
    list(pin(parent, name)?.as_fd())
}

/// Takes hold of a folder, and of nothing but a folder, whatever its mode is, and sees to it that its
/// owner may do everything with it.
fn pin(parent: BorrowedFd<'_>, name: &CStr) -> Result<OwnedFd, Errno> {
    let pin = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let pinned = openat(parent, name, pin, Mode::empty())?;
    // The one way to change the mode of what was opened without the right to read it: the link leads
    // to that folder, wherever it is by now (proc_pid_fd(5)).
    let itself = format!("/proc/self/fd/{}", pinned.as_raw_fd());
    usable(pinned.as_fd(), |mode| {
        fchmodat(AT_FDCWD, itself.as_str(), mode, FchmodatFlags::FollowSymlink)
    })?;
    Ok(pinned)
}

/// Gives the owner all rights to an opened folder, if some are missing.
fn usable(
    folder: BorrowedFd<'_>,
    set: impl FnOnce(Mode) -> Result<(), Errno>,
) -> Result<(), Errno> {
    let mode = Mode::from_bits_truncate(fstat(folder)?.st_mode);
    if mode.contains(Mode::S_IRWXU) { Ok(()) } else { set(Mode::S_IRWXU) }
}

fn list(folder: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    let list = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    openat(folder, c".", list, Mode::empty())
}

/// Names in a folder: all, or so many that taking them in takes neither memory nor time to speak of.
/// Taken before anything is removed: what readdir(3) gives after that is not said.
fn names(folder: BorrowedFd<'_>) -> Result<Vec<CString>, Errno> {
    // A descriptor of its own, which starts at the beginning.
    let mut dir = Dir::from_fd(list(folder)?)?;
    let names = dir.iter().map(|entry| Ok(entry?.file_name().to_owned()));
    names.filter(|name| !matches!(name, Ok(name) if is_here(name))).take(MOST_NAMES).collect()
}

fn is_here(name: &CStr) -> bool {
    matches!(name.to_bytes(), b"." | b"..")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, File, Permissions};
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::path::Path;
    use std::time::Duration;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    fn emptied(top: &Path) -> Result<Emptied, Errno> {
        empty(File::open(top).unwrap().as_fd(), Instant::now() + Duration::from_secs(600))
    }

    #[test]
    fn links_are_removed_and_not_followed() {
        let top = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        let victim = outside.path().join("victim");
        fs::create_dir(&victim).unwrap();
        fs::write(victim.join("file"), "x").unwrap();
        set_mode(&victim, 0o555);
        set_mode(&victim.join("file"), 0o400);
        let inner = top.path().join("inner");
        fs::create_dir(&inner).unwrap();
        symlink(&victim, top.path().join("link")).unwrap();
        symlink(&victim, inner.join("link")).unwrap();
        fs::hard_link(victim.join("file"), inner.join("file")).unwrap();
        set_mode(&inner, 0o500);
        assert_eq!(emptied(top.path()), Ok(Emptied::Wholly));
        assert_eq!(fs::read_dir(top.path()).unwrap().count(), 0);
        assert_eq!((mode(&victim), mode(&victim.join("file"))), (0o555, 0o400));
    }

    #[test]
    fn a_link_that_took_the_place_of_a_folder_is_not_opened() {
        let top = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        set_mode(outside.path(), 0o500);
        fs::write(top.path().join("file"), "x").unwrap();
        symlink(outside.path(), top.path().join("link")).unwrap();
        let folder = File::open(top.path()).unwrap();
        for name in [c"link", c"file"] {
            let opened = open_folder(folder.as_fd(), name);
            assert!(matches!(opened, Err(Errno::ENOTDIR | Errno::ELOOP)), "{opened:?}");
        }
        assert_eq!(mode(outside.path()), 0o500);
    }

    #[test]
    fn a_folder_that_was_moved_away_is_what_was_opened() {
        let top = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        set_mode(outside.path(), 0o500);
        let (name, moved) = (top.path().join("name"), top.path().join("moved"));
        fs::create_dir(&name).unwrap();
        fs::write(name.join("file"), "x").unwrap();
        let folder = File::open(top.path()).unwrap();
        let opened = open_folder(folder.as_fd(), c"name").unwrap();
        fs::rename(&name, &moved).unwrap();
        symlink(outside.path(), &name).unwrap();
        assert_eq!(names(opened.as_fd()).unwrap(), [c"file".to_owned()]);
        unlinkat(&opened, c"file", UnlinkatFlags::NoRemoveDir).unwrap();
        assert_eq!(fs::read_dir(&moved).unwrap().count(), 0);
        assert_eq!(mode(outside.path()), 0o500);
    }

    #[test]
    fn folders_without_rights_are_removed_with_what_is_in_them() {
        let top = tempfile::tempdir().unwrap();
        let (closed, read_only) = (top.path().join("closed"), top.path().join("a/read-only"));
        for folder in [&closed.join("in/deeper"), &read_only] {
            fs::create_dir_all(folder).unwrap();
            fs::write(folder.join("file"), "x").unwrap();
        }
        set_mode(&read_only, 0o555);
        set_mode(&closed.join("in/deeper"), 0);
        set_mode(&closed.join("in"), 0o100);
        set_mode(&closed, 0);
        set_mode(top.path(), 0o500);
        assert_eq!(emptied(top.path()), Ok(Emptied::Wholly));
        assert_eq!(fs::read_dir(top.path()).unwrap().count(), 0);
    }

    #[test]
    fn depth_takes_no_descriptors() {
        const DEPTH: usize = 3000;
        let top = tempfile::tempdir().unwrap();
        let mut folder = OwnedFd::from(File::open(top.path()).unwrap());
        for _ in 0..DEPTH {
            nix::sys::stat::mkdirat(&folder, c"d", Mode::S_IRWXU).unwrap();
            folder = open_folder(folder.as_fd(), c"d").unwrap();
        }
        assert_eq!(emptied(top.path()), Ok(Emptied::Wholly));
        assert_eq!(fs::read_dir(top.path()).unwrap().count(), 0);
    }

    /// What one removal leaves, for want of time, the next one finds.
    #[test]
    fn it_ends_when_its_time_is_over() {
        let top = tempfile::tempdir().unwrap();
        for name in ["a/b/c/d", "e/f/g/h", ".removed-1/x/y"] {
            fs::create_dir_all(top.path().join(name)).unwrap();
        }
        let folder = File::open(top.path()).unwrap();
        assert_eq!(empty(folder.as_fd(), Instant::now()), Ok(Emptied::InPart));
        assert_ne!(fs::read_dir(top.path()).unwrap().count(), 0);
        assert_eq!(emptied(top.path()), Ok(Emptied::Wholly));
        assert_eq!(fs::read_dir(top.path()).unwrap().count(), 0);
    }
}

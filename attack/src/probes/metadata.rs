//! Attributes of files: Landlock has no right for them.

use super::{c_path, did, done, io};
use crate::sys::{at, at_mut, call};
use crate::{Expect, Outcome, Probe, Targets};
use nix::fcntl::{AT_FDCWD, OFlag, open};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use nix::sys::stat::{FchmodatFlags, Mode, UtimensatFlags, fchmod, fchmodat, utimensat};
use nix::sys::time::TimeSpec;
use nix::unistd::{chown, getegid, geteuid};
use std::fs::{self, File};
use std::os::fd::AsRawFd;

pub(crate) const PROBES: &[Probe] = &[
    Probe::new("own-mode", "change the mode of a file in the workspace", |t| {
        let path = t.own("own-mode");
        fs::write(&path, "x").map_err(io)?;
        done(fchmodat(AT_FDCWD, &path, Mode::S_IRUSR, FchmodatFlags::FollowSymlink))
    })
    .expect(Expect::Works),
    Probe::new("chmod", "change a mode by path", |t| {
        let path = t.outside("file");
        done(fchmodat(AT_FDCWD, &path, Mode::S_IRUSR | Mode::S_IWUSR, FchmodatFlags::FollowSymlink))
    }),
    Probe::new("fchmod", "change the mode of a file that is open to read", |t| {
        done(fchmod(File::open(t.home(".gitconfig")).map_err(io)?, Mode::S_IRUSR | Mode::S_IWUSR))
    }),
    Probe::new("fchmodat2", "change a mode by the newer call", |t| {
        let path = c_path(&t.outside("file"))?;
        let path = at(path.to_bytes_with_nul());
        done(call(452, &[i64::from(libc::AT_FDCWD), path, 0o600, 0]))
    }),
    Probe::new("chmod-pinned", "change a mode through an O_PATH descriptor", |t| {
        let pinned = open(&t.outside("file"), OFlag::O_PATH, Mode::empty())?;
        let path = format!("/proc/self/fd/{}", pinned.as_raw_fd());
        let mode = Mode::S_IRUSR | Mode::S_IWUSR;
        done(fchmodat(AT_FDCWD, path.as_str(), mode, FchmodatFlags::FollowSymlink))
    }),
    Probe::new("chown", "change an owner", |t| {
        done(chown(&t.outside("file"), Some(geteuid()), Some(getegid())))
    }),
    Probe::new("utimensat", "change times", |t| {
        let now = TimeSpec::UTIME_NOW;
        let path = t.outside("file");
        done(utimensat(AT_FDCWD, &path, &now, &now, UtimensatFlags::FollowSymlink))
    }),
    Probe::new("setxattr", "set an extended attribute", setxattr).if_built(),
    Probe::new("setxattrat", "the same by the newer call", |t| {
        let path = c_path(&t.outside("file"))?;
        let (path, name) = (at(path.to_bytes_with_nul()), at(c"user.nono".to_bytes_with_nul()));
        let value = [at(b"x"), 1];
        done(call(463, &[i64::from(libc::AT_FDCWD), path, 0, name, at(&value), 16]))
    })
    .if_built(),
    Probe::new("file-flags", "change the flags of a file that is open to read", |t| {
        let file = File::open(t.home(".gitconfig")).map_err(io)?;
        let (fd, mut flags) = (i64::from(file.as_raw_fd()), 0_i64);
        call(libc::SYS_ioctl, &[fd, 0x8008_6601, at_mut(&mut flags)])?;
        done(call(libc::SYS_ioctl, &[fd, 0x4008_6602, at(&flags)]))
    })
    .if_built(),
    Probe::new("own-watch", "be told of changes in the workspace", |t| {
        let watcher = Inotify::init(InitFlags::IN_NONBLOCK)?;
        done(watcher.add_watch(&t.own(""), AddWatchFlags::IN_ALL_EVENTS))
    })
    .expect(Expect::Works),
    Probe::new("own-lock", "lock a file of the workspace", |t| {
        let file = File::create(t.own("own-lock")).map_err(io)?;
        done(call(libc::SYS_flock, &[i64::from(file.as_raw_fd()), 2]))
    })
    .expect(Expect::Works),
    Probe::new("watch", "be told of changes to files nothing grants", |t| {
        let watcher = Inotify::init(InitFlags::IN_NONBLOCK)?;
        done(watcher.add_watch(&t.outside(""), AddWatchFlags::IN_ALL_EVENTS))
    }),
    Probe::new("watch-key", "be told when a key is read", |t| {
        let watcher = Inotify::init(InitFlags::IN_NONBLOCK)?;
        done(watcher.add_watch(&t.home(".ssh/id_ed25519"), AddWatchFlags::IN_ACCESS))
    }),
    Probe::new("watch-all", "watch a whole file system", |_| {
        done(call(libc::SYS_fanotify_init, &[0x200 | 0x2, 0]))
    }),
    Probe::new("lock", "lock a file that may only be read, so that others wait", |t| {
        let file = File::open(t.home(".gitconfig")).map_err(io)?;
        done(call(libc::SYS_flock, &[i64::from(file.as_raw_fd()), 2 | 4]))
    }),
    Probe::new("lease", "make whoever opens a file wait", |t| {
        /// fcntl(2)
        const F_SETLEASE: i64 = 1024;
        let file = File::open(t.home(".gitconfig")).map_err(io)?;
        done(call(libc::SYS_fcntl, &[i64::from(file.as_raw_fd()), F_SETLEASE, 0]))
    }),
    Probe::new("own-setuid", "make a program of the workspace run as its owner", |t| {
        let path = t.own("setuid");
        fs::write(&path, "x").map_err(io)?;
        let mode = Mode::S_ISUID | Mode::S_IRWXU;
        let set = fchmodat(AT_FDCWD, &path, mode, FchmodatFlags::FollowSymlink);
        did(fs::remove_file(path)).and(done(set))
    })
    .open("building packages sets such bits; inside, no program gains rights by them"),
];

fn setxattr(t: &Targets) -> Outcome {
    let path = c_path(&t.outside("file"))?;
    let (path, name) = (at(path.to_bytes_with_nul()), at(c"user.nono".to_bytes_with_nul()));
    done(call(libc::SYS_setxattr, &[path, name, at(b"x"), 1, 0]))
}

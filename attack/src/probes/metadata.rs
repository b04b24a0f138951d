//! Attributes of files: Landlock has no right for them.

use super::{c_path, did, done, io};
use crate::sys::{at, at_mut, call};
use crate::{Expect, Outcome, Probe, Targets};
use nix::errno::Errno;
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
    Probe::new("file-attributes", "the same by the newer command", |t| {
        let file = File::open(t.home(".gitconfig")).map_err(io)?;
        // `struct fsxattr`; FS_IOC_FSGETXATTR, FS_IOC_FSSETXATTR.
        let (fd, mut attributes) = (i64::from(file.as_raw_fd()), [0_u32; 7]);
        call(libc::SYS_ioctl, &[fd, 0x801c_581f, at_mut(&mut attributes)])?;
        done(call(libc::SYS_ioctl, &[fd, 0x401c_5820, at(&attributes)]))
    })
    .if_built(),
    Probe::new("file-setattr", "the same by path", |t| {
        let path = c_path(&t.outside("file"))?;
        let (here, path) = (i64::from(libc::AT_FDCWD), at(path.to_bytes_with_nul()));
        // `struct file_attr`, read and set again as it was.
        let mut attributes = [0_u32; 6];
        call(FILE_GETATTR, &[here, path, at_mut(&mut attributes), 24, 0])?;
        done(call(FILE_SETATTR, &[here, path, at(&attributes), 24, 0]))
    })
    .if_built(),
    Probe::new("removexattrat", "remove an extended attribute", |t| {
        let path = c_path(&t.outside("file"))?;
        let (path, name) = (at(path.to_bytes_with_nul()), c"user.nono-absent");
        let here = i64::from(libc::AT_FDCWD);
        done(call(REMOVEXATTRAT, &[here, path, 0, at(name.to_bytes_with_nul())]))
    })
    .answers(Errno::ENODATA),
    Probe::new("generation", "change the generation of a file that is open to read", |t| {
        generation(t, 0x8008_7601, 0x4008_7602)
    })
    .if_built(),
    Probe::new("generation-old", "the same by ext4's own command", |t| {
        generation(t, 0x8008_6603, 0x4008_6604)
    })
    .if_built(),
    Probe::new("allocate", "have ext4 write a file out that is open to read", |t| {
        file_command(t, 0x660c)
    })
    .if_built(),
    Probe::new("snapshot", "make a snapshot in a folder that is open to read", |t| {
        folder_command(t, 0x5000_9401)
    }),
    Probe::new("subvolume", "make a subvolume there", |t| folder_command(t, 0x5000_940e)),
    Probe::new("snapshot-remove", "remove one", |t| folder_command(t, 0x5000_940f)),
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

/// Newer than libc (Linux 6.13, 6.17).
const REMOVEXATTRAT: i64 = 466;
const FILE_GETATTR: i64 = 468;
const FILE_SETATTR: i64 = 469;

fn generation(t: &Targets, get: i64, set: i64) -> Outcome {
    let file = File::open(t.home(".gitconfig")).map_err(io)?;
    let (fd, mut generation) = (i64::from(file.as_raw_fd()), 0_i64);
    call(libc::SYS_ioctl, &[fd, get, at_mut(&mut generation)])?;
    done(call(libc::SYS_ioctl, &[fd, set, at(&generation)]))
}

fn file_command(t: &Targets, command: i64) -> Outcome {
    let file = File::open(t.home(".gitconfig")).map_err(io)?;
    done(call(libc::SYS_ioctl, &[file.as_raw_fd().into(), command, 0]))
}

/// Asks for something that cannot be done: no name, no descriptor. Whether the file system was asked
/// shows in the errno: what knows no such command says `ENOTTY`, btrfs what is wrong.
fn folder_command(t: &Targets, command: i64) -> Outcome {
    let folder = File::open(t.own("")).map_err(io)?;
    // `struct btrfs_ioctl_vol_args`.
    let mut nothing = [0_u64; 512];
    nothing[0] = u64::MAX;
    match call(libc::SYS_ioctl, &[folder.as_raw_fd().into(), command, at(&nothing)]) {
        Ok(_) => Ok(String::new()),
        Err(Errno::EOPNOTSUPP | Errno::EPERM | Errno::EACCES) => Err(Errno::EOPNOTSUPP),
        Err(asked) => Ok(format!("{asked:?}")),
    }
}

fn setxattr(t: &Targets) -> Outcome {
    let path = c_path(&t.outside("file"))?;
    let (path, name) = (at(path.to_bytes_with_nul()), at(c"user.nono".to_bytes_with_nul()));
    done(call(libc::SYS_setxattr, &[path, name, at(b"x"), 1, 0]))
}

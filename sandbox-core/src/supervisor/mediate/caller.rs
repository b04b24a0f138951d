//! The thread that waits for an answer: its memory, descriptors and folders.
//!
//! Everything here is looked up by thread id. It means this thread for as long as the notification
//! is valid, so whoever acts on what was found asks [`Caller::still_waits`] *after* the look-up.

use super::listener::Listener;
use crate::AbsPath;
use crate::register::int;
use crate::sys;
use nix::errno::Errno;
use nix::fcntl::{OFlag, open, readlink};
use nix::sys::stat::{Mode, stat};
use std::cell::RefCell;
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

/// The caller of one notification.
#[derive(Debug, Clone, Copy)]
pub(in crate::supervisor) struct Caller<'l> {
    listener: &'l Listener,
    id: u64,
    tid: i32,
}

/// Proof that the caller still waited after everything about its call had been found, so that all
/// of it is really the caller's. Whoever acts on what was found takes one.
#[derive(Debug)]
pub(super) struct Confirmed(());

/// What `/proc/TID/status` says, as far as mediation needs it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::supervisor) struct Status {
    /// Process (thread group).
    pub(in crate::supervisor) tgid: i32,
    pub(super) umask: u32,
    pub(super) threads: u32,
    /// Pending for this thread and neither blocked nor ignored.
    pub(super) own_signals: u64,
    /// The same for its process.
    pub(super) shared_signals: u64,
}

thread_local! {
    /// The task that the mediating thread served last. Most callers call more than once, and making
    /// such a descriptor is the dearest step of all. It means whoever has the id now, or nobody: an
    /// id is given to another task only when the task behind the descriptor is gone, and then the
    /// descriptor leads nowhere (pidfd_getfd(2): `ESRCH`).
    static LAST: RefCell<Option<(i32, OwnedFd)>> = const { RefCell::new(None) };
}

impl<'l> Caller<'l> {
    /// `None` if the thread is not visible in our PID namespace, so that nothing could be read.
    pub(super) fn new(listener: &'l Listener, id: u64, tid: i32) -> Option<Self> {
        (tid > 0).then_some(Self { listener, id, tid })
    }

    /// Its notification.
    pub(super) fn id(&self) -> u64 {
        self.id
    }

    pub(in crate::supervisor) fn tid(&self) -> i32 {
        self.tid
    }

    /// Whether everything found so far belongs to the caller.
    pub(super) fn still_waits(&self) -> Result<Confirmed, Errno> {
        if self.listener.is_valid(self.id) { Ok(Confirmed(())) } else { Err(Errno::ESRCH) }
    }

    /// Exactly `length` bytes of its memory.
    pub(in crate::supervisor) fn read(
        &self,
        address: u64,
        length: usize,
    ) -> Result<Vec<u8>, Errno> {
        let mut bytes = vec![0; length];
        let read = if length == 0 { 0 } else { sys::read_memory(self.tid, address, &mut bytes)? };
        if read == length { Ok(bytes) } else { Err(Errno::EFAULT) }
    }

    /// Writes a result into its memory.
    pub(super) fn write(&self, address: u64, bytes: &[u8]) -> Result<(), Errno> {
        sys::write_memory(self.tid, address, bytes)
    }

    /// Its process (thread group).
    pub(in crate::supervisor) fn process(&self) -> Result<i32, Errno> {
        self.status().map(|s| s.tgid)
    }

    /// A string of its memory, as the kernel would take a path: `ENAMETOOLONG` without a NUL in
    /// `PATH_MAX` bytes.
    pub(in crate::supervisor) fn read_path(&self, address: u64) -> Result<Vec<u8>, Errno> {
        /// Most paths are short; the rest is fetched only for those that are not.
        const FIRST: usize = 256;
        const PATH_MAX: usize = libc::PATH_MAX as usize;
        let mut bytes = vec![0; FIRST];
        for length in [FIRST, PATH_MAX] {
            bytes.resize(length, 0);
            let read = sys::read_memory(self.tid, address, &mut bytes)?;
            if let Some(end) = bytes.get(..read).and_then(|b| b.iter().position(|c| *c == 0)) {
                bytes.truncate(end);
                return Ok(bytes);
            }
            if read < length {
                return Err(Errno::EFAULT);
            }
        }
        Err(Errno::ENAMETOOLONG)
    }

    /// What is behind one of its descriptor numbers.
    pub(super) fn descriptor(&self, fd: u64) -> Result<OwnedFd, Errno> {
        let fd = int(fd);
        LAST.with_borrow_mut(|last| {
            let known = last.as_ref().filter(|(tid, _)| *tid == self.tid);
            if let Some(copy) = known.and_then(|(_, t)| sys::duplicate_from(t.as_fd(), fd).ok()) {
                return Ok(copy);
            }
            let task = match sys::open_thread_pidfd(self.tid) {
                // Before Linux 6.9: the group's descriptors, which are the thread's too, because
                // the filter refuses threads with descriptors of their own. Not kept: the group
                // may outlive the thread and its id.
                Err(Errno::EINVAL) => {
                    let group = sys::open_pidfd(self.status()?.tgid)?;
                    return sys::duplicate_from(group.as_fd(), fd);
                }
                other => other?,
            };
            let copy = sys::duplicate_from(task.as_fd(), fd);
            *last = Some((self.tid, task));
            copy
        })
    }

    /// The folder a relative path starts from: its working directory, or one of its descriptors.
    pub(in crate::supervisor) fn folder(&self, dirfd: i32) -> Result<OwnedFd, Errno> {
        match u64::try_from(dirfd) {
            Ok(fd) => self.descriptor(fd),
            Err(_) if dirfd == libc::AT_FDCWD => {
                let path = format!("/proc/{}/cwd", self.tid);
                open(path.as_str(), OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty())
            }
            Err(_) => Err(Errno::EBADF),
        }
    }

    /// Where that folder is.
    pub(in crate::supervisor) fn folder_path(&self, dirfd: i32) -> Result<AbsPath, Errno> {
        let link = match dirfd {
            libc::AT_FDCWD => format!("/proc/{}/cwd", self.tid),
            fd => format!("/proc/{}/fd/{fd}", self.tid),
        };
        let path = readlink(link.as_str())?;
        AbsPath::new(path).map_err(|_| Errno::ENOENT)
    }

    /// Its program, empty if that cannot be told.
    pub(super) fn exe(&self) -> Vec<u8> {
        std::fs::read_link(format!("/proc/{}/exe", self.tid))
            .map(|p| p.as_os_str().as_bytes().to_vec())
            .unwrap_or_default()
    }

    pub(super) fn status(&self) -> Result<Status, Errno> {
        Self::status_of(self.tid)
    }

    /// Whether its process has no other thread. While it waits, it starts none.
    pub(super) fn is_alone(&self) -> Result<bool, Errno> {
        Ok(threads(self.tid)? == 1)
    }

    /// The same of any thread. `ESRCH` if it is gone, and only then.
    pub(in crate::supervisor) fn status_of(tid: i32) -> Result<Status, Errno> {
        // `fs::read` asks for the size, is told that it is none, and reads in small pieces.
        let mut text = Vec::with_capacity(4096);
        File::open(format!("/proc/{tid}/status"))
            .and_then(|file| file.take(u64::MAX).read_to_end(&mut text))
            .map_err(|e| why_unread(&e))?;
        Ok(Status::parse(&text))
    }
}

/// Threads of a thread's process. The number of links of `/proc/TID/task` is two and one for each
/// (`proc_task_getattr` in fs/proc/base.c); to make and read `status` takes several times as long.
fn threads(tid: i32) -> Result<u64, Errno> {
    const NONE: u64 = 2;
    Ok(stat(format!("/proc/{tid}/task").as_str())?.st_nlink.saturating_sub(NONE))
}

/// Why nothing can be read of a thread: it is gone, or there is no room for a descriptor now.
fn why_unread(error: &std::io::Error) -> Errno {
    match error.raw_os_error().map_or(Errno::EIO, Errno::from_raw) {
        Errno::ENOENT => Errno::ESRCH,
        other => other,
    }
}

impl Status {
    /// Whether a pending signal is certainly for this thread to handle: its own, or one for the
    /// process where the kernel picks this thread. It picks the leader whenever that does not
    /// block the signal (`complete_signal` in kernel/signal.c).
    pub(super) fn is_certain_for(&self, tid: i32) -> bool {
        let picked = self.threads == 1 || self.tgid == tid;
        self.own_signals != 0 || (self.shared_signals != 0 && picked)
    }

    /// Parses proc_pid_status(5). The name line is escaped by the kernel, so no other line can be
    /// forged by it.
    fn parse(text: &[u8]) -> Status {
        let mut status = Status::default();
        let (mut pending, mut shared, mut held) = (0, 0, 0u64);
        for line in String::from_utf8_lossy(text).lines() {
            let Some((field, value)) = line.split_once(':') else { continue };
            let value = value.trim();
            let mask = || u64::from_str_radix(value, 16).unwrap_or(0);
            match field {
                "Tgid" => status.tgid = value.parse().unwrap_or(0),
                "Umask" => status.umask = u32::from_str_radix(value, 8).unwrap_or(0o077),
                "Threads" => status.threads = value.parse().unwrap_or(0),
                "SigPnd" => pending = mask(),
                "ShdPnd" => shared = mask(),
                "SigBlk" | "SigIgn" => held |= mask(),
                _ => {}
            }
        }
        status.own_signals = pending & !held;
        status.shared_signals = shared & !held;
        status
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whose_signal_it_is() {
        let shared = Status { tgid: 7, threads: 2, shared_signals: 1, ..Status::default() };
        assert!(shared.is_certain_for(7));
        assert!(!shared.is_certain_for(8));
        assert!(Status { threads: 1, ..shared }.is_certain_for(8));
        assert!(Status { own_signals: 1, ..shared }.is_certain_for(8));
        assert!(!Status { shared_signals: 0, ..shared }.is_certain_for(7));
    }

    #[test]
    fn threads_are_counted() {
        let mut one = std::process::Command::new("cat");
        let mut one = one.stdin(std::process::Stdio::piped()).spawn().unwrap();
        assert_eq!(threads(i32::try_from(one.id()).unwrap()), Ok(1));
        drop(one.stdin.take());
        one.wait().unwrap();
        let (end, ended) = std::sync::mpsc::channel::<()>();
        let another = std::thread::spawn(move || ended.recv());
        let found = threads(nix::unistd::getpid().as_raw());
        assert!(found.is_ok_and(|threads| threads >= 2), "{found:?}");
        drop(end);
        assert!(another.join().unwrap().is_err());
    }

    #[test]
    fn a_thread_that_cannot_be_looked_at_is_not_gone() {
        assert_eq!(Caller::status_of(i32::MAX), Err(Errno::ESRCH));
        for errno in [Errno::ESRCH, Errno::EMFILE, Errno::ENFILE, Errno::ENOMEM] {
            assert_eq!(why_unread(&std::io::Error::from(errno)), errno);
        }
    }

    #[test]
    fn status_fields() {
        let text = b"Name:\tx\nUmask:\t0027\nTgid:\t42\nThreads:\t3\nSigPnd:\t0000000000000003\n\
            ShdPnd:\t0000000000004000\nSigBlk:\t0000000000000001\nSigIgn:\t0000000000004000\n";
        let expected =
            Status { tgid: 42, umask: 0o27, threads: 3, own_signals: 2, shared_signals: 0 };
        assert_eq!(Status::parse(text), expected);
    }
}

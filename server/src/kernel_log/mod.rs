//! What Landlock refused, from the kernel's audit log (`diagnostics.filesystem: "audit"`).
//!
//! The kernel sends what it writes there to everybody who joined a netlink group, so nothing has to
//! be changed on the machine, and a daemon that keeps the log goes on doing so. Joining takes
//! `CAP_AUDIT_READ`, the kernel says nothing unless auditing is switched on, and it talks to the
//! first user and process namespaces only (netlink(7), kernel/audit.c).

mod book;
mod message;

use book::Book;
use nix::errno::Errno;
use nix::sys::socket::sockopt::RcvBuf;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, send,
    setsockopt, socket,
};
use nono_sandbox::process_stat::ProcessStat;
use nono_sandbox::record::KernelRefusal;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// Everybody who reads along (`AUDIT_NLGRP_READLOG`).
const READERS: u32 = 1;
/// `AUDIT_GET`, which answers with a `struct audit_status`.
const STATUS: u16 = 1000;
/// `NLM_F_REQUEST`
const REQUEST: u16 = 1;
/// `struct nlmsghdr`: length, type, flags, sequence, port.
const HEADER: usize = 16;
/// Longest message (`MAX_AUDIT_MESSAGE_LENGTH`), and room to spare.
const LONGEST: usize = 16 << 10;
/// Messages that may wait for this process.
const BUFFER: usize = 4 << 20;

/// For how long refusals of a run that is over may still be on their way.
const SETTLE: Duration = Duration::from_millis(10);
/// For how long a domain that refused something may take to be given up by the kernel, which then
/// tells how much it refused.
const COUNT_PATIENCE: Duration = Duration::from_millis(500);

/// Why the log cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KernelLogError {
    /// The kernel refuses, or has no such log.
    #[error("{0}: it takes CAP_AUDIT_READ, outside of containers and user namespaces")]
    Closed(Errno),
    /// Nothing is written to it.
    #[error("auditing is switched off; `auditctl -e 1` switches it on")]
    Off,
    /// The kernel cannot log what Landlock refuses.
    #[error("this kernel has Landlock ABI {0}; ABI 7 (Linux 6.15) is needed")]
    Old(u32),
    /// No thread for it.
    #[error("cannot start a thread: {0}")]
    Thread(std::io::Error),
}

/// The log, read by a thread of its own for as long as this process lives.
#[derive(Debug, Clone)]
pub(crate) struct KernelLog(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    book: Mutex<Book>,
    /// Changes with every message that may matter.
    changed: watch::Sender<()>,
}

impl Shared {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl KernelLog {
    /// Joins the readers. `landlock_abi`: the kernel's.
    ///
    /// # Errors
    /// [`KernelLogError`] says what is missing.
    pub(crate) fn open(landlock_abi: u32) -> Result<Self, KernelLogError> {
        /// The first that logs.
        const LOGGING: u32 = 7;
        if landlock_abi < LOGGING {
            return Err(KernelLogError::Old(landlock_abi));
        }
        let socket = join().map_err(KernelLogError::Closed)?;
        if !is_on().map_err(KernelLogError::Closed)? {
            return Err(KernelLogError::Off);
        }
        let shared = Arc::new(Shared { book: Mutex::default(), changed: watch::Sender::default() });
        let reader = Arc::clone(&shared);
        std::thread::Builder::new()
            .name("kernel-log".into())
            .spawn(move || read(&socket, &reader))
            .map_err(KernelLogError::Thread)?;
        Ok(Self(shared))
    }

    /// From now on what is refused to the run of a supervisor is kept. The run's plan has `mark`.
    pub(crate) fn follow(&self, supervisor: u32, mark: u64) -> Option<Following> {
        let supervisor = i32::try_from(supervisor).ok()?;
        self.0.book().follow(supervisor, mark, Instant::now());
        Some(Following { shared: Arc::clone(&self.0), supervisor })
    }
}

/// One run, listened for.
#[derive(Debug)]
pub(crate) struct Following {
    shared: Arc<Shared>,
    supervisor: i32,
}

impl Following {
    /// Waits for what is still on its way; to be called when the command's processes are gone. What
    /// was refused, and how many refusals the kernel counted beyond that.
    pub(crate) async fn finish(self) -> (Vec<KernelRefusal>, u64) {
        tokio::time::sleep(SETTLE).await;
        let mut changed = self.shared.changed.subscribe();
        let complete = async {
            while !self.shared.book().is_complete(self.supervisor) {
                if changed.changed().await.is_err() {
                    return;
                }
            }
        };
        if tokio::time::timeout(COUNT_PATIENCE, complete).await.is_err() {
            tracing::debug!("a run's domain outlived it: refusals may be missing");
        }
        let heard = self.shared.book().forget(self.supervisor);
        heard.map_or_else(Default::default, |heard| (heard.refusals, heard.missed))
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        self.shared.book().forget(self.supervisor);
    }
}

fn netlink() -> Result<OwnedFd, Errno> {
    let protocol = SockProtocol::NetlinkAudit;
    socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol)
}

fn join() -> Result<OwnedFd, Errno> {
    let socket = netlink()?;
    bind(socket.as_raw_fd(), &NetlinkAddr::new(0, READERS))?;
    // A smaller one still works.
    let _smaller = setsockopt(&socket, RcvBuf, &BUFFER);
    Ok(socket)
}

/// Whether auditing is switched on.
fn is_on() -> Result<bool, Errno> {
    let socket = netlink()?;
    let mut request = Vec::with_capacity(HEADER);
    request.extend(u32::try_from(HEADER).unwrap_or(0).to_ne_bytes());
    request.extend(STATUS.to_ne_bytes());
    request.extend(REQUEST.to_ne_bytes());
    request.extend([0; 8]);
    send(socket.as_raw_fd(), &request, MsgFlags::empty())?;
    let mut answer = [0; 512];
    let length = recv(socket.as_raw_fd(), &mut answer, MsgFlags::empty())?;
    let (kind, body) = split(answer.get(..length).unwrap_or_default()).ok_or(Errno::EBADMSG)?;
    // An error is a negative errno; a status is a mask and whether it is on (linux/audit.h).
    let word = |at: usize| body.get(at..).and_then(<[u8]>::first_chunk::<4>);
    match kind {
        STATUS => Ok(word(4).is_some_and(|on| u32::from_ne_bytes(*on) != 0)),
        _ => {
            Err(Errno::from_raw(word(0).map_or(0, |code| i32::from_ne_bytes(*code)).wrapping_neg()))
        }
    }
}

/// A message's type and body.
fn split(message: &[u8]) -> Option<(u16, &[u8])> {
    let kind = u16::from_ne_bytes(*message.get(4..)?.first_chunk()?);
    Some((kind, message.get(HEADER..)?))
}

fn read(socket: &OwnedFd, shared: &Shared) {
    let mut buffer = vec![0; LONGEST];
    loop {
        match recv(socket.as_raw_fd(), &mut buffer, MsgFlags::empty()) {
            Ok(length) => {
                let message = split(buffer.get(..length).unwrap_or_default());
                let Some((serial, message)) =
                    message.and_then(|(kind, body)| message::read(kind, body))
                else {
                    continue;
                };
                let parent_of = |pid| ProcessStat::of(pid)?.parent();
                shared.book().note(serial, message, Instant::now(), &parent_of);
                shared.changed.send_replace(());
            }
            // Some did not fit; the kernel's count of each domain shows which runs they are missing
            // from.
            Err(Errno::EINTR | Errno::ENOBUFS) => {}
            Err(errno) => {
                tracing::error!(%errno, "the kernel's audit log cannot be read any more");
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_kernels_are_told_apart() {
        let error = KernelLog::open(6).unwrap_err().to_string();
        assert!(error.contains("ABI 6") && error.contains("ABI 7"), "{error}");
    }
}

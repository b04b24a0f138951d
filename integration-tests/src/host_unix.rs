//! UNIX sockets of the host: who reaches them is counted, and learns a greeting that nothing else
//! could have told.

use crate::User;
use std::io::Write;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

/// A socket that greets and counts.
#[derive(Debug)]
pub struct HostSocket {
    reached: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl HostSocket {
    /// A stream socket at `path` that everybody may connect to as far as file modes go.
    ///
    /// # Panics
    /// If it cannot be bound.
    #[must_use]
    pub fn stream(path: &Path, greeting: &str) -> Self {
        let listener = UnixListener::bind(path).unwrap_or_else(|e| panic!("bind {path:?}: {e}"));
        everybody(path);
        // Races bring thousands of visitors; the queue is not what they are about.
        // SAFETY: a listening socket that we own; only its queue length changes.
        unsafe { libc::listen(listener.as_raw_fd(), 4096) };
        Self::serve(listener, greeting)
    }

    /// An abstract stream socket.
    ///
    /// # Panics
    /// If it cannot be bound.
    #[must_use]
    pub fn abstract_stream(name: &str, greeting: &str) -> Self {
        let address = SocketAddr::from_abstract_name(name).expect("a name");
        Self::serve(UnixListener::bind_addr(&address).expect("bind abstract"), greeting)
    }

    /// A sequenced-packet socket at `path`.
    ///
    /// # Panics
    /// If it cannot be bound.
    #[must_use]
    pub fn seqpacket(path: &Path, greeting: &str) -> Self {
        use nix::sys::socket::{
            AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, listen, socket,
        };
        let kind = SockType::SeqPacket;
        let fd = socket(AddressFamily::Unix, kind, SockFlag::SOCK_CLOEXEC, None).expect("socket");
        bind(fd.as_raw_fd(), &UnixAddr::new(path).expect("a short path")).expect("bind");
        listen(&fd, Backlog::new(64).expect("a small number")).expect("listen");
        everybody(path);
        // Accepting and writing work alike on both kinds.
        Self::serve(UnixListener::from(fd), greeting)
    }

    fn serve(listener: UnixListener, greeting: &str) -> Self {
        let (reached, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (count, ended, greeting) = (reached.clone(), stop.clone(), greeting.to_owned());
        let thread = std::thread::spawn(move || {
            while readable(listener.as_raw_fd(), &ended) {
                let Some(mut visitor) = accept(&listener) else { continue };
                count.fetch_add(1, Ordering::SeqCst);
                let _ = visitor.write_all(greeting.as_bytes());
            }
        });
        Self { reached, stop, thread: Some(thread) }
    }

    /// A datagram socket at `path`, or abstract with a leading `@`. Counts what arrives.
    ///
    /// # Panics
    /// If it cannot be bound.
    #[must_use]
    pub fn datagram(address: &str) -> Self {
        let socket = match address.strip_prefix('@') {
            Some(name) => {
                UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(name).expect("a name"))
                    .expect("bind abstract")
            }
            None => UnixDatagram::bind(address).unwrap_or_else(|e| panic!("bind {address}: {e}")),
        };
        if !address.starts_with('@') {
            everybody(Path::new(address));
        }
        let (reached, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (count, ended) = (reached.clone(), stop.clone());
        let thread = std::thread::spawn(move || {
            while readable(socket.as_raw_fd(), &ended) {
                if socket.recv(&mut [0; 256]).is_ok() {
                    count.fetch_add(1, Ordering::SeqCst);
                }
            }
        });
        Self { reached, stop, thread: Some(thread) }
    }

    /// How many have come so far.
    #[must_use]
    pub fn reached(&self) -> u64 {
        self.reached.load(Ordering::SeqCst)
    }
}

impl Drop for HostSocket {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Waits until there is something to do; false when it is time to stop.
fn readable(fd: i32, ended: &AtomicBool) -> bool {
    loop {
        if ended.load(Ordering::SeqCst) {
            return false;
        }
        let mut entry = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
        // SAFETY: one valid entry.
        if unsafe { libc::poll(&raw mut entry, 1, 50) } > 0 {
            return true;
        }
    }
}

/// The standard library's `accept` looks at the peer's address, which a sequenced-packet socket
/// gives as well; going by the descriptor keeps it one code for both.
fn accept(listener: &UnixListener) -> Option<UnixStream> {
    let (none, flags) = (std::ptr::null_mut(), libc::SOCK_CLOEXEC);
    // SAFETY: no address is asked for.
    let fd = unsafe { libc::accept4(listener.as_raw_fd(), none, std::ptr::null_mut(), flags) };
    // SAFETY: a new descriptor that nobody else has.
    (fd >= 0).then(|| UnixStream::from(unsafe { OwnedFd::from_raw_fd(fd) }))
}

/// A socket belongs to whom its folder belongs to, and file modes shall not be what refuses.
pub(crate) fn everybody(path: &Path) {
    // Anybody else's sockets are in folders of their own already.
    if User::Same.is_root() {
        let owner = path.parent().and_then(|p| p.metadata().ok()).expect("a folder");
        std::os::unix::fs::lchown(path, Some(owner.uid()), Some(owner.gid()))
            .unwrap_or_else(|e| panic!("chown {path:?}: {e}"));
    }
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o777))
        .unwrap_or_else(|e| panic!("chmod {path:?}: {e}"));
}

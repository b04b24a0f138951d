//! Servers of the host that send back what they get: on loopback ports and UNIX sockets.

use std::io::{Read, Write};
use std::net::{TcpListener, UdpSocket};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

/// A server that sends back what it gets.
#[derive(Debug)]
pub struct Echo {
    port: u16,
    served: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Echo {
    /// TCP. A visitor that says nothing is let go when it closes.
    ///
    /// # Panics
    /// If no port can be had.
    #[must_use]
    pub fn tcp() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback port");
        let port = listener.local_addr().expect("bound").port();
        // SAFETY: a listening socket that we own; only its queue length changes.
        unsafe { libc::listen(listener.as_raw_fd(), 4096) };
        listener.set_nonblocking(true).expect("flag");
        Self::start(port, move |served| {
            let Ok((visitor, _)) = listener.accept() else { return false };
            let _ = visitor.set_nonblocking(false);
            served.fetch_add(1, Ordering::SeqCst);
            std::thread::spawn(move || send_back(visitor));
            true
        })
    }

    /// A UNIX stream socket that everybody may connect to as far as file modes go.
    ///
    /// # Panics
    /// If it cannot be bound.
    #[must_use]
    pub fn unix(path: &Path) -> Self {
        let listener = UnixListener::bind(path).unwrap_or_else(|e| panic!("bind {path:?}: {e}"));
        crate::host_unix::everybody(path);
        // SAFETY: a listening socket that we own; only its queue length changes.
        unsafe { libc::listen(listener.as_raw_fd(), 4096) };
        listener.set_nonblocking(true).expect("flag");
        Self::start(0, move |served| {
            let Ok((visitor, _)) = listener.accept() else { return false };
            let _ = visitor.set_nonblocking(false);
            served.fetch_add(1, Ordering::SeqCst);
            std::thread::spawn(move || send_back(visitor));
            true
        })
    }

    /// UDP.
    ///
    /// # Panics
    /// If no port can be had.
    #[must_use]
    pub fn udp() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("loopback port");
        let port = socket.local_addr().expect("bound").port();
        socket.set_nonblocking(true).expect("flag");
        Self::start(port, move |served| {
            let mut buffer = [0; 2048];
            let Ok((n, from)) = socket.recv_from(&mut buffer) else { return false };
            served.fetch_add(1, Ordering::SeqCst);
            let _ = socket.send_to(&buffer[..n], from);
            true
        })
    }

    fn start(port: u16, mut serve: impl FnMut(&AtomicU64) -> bool + Send + 'static) -> Self {
        let (served, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (count, ended) = (served.clone(), stop.clone());
        let thread = std::thread::spawn(move || {
            while !ended.load(Ordering::SeqCst) {
                if !serve(&count) {
                    std::thread::sleep(std::time::Duration::from_millis(1));
                }
            }
        });
        Self { port, served, stop, thread: Some(thread) }
    }

    /// The port, as the probes take it.
    #[must_use]
    pub fn port(&self) -> String {
        self.port.to_string()
    }

    /// Visitors or datagrams so far.
    #[must_use]
    pub fn served(&self) -> u64 {
        self.served.load(Ordering::SeqCst)
    }
}

/// Until the visitor closes.
fn send_back(mut visitor: impl Read + Write) {
    let mut buffer = [0; 256];
    while let Ok(n @ 1..) = visitor.read(&mut buffer) {
        if visitor.write_all(&buffer[..n]).is_err() {
            return;
        }
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

//! The runs' proxy: HTTP and SOCKS5, for names and addresses the profile lists.
//!
//! Whose a connection is, is never in question: each run's supervisor accepts its connections and
//! hands them over ([`Introduction`]). What programs know as the proxy's address is a port that is
//! kept free and that nobody listens on. A connection is for one destination, judged once, looked up
//! once: whatever is sent on it afterwards goes there and nowhere else.

mod client;
mod destination;
mod http;
mod places;
mod relay;
mod socks;

pub(crate) use places::{MOST_OF_A_RUN, Share};

use crate::error::ServerError;
use client::{Client, Tenant};
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrIn, bind, getsockname, socket, socketpair,
};
use nono_sandbox::control::{ControlError, Introduction, receive_introduction};
use nono_sandbox::policy::NetworkPolicy;
use nono_sandbox::record::DenialLog;
use places::{Place, Seats};
use std::io;
use std::net::{SocketAddr, SocketAddrV4};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::io::Interest;
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::{Semaphore, watch};

/// How long the connections of a run that is over may take to pass on what was sent before: without
/// a proxy the kernel would deliver it.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// How long a program may take to say what it wants.
const REQUEST: Duration = Duration::from_secs(60);

/// The address that stands for the proxy in all runs of this server.
#[derive(Debug)]
pub(crate) struct Proxy {
    address: SocketAddr,
    /// Keeps the port from everybody else.
    _bound: OwnedFd,
}

impl Proxy {
    /// Takes a loopback port of the kernel's choice.
    ///
    /// # Errors
    /// [`ServerError::System`] if there is no loopback device.
    pub(crate) fn start() -> Result<Self, ServerError> {
        let doing = |errno: Errno| {
            ServerError::doing("take a port of 127.0.0.1 for the runs' proxy")(errno.into())
        };
        let flags = SockFlag::SOCK_CLOEXEC;
        let bound = socket(AddressFamily::Inet, SockType::Stream, flags, None).map_err(doing)?;
        bind(bound.as_raw_fd(), &SockaddrIn::new(127, 0, 0, 1, 0)).map_err(doing)?;
        let address: SockaddrIn = getsockname(bound.as_raw_fd()).map_err(doing)?;
        Ok(Self { address: SocketAddrV4::from(address).into(), _bound: bound })
    }

    /// What programs are told to connect to.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

/// A run's right to be served. Dropped: its connections are closed once what its programs have sent
/// is delivered, or after [`LAST_WORDS`].
#[derive(Debug)]
pub(crate) struct Tenancy {
    tenant: Arc<Tenant>,
}

impl Tenancy {
    /// For a run with this policy, of the principal that has this share.
    pub(crate) fn new(policy: &NetworkPolicy, share: Arc<Share>) -> Self {
        let tenant = Arc::new(Tenant {
            policy: policy.clone(),
            refused: Mutex::default(),
            started: Instant::now(),
            seats: Seats::new(share),
            pipes: Semaphore::new(relay::MAX_PIPES),
            over: watch::Sender::new(false),
        });
        Self { tenant }
    }

    /// Serves the run from now on: the connections that its supervisor hands over by the returned
    /// descriptor.
    ///
    /// # Errors
    /// If descriptors have run out.
    pub(crate) fn open(&self) -> io::Result<OwnedFd> {
        let flags = SockFlag::SOCK_CLOEXEC;
        let (ours, theirs) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, flags)?;
        let ours = std::os::unix::net::UnixStream::from(ours);
        // Of this end alone.
        ours.set_nonblocking(true)?;
        let ours = UnixStream::from_std(ours)?;
        tokio::spawn(take_connections(ours, Arc::clone(&self.tenant)));
        Ok(theirs)
    }

    /// What the proxy has refused so far.
    pub(crate) fn refused(&self) -> DenialLog {
        self.tenant.refused().log().clone()
    }
}

impl Drop for Tenancy {
    fn drop(&mut self) {
        self.tenant.over.send_replace(true);
    }
}

/// Takes what a supervisor hands over, until it or its run has ended.
async fn take_connections(way: UnixStream, tenant: Arc<Tenant>) {
    let mut over = tenant.over.subscribe();
    loop {
        let next = tokio::select! {
            // What was handed over before the end is served.
            biased;
            next = next_connection(&way) => next,
            _ = over.wait_for(|over| *over) => return,
        };
        match next {
            Ok((Introduction { pid, exe }, connection)) => {
                let client = Client { tenant: Arc::clone(&tenant), pid, exe };
                let connection = std::net::TcpStream::from(connection);
                match tenant.seats.take() {
                    Ok(place) => drop(tokio::spawn(until_over(connection, client, place))),
                    Err(full) => {
                        client.record_full(full);
                        http::turn_away(&connection);
                    }
                }
            }
            Err(ControlError::Closed) => return,
            // The message is gone, its connection with it. Out of descriptors, most likely: some come
            // back when other connections end.
            Err(error) => tracing::warn!(%error, "a connection to the proxy was lost"),
        }
    }
}

async fn next_connection(way: &UnixStream) -> Result<(Introduction, OwnedFd), ControlError> {
    let received = way.async_io(Interest::READABLE, || match receive_introduction(way.as_fd()) {
        Ok(Some(introduced)) => Ok(Ok(introduced)),
        Ok(None) => Err(io::ErrorKind::WouldBlock.into()),
        Err(error) => Ok(Err(error)),
    });
    received.await.map_err(|_| ControlError::Closed)?
}

/// Serves a connection, not much longer than its run goes on.
async fn until_over(connection: std::net::TcpStream, client: Client, _place: Place) {
    let tenant = Arc::clone(&client.tenant);
    let stream = connection.set_nonblocking(true).and_then(|()| TcpStream::from_std(connection));
    let mut over = tenant.over.subscribe();
    let served = async { serve(stream?, client).await };
    tokio::select! {
        () = async {
            drop(over.wait_for(|over| *over).await);
            tokio::time::sleep(LAST_WORDS).await;
        } => {}
        ended = served => {
            if let Err(error) = ended {
                tracing::debug!(%error, "a proxied connection ended");
            }
        }
    }
}

/// Serves one connection, whichever protocol it speaks.
async fn serve(mut stream: TcpStream, client: Client) -> io::Result<()> {
    let _slower_without = stream.set_nodelay(true);
    let mut first = [0];
    let opened = tokio::time::timeout(REQUEST, async {
        if stream.peek(&mut first).await? == 0 {
            return Ok(None);
        }
        match first {
            [socks::VERSION] => socks::open(&mut stream, &client).await,
            _ => http::open(&mut stream, &client).await,
        }
    });
    let Some(mut upstream) =
        opened.await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??
    else {
        return Ok(());
    };
    relay::relay(&mut stream, &mut upstream, &client.tenant.pipes).await
}

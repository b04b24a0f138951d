//! The runs' proxy: HTTP and SOCKS5 on one loopback port, for names and addresses the profile lists.
//!
//! Whose a connection is, the supervisor says before the program has it ([`Introduction`]); who
//! cannot say it is not served. A connection is for one destination, judged once, looked up once:
//! whatever is sent on it afterwards goes there and nowhere else.

mod destination;
mod http;
mod relay;
mod socks;

use crate::error::ServerError;
use destination::Destination;
use nono_sandbox::control::{Introduction, RunSecret, receive_listener};
use nono_sandbox::policy::{Access, NetworkPolicy, Source};
use nono_sandbox::record::{
    Confidence, Denial, DenialLog, Kind, Layer, Operation, Reason, Recorder,
};
use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};

/// Connections of one run at a time; more are closed at once.
const MAX_CONNECTIONS: usize = 2048;
/// Connections that have not said whose they are.
const MAX_STRANGERS: usize = 1024;
/// How long the connections of a run that is over may take to pass on what was sent before: without
/// a proxy the kernel would deliver it.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// How long a supervisor may take to introduce a connection. It does so at once.
const INTRODUCTION: Duration = Duration::from_secs(5);
/// How long a program may take to say what it wants.
const REQUEST: Duration = Duration::from_secs(60);

/// The proxy of all runs of this server.
#[derive(Debug)]
pub(crate) struct Proxy {
    address: SocketAddr,
    tenants: Arc<Tenants>,
}

/// The runs it serves.
#[derive(Debug, Default)]
struct Tenants(Mutex<HashMap<RunSecret, Arc<Tenant>>>);

impl Tenants {
    fn lock(&self) -> MutexGuard<'_, HashMap<RunSecret, Arc<Tenant>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A run, as the proxy sees it.
#[derive(Debug)]
struct Tenant {
    policy: NetworkPolicy,
    refused: Mutex<Recorder>,
    started: Instant,
    places: Semaphore,
    pipes: Semaphore,
    over: watch::Sender<bool>,
}

/// Who is behind a connection.
#[derive(Debug)]
struct Client {
    tenant: Arc<Tenant>,
    pid: i32,
    exe: Vec<u8>,
}

impl Proxy {
    /// Starts listening on a loopback port of the kernel's choice.
    ///
    /// # Errors
    /// [`ServerError::System`] if there is no loopback device.
    pub(crate) fn start() -> Result<Self, ServerError> {
        let doing = || ServerError::doing("listen on 127.0.0.1 for the runs' proxy");
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(doing())?;
        listener.set_nonblocking(true).map_err(doing())?;
        let address = listener.local_addr().map_err(doing())?;
        let listener = TcpListener::from_std(listener).map_err(doing())?;
        let tenants: Arc<Tenants> = Arc::default();
        tokio::spawn(accept(listener, Arc::clone(&tenants)));
        Ok(Self { address, tenants })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves a run from now on.
    ///
    /// # Errors
    /// If the kernel gives no random numbers.
    pub(crate) fn admit(&self, policy: &NetworkPolicy) -> io::Result<Tenancy> {
        let secret = RunSecret(crate::random::bytes()?);
        let tenant = Arc::new(Tenant {
            policy: policy.clone(),
            refused: Mutex::default(),
            started: Instant::now(),
            places: Semaphore::new(MAX_CONNECTIONS),
            pipes: Semaphore::new(relay::MAX_PIPES),
            over: watch::Sender::new(false),
        });
        self.tenants.lock().insert(secret, Arc::clone(&tenant));
        Ok(Tenancy { secret, tenant, tenants: Arc::clone(&self.tenants) })
    }
}

/// A run's right to be served. Dropped: its secret means nothing, and its connections are closed once
/// what its programs have sent is delivered, or after [`LAST_WORDS`].
#[derive(Debug)]
pub(crate) struct Tenancy {
    secret: RunSecret,
    tenant: Arc<Tenant>,
    tenants: Arc<Tenants>,
}

impl Tenancy {
    /// What the run's supervisor introduces connections with.
    pub(crate) fn secret(&self) -> RunSecret {
        self.secret
    }

    /// Serves the run in a network of its own as well: on the socket that its supervisor sends over
    /// the returned descriptor, until the run is over.
    ///
    /// # Errors
    /// [`ServerError::System`] if descriptors have run out.
    pub(crate) fn wait_for_relay(&self) -> Result<OwnedFd, ServerError> {
        let (ours, theirs) =
            UnixStream::pair().map_err(ServerError::doing("make a socket pair"))?;
        let mut over = self.tenant.over.subscribe();
        let tenants = Arc::clone(&self.tenants);
        tokio::spawn(async move {
            // Ends at the latest with the supervisor, which has the other end.
            let received = tokio::task::spawn_blocking(move || receive_listener(ours.as_fd()));
            let Ok(Ok(listener)) = received.await else { return };
            let listener = std::net::TcpListener::from(listener);
            let taken =
                listener.set_nonblocking(true).and_then(|()| TcpListener::from_std(listener));
            match taken {
                Ok(listener) => tokio::select! {
                    _ = over.wait_for(|over| *over) => {}
                    () = accept(listener, tenants) => {}
                },
                Err(error) => tracing::warn!(%error, "a run's network has no proxy"),
            }
        });
        Ok(theirs.into())
    }

    /// What the proxy has refused so far.
    pub(crate) fn refused(&self) -> DenialLog {
        self.tenant.refused().log().clone()
    }
}

impl Drop for Tenancy {
    fn drop(&mut self) {
        self.tenants.lock().remove(&self.secret);
        self.tenant.over.send_replace(true);
    }
}

impl Tenant {
    fn refused(&self) -> MutexGuard<'_, Recorder> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Client {
    /// Records that a destination was refused; `resolved` if because of an address it has.
    fn record(
        &self,
        destination: &Destination,
        resolved: Option<SocketAddr>,
        rule: Option<&Source>,
    ) {
        let at = self.tenant.started.elapsed().as_millis();
        let at = u64::try_from(at).unwrap_or(u64::MAX);
        self.tenant.refused().add(Denial {
            kind: Kind::NetProxy,
            operation: Operation::Connect,
            access: Access::empty(),
            target: destination.to_string().into_bytes(),
            resolved: resolved.map(|at| at.to_string().into_bytes()),
            host: None,
            syscall: "connect".to_owned(),
            errno: nix::errno::Errno::EACCES as i32,
            pid: self.pid,
            exe: self.exe.clone(),
            layer: Layer::Proxy,
            reason: Reason::NoGrant,
            rule: rule.cloned(),
            confidence: Confidence::Enforced,
            count: 1,
            first_ms: at,
            last_ms: at,
        });
    }
}

/// Takes connections until the server ends.
async fn accept(listener: TcpListener, tenants: Arc<Tenants>) {
    let strangers = Arc::new(Semaphore::new(MAX_STRANGERS));
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of descriptors, most likely; some come back when connections end.
                tracing::debug!(%error, "the proxy cannot take a connection");
                tokio::time::sleep(Duration::from_millis(10)).await;
                continue;
            }
        };
        let Ok(stranger) = Arc::clone(&strangers).try_acquire_owned() else { continue };
        let tenants = Arc::clone(&tenants);
        tokio::spawn(async move {
            let mut stream = stream;
            let known = tokio::time::timeout(INTRODUCTION, introduced(&mut stream, &tenants));
            let Ok(Ok(Some(client))) = known.await else { return };
            drop(stranger);
            let tenant = Arc::clone(&client.tenant);
            let Ok(_place) = tenant.places.try_acquire() else { return };
            let mut over = tenant.over.subscribe();
            tokio::select! {
                () = async {
                    drop(over.wait_for(|over| *over).await);
                    tokio::time::sleep(LAST_WORDS).await;
                } => {}
                ended = serve(stream, client) => {
                    if let Err(error) = ended {
                        tracing::debug!(%error, "a proxied connection ended");
                    }
                }
            }
        });
    }
}

/// Whose connection this is; `None` if it does not say, or of no run that goes on.
async fn introduced(stream: &mut TcpStream, tenants: &Tenants) -> io::Result<Option<Client>> {
    let mut head = [0; Introduction::HEAD];
    stream.read_exact(&mut head).await?;
    let Some((secret, pid, length)) = Introduction::decode_head(&head) else { return Ok(None) };
    let mut exe = vec![0; length];
    stream.read_exact(&mut exe).await?;
    let tenant = tenants.lock().get(&secret).cloned();
    Ok(tenant.map(|tenant| Client { tenant, pid, exe }))
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

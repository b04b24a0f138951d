//! Where a connection goes: judged, looked up once, judged again, and connected.

use super::client::{Client, Tenant};
use super::places::ALL_LOOKUPS;
use nono_sandbox::policy::{Closed, Host, NameVerdict};
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::{TcpStream, lookup_host};
use tokio::sync::Semaphore;

/// How long looking a name up may take.
const LOOKUP: Duration = Duration::from_secs(10);
/// How long each address may take to answer.
const CONNECT: Duration = Duration::from_secs(10);

/// A host and port somebody asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Destination {
    pub(super) host: Host,
    pub(super) port: u16,
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoWay {
    /// The profile does not let it through.
    #[error(
        "refused by the sandbox: {destination} {why}; the operator can allow it in the profile, \
         network.allow"
    )]
    Refused {
        /// What was asked for.
        destination: Destination,
        /// What the policy says.
        why: &'static str,
    },
    /// The name has no address.
    #[error("{0} cannot be looked up")]
    NoAddress(Destination),
    /// None of its addresses answers.
    #[error("{destination} cannot be reached: {source}")]
    Unreachable {
        /// What was asked for.
        destination: Destination,
        /// What the last address said.
        #[source]
        source: io::Error,
    },
}

impl Destination {
    /// Reads `host:port`, or a host alone where a port is usual.
    pub(super) fn parse(authority: &str, usual_port: Option<u16>) -> Option<Self> {
        let (host, port) = match authority.rsplit_once(':') {
            // The colons of a bare IPv6 address are no port's.
            Some((host, port)) if !host.contains(':') || host.ends_with(']') => {
                let digits = !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
                (host, digits.then(|| port.parse().ok()).flatten()?)
            }
            _ => (authority, usual_port?),
        };
        let host = Host::parse(host).ok()?;
        (port != 0).then_some(Self { host, port })
    }

    /// Connects, if the client's run may.
    pub(super) async fn connect(self, client: &Client) -> Result<TcpStream, NoWay> {
        let policy = &client.tenant.policy;
        match policy.host(&self.host, self.port) {
            NameVerdict::Allowed(_) => {}
            NameVerdict::Denied(entry) => {
                client.record(self.to_string(), None, Some(&entry.source));
                return Err(NoWay::Refused { destination: self, why: "is in network.deny" });
            }
            NameVerdict::NotListed => {
                client.record(self.to_string(), None, None);
                return Err(NoWay::Refused { destination: self, why: "is not listed" });
            }
        }
        let addresses = self.addresses(&client.tenant).await?;
        let judged = |at: &SocketAddr| policy.resolved(*at);
        let open: Vec<SocketAddr> =
            addresses.iter().copied().filter(|at| judged(at).is_ok()).collect();
        if let (true, Some(first)) = (open.is_empty(), addresses.first()) {
            let rule = match judged(first) {
                Err(Closed::Denied(source)) => Some(source),
                _ => None,
            };
            client.record(self.to_string(), Some(*first), rule);
            let why = "leads to an address that is not public and not listed";
            return Err(NoWay::Refused { destination: self, why });
        }
        let mut last = io::Error::from(io::ErrorKind::NotFound);
        for address in open {
            match tokio::time::timeout(CONNECT, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => {
                    let _slower_without = stream.set_nodelay(true);
                    return Ok(stream);
                }
                Ok(Err(error)) => last = error,
                Err(_) => last = io::ErrorKind::TimedOut.into(),
            }
        }
        Err(NoWay::Unreachable { destination: self, source: last })
    }

    /// Its addresses, looked up once: the same are judged and connected to.
    async fn addresses(&self, tenant: &Tenant) -> Result<Vec<SocketAddr>, NoWay> {
        let name = match &self.host {
            Host::Address(ip) => return Ok(vec![SocketAddr::new(*ip, self.port)]),
            Host::Name(name) => name.as_str(),
        };
        let found = tokio::time::timeout(LOOKUP, look_up(name.to_owned(), self.port, tenant)).await;
        match found {
            Ok(Some(addresses)) if !addresses.is_empty() => Ok(addresses),
            Ok(_) | Err(_) => Err(NoWay::NoAddress(self.clone())),
        }
    }
}

/// Whoever looks a name up holds one.
static LOOKUPS: Semaphore = Semaphore::const_new(ALL_LOOKUPS);

/// The addresses of a name. Whoever stops waiting gives its place back when the look-up has ended.
async fn look_up(name: String, port: u16, tenant: &Tenant) -> Option<Vec<SocketAddr>> {
    let [of_run, of_principal] = tenant.seats.lookups();
    let of_run = of_run.acquire_owned().await.ok()?;
    let of_principal = of_principal.acquire_owned().await.ok()?;
    let place = LOOKUPS.acquire().await.ok()?;
    let looking = tokio::spawn(async move {
        let found = lookup_host((name, port)).await.map(Iterator::collect);
        drop((of_run, of_principal, place));
        found
    });
    looking.await.ok()?.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_ports() {
        let read = |text, usual| Destination::parse(text, usual).map(|d| d.to_string());
        assert_eq!(read("Example.COM.:443", None).as_deref(), Some("example.com:443"));
        assert_eq!(read("example.com", Some(80)).as_deref(), Some("example.com:80"));
        assert_eq!(read("[2001:db8::1]:443", None).as_deref(), Some("[2001:db8::1]:443"));
        assert_eq!(read("[::ffff:10.0.0.1]:1", None).as_deref(), Some("10.0.0.1:1"));
        for text in [
            "example.com",
            "example.com:",
            "example.com:0",
            "example.com:65536",
            "example.com:+80",
            "user@example.com:443",
            "example.com:443:80",
            "a/b:443",
            "a b:443",
            "127.1:80",
            "2130706433:80",
            ":443",
            "[::1:443",
            "example.com%00.evil.test:443",
        ] {
            assert_eq!(read(text, None), None, "{text:?}");
        }
    }
}

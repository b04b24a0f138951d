//! The SOCKS5 side (RFC 1928): `CONNECT` alone.

use super::client::Client;
use super::destination::{Destination, NoWay};
use nono_sandbox::policy::Host;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// First byte of everything.
pub(super) const VERSION: u8 = 5;
/// First byte of a user name and password (RFC 1929).
const LOGIN_VERSION: u8 = 1;

const NO_LOGIN: u8 = 0;
const LOGIN: u8 = 2;
const NONE_ACCEPTABLE: u8 = 0xff;

const CONNECT: u8 = 1;

/// What the client is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reply {
    Done = 0,
    Refused = 2,
    HostUnreachable = 4,
    CommandUnknown = 7,
    AddressUnknown = 8,
}

/// Reads what is asked for and connects; `None` if it was refused.
pub(super) async fn open(stream: &mut TcpStream, client: &Client) -> io::Result<Option<TcpStream>> {
    if !greeted(stream).await? {
        return Ok(None);
    }
    let destination = match asked(stream).await? {
        Ok(destination) => destination,
        Err(no) => {
            reply(stream, no).await?;
            return Ok(None);
        }
    };
    match destination.connect(client).await {
        Ok(upstream) => {
            reply(stream, Reply::Done).await?;
            Ok(Some(upstream))
        }
        Err(NoWay::Refused { .. }) => {
            reply(stream, Reply::Refused).await?;
            Ok(None)
        }
        Err(NoWay::NoAddress(_) | NoWay::Unreachable { .. }) => {
            reply(stream, Reply::HostUnreachable).await?;
            Ok(None)
        }
    }
}

/// Agrees on a way to log in. Whose the connection is, is known; a name and password that a client
/// insists on sending are read and mean nothing.
async fn greeted(stream: &mut TcpStream) -> io::Result<bool> {
    let [_version, count] = bytes(stream).await?;
    let mut methods = vec![0; count.into()];
    stream.read_exact(&mut methods).await?;
    if methods.contains(&NO_LOGIN) {
        stream.write_all(&[VERSION, NO_LOGIN]).await?;
        return Ok(true);
    }
    if !methods.contains(&LOGIN) {
        stream.write_all(&[VERSION, NONE_ACCEPTABLE]).await?;
        return Ok(false);
    }
    stream.write_all(&[VERSION, LOGIN]).await?;
    let [_version, length] = bytes(stream).await?;
    stream.read_exact(&mut vec![0; length.into()]).await?;
    let [length] = bytes(stream).await?;
    stream.read_exact(&mut vec![0; length.into()]).await?;
    stream.write_all(&[LOGIN_VERSION, 0]).await?;
    Ok(true)
}

/// Where the client wants to go.
async fn asked(stream: &mut TcpStream) -> io::Result<Result<Destination, Reply>> {
    let [version, command, _reserved, kind] = bytes(stream).await?;
    if version != VERSION || command != CONNECT {
        return Ok(Err(Reply::CommandUnknown));
    }
    let host = match kind {
        1 => Some(Host::Address(IpAddr::V4(Ipv4Addr::from(bytes::<4>(stream).await?)))),
        4 => {
            let ip = IpAddr::V6(Ipv6Addr::from(bytes::<16>(stream).await?));
            Some(Host::Address(ip.to_canonical()))
        }
        3 => {
            let [length] = bytes(stream).await?;
            let mut name = vec![0; length.into()];
            stream.read_exact(&mut name).await?;
            std::str::from_utf8(&name).ok().and_then(|name| Host::parse(name).ok())
        }
        _ => return Ok(Err(Reply::AddressUnknown)),
    };
    let port = u16::from_be_bytes(bytes(stream).await?);
    let destination = host.filter(|_| port != 0).map(|host| Destination { host, port });
    Ok(destination.ok_or(Reply::AddressUnknown))
}

async fn bytes<const N: usize>(stream: &mut TcpStream) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    stream.read_exact(&mut bytes).await?;
    Ok(bytes)
}

/// Answers; the address it is bound to is nobody's business.
async fn reply(stream: &mut TcpStream, reply: Reply) -> io::Result<()> {
    stream.write_all(&[VERSION, reply as u8, 0, 1, 0, 0, 0, 0, 0, 0]).await
}

//! The HTTP side: `CONNECT`, and requests with a whole URL.
//!
//! Bodies are not looked at. One connection carries one request, to one host; what follows it on
//! the wire reaches the same host, so there is nothing to smuggle past.

use super::client::Client;
use super::destination::{Destination, NoWay};
use std::io;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Longest head of a request.
const MAX_HEAD: usize = 64 << 10;
/// Most headers.
const MAX_HEADERS: usize = 128;
/// Of a URL that names no port.
const USUAL_PORT: u16 = 80;

/// A request, as far as the proxy cares.
#[derive(Debug, PartialEq, Eq)]
struct Request {
    destination: Destination,
    /// What the host is sent before the rest of the connection; `None` for a tunnel.
    head: Option<Vec<u8>>,
}

/// Why a request cannot be served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bad {
    /// It is not a request to a proxy.
    Request,
    /// The head is too long.
    TooLong,
}

/// Reads a request and connects to its host; `None` if it was answered with a refusal.
pub(super) async fn open(stream: &mut TcpStream, client: &Client) -> io::Result<Option<TcpStream>> {
    let mut read = Vec::with_capacity(1024);
    // A head that comes byte by byte is parsed when its end is there, and each time it has doubled:
    // what is none is to be found out before.
    let mut due = 1;
    let (request, length) = loop {
        let before = read.len();
        if stream.read_buf(&mut read).await? == 0 {
            return Ok(None);
        }
        let tail = read.get(before.saturating_sub(END)..).unwrap_or_default();
        let is_due = read.len() >= due;
        if is_due {
            due = read.len() * 2;
        }
        let found = if is_due || has_end(tail) { parse(&read) } else { Ok(None) };
        match found {
            Ok(Some(found)) => break found,
            Ok(None) if read.len() < MAX_HEAD => {}
            Ok(None) => return refuse(stream, Bad::TooLong).await,
            Err(bad) => return refuse(stream, bad).await,
        }
    };
    let mut upstream = match request.destination.connect(client).await {
        Ok(upstream) => upstream,
        Err(no_way) => {
            let status = match &no_way {
                NoWay::Refused { .. } => "403 Forbidden",
                NoWay::NoAddress(_) | NoWay::Unreachable { .. } => "502 Bad Gateway",
            };
            answer(stream, status, &no_way.to_string()).await?;
            return Ok(None);
        }
    };
    match &request.head {
        Some(head) => upstream.write_all(head).await?,
        None => stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?,
    }
    // What came with the head is the body, or the first of a tunnel.
    upstream.write_all(read.get(length..).unwrap_or_default()).await?;
    Ok(Some(upstream))
}

/// Bytes before the last one of an empty line's end.
const END: usize = 2;

/// Whether there is an empty line, which ends a head.
fn has_end(bytes: &[u8]) -> bool {
    memchr::memmem::find(bytes, b"\n\r\n").is_some()
        || memchr::memmem::find(bytes, b"\n\n").is_some()
}

async fn refuse(stream: &mut TcpStream, bad: Bad) -> io::Result<Option<TcpStream>> {
    match bad {
        Bad::Request => answer(stream, "400 Bad Request", "not a request to a proxy").await?,
        Bad::TooLong => {
            answer(stream, "431 Request Header Fields Too Large", "too long a head").await?;
        }
    }
    Ok(None)
}

async fn answer(stream: &mut TcpStream, status: &str, words: &str) -> io::Result<()> {
    stream.write_all(written(status, words).as_bytes()).await?;
    stream.shutdown().await
}

fn written(status: &str, words: &str) -> String {
    let body = format!("nono-mcp: {words}\n");
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{body}",
        body.len()
    )
}

/// Answers a connection that there is no place for, before it has asked for anything and without
/// waiting. A program that speaks SOCKS sees that this is not its protocol.
pub(super) fn turn_away(mut connection: &std::net::TcpStream) {
    let words = "no place for another connection through the proxy; close some that are idle";
    let said = written("503 Service Unavailable", words);
    let told = connection
        .set_nonblocking(true)
        .and_then(|()| io::Write::write_all(&mut connection, said.as_bytes()));
    if let Err(error) = told {
        tracing::debug!(%error, "a connection was closed without a word");
    }
}

/// The request in `bytes` and the length of its head; `None` if there is more to come.
fn parse(bytes: &[u8]) -> Result<Option<(Request, usize)>, Bad> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut parsed = httparse::Request::new(&mut headers);
    let length = match parsed.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => return Err(Bad::TooLong),
        Err(_) => return Err(Bad::Request),
    };
    let (Some(method), Some(target)) = (parsed.method, parsed.path) else {
        return Err(Bad::Request);
    };
    if method == "CONNECT" {
        let destination = Destination::parse(target, None).ok_or(Bad::Request)?;
        return Ok(Some((Request { destination, head: None }, length)));
    }
    let scheme = target.get(..7).filter(|s| s.eq_ignore_ascii_case("http://"));
    let rest = scheme.and_then(|_| target.get(7..)).ok_or(Bad::Request)?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let destination = Destination::parse(authority, Some(USUAL_PORT)).ok_or(Bad::Request)?;
    let path = path.split('#').next().unwrap_or_default();
    let slash = if path.starts_with('/') { "" } else { "/" };
    let mut head = format!("{method} {slash}{path} HTTP/1.1\r\nHost: {authority}\r\n").into_bytes();
    let upgrade = upgrades(parsed.headers);
    for header in parsed.headers.iter().filter(|h| passes(h, parsed.headers, upgrade)) {
        head.extend_from_slice(header.name.as_bytes());
        head.extend_from_slice(b": ");
        head.extend_from_slice(header.value);
        head.extend_from_slice(b"\r\n");
    }
    let connection = if upgrade { "Upgrade" } else { "close" };
    head.extend_from_slice(format!("Connection: {connection}\r\n\r\n").as_bytes());
    Ok(Some((Request { destination, head: Some(head) }, length)))
}

/// What `Connection` headers name.
fn named<'h>(headers: &'h [httparse::Header<'h>]) -> impl Iterator<Item = &'h str> {
    let connection = headers.iter().filter(|h| h.name.eq_ignore_ascii_case("connection"));
    let values = connection.filter_map(|h| std::str::from_utf8(h.value).ok());
    values.flat_map(|value| value.split(',').map(str::trim))
}

fn upgrades(headers: &[httparse::Header<'_>]) -> bool {
    named(headers).any(|name| name.eq_ignore_ascii_case("upgrade"))
}

/// Whether a header is for the host, not for the proxy (RFC 9110, 7.6.1).
fn passes(header: &httparse::Header<'_>, all: &[httparse::Header<'_>], upgrade: bool) -> bool {
    const OURS: [&str; 6] =
        ["host", "connection", "keep-alive", "proxy-connection", "proxy-authorization", "te"];
    let is = |name: &str| header.name.eq_ignore_ascii_case(name);
    if is("upgrade") {
        return upgrade;
    }
    // Lengths belong to the body, whatever else is said of them.
    let framing = is("content-length") || is("transfer-encoding");
    framing || !(OURS.iter().any(|ours| is(ours)) || named(all).any(is))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Option<(String, Option<String>)>, Bad> {
        Ok(parse(text.as_bytes())?.map(|(request, _)| {
            let head = request.head.map(|head| String::from_utf8(head).unwrap());
            (request.destination.to_string(), head)
        }))
    }

    #[test]
    fn tunnels() {
        let (to, head) =
            read("CONNECT a.test:443 HTTP/1.1\r\nHost: evil.test\r\n\r\n").unwrap().unwrap();
        assert_eq!((to.as_str(), head), ("a.test:443", None));
        assert_eq!(read("CONNECT a.test:443 HTTP/1.1\r\n"), Ok(None));
        for target in ["a.test", "u@a.test:443", "http://a.test/", "a.test:443/x", "a.test:44 3"] {
            let text = format!("CONNECT {target} HTTP/1.1\r\n\r\n");
            assert_eq!(read(&text), Err(Bad::Request), "{target}");
        }
    }

    #[test]
    fn whole_urls() {
        let (to, head) = read(
            "GET HTTP://a.test/x?y#z HTTP/1.1\r\nHost: evil.test\r\nAccept: */*\r\n\
             Proxy-Authorization: Basic x\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\n\
             Transfer-Encoding: chunked\r\n\r\n",
        )
        .unwrap()
        .unwrap();
        assert_eq!(to, "a.test:80");
        assert_eq!(
            head.unwrap(),
            "GET /x?y HTTP/1.1\r\nHost: a.test\r\nAccept: */*\r\nTransfer-Encoding: chunked\r\n\
             Connection: close\r\n\r\n"
        );
        let (_, head) = read(
            "GET http://a.test:8080 HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        )
        .unwrap()
        .unwrap();
        assert_eq!(
            head.unwrap(),
            "GET / HTTP/1.1\r\nHost: a.test:8080\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
        );
    }

    #[test]
    fn what_is_not_for_a_proxy() {
        for target in [
            "/",
            "*",
            "https://a.test/",
            "ftp://a.test/",
            "http:///x",
            "http://u:p@a.test/",
            "http://a.test\\@evil.test/",
            "http://a.test:80:90/",
            "http://127.1/",
        ] {
            let text = format!("GET {target} HTTP/1.1\r\nHost: a.test\r\n\r\n");
            assert_eq!(read(&text), Err(Bad::Request), "{target}");
        }
        assert_eq!(read("GET http://a.test/ HTTP/1.1\r\nA b: c\r\n\r\n"), Err(Bad::Request));
        assert_eq!(read("\u{16}\u{3}\u{1}hello"), Err(Bad::Request));
    }
}

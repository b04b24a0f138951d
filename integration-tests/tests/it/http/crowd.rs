//! Many connections, slow ones, and readers that do not read: the server goes on for the others.

use nono_integration_tests::http::{Reply, Request};
use nono_integration_tests::{HttpServer, Site, User, processes, wait};
use serde_json::json;
use std::io::{Read, Write};
use std::net::TcpStream;

/// Connections a server has at once.
const MOST: usize = 512;

fn descriptors(pid: u32) -> usize {
    std::fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count)
}

/// As many descriptors for this test as it may have.
fn many_descriptors() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).expect("a limit");
    setrlimit(Resource::RLIMIT_NOFILE, most, most).expect("a limit");
    assert!(most >= 11_000, "this test needs 11,000 descriptors, the hard limit is {most}");
}

#[test]
fn ten_thousand_connections_take_the_places_of_five_hundred() {
    many_descriptors();
    let site = Site::new(User::Same);
    let server = HttpServer::start(&site);
    assert_eq!(server.shell("echo before").stdout(), "before\n");
    let (files, memory) = (descriptors(server.pid()), processes::resident(server.pid()));
    let crowd: Vec<TcpStream> = (0..10_000).map(|_| server.connect()).collect();
    assert_eq!(server.shell("echo during").stdout(), "during\n", "{}", server.log());
    assert!(wait::until(|| descriptors(server.pid()) <= files + MOST + 64));
    let grown =
        processes::resident(server.pid()).zip(memory).map(|(now, then)| now.saturating_sub(then));
    assert!(grown.is_some_and(|kib| kib < 64 << 10), "{grown:?} KiB more");
    drop(crowd);
    assert!(wait::until(|| descriptors(server.pid()) <= files + 64));
    assert_eq!(server.shell("echo after").stdout(), "after\n");
}

#[test]
fn headers_that_never_end_hold_nobody_up() {
    let site = Site::new(User::Same);
    let server = HttpServer::start(&site);
    let mut slow: Vec<TcpStream> = (0..2 * MOST)
        .map(|_| {
            let mut stream = server.connect();
            let _may_have_to_leave =
                stream.write_all(b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nX-A: ");
            stream
        })
        .collect();
    assert_eq!(server.shell("echo on").stdout(), "on\n", "{}", server.log());
    // The first ones made room, the last ones run out of time.
    for at in [0, 2 * MOST - 1] {
        let mut said = Vec::new();
        let _may_be_reset = slow[at].read_to_end(&mut said);
        let status = Reply::parse(&said).map(|r| r.status);
        assert!(status.is_none_or(|s| s == 408 || s == 400), "{at}: {status:?}");
    }
}

#[test]
fn a_body_that_never_comes_runs_out_of_time() {
    let site = Site::new(User::Same);
    let server = HttpServer::start(&site);
    let request = server.modern("tools/list", json!({})).header("Content-Length", "100000");
    let mut stream = server.connect();
    stream.write_all(&request.bytes(server.address())).expect("send");
    assert_eq!(server.shell("echo on").stdout(), "on\n");
    let mut said = Vec::new();
    stream.read_to_end(&mut said).expect("an answer");
    assert_eq!(Reply::parse(&said).map(|r| r.status), Some(408));
    // Without a token nobody waits for it.
    let unknown = Request::modern("tools/list", json!({})).header("Content-Length", "100000");
    let mut stream = server.connect();
    stream.write_all(&unknown.bytes(server.address())).expect("send");
    let mut first = [0; 12];
    stream.read_exact(&mut first).expect("an answer");
    assert_eq!(&first, b"HTTP/1.1 401");
}

#[test]
fn a_reader_that_does_not_read_holds_nobody_up() {
    let site = Site::new(User::Same);
    let server = HttpServer::start(&site);
    let arguments =
        json!({"command": "head -c 200000 /dev/zero | tr '\\0' x", "max_output_bytes": 200_000});
    let call = server.modern("tools/call", json!({"name": "shell", "arguments": arguments}));
    let deaf: Vec<TcpStream> = (0..64)
        .map(|_| {
            let mut stream = server.connect();
            stream.write_all(&call.bytes(server.address())).expect("send");
            stream
        })
        .collect();
    for _ in 0..5 {
        assert_eq!(server.shell("echo on").stdout(), "on\n", "{}", server.log());
    }
    drop(deaf);
}

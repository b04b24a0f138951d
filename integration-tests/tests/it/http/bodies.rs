//! Requests that are wrong, large or slow: told so, and the server goes on.

use nono_integration_tests::http::{Reply, Request};
use nono_integration_tests::{HttpServer, Site, User};
use serde_json::json;
use std::io::{Read, Write};

fn alive(server: &HttpServer) {
    assert_eq!(server.shell("echo alive").stdout(), "alive\n", "{}", server.log());
}

#[test]
fn bodies_that_are_too_large_are_refused() {
    let site = Site::new(User::Same);
    let server = HttpServer::start(&site);
    let most = 4 << 20;
    let call = |size: usize| {
        let command = format!("true {}", "x".repeat(size));
        server.modern("tools/call", json!({"name": "shell", "arguments": {"command": command}}))
    };
    assert_eq!(server.send(&call(1000)).status, 200, "the control");
    let reply = server.send(&call(most));
    assert_eq!(reply.status, 413, "{reply:?}");
    // In chunks, so that the length is not known beforehand.
    let mut stream = server.connect();
    let head = server.modern("tools/list", json!({})).header("Transfer-Encoding", "chunked");
    let head = head.bytes(server.address());
    let end = head.windows(4).position(|w| w == b"\r\n\r\n").expect("a header") + 4;
    stream.write_all(&head[..end]).expect("send");
    let chunk = [b"10000\r\n".as_slice(), &[b' '; 0x10000], b"\r\n"].concat();
    let sent = (0..100).take_while(|_| stream.write_all(&chunk).is_ok()).count();
    let mut answer = Vec::new();
    let _may_be_reset = stream.read_to_end(&mut answer);
    let status = Reply::parse(&answer).map(|r| r.status);
    assert!(status == Some(413) || (status.is_none() && sent < 100), "{status:?} after {sent}");
    // A length that is a lie does not make the server take that much memory.
    let huge = Request::post("x").bearer(server.token()).header("Content-Length", "99999999999");
    let mut stream = server.connect();
    stream.write_all(&huge.bytes(server.address())).expect("send");
    let mut answer = Vec::new();
    let _may_be_reset = stream.read_to_end(&mut answer);
    assert_eq!(Reply::parse(&answer).map(|r| r.status), Some(413));
    alive(&server);
}

#[test]
fn rubbish_is_told_from_a_request() {
    let site = Site::new(User::Same);
    let server = HttpServer::start(&site);
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let deep_meta = format!(
        "{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\",\"params\":{{\"a\":{}{}}}}}",
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    let bodies =
        ["", "rubbish", "{", "[]", "null", "7", "{\"jsonrpc\":\"2.0\"}", &deep, &deep_meta];
    for body in bodies {
        let reply = server.send(&Request::post(body).bearer(server.token()));
        assert!((400..500).contains(&reply.status), "{:.60} {reply:?}", body);
    }
    let not_text = Request::post([0xff, 0xfe, 0x00, 0x80]).bearer(server.token());
    assert!((400..500).contains(&server.send(&not_text).status));
    let list = || server.modern("tools/list", json!({}));
    assert_eq!(server.send(&list().header("Content-Type", "text/plain")).status, 415);
    assert_eq!(server.send(&list().header("Accept", "application/json")).status, 406);
    assert_eq!(server.send(&list().method("PUT")).status, 405);
    alive(&server);
}

#[test]
fn headers_that_contradict_the_body_are_refused() {
    let site = Site::new(User::Same);
    let server = HttpServer::start(&site);
    let call = || {
        let arguments = json!({"command": "echo hi"});
        server.modern("tools/call", json!({"name": "shell", "arguments": arguments}))
    };
    assert_eq!(server.send(&call()).status, 200, "the control");
    for (name, value) in [
        ("Mcp-Method", "tools/list"),
        ("Mcp-Name", "run_list"),
        ("MCP-Protocol-Version", "2025-06-18"),
        ("MCP-Protocol-Version", "1999-01-01"),
    ] {
        let reply = server.send(&call().header(name, value));
        assert_eq!(reply.status, 400, "{name}: {value}: {reply:?}");
    }
    alive(&server);
}

#[test]
fn what_is_no_http_is_let_go() {
    let site = Site::new(User::Same);
    let server = HttpServer::start(&site);
    let long_header = format!("GET /healthz HTTP/1.1\r\nA: {}\r\n\r\n", "x".repeat(100_000));
    let many_headers = format!("GET /healthz HTTP/1.1\r\n{}\r\n", "A: x\r\n".repeat(1000));
    let twice = "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd";
    let inputs: [&[u8]; 5] = [
        b"\x16\x03\x01\x02\x00\x01\x00\x01",
        &[0; 4096],
        long_header.as_bytes(),
        many_headers.as_bytes(),
        twice.as_bytes(),
    ];
    for input in inputs {
        let mut stream = server.connect();
        let _may_stop_reading = stream.write_all(input);
        let mut answer = Vec::new();
        let _may_be_reset = stream.read_to_end(&mut answer);
        let status = Reply::parse(&answer).map(|r| r.status);
        assert!(status.is_none_or(|s| (400..500).contains(&s)), "{status:?}");
    }
    alive(&server);
}

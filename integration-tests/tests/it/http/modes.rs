//! Without sessions, with JSON answers, with counters.

use nono_integration_tests::http::Request;
use nono_integration_tests::{HttpServer, Site, User};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpStream;

fn older(method: &str, params: Value) -> Value {
    json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
}

#[test]
fn without_sessions_every_request_stands_alone() {
    let site = Site::new(User::Same);
    let server = HttpServer::start_with(&site, &["--http-stateless"]);
    let ask = |message: &Value| {
        let request = Request::json(message).bearer(server.token());
        server.send(&request.header("MCP-Protocol-Version", "2025-11-25"))
    };
    let client = json!({"name": "it", "version": "1"});
    let params = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client});
    let hello = ask(&older("initialize", params));
    assert_eq!(hello.header("mcp-session-id"), None, "{hello:?}");
    assert_eq!(hello.last()["result"]["protocolVersion"], "2025-11-25", "{hello:?}");
    let params = json!({"name": "shell", "arguments": {"command": "echo alone"}});
    let called = ask(&older("tools/call", params)).last();
    assert_eq!(called["result"]["structuredContent"]["stdout"], "alone\n", "{called}");
    let listen = Request::get("/mcp").bearer(server.token()).header("Accept", "text/event-stream");
    assert_eq!(server.send(&listen).status, 405);
    assert_eq!(server.shell("echo modern").stdout(), "modern\n");
}

#[test]
fn answers_are_one_document_where_nothing_comes_before_them() {
    let site = Site::new(User::Same);
    let plain = HttpServer::start(&site);
    let server = HttpServer::start_with(&site, &["--http-stateless", "--http-json"]);
    let call = |server: &HttpServer, meta: Value| {
        let arguments = json!({"command": "sleep 1; echo hi"});
        let params = json!({"name": "shell", "arguments": arguments, "_meta": meta});
        server.send(&server.modern("tools/call", params))
    };
    let kind = |reply: &nono_integration_tests::http::Reply| {
        reply.header("content-type").unwrap_or_default().to_owned()
    };
    assert_eq!(kind(&call(&plain, json!({}))), "text/event-stream", "the control");
    let reply = call(&server, json!({}));
    assert_eq!(kind(&reply), "application/json");
    assert_eq!(reply.last()["result"]["structuredContent"]["stdout"], "hi\n", "{reply:?}");
    let told = call(&server, json!({"progressToken": 1}));
    assert_eq!(kind(&told), "text/event-stream", "progress has no other way");
    assert!(told.messages().len() > 1, "{told:?}");
}

#[test]
fn counters_have_an_address_of_their_own() {
    let site = Site::new(User::Same);
    let server = HttpServer::start_with(&site, &["--metrics", "127.0.0.1:0"]);
    let log = server.log();
    let line = log.lines().find(|l| l.contains("serving counters on")).expect("an address");
    let address = line.split('/').nth(2).expect("an address").to_owned();
    let get = |path: &str| {
        let mut stream = TcpStream::connect(&address).expect("connect");
        let request = Request::get(path);
        stream.write_all(&request.bytes(address.parse().expect("an address"))).expect("send");
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).expect("an answer");
        nono_integration_tests::http::Reply::parse(&bytes).expect("an answer")
    };
    assert_eq!(server.send(&Request::modern("tools/list", json!({}))).status, 401);
    assert_eq!(server.shell("true").exit_code(), Some(0));
    let counters = get("/metrics");
    assert_eq!(counters.status, 200);
    for row in [
        "nono_http_requests_ok_total 1",
        "nono_http_requests_unauthorized_total 1",
        "nono_http_connections_total 2",
        "nono_runs_live 0",
    ] {
        assert!(counters.body.lines().any(|l| l == row), "{row} in {}", counters.body);
    }
    assert_eq!(get("/mcp").status, 404, "counters and nothing else");
    assert_eq!(server.send(&Request::get("/metrics")).status, 404, "and nowhere else");
    let public = site.nono_mcp(&["--http", "0", "--metrics", "0.0.0.0:0"]).output().expect("start");
    assert_eq!(public.status.code(), Some(2));
}

//! Who is turned away, and what they are told.

use nono_integration_tests::http::Request;
use nono_integration_tests::{HttpServer, Site, User, as_each_user};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;

fn listing() -> Request {
    Request::modern("tools/list", json!({}))
}

#[test]
fn without_its_token_nothing_is_told() {
    let site = Site::new(User::Same);
    let server = HttpServer::start(&site);
    let token = server.token().to_owned();
    assert_eq!(server.send(&listing().bearer(&token)).status, 200, "the control");
    let wrong = [
        listing(),
        listing().bearer("0123456789abcdef0123456789abcdef"),
        listing().bearer(&token[..token.len() - 1]),
        listing().bearer(&format!("{token}0")),
        listing().bearer(""),
        listing().header("Authorization", &token),
        listing().header("Authorization", &format!("Basic {token}")),
        listing().header("X-Authorization", &format!("Bearer {token}")),
        listing().header("Cookie", &format!("token={token}")),
        listing().path(&format!("/mcp?token={token}&access_token={token}")),
        Request::get("/mcp"),
        listing().method("DELETE"),
        listing().method("OPTIONS").header("Origin", "https://evil.example"),
        Request::post("rubbish"),
    ];
    for request in wrong {
        let reply = server.send(&request);
        assert_eq!(reply.status, 401, "{request:?}");
        let scheme = reply.header("www-authenticate").unwrap_or_default();
        assert!(scheme.starts_with("Bearer realm=\"nono-mcp\""), "{reply:?}");
        let said: Value = serde_json::from_str(&reply.body).expect("JSON");
        assert!(said["message"].as_str().is_some_and(|m| m.contains("NONO_MCP_TOKEN")), "{said}");
        assert!(reply.header("access-control-allow-origin").is_none(), "{reply:?}");
        assert!(!reply.body.contains(&token), "{reply:?}");
    }
    assert!(!server.log().contains(&token), "the log holds the token");
}

#[test]
fn a_page_that_had_its_name_point_here_is_refused() {
    let site = Site::new(User::Same);
    let server = HttpServer::start(&site);
    let port = server.address().port();
    let ask = |request: Request| server.send(&request.bearer(server.token())).status;
    for host in ["localhost", "127.0.0.1", "[::1]"] {
        assert_eq!(ask(listing().header("Host", &format!("{host}:{port}"))), 200, "{host}");
        let origin = format!("http://{host}:3000");
        assert_eq!(ask(listing().header("Origin", &origin)), 200, "{origin}");
    }
    for host in
        ["evil.example", &format!("evil.example:{port}"), "127.0.0.1.evil.example", "0.0.0.0"]
    {
        assert_eq!(ask(listing().header("Host", host)), 403, "{host}");
    }
    for origin in
        ["http://evil.example", "https://localhost.evil.example", "null", "file://", "rubbish"]
    {
        assert_eq!(ask(listing().header("Origin", origin)), 403, "{origin}");
    }
    let evil = format!("evil.example:80@127.0.0.1:{port}");
    assert_eq!(ask(listing().header("Host", &evil)), 400);
    let here = format!("127.0.0.1:{port}");
    assert_eq!(ask(listing().path("http://evil.example/mcp").header("Host", &here)), 400);
    let twice = listing().header("Origin", "http://localhost\r\nOrigin: http://evil.example");
    assert_eq!(ask(twice), 400);
    let twice = listing().header("Host", &format!("{here}\r\nHost: evil.example"));
    assert_eq!(ask(twice), 400);
}

#[test]
fn names_and_origins_are_the_operators_to_add() {
    let site = Site::new(User::Same);
    let more = ["--http-host", "mcp.example.com", "--http-origin", "https://app.example.com:443"];
    let server = HttpServer::start_with(&site, &more);
    let ask = |request: Request| server.send(&request.bearer(server.token())).status;
    assert_eq!(ask(listing().header("Host", "mcp.example.com")), 200);
    assert_eq!(ask(listing().header("Origin", "https://app.example.com")), 200);
    assert_eq!(ask(listing().header("Host", "other.example.com")), 403);
    assert_eq!(ask(listing().header("Origin", "http://app.example.com")), 403);
}

#[test]
fn an_address_that_others_reach_needs_more_than_an_address() {
    let site = Site::new(User::Same);
    let refused = |arguments: &[&str], word: &str| {
        let output = site.nono_mcp(arguments).output().expect("start nono-mcp");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains(word), "{arguments:?}: {said}");
    };
    refused(&["--http", "0.0.0.0:0"], "--behind-proxy");
    refused(&["--http", "[::]:0"], "--behind-proxy");
    refused(&["--http", "192.0.2.1:80"], "--behind-proxy");
    refused(&["--http", "0.0.0.0:0", "--behind-proxy"], "--http-host");
    refused(&["--http", "127.0.0.1:0", "--stdio"], "cannot be used with");
    refused(&["--token-file", "x"], "--http");
}

#[test]
fn the_token_is_made_once_and_is_its_owners_alone() {
    as_each_user(|site| {
        let first = HttpServer::start(&site);
        let file = first.token_file().clone();
        assert!(file.starts_with(site.path("home/.config/nono-mcp")), "{file:?}");
        let mode = std::fs::metadata(&file).expect("the file").permissions().mode();
        assert_eq!(mode & 0o7777, 0o600);
        assert!(first.token().len() >= 64, "256 bits in hexadecimal");
        let second = HttpServer::start(&site);
        assert_eq!(second.token(), first.token(), "a client's configuration outlives a server");
        let other = HttpServer::start(&Site::new(site.user()));
        assert_ne!(other.token(), first.token());
    });
}

#[test]
fn a_token_can_be_given_in_a_file_or_a_variable() {
    let site = Site::new(User::Same);
    let token = "a-token-of-the-operators-choice";
    let file = site.file("outside/token", &format!("{token}\n"));
    let path = file.to_str().expect("plain").to_owned();
    let start = || {
        let mut command = site.nono_mcp(&["--http", "0", "--token-file", &path]);
        command.env("NONO_MCP_TOKEN", "the-file-is-named-and-comes-first");
        command
    };
    // As `echo > file` leaves it, others can read it.
    let open = start().output().expect("start nono-mcp");
    assert_eq!(open.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&open.stderr).contains("chmod 600"), "{open:?}");
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).expect("chmod");
    let server = HttpServer::start_command(&site, start(), Some(token));
    assert_eq!(server.send(&listing().bearer(token)).status, 200);
    let mut command = site.nono_mcp(&["--http", "0"]);
    command.env("NONO_MCP_TOKEN", token);
    let server = HttpServer::start_command(&site, command, Some(token));
    assert_eq!(server.send(&listing().bearer(token)).status, 200);
    assert!(!site.path("home/.config/nono-mcp/http-token").exists(), "no file was needed");
    let mut short = site.nono_mcp(&["--http", "0"]);
    let output = short.env("NONO_MCP_TOKEN", "short").output().expect("start nono-mcp");
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn a_session_is_nobodys_who_made_it_up() {
    let site = Site::new(User::Same);
    let server = HttpServer::start(&site);
    let session = server.session("2025-11-25");
    let list = json!({"jsonrpc": "2.0", "id": 5, "method": "tools/list", "params": {}});
    assert_eq!(server.send(&session.request(&list)).status, 200, "the control");
    let invented = "01234567-89ab-4cde-8f01-23456789abcd";
    let fixed = session.request(&list).header("Mcp-Session-Id", invented);
    assert_eq!(server.send(&fixed).status, 404);
    // Nor does a handshake take over a name that a client chose.
    let hello = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "it", "version": "1"},
    }});
    let hello = Request::json(&hello).bearer(server.token()).header("Mcp-Session-Id", invented);
    let reply = server.send(&hello);
    assert_ne!(reply.header("mcp-session-id"), Some(invented), "{reply:?}");
    // A session alone is no permission.
    let without = session.request(&list).header("Authorization", "Bearer x");
    assert_eq!(server.send(&without).status, 401);
    assert_eq!(server.send(&session.request(&list).method("DELETE")).status, 202);
    assert_eq!(server.send(&session.request(&list)).status, 404, "it has ended");
}

//! How calls and the server end: with everything they started.

use nono_integration_tests::http::Request;
use nono_integration_tests::{HttpServer, Site, User, as_each_user, processes, wait};
use serde_json::{Value, json};
use std::io::Write;
use std::net::TcpStream;

fn tree(tag: &str) -> Value {
    let command = format!("trap '' TERM HUP INT; setsid ./probe idle {tag} & ./probe idle {tag}");
    json!({"name": "shell", "arguments": {"command": command}})
}

/// Sends a request without waiting for its answer.
fn begin(server: &HttpServer, request: &Request) -> TcpStream {
    let mut stream = server.connect();
    stream.write_all(&request.bytes(server.address())).expect("send");
    stream
}

#[track_caller]
fn stands(tag: &str) {
    assert!(wait::until(|| processes::with_tag(tag).len() >= 2), "the tree stands");
}

#[track_caller]
fn gone(tag: &str) {
    assert!(wait::until(|| processes::with_tag(tag).is_empty()), "still there: {tag}");
}

#[test]
fn closing_the_connection_cancels_the_call() {
    as_each_user(|site| {
        let server = HttpServer::start(&site);
        for meta in [json!({}), json!({"progressToken": 1})] {
            let tag = processes::new_tag();
            let mut params = tree(&tag);
            params["_meta"] = meta;
            let stream = begin(&server, &server.modern("tools/call", params));
            stands(&tag);
            drop(stream);
            gone(&tag);
        }
        assert_eq!(server.shell("echo alive").stdout(), "alive\n");
    });
}

#[test]
fn in_a_session_the_notification_cancels_the_call_and_a_lost_connection_does_not() {
    let site = Site::new(User::Same);
    let server = HttpServer::start(&site);
    let session = server.session("2025-11-25");
    let tag = processes::new_tag();
    let call = json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": tree(&tag)});
    let stream = begin(&server, &session.request(&call));
    stands(&tag);
    drop(stream);
    // An answer to a later call shows that the server has seen the end of the connection.
    assert_eq!(session.call("shell", json!({"command": "sleep 0.5; echo on"})).stdout(), "on\n");
    assert_eq!(processes::with_tag(&tag).len(), 2, "the client may come back for it");
    let params = json!({"requestId": 7, "reason": "test"});
    let cancel = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params});
    assert_eq!(server.send(&session.request(&cancel)).status, 202);
    gone(&tag);
}

#[test]
fn polite_signals_end_server_and_runs() {
    use nix::sys::signal::Signal;
    as_each_user(|site| {
        for signal in [Signal::SIGTERM, Signal::SIGINT] {
            let mut server = HttpServer::start(&site);
            let session = server.session("2025-11-25");
            let id = session.id.clone();
            // A stream without an end, a connection that says nothing, and a run.
            let listen = session.request(&json!({})).method("GET");
            let listen = begin(&server, &listen.header("Accept", "text/event-stream"));
            let idle = server.connect();
            let tag = processes::new_tag();
            let call = begin(&server, &server.modern("tools/call", tree(&tag)));
            stands(&tag);
            let below = processes::descendants(server.pid());
            let pid = nix::unistd::Pid::from_raw(i32::try_from(server.pid()).expect("a pid"));
            nix::sys::signal::kill(pid, signal).expect("kill");
            assert!(server.ends(), "{signal} {id}: {}", server.log());
            gone(&tag);
            assert!(wait::until(|| !below.iter().any(processes::lives)));
            drop((listen, idle, call));
        }
    });
}

#[test]
fn killing_the_server_leaves_nothing() {
    let site = Site::new(User::Same);
    let tag = processes::new_tag();
    let server = HttpServer::start(&site);
    let _call = begin(&server, &server.modern("tools/call", tree(&tag)));
    stands(&tag);
    // Dropping it is SIGKILL.
    drop(server);
    gone(&tag);
}

//! Clients that are cut off and come back for what they missed.

use nono_integration_tests::http::{Reply, Session};
use nono_integration_tests::{HttpServer, Site, User, wait};
use serde_json::{Value, json};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;

/// A call that ends once `go` is there.
fn call(go: &str) -> Value {
    let command = format!("echo first; until [ -e {go} ]; do sleep 0.05; done; echo last");
    let params = json!({"name": "shell", "arguments": {"command": command}});
    json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params})
}

/// Calls, and is cut off behind the first event. Its id.
fn cut_off(server: &HttpServer, session: &Session<'_>, go: &str) -> String {
    let mut stream = server.connect();
    stream.write_all(&session.request(&call(go)).bytes(server.address())).expect("send");
    read_event_id(&mut stream)
}

fn read_event_id(stream: &mut TcpStream) -> String {
    let mut seen = String::new();
    loop {
        let mut bytes = [0; 4096];
        let length = stream.read(&mut bytes).expect("read");
        assert!(length > 0, "an event first: {seen}");
        seen.push_str(&String::from_utf8_lossy(&bytes[..length]));
        let complete = seen.rsplit_once('\n').map_or("", |(lines, _)| lines);
        if let Some(id) = complete.lines().find_map(|line| line.strip_prefix("id:")) {
            return id.trim().to_owned();
        }
    }
}

/// What a call answered, if that is in the messages.
fn answered(messages: &[Value]) -> Option<&str> {
    let answer = messages.iter().find(|message| message["id"] == 7)?;
    answer["result"]["structuredContent"]["stdout"].as_str()
}

#[test]
fn an_answer_that_came_while_the_client_was_away_waits_for_it() {
    let site = Site::new(User::Same);
    let server = HttpServer::start(&site);
    let session = server.session("2025-11-25");
    let last = cut_off(&server, &session, "go");
    fs::write(site.workspace().join("go"), "").expect("write");
    // The run ends, and what is said next is said after its answer.
    let runs = || session.call("run_list", json!({})).value.to_string();
    let ended = || runs().contains(r#""status":"exited""#);
    assert!(wait::until(ended), "{}", runs());
    assert_eq!(session.call("shell", json!({"command": "sleep 0.5; echo on"})).stdout(), "on\n");

    // Of another session nothing is told, nor to one that made its event up.
    let other = server.session("2025-11-25");
    for stranger in [other.resume(&last), session.resume("0/999")] {
        let reply = server.send(&stranger);
        assert_eq!((reply.status, reply.messages()), (200, Vec::new()), "{reply:?}");
    }
    for _ in 0..2 {
        let reply = server.send(&session.resume(&last));
        assert_eq!(answered(&reply.messages()), Some("first\nlast\n"), "{reply:?}");
    }
}

#[test]
fn a_call_that_goes_on_is_heard_again_and_what_was_heard_is_not_said_twice() {
    let site = Site::new(User::Same);
    let server = HttpServer::start(&site);
    let session = server.session("2025-11-25");
    let last = cut_off(&server, &session, "go");
    let mut stream = server.connect();
    stream.write_all(&session.resume(&last).bytes(server.address())).expect("send");
    // The head of its answer: the server has it.
    let mut head = [0; 12];
    stream.read_exact(&mut head).expect("read");
    assert_eq!(&head, b"HTTP/1.1 200");
    fs::write(site.workspace().join("go"), "").expect("write");
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).expect("read");
    let reply = Reply::parse(&[&head[..], &rest].concat()).expect("an answer");
    assert_eq!(answered(&reply.messages()), Some("first\nlast\n"), "{reply:?}");

    // Who has the last event of a call that was answered at once has missed nothing.
    let quick = json!({"name": "shell", "arguments": {"command": "echo quick"}});
    let quick = json!({"jsonrpc": "2.0", "id": 8, "method": "tools/call", "params": quick});
    let heard = server.send(&session.request(&quick));
    let event = heard.events().last().copied().expect("an event").to_owned();
    assert!(heard.body.contains("quick"), "{heard:?}");
    let again = server.send(&session.resume(&event));
    assert_eq!(again.messages(), Vec::<Value>::new(), "{again:?}");
}

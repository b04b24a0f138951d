//! What works over stdio works over HTTP, with and without a handshake.

use nono_integration_tests::http::{MODERN, Request};
use nono_integration_tests::{Answer, HttpServer, Site, User, as_each_user};
use serde_json::{Value, json};

/// Calls with an answer that does not depend on when or where they run.
fn calls() -> Vec<(&'static str, Value)> {
    vec![
        ("shell", json!({"command": "echo out; echo err >&2; exit 3"})),
        ("shell", json!({"command": "cat ../home/.netrc"})),
        ("shell", json!({"command": "cat", "stdin": "typed"})),
        ("shell", json!({"command": "sleep 60", "timeout_ms": 300})),
        ("shell", json!({"command": "seq 1 20000", "max_output_bytes": 2000})),
        ("exec", json!({"argv": ["printf", "%s", "a b"]})),
        ("exec", json!({"argv": []})),
        ("exec", json!({"argv": ["/no/such/program"]})),
        ("sandbox_explain", json!({"path": "../home/.netrc"})),
        ("run_read", json!({"run_id": "r-none"})),
        ("shell", json!({"commnd": "typo"})),
    ]
}

/// What has to be the same.
fn essence(answer: &Answer) -> Value {
    json!({
        "is_error": answer.is_error,
        "status": answer.value["status"],
        "exit_code": answer.value["exit_code"],
        "signal": answer.value["signal"],
        "stdout": answer.stdout().replace(answer.str("run_id"), "RUN"),
        "stderr": answer.value["stderr"],
        "denied": answer.denials().iter().map(|d| d["target"].clone()).collect::<Vec<_>>(),
        "has_text": !answer.text.is_empty(),
        "fields": answer.value.as_object().map(|o| o.keys().cloned().collect::<Vec<_>>()),
    })
}

#[test]
fn every_tool_answers_as_over_stdio() {
    as_each_user(|site| {
        let stdio = site.serve();
        let server = HttpServer::start(&site);
        let session = server.session("2025-06-18");
        for (tool, arguments) in calls() {
            let expected = essence(&stdio.ask(tool, arguments.clone()));
            let modern = essence(&server.call(tool, arguments.clone()));
            assert_eq!(modern, expected, "{MODERN}: {tool} {arguments}");
            let older = essence(&session.call(tool, arguments.clone()));
            assert_eq!(older, expected, "2025-06-18: {tool} {arguments}");
        }
    });
}

#[test]
fn versions_with_a_handshake_have_sessions() {
    let site = Site::new(User::Same);
    let server = HttpServer::start(&site);
    for version in ["2025-06-18", "2025-11-25"] {
        let session = server.session(version);
        let list = json!({"jsonrpc": "2.0", "id": 5, "method": "tools/list", "params": {}});
        let tools = server.send(&session.request(&list)).last();
        assert!(tools["result"]["tools"].as_array().is_some_and(|t| t.len() >= 2), "{tools}");
        assert_eq!(session.call("shell", json!({"command": "echo hi"})).stdout(), "hi\n");
    }
}

#[test]
fn the_version_without_a_handshake_says_who_answers_and_for_how_long() {
    let site = Site::new(User::Same);
    let server = HttpServer::start(&site);
    let discovered = server.send(&server.modern("server/discover", json!({}))).last();
    let versions = discovered["result"]["supportedVersions"].to_string();
    assert!(versions.contains(MODERN) && versions.contains("2025-06-18"), "{discovered}");
    let listed = server.send(&server.modern("tools/list", json!({}))).last();
    let result = &listed["result"];
    assert_eq!(result["resultType"], "complete", "{listed}");
    assert!(result["ttlMs"].as_u64().is_some_and(|ms| ms > 0), "{listed}");
    assert!(result["cacheScope"].is_string(), "{listed}");
    let answers = server.send(&server.modern("server/discover", json!({})));
    assert!(answers.header("mcp-session-id").is_none(), "no session without a handshake");
    for who in [&result["_meta"], &discovered["result"]["_meta"]] {
        assert_eq!(who["io.modelcontextprotocol/serverInfo"]["name"], "nono-mcp", "{who}");
    }
}

#[test]
fn a_run_is_found_again_by_a_later_request() {
    let site = Site::new(User::Same);
    let server = HttpServer::start(&site);
    let started = server.call(
        "shell",
        json!({"command": "read line; echo got $line", "keep_stdin": true, "yield_ms": 50}),
    );
    assert_eq!(started.status(), "running", "{}", started.value);
    let id = started.str("run_id").to_owned();
    let session = server.session("2025-11-25");
    let written = session.call("run_write", json!({"run_id": id, "text": "this\n"}));
    let read = server.call("run_read", json!({"run_id": id, "after_seq": 0, "wait_ms": 20_000}));
    assert_eq!(read.stdout(), "got this\n", "{} {}", read.value, written.value);
    let uri = format!("nono://run/{id}/stdout");
    let raw = server.send(&server.modern("resources/read", json!({ "uri": uri }))).last();
    assert_eq!(raw["result"]["contents"][0]["text"], "got this\n", "{raw}");
}

#[test]
fn progress_comes_on_the_stream_of_its_call() {
    let site = Site::new(User::Same);
    let server = HttpServer::start(&site);
    let params = json!({
        "name": "shell",
        "arguments": {"command": "echo step; sleep 3; echo done"},
        "_meta": {"progressToken": "p1"},
    });
    let messages = server.send(&server.modern("tools/call", params)).messages();
    let progress: Vec<_> =
        messages.iter().filter(|m| m["method"] == "notifications/progress").collect();
    assert!(!progress.is_empty(), "{messages:?}");
    assert!(progress.iter().all(|m| m["params"]["progressToken"] == "p1"), "{messages:?}");
    let last = messages.last().expect("an answer");
    assert_eq!(last["result"]["structuredContent"]["stdout"], "step\ndone\n", "{last}");
}

#[test]
fn healthz_says_that_it_lives_and_nothing_else() {
    let site = Site::new(User::Same);
    let server = HttpServer::start(&site);
    let reply = server.send(&Request::get("/healthz"));
    assert_eq!((reply.status, reply.body.as_str()), (200, "ok\n"));
    for path in ["/", "/metrics", "/mcp/", "/healthz/x"] {
        assert_eq!(server.send(&Request::get(path)).status, 404, "{path}");
    }
}

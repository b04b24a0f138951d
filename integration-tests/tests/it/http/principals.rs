//! Several principals on one server: nothing of one is visible to another.

use nono_integration_tests::http::Request;
use nono_integration_tests::{HttpServer, Site, User, as_each_user};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;

const ANN: &str = "token-of-ann-0123456789abcdef";
const BOB: &str = "token-of-bob-0123456789abcdef";
/// printf token-of-bob-0123456789abcdef | sha256sum
const BOB_SHA256: &str = "a7d2d9a1e75195bcc6dcdb7337b1fff6f6f6fc786eef5009d1a041dc57074ee1";

/// Writes the file and starts a server; `limits` are Ann's.
fn serve(site: &Site, limits: &Value) -> HttpServer {
    serve_with(site, limits, &[])
}

/// The same with more arguments.
fn serve_with(site: &Site, limits: &Value, more: &[&str]) -> HttpServer {
    site.folder("ann");
    site.folder("bob");
    let token = site.file("ann.token", ANN);
    std::fs::set_permissions(token, PermissionsExt::from_mode(0o600)).expect("chmod");
    let file = site.file(
        "principals.json",
        &json!({"principals": [
            {"name": "ann", "token_file": "ann.token", "workspaces": ["ann"], "limits": limits},
            {"name": "bob", "token_sha256": BOB_SHA256, "workspaces": ["bob"], "profile": "offline"},
        ]})
        .to_string(),
    );
    let mut command = site.nono_mcp(&["--http", "0", "--max-runs", "8", "--principals"]);
    command.arg(file).args(more);
    HttpServer::start_command(site, command, Some(ANN))
}

#[test]
fn each_has_its_own_workspace_and_profile() {
    as_each_user(|site| {
        let server = serve(&site, &json!({}));
        let write = json!({"command": "echo of ann > secret; cat secret; pwd"});
        let ann = server.call_as(ANN, "shell", write);
        assert!(ann.stdout().starts_with("of ann\n"), "{}", ann.text);
        assert!(ann.stdout().ends_with("/ann\n"), "{}", ann.text);
        assert_eq!(ann.value["sandbox"]["profile"], "coding");
        let bob = server.call_as(BOB, "shell", json!({"command": "pwd; cat ../ann/secret"}));
        assert!(bob.stdout().ends_with("/bob\n"), "{}", bob.text);
        assert!(bob.stderr().contains("Permission denied"), "{}", bob.text);
        assert_eq!(bob.value["sandbox"]["profile"], "offline");
        let listed = Request::modern("tools/list", json!({}));
        let of = |token: &str| server.send(&listed.clone().bearer(token)).body;
        assert!(of(ANN).contains("/ann") && !of(ANN).contains("/bob"), "{}", of(ANN));
        let nobody = listed.bearer("token-of-eve-0123456789abcdef");
        assert_eq!(server.send(&nobody).status, 401);
    });
}

#[test]
fn a_run_is_its_principals_alone() {
    let site = Site::new(User::Same);
    let server = serve(&site, &json!({}));
    let arguments = json!({
        "command": "echo of ann; read line; echo $line",
        "keep_stdin": true, "yield_ms": 2000, "request_key": "k1",
    });
    let run = server.call_as(ANN, "shell", arguments);
    assert_eq!(run.status(), "running", "{}", run.value);
    let id = run.str("run_id").to_owned();
    assert!(id.strip_prefix("r-").is_some_and(|hex| hex.len() == 32), "128 bits: {id}");
    let refused = server.call_as(ANN, "shell", json!({"command": "cat ../home/.netrc"}));
    let denial = refused.denials()[0]["id"].as_str().expect("a denial").to_owned();
    let of_run = format!("{}:{denial}", refused.str("run_id"));
    let uri = format!("nono://run/{id}/stdout");
    let read = |token: &str| {
        let read = Request::modern("resources/read", json!({ "uri": uri }));
        server.send(&read.bearer(token)).last()
    };
    // Ann sees all of it.
    let see = |token: &str, tool: &str, arguments: Value| server.call_as(token, tool, arguments);
    assert!(see(ANN, "run_list", json!({})).text.contains(&id));
    assert!(
        see(ANN, "run_read", json!({"run_id": id, "after_seq": 0})).stdout().contains("of ann")
    );
    assert!(!see(ANN, "sandbox_explain", json!({"denial_id": of_run})).is_error);
    assert!(read(ANN)["result"]["contents"][0]["text"].is_string());
    // Bob sees nothing, and cannot tell it from what never was.
    let unlike = |answer: &str| answer.replace(&id, "ID").replace("r-0", "ID");
    assert!(!see(BOB, "run_list", json!({})).text.contains(&id));
    for (tool, more) in [
        ("run_read", json!({})),
        ("run_write", json!({"text": "x\n"})),
        ("run_signal", json!({"signal": "KILL"})),
    ] {
        let ask = |id: &str| {
            let mut arguments = more.clone();
            arguments["run_id"] = json!(id);
            see(BOB, tool, arguments)
        };
        let (there, never) = (ask(&id), ask("r-0"));
        assert!(there.is_error, "{tool}: {}", there.text);
        let age = |text: &str| text.split("started").next().unwrap_or_default().to_owned();
        assert_eq!(age(&unlike(&there.text)), age(&unlike(&never.text)), "{tool}");
        assert!(!there.text.contains("of ann"), "{}", there.text);
    }
    assert!(see(BOB, "sandbox_explain", json!({"denial_id": of_run})).is_error);
    assert!(see(BOB, "sandbox_explain", json!({"denial_id": denial})).is_error);
    assert!(read(BOB)["error"].is_object(), "{}", read(BOB));
    // The same key is another's own.
    let same_key = json!({"command": "echo of bob", "request_key": "k1"});
    let keyed = see(BOB, "shell", same_key);
    assert_eq!(keyed.stdout(), "of bob\n", "{}", keyed.text);
    // It goes on as if nobody had touched it.
    let written = see(ANN, "run_write", json!({"run_id": id, "text": "on\n"}));
    let end = see(ANN, "run_read", json!({"run_id": id, "after_seq": 0, "wait_ms": 20_000}));
    assert!(end.stdout().ends_with("on\n"), "{} {}", written.text, end.text);
}

#[test]
fn a_session_is_its_principals_alone() {
    let site = Site::new(User::Same);
    let server = serve(&site, &json!({}));
    let session = server.session_as(ANN, "2025-11-25");
    let list = json!({"jsonrpc": "2.0", "id": 5, "method": "tools/list", "params": {}});
    assert_eq!(server.send(&session.request(&list)).status, 200, "the control");
    assert_eq!(
        server
            .send(&session.request(&list).header("Authorization", &format!("Bearer {BOB}")))
            .status,
        404
    );
    let stolen =
        session.request(&list).method("DELETE").header("Authorization", &format!("Bearer {BOB}"));
    let _whatever = server.send(&stolen);
    assert_eq!(server.send(&session.request(&list)).status, 200, "it goes on");
}

#[test]
fn the_log_names_the_rules_of_each() {
    let site = Site::new(User::Same);
    let log = site.folder("audit").join("log.jsonl");
    let mut server = serve_with(&site, &json!({}), &["--audit-log", &log.to_string_lossy()]);
    assert!(!server.call_as(BOB, "shell", json!({"command": "true"})).is_error);
    let lines = std::fs::read_to_string(&log).expect("a log");
    let lines: Vec<Value> =
        lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let principals = lines[0]["principals"].as_array().expect("principals");
    let names: Vec<_> = principals.iter().map(|p| (&p["name"], &p["profile"])).collect();
    let (ann, bob) = (json!("ann"), json!("bob"));
    let (coding, offline) = (json!("coding"), json!("offline"));
    assert_eq!(names, [(&ann, &coding), (&bob, &offline)], "{}", lines[0]);
    assert_eq!(lines[1]["profile_hash"], principals[1]["profile_hash"], "{}", lines[1]);
    assert_ne!(principals[0]["profile_hash"], principals[1]["profile_hash"]);
    drop_gently(&mut server);
    let mut show = site.nono_mcp(&["audit", "show"]);
    let shown = show.arg(&log).output().expect("start nono-mcp").stdout;
    let shown = String::from_utf8_lossy(&shown).into_owned();
    assert!(shown.contains("ann under coding") && shown.contains("bob under offline"), "{shown}");
}

/// Asks a server to end, and waits until it has.
fn drop_gently(server: &mut HttpServer) {
    let pid = nix::unistd::Pid::from_raw(i32::try_from(server.pid()).expect("a pid"));
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).expect("a signal");
    assert!(server.ends());
}

#[test]
fn who_asks_too_often_waits_alone() {
    let site = Site::new(User::Same);
    let server = serve(&site, &json!({"requests_per_second": 3}));
    let list = |token: &str| server.send(&Request::modern("tools/list", json!({})).bearer(token));
    let replies: Vec<_> = (0..60).map(|_| list(ANN)).collect();
    assert_eq!(replies[0].status, 200, "the control");
    let late = replies.iter().find(|r| r.status == 429).expect("one too many");
    assert_eq!(late.header("retry-after"), Some("1"), "{late:?}");
    assert!(late.body.contains("too_many_requests"), "{late:?}");
    assert!((0..60).all(|_| list(BOB).status == 200), "another is not slowed down");
}

#[test]
fn one_principals_flood_does_not_keep_another_waiting() {
    let site = Site::new(User::Same);
    let server = serve(&site, &json!({"live_runs": 8, "open_requests": 40}));
    // More than all places of the server, and all that may queue.
    let command = json!({"command": "sleep 1", "timeout_ms": 60_000});
    let params = json!({"name": "shell", "arguments": command});
    let call = Request::modern("tools/call", params).bearer(ANN);
    std::thread::scope(|scope| {
        let flood: Vec<_> = (0..60).map(|_| scope.spawn(|| server.send(&call))).collect();
        let live = || server.call_as(ANN, "run_list", json!({}));
        assert!(nono_integration_tests::wait::until(|| {
            // Its own request may be the one that is too many.
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(live))
                .is_ok_and(|list| list.text.matches("r-").count() >= 8)
                || flood.iter().filter(|f| f.is_finished()).count() >= 20
        }));
        let bob = server.call_as(BOB, "shell", json!({"command": "echo here"}));
        assert_eq!(bob.stdout(), "here\n", "{}", bob.text);
        let waiting = flood.iter().filter(|f| !f.is_finished()).count();
        assert!(waiting > 0, "the flood was over before");
        let replies: Vec<_> = flood.into_iter().map(|f| f.join().expect("a reply")).collect();
        assert!(replies.iter().any(|r| r.status == 503), "more than may be open");
        assert!(replies.iter().filter(|r| r.status == 200).count() >= 8);
    });
}

#[test]
fn mistakes_in_the_file_are_told_at_the_start() {
    let site = Site::new(User::Same);
    let refused = |text: &str, mode: u32, said: &str| {
        let file = site.file("principals.json", text);
        std::fs::set_permissions(&file, PermissionsExt::from_mode(mode)).expect("chmod");
        let mut command = site.nono_mcp(&["--http", "0", "--principals"]);
        let output = command.arg(file).output().expect("start nono-mcp");
        assert_eq!(output.status.code(), Some(2), "{text}");
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(stderr.contains(said), "{text}: {stderr}");
    };
    let one =
        |more: &str| format!(r#"{{"principals":[{{"name":"ann","workspaces":["ws"]{more}}}]}}"#);
    let fine = format!(r#","token_sha256":"{BOB_SHA256}""#);
    refused("{", 0o600, "principals.json");
    refused(&one(""), 0o600, "needs either token_file or token_sha256");
    refused(&one(r#","token_sha256":"abc""#), 0o600, "ann");
    refused(&one(r#","token_file":"none""#), 0o600, "token file");
    refused(&one(&format!("{fine},\"profile\":\"no-such\"")), 0o600, "no-such");
    refused(&one(&fine), 0o666, "chmod");
    let twice = format!(
        r#"{{"principals":[{{"name":"ann","workspaces":["ws"]{fine}}},{{"name":"bob","workspaces":["ws"]{fine}}}]}}"#
    );
    refused(&twice, 0o600, "has the token of `ann`");
}

#[test]
fn no_command_reads_the_file_or_the_tokens() {
    as_each_user(|site| {
        let server = serve(&site, &json!({}));
        let look = "cat ../principals.json ../ann.token; echo end";
        let outside = site.command("/bin/sh".as_ref()).args(["-c", look]).output().expect("sh");
        assert!(String::from_utf8_lossy(&outside.stdout).contains(ANN), "the control");
        for token in [ANN, BOB] {
            let inside = server.call_as(token, "shell", json!({"command": look}));
            assert_eq!(inside.stdout(), "end\n", "{}", inside.text);
        }
    });
}

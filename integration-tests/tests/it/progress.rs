//! Progress and cancellation, on the wire.

use nono_integration_tests::raw::RawServer;
use nono_integration_tests::{as_each_user, processes, wait};
use serde_json::{Value, json};

fn call(id: u32, tool: &str, arguments: &Value, token: Option<&str>) -> Value {
    let mut params = json!({"name": tool, "arguments": arguments});
    if let Some(token) = token {
        params["_meta"] = json!({"progressToken": token});
    }
    json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params})
}

#[test]
fn who_asks_for_progress_gets_it_and_nobody_else() {
    as_each_user(|site| {
        let mut server = RawServer::start(&site);
        server.initialize("2025-06-18");
        let command = "for i in 1 2 3; do printf 'step \\033[1m%s\\033[0m\\n' $i; sleep 1.7; done";
        server.send(&call(5, "shell", &json!({"command": command}), Some("p-1")));
        let (mut seen, mut last) = (Vec::new(), -1.0);
        let started = std::time::Instant::now();
        let answer = loop {
            let message = server.receive();
            if message["id"] == 5 {
                break message;
            }
            assert_eq!(message["method"], "notifications/progress", "{message}");
            assert_eq!(message["params"]["progressToken"], "p-1");
            let progress = message["params"]["progress"].as_f64().unwrap();
            assert!(progress > last, "{progress} after {last}");
            last = progress;
            seen.push(message["params"]["message"].as_str().unwrap_or_default().to_owned());
        };
        assert_eq!(answer["result"]["structuredContent"]["exit_code"], 0, "{answer}");
        // One at once, then at most one in two seconds, however slow the machine is.
        let most = started.elapsed().as_secs() / 2 + 2;
        assert!(seen.len() >= 2 && seen.len() as u64 <= most, "{seen:?}");
        assert!(seen.iter().skip(1).all(|m| m.starts_with("step ")), "{seen:?}");
        server.send(&call(6, "shell", &json!({"command": "sleep 2.5"}), None));
        assert_eq!(server.receive()["id"], 6, "no token, no progress");
    });
}

#[test]
fn a_client_that_does_not_read_stalls_no_run() {
    as_each_user(|site| {
        let mut server = RawServer::start_deaf(&site);
        let hello = json!({
            "protocolVersion": "2025-06-18",
            "capabilities": {},
            "clientInfo": {"name": "deaf", "version": "1"},
        });
        server.send(&json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": hello}));
        server.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
        let calls = 10..30;
        for id in calls.clone() {
            let command = format!("seq 1 300000; echo done > finished-{id}");
            let arguments = json!({"command": command, "max_output_bytes": 262_144});
            server.send(&call(id, "shell", &arguments, Some("p")));
        }
        let finished = |id: u32| site.path(&format!("ws/finished-{id}")).exists();
        assert!(wait::until(|| calls.clone().all(finished)));
        server.listen();
        let answers = std::iter::from_fn(|| Some(server.receive())).filter(|m| m["id"].is_u64());
        assert_eq!(answers.take(calls.len() + 1).count(), 21, "every call is answered");
    });
}

#[test]
fn a_cancelled_call_ends_its_tree_and_stays_readable() {
    as_each_user(|site| {
        let mut server = RawServer::start(&site);
        server.initialize("2025-06-18");
        let tag = processes::new_tag();
        let command = format!("echo so far; ./probe idle {tag}");
        server.send(&call(7, "shell", &json!({"command": command}), None));
        assert!(wait::until(|| processes::with_tag(&tag).len() == 1));
        server.send(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 7}}));
        assert!(wait::until(|| processes::with_tag(&tag).is_empty()));
        let listed = |server: &mut RawServer| {
            server.send(&call(8, "run_list", &json!({}), None));
            server.receive()["result"]["structuredContent"]["runs"][0].clone()
        };
        assert!(wait::until(|| listed(&mut server)["status"] == "cancelled"));
        let id = listed(&mut server)["run_id"].clone();
        server.send(&call(9, "run_read", &json!({"run_id": id, "after_seq": 0}), None));
        let answer = server.receive();
        assert_eq!(answer["result"]["structuredContent"]["stdout"], "so far\n", "{answer}");
    });
}

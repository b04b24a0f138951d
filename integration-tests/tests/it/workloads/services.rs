//! Programs that run in the background and serve other calls.

use super::{has, passes, untroubled, with_git_identity};
use nono_integration_tests::{Answer, Server, as_each_user, processes, wait};
use serde_json::{Value, json};

/// Starts a script in the background; gives the run's id.
fn background(server: &Server, command: &str) -> String {
    let call = json!({"command": command, "background": true, "yield_ms": 0});
    let answer = server.ask("shell", call);
    assert_eq!((answer.status(), answer.is_error), ("running", false), "{}", answer.text);
    answer.str("run_id").to_owned()
}

/// Waits until a run prints a line, and gives it.
fn line(server: &Server, id: &str) -> String {
    let mut said = String::new();
    let call = json!({"run_id": id, "after_seq": 0, "stream": "stdout", "wait_ms": 1000});
    assert!(
        wait::until(|| {
            let answer = server.ask("run_read", call.clone());
            said = answer.stdout().to_owned();
            assert!(said.contains('\n') || answer.status() == "running", "{}", answer.text);
            said.contains('\n')
        }),
        "no line"
    );
    said.lines().next().expect("a line").to_owned()
}

/// Ends a run with a signal to its leader and waits for its end.
fn end(server: &Server, id: &str, signal: &str) -> Answer {
    server.ask("run_signal", json!({"run_id": id, "signal": signal, "scope": "leader"}));
    let read = || server.ask("run_read", json!({"run_id": id, "after_seq": 0, "wait_ms": 1000}));
    assert!(wait::until(|| read().status() != "running"), "{}", read().text);
    read()
}

/// The addresses that a run listens on, as the list of runs shows them.
fn listening(server: &Server, id: &str) -> Vec<Value> {
    let list = server.ask("run_list", json!({}));
    let runs = list.value["runs"].as_array().expect("runs").clone();
    let run = runs.into_iter().find(|r| r["run_id"] == id).expect("listed");
    run["listening"].as_array().cloned().unwrap_or_default()
}

#[test]
fn git_clones_from_a_server_in_the_background() {
    as_each_user(|site| {
        if !has(&site, &["git", "python3"]) {
            return;
        }
        with_git_identity(&site);
        let server = site.serve();
        passes(
            &server,
            "git init -q one; cd one; echo a > a; git add a; git commit -qm first
             git update-server-info",
        );
        let id = background(
            &server,
            "exec python3 -c \"import http.server as h
s = h.ThreadingHTTPServer(('127.0.0.1', 0), h.SimpleHTTPRequestHandler)
print(s.server_address[1], flush=True)
s.serve_forever()\"",
        );
        let port = line(&server, &id);
        let clone = format!("git clone -q http://127.0.0.1:{port}/one/.git two; cat two/a");
        assert_eq!(passes(&server, &clone).stdout(), "a\n");
        untroubled(&end(&server, &id, "INT"));
    });
}

#[test]
fn a_node_server_serves_the_next_call() {
    as_each_user(|site| {
        if !has(&site, &["node", "curl"]) {
            return;
        }
        site.file(
            "ws/srv.js",
            "const s = require('http').createServer((_, r) => r.end('served'));\n\
             s.listen(0, '127.0.0.1', () => console.log(s.address().port));\n\
             process.on('SIGTERM', () => process.exit(0));\n",
        );
        let server = site.serve();
        let tag = processes::new_tag();
        let id = background(&server, &format!("exec node srv.js {tag}"));
        let port = line(&server, &id);
        let address = format!("127.0.0.1:{port}");
        assert!(wait::until(|| listening(&server, &id).iter().any(|l| l["address"] == address)));
        let answer = passes(&server, &format!("curl -sS http://{address}/"));
        assert_eq!(answer.stdout(), "served", "{}", answer.text);
        let over = end(&server, &id, "TERM");
        assert_eq!(over.exit_code(), Some(0), "{}", over.text);
        untroubled(&over);
        assert_eq!(processes::with_tag(&tag), Vec::<u32>::new());
    });
}

/// Leaves its process group and session twice over, listens, and notes its port in a file.
const DAEMON: &str = r#"
import os, socket, sys
if os.fork(): os._exit(0)
os.setsid()
if os.fork(): os._exit(0)
s = socket.create_server(("127.0.0.1", 0))
with open("registry.new", "w") as f: f.write(str(s.getsockname()[1]))
os.rename("registry.new", "registry")
null = os.open("/dev/null", os.O_RDWR)
for fd in (0, 1, 2): os.dup2(null, fd)
while True:
    c, _ = s.accept()
    c.sendall(b"reused\n"); c.close()
"#;

#[test]
fn a_build_daemon_is_killed_with_its_call_or_kept_in_the_background() {
    as_each_user(|site| {
        if !has(&site, &["python3"]) {
            return;
        }
        site.file("ws/daemon.py", DAEMON);
        let tag = processes::new_tag();
        let mut server = site.serve();
        let start = format!("python3 daemon.py {tag}; until [ -e registry ]; do sleep 0.02; done");
        let foreground = server.shell(&start);
        assert_eq!(foreground.exit_code(), Some(0), "{}", foreground.text);
        assert_eq!(foreground.value["processes"]["leftover_killed"], 1, "{}", foreground.text);
        assert_eq!(processes::with_tag(&tag), Vec::<u32>::new());
        std::fs::remove_file(site.path("ws/registry")).expect("the daemon's note");

        background(&server, &start);
        assert!(wait::until(|| site.path("ws/registry").exists()));
        let reuse = "import socket; s = socket.create_connection(('127.0.0.1', \
                     int(open('registry').read()))); print(s.recv(99).decode(), end='')";
        for _ in 0..2 {
            let answer = server.exec(&["python3", "-c", reuse]);
            assert_eq!(answer.stdout(), "reused\n", "{}", answer.text);
        }
        assert_eq!(processes::with_tag(&tag).len(), 1);
        server.close();
        assert!(wait::until(|| processes::with_tag(&tag).is_empty()));
    });
}

#[test]
fn postgres_on_a_socket_in_the_workspace() {
    as_each_user(|site| {
        if !has(&site, &["initdb", "postgres", "psql"]) {
            return;
        }
        if site.user().is_root() {
            eprintln!("NOT TESTED as root: PostgreSQL refuses to run as root");
            return;
        }
        let server = site.serve();
        passes(&server, "initdb -D db -U me -A trust --no-sync > initdb.log");
        let id = background(&server, "exec postgres -D db -k $PWD -c listen_addresses= -F 2>&1");
        let answer = passes(
            &server,
            "psql='psql -h '$PWD' -U me -d postgres -qAtX'
             for n in $(seq 500); do $psql -c 'select 1' > /dev/null 2>&1 && break; sleep 0.02; done
             $psql -c 'create table t as select generate_series(1, 1000) x'
             $psql -c 'set max_parallel_workers_per_gather = 2' -c 'select sum(x) from t'",
        );
        assert_eq!(answer.stdout(), "500500\n", "{}", answer.text);
        let over = end(&server, &id, "INT");
        assert_eq!(over.exit_code(), Some(0), "{}", over.text);
        untroubled(&over);
    });
}

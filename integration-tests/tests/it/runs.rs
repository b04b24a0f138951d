//! Runs that go on after the answer: read, written to, signalled, listed, found again.

use nono_integration_tests::{Answer, Server, Site, as_each_user, processes, wait};
use serde_json::{Value, json};
use std::time::Duration;

fn run_id(answer: &Answer) -> String {
    let id = answer.str("run_id");
    assert!(id.starts_with("r-") && id.len() == 34, "128 random bits: {}", answer.value);
    id.to_owned()
}

/// A server that has so many runs at once.
fn with_places(site: &Site, most: &str) -> Server {
    let mut command = site.nono_mcp(&["--stdio", "--max-runs", most, "--workspace"]);
    command.arg(site.text("ws"));
    Server::start_command(site, command)
}

/// Starts a command that is answered while it runs.
fn start(server: &Server, command: &str) -> String {
    let call = json!({"command": command, "yield_ms": 0});
    let answer = server.ask("shell", call);
    assert_eq!((answer.status(), answer.is_error), ("running", false), "{}", answer.text);
    run_id(&answer)
}

fn read(server: &Server, id: &str, more: Value) -> Answer {
    let mut call = json!({"run_id": id});
    let (Value::Object(all), Value::Object(more)) = (&mut call, more) else { panic!("objects") };
    all.extend(more);
    server.ask("run_read", call)
}

/// Reads until the run is over.
fn to_the_end(server: &Server, id: &str) -> Answer {
    loop {
        let answer = read(server, id, json!({"after_seq": 0, "wait_ms": 1000}));
        if answer.status() != "running" {
            return answer;
        }
    }
}

#[test]
fn a_command_that_takes_longer_than_the_answer_goes_on() {
    as_each_user(|site| {
        let server = site.serve();
        let id = start(&server, "echo one; until [ -e go ]; do sleep 0.02; done; echo two; exit 3");
        let first = read(&server, &id, json!({"after_seq": 0, "wait_ms": 20_000}));
        assert_eq!((first.status(), first.stdout()), ("running", "one\n"), "{}", first.text);
        assert!(first.text.contains(&format!("run_id={id}")), "{}", first.text);
        assert!(first.value["time_left_ms"].as_u64().unwrap() <= 120_000);
        // Nothing is new, and nothing comes.
        let nothing = read(&server, &id, json!({}));
        assert_eq!((nothing.stdout(), &nothing.value["next_seq"]), ("", &json!(4)));
        std::fs::write(site.path("ws/go"), "").unwrap();
        let rest = read(&server, &id, json!({"wait_ms": 20_000}));
        let over = to_the_end(&server, &id);
        assert!("two\n".contains(rest.stdout()), "{}", rest.text);
        assert_eq!((over.status(), over.exit_code()), ("exited", Some(3)), "{}", over.text);
        assert_eq!(over.stdout(), "one\ntwo\n", "all of it can be read again");
    });
}

#[test]
fn a_line_that_matches_is_waited_for() {
    as_each_user(|site| {
        let server = site.serve();
        let id = start(
            &server,
            "echo starting; until [ -e go ]; do sleep 0.02; done; echo ready; sleep 600",
        );
        let first = read(&server, &id, json!({"after_seq": 0, "wait_ms": 20_000}));
        assert_eq!(first.stdout(), "starting\n", "{}", first.text);
        // Nothing matches yet: it is waited for as long as was asked.
        let none = read(&server, &id, json!({"grep": "^ready", "wait_ms": 300}));
        assert!(none.took >= Duration::from_millis(300), "{:?}", none.took);
        assert_eq!((none.status(), none.stdout()), ("running", ""), "{}", none.text);
        let found = std::thread::scope(|scope| {
            let waiting =
                scope.spawn(|| read(&server, &id, json!({"grep": "^ready", "wait_ms": 20_000})));
            std::fs::write(site.path("ws/go"), "").unwrap();
            waiting.join().unwrap()
        });
        assert_eq!((found.status(), found.stdout()), ("running", "2: ready\n"), "{}", found.text);
        assert!(found.took < Duration::from_secs(15), "{:?}", found.took);
        // What is there already is not waited for, and lines by number wait for something new.
        let again = read(&server, &id, json!({"grep": "^ready", "wait_ms": 20_000}));
        assert!(again.took < Duration::from_secs(15), "{:?}", again.took);
        let last = read(&server, &id, json!({"lines": "-1", "wait_ms": 300}));
        assert!(last.took >= Duration::from_millis(300), "{:?}", last.took);
        assert_eq!(last.stdout(), "ready\n", "{}", last.text);
    });
}

#[test]
fn unknown_runs_are_answered_with_those_there_are() {
    as_each_user(|site| {
        let server = site.serve();
        let id = start(&server, "sleep 600");
        for tool in ["run_read", "run_write", "run_signal"] {
            let answer = server.ask(tool, json!({"run_id": "r-0"}));
            assert!(answer.is_error, "{tool}");
            assert!(
                answer.text.contains("no run `r-0`") && answer.text.contains(&id),
                "{}",
                answer.text
            );
            assert!(answer.text.contains("server was started"), "{}", answer.text);
        }
        let ended = server.ask("run_signal", json!({"run_id": id}));
        assert_eq!(ended.status(), "cancelled", "{}", ended.text);
        let again = server.ask("run_signal", json!({"run_id": id, "signal": "KILL"}));
        assert_eq!((again.status(), again.is_error), ("cancelled", false), "{}", again.text);
        let beyond = read(&server, &id, json!({"after_seq": 99}));
        assert!(beyond.is_error && beyond.text.contains("ends at 0"), "{}", beyond.text);
    });
}

#[test]
fn background_keeps_what_the_command_leaves_and_reports_a_crash_at_once() {
    as_each_user(|site| {
        let server = site.serve();
        let tag = processes::new_tag();
        let call =
            json!({"command": format!("./probe idle {tag} & echo started"), "background": true});
        let answer = server.ask("shell", call);
        assert_eq!((answer.status(), answer.exit_code()), ("running", Some(0)), "{}", answer.text);
        assert_eq!(answer.stdout(), "started\n");
        assert!(answer.str("summary").contains("goes on in the background"), "{}", answer.text);
        assert_eq!(answer.value["processes"]["running_total"], 1, "{}", answer.value);
        assert_eq!(processes::with_tag(&tag).len(), 1);
        let id = run_id(&answer);
        let over = server.ask("run_signal", json!({"run_id": id}));
        assert_eq!(over.status(), "cancelled", "{}", over.text);
        assert_eq!(processes::with_tag(&tag), Vec::<u32>::new());

        let crash =
            server.ask("shell", json!({"command": "echo no >&2; exit 7", "background": true}));
        assert_eq!((crash.status(), crash.exit_code()), ("exited", Some(7)), "{}", crash.text);
    });
}

#[test]
fn a_server_in_the_background_serves_other_calls_and_is_listed_with_its_port() {
    as_each_user(|site| {
        let server = site.serve();
        let script = "import http.server as h, os, socket\n\
                      u = socket.socket(socket.AF_UNIX); u.bind(os.path.abspath('dev.sock')); u.listen()\n\
                      s = h.ThreadingHTTPServer(('127.0.0.1', 0), h.SimpleHTTPRequestHandler)\n\
                      print(s.server_address[1], flush=True)\n\
                      s.serve_forever()";
        let call = json!({"argv": ["python3", "-c", script], "background": true, "yield_ms": 0});
        let id = run_id(&server.ask("exec", call));
        let said =
            read(&server, &id, json!({"wait_ms": 30_000, "stream": "stdout", "after_seq": 0}));
        let port: u16 = said.stdout().trim().parse().expect("a port");
        let address = format!("127.0.0.1:{port}");
        let listed = |list: &Answer| {
            let runs = list.value["runs"].as_array().unwrap().clone();
            let run = runs.into_iter().find(|r| r["run_id"] == id.as_str()).expect("listed");
            let all = run["listening"].as_array().cloned().unwrap_or_default();
            let at = |place: &str| all.iter().any(|l| l["address"] == place);
            at(&address) && at(&site.text("ws/dev.sock"))
        };
        assert!(wait::until(|| listed(&server.ask("run_list", json!({})))));
        let get =
            format!("import urllib.request as r; print(r.urlopen('http://{address}/').status)");
        assert_eq!(server.exec(&["python3", "-c", &get]).stdout(), "200\n");
        let over =
            server.ask("run_signal", json!({"run_id": id, "signal": "INT", "scope": "leader"}));
        assert!(!over.is_error, "{}", over.text);
        assert_ne!(to_the_end(&server, &id).status(), "running");
    });
}

#[test]
fn input_goes_to_a_run_until_it_is_closed() {
    as_each_user(|site| {
        let server = site.serve();
        let call = json!({"command": "read x; echo got $x; cat; echo end", "keep_stdin": true});
        let started = server.ask("shell", call);
        let waiting = &started.value["waiting"];
        assert_eq!(
            (started.status(), &waiting["for"]),
            ("running", &json!("stdin")),
            "{}",
            started.text
        );
        let id = run_id(&started);
        let more = server.ask("run_write", json!({"run_id": id, "text": "a b\nline"}));
        assert_eq!((more.status(), more.stdout()), ("running", "got a b\nline"), "{}", more.text);
        let last = server.ask(
            "run_write",
            json!({"run_id": id, "text": "!\n", "eof": true, "yield_ms": 30_000}),
        );
        assert_eq!((last.status(), last.stdout()), ("exited", "!\nend\n"), "{}", last.text);
        let late = server.ask("run_write", json!({"run_id": id, "text": "x"}));
        assert!(late.is_error && late.text.contains("is over"), "{}", late.text);

        let id = start(&server, "sleep 600");
        let none = server.ask("run_write", json!({"run_id": id, "text": "x"}));
        assert!(none.is_error && none.text.contains("keep_stdin"), "{}", none.text);
        let none = server.ask("run_write", json!({"run_id": id, "rows": 10, "columns": 10}));
        assert!(none.is_error && none.text.contains("tty: true"), "{}", none.text);
    });
}

#[test]
fn input_that_nobody_reads_is_given_back_as_a_count() {
    as_each_user(|site| {
        let server = site.serve();
        let call = json!({"argv": ["sleep", "600"], "keep_stdin": true, "yield_ms": 0});
        let id = run_id(&server.ask("exec", call));
        let text = "x".repeat(300_000);
        let answer = server.ask("run_write", json!({"run_id": id, "text": text, "yield_ms": 0}));
        assert!(answer.is_error, "{}", answer.text);
        assert!(answer.text.contains("took 65536 of 300000 bytes"), "{}", answer.text);
    });
}

#[test]
fn signals_reach_the_tree_or_the_leader() {
    as_each_user(|site| {
        let server = site.serve();
        let trap = "trap 'echo usr1; exit 5' USR1; echo ready; while :; do sleep 0.02; done";
        for scope in ["leader", "tree"] {
            let id = start(&server, trap);
            assert!(wait::until(
                || read(&server, &id, json!({"after_seq": 0})).stdout() == "ready\n"
            ));
            let call = json!({"run_id": id, "signal": "USR1", "scope": scope});
            server.ask("run_signal", call);
            let over = to_the_end(&server, &id);
            assert!(over.stdout().starts_with("ready\nusr1\n"), "{scope}: {}", over.text);
        }
        // TERM first, KILL only after the grace.
        let id = start(
            &server,
            "trap 'echo asked; exit 0' TERM; echo ready; while :; do sleep 0.02; done",
        );
        assert!(wait::until(|| read(&server, &id, json!({"after_seq": 0})).stdout() == "ready\n"));
        let over = server.ask("run_signal", json!({"run_id": id, "grace_ms": 30_000}));
        let all = read(&server, &id, json!({"after_seq": 0}));
        assert_eq!((over.status(), all.stdout()), ("cancelled", "ready\nasked\n"), "{}", over.text);
        let id = start(&server, "trap '' TERM; echo ready; while :; do sleep 0.02; done");
        assert!(wait::until(|| read(&server, &id, json!({"after_seq": 0})).stdout() == "ready\n"));
        let over = server.ask("run_signal", json!({"run_id": id, "grace_ms": 50}));
        assert_eq!(over.status(), "cancelled", "{}", over.text);
    });
}

#[test]
fn whoever_asks_again_hastens_the_end_of_a_run() {
    as_each_user(|site| {
        let server = site.serve();
        let stubborn = "trap 'echo asked' TERM; echo ready; while :; do sleep 0.02; done";
        let id = start(&server, stubborn);
        let all = || read(&server, &id, json!({"after_seq": 0})).stdout().to_owned();
        assert!(wait::until(|| all() == "ready\n"));
        std::thread::scope(|scope| {
            let patient = json!({"run_id": id, "grace_ms": 60_000});
            let first = scope.spawn(|| server.ask("run_signal", patient));
            assert!(wait::until(|| all() == "ready\nasked\n"));
            let over = server.ask("run_signal", json!({"run_id": id, "signal": "KILL"}));
            assert_eq!(over.status(), "cancelled", "{}", over.text);
            assert_eq!(first.join().expect("an answer").status(), "cancelled");
        });
    });
}

/// Time in a queue is nobody's fault: a run has its own from when it starts.
#[test]
fn a_run_that_had_to_wait_for_a_place_has_lost_no_time() {
    as_each_user(|site| {
        let server = with_places(&site, "1");
        // Longer than a timeout of 3 s, the grace and the patience with a supervisor together.
        let before = start(&server, "sleep 12");
        let queued = server.ask("shell", json!({"command": "echo mine", "timeout_ms": 3000}));
        assert_eq!((queued.status(), queued.stdout()), ("exited", "mine\n"), "{}", queued.text);
        assert_eq!(to_the_end(&server, &before).status(), "exited");
    });
}

#[test]
fn a_repeated_call_with_the_same_key_gets_the_same_run() {
    as_each_user(|site| {
        let server = site.serve();
        let call = json!({"command": "echo x >> log; cat log", "request_key": "build-1"});
        let first = server.ask("shell", call.clone());
        let second = server.ask("shell", call);
        assert_eq!(run_id(&first), run_id(&second));
        assert_eq!((first.stdout(), second.stdout()), ("x\n", "x\n"));
        let other = server.ask("shell", json!({"command": "true", "request_key": "build-1"}));
        assert!(other.is_error && other.text.contains("`build-1`"), "{}", other.text);
        // What a program is fed and may use is part of what was asked for.
        let fed = json!({"command": "cat", "stdin": "one", "request_key": "build-2"});
        assert_eq!(server.ask("shell", fed.clone()).stdout(), "one");
        for (field, value) in [
            ("stdin", json!("two")),
            ("keep_stdin", json!(true)),
            ("limits", json!({"open_files": 100})),
        ] {
            let mut other = fed.clone();
            other[field] = value;
            let other = server.ask("shell", other);
            assert!(other.is_error && other.text.contains("`build-2`"), "{field}: {}", other.text);
        }
        let fresh = server.ask("shell", json!({"command": "echo x >> log; cat log"}));
        assert_eq!(fresh.stdout(), "x\nx\n");
    });
}

/// As a client does that repeats a call before it was answered.
#[test]
fn calls_with_the_same_key_at_the_same_time_get_the_same_run() {
    as_each_user(|site| {
        let server = site.serve();
        let call = || {
            let call = json!({"command": "echo x >> log; sleep 0.3; cat log", "request_key": "k"});
            let answer = server.ask("shell", call);
            (run_id(&answer), answer.stdout().to_owned())
        };
        let answers: Vec<_> = std::thread::scope(|scope| {
            let calls: Vec<_> = (0..16).map(|_| scope.spawn(call)).collect();
            calls.into_iter().map(|call| call.join().expect("an answer")).collect()
        });
        assert!(answers.iter().all(|answer| answer == &answers[0]), "{answers:?}");
        assert_eq!(answers[0].1, "x\n");
    });
}

#[test]
fn the_limit_on_live_runs_is_a_refusal_with_their_names() {
    as_each_user(|site| {
        let server = with_places(&site, "2");
        let ids = [start(&server, "sleep 601"), start(&server, "sleep 602")];
        let refused = server.ask("shell", json!({"command": "echo third"}));
        assert!(refused.is_error, "{}", refused.text);
        assert!(ids.iter().all(|id| refused.text.contains(id)), "{}", refused.text);
        assert!(
            refused.text.contains("sleep 601") && refused.text.contains("2 commands are running")
        );
        server.ask("run_signal", json!({"run_id": ids[0], "signal": "KILL"}));
        assert_eq!(server.shell("echo third").stdout(), "third\n");
    });
}

#[test]
fn a_queued_call_runs_once_there_is_room() {
    as_each_user(|site| {
        let server = with_places(&site, "1");
        let id = start(&server, "until [ -e go ]; do sleep 0.02; done");
        std::thread::scope(|scope| {
            let queued = scope.spawn(|| server.shell("echo after"));
            std::fs::write(site.path("ws/go"), "").unwrap();
            assert_eq!(queued.join().unwrap().stdout(), "after\n");
        });
        assert_eq!(to_the_end(&server, &id).exit_code(), Some(0));
    });
}

#[test]
fn more_than_a_hundred_finished_runs_stay_readable() {
    as_each_user(|site| {
        let server = site.serve();
        let first = run_id(&server.shell("echo the first"));
        for n in 0..110 {
            assert_eq!(server.shell(&format!("echo {n}")).stdout(), format!("{n}\n"));
        }
        let answer = read(&server, &first, json!({"after_seq": 0}));
        assert_eq!((answer.status(), answer.stdout()), ("exited", "the first\n"));
        for n in 0..30 {
            server.shell(&format!("echo {n}"));
        }
        assert!(read(&server, &first, json!({})).is_error, "the oldest make room");
    });
}

#[test]
fn runs_share_tmpdir_and_nothing_else() {
    as_each_user(|site| {
        let server = site.serve();
        assert_eq!(server.shell("ls -A $TMPDIR | wc -l").stdout().trim(), "0");
        assert_eq!(server.shell("echo kept > $TMPDIR/note").exit_code(), Some(0));
        assert_eq!(server.shell("cat $TMPDIR/note").stdout(), "kept\n");
        let id = start(&server, "echo $$; sleep 600");
        let said = read(&server, &id, json!({"after_seq": 0, "wait_ms": 20_000}));
        let pid = said.stdout().trim().to_owned();
        let other =
            server.shell(&format!("kill -0 {pid}; kill -9 {pid}; echo x > /proc/{pid}/fd/1"));
        assert_ne!(other.exit_code(), Some(0), "{}", other.text);
        assert_eq!(read(&server, &id, json!({"after_seq": 0})).status(), "running");
        // The same does work from the run itself.
        let own = server.shell("sleep 600 & kill -0 $! && kill -9 $! && echo killed");
        assert_eq!(own.stdout(), "killed\n", "{}", own.text);
    });
}

//! A call that blocks or takes long holds up its caller alone; a connect that blocks ends when it is
//! interrupted.

use nono_integration_tests::mounts::have_own_mounts;
use nono_integration_tests::slow_folder::SlowFolder;
use nono_integration_tests::{Site, User, as_each_user, processes, wait};
use serde_json::json;
use std::time::Duration;

#[test]
fn non_blocking_connects_answer_at_once() {
    as_each_user(|site| {
        assert_eq!(site.outside(&["connect-nonblocking-full", "full"]), "EAGAIN", "control");
        assert_eq!(site.serve().probe(&["connect-nonblocking-full", "full"]), "EAGAIN");
    });
}

#[test]
fn a_signal_interrupts_a_blocking_connect() {
    as_each_user(|site| {
        let server = site.serve();
        let bound = |args: &[&str]| {
            let argv: Vec<&str> = ["./probe"].into_iter().chain(args.iter().copied()).collect();
            server.ask("exec", json!({"argv": argv, "timeout_ms": 20_000})).said()
        };
        for (case, said) in [
            ("blocked-interrupted", "EINTR"),
            ("blocked-restarted", "ok restarted"),
            ("blocked-ignored", "ok connected"),
        ] {
            assert_eq!(site.outside(&[case, "full"]), said, "control {case}");
            assert_eq!(bound(&[case, "full"]), said, "{case}");
        }
        assert_eq!(site.outside(&["blocked-tcp-interrupted"]), "EINTR", "control");
        assert_eq!(bound(&["blocked-tcp-interrupted"]), "EINTR");
    });
}

#[test]
fn signals_that_rain_on_a_caller_change_no_answer() {
    as_each_user(|site| {
        let socket = nono_integration_tests::host_unix::HostSocket::stream(
            &site.path("outside/granted.sock"),
            "granted",
        );
        let path = site.text("outside/granted.sock");
        let server = site.serve_with(&json!({"filesystem": {"unix_socket": [path]}}));
        let said = server.probe(&["signal-storm", &path, "3000"]);
        assert!(said.starts_with("ok 3000 signals true"), "{said}");
        // The last ones may still wait to be accepted.
        assert!(wait::until(|| socket.reached() >= 3000), "{}", socket.reached());
    });
}

#[test]
fn five_hundred_blocked_callers_hold_up_nobody() {
    as_each_user(|site| {
        let server = site.serve();
        let said = server.probe(&["blocked-herd", "full", "other", "500"]);
        let worst: u64 = said.strip_prefix("ok ").and_then(|n| n.parse().ok()).expect(&said);
        // They block for good; ten seconds is for a machine that has better things to do.
        assert!(worst < 10_000, "the 501st connect took {worst} ms");
    });
}

/// What a run's supervisor holds for blocked calls is not counted against what a command may open.
#[test]
fn blocked_callers_stay_blocked_where_commands_have_few_descriptors() {
    as_each_user(|site| {
        let server = site.serve_with_open_files(256);
        let said =
            server.shell("ulimit -Sn; ulimit -Sn 1100; ./probe blocked-released full other 500");
        assert_eq!(said.stdout(), "256\nok 500 connected\n", "{}", said.text);
        let killed = server.shell(
            "ulimit -Sn 1100; timeout -s KILL 3 ./probe blocked-crowd full2 500 tag; echo code $?",
        );
        assert_eq!(killed.stdout(), "code 137\n", "{}", killed.text);
        assert!(site.path("ws/full2.stands").exists(), "the crowd stood");
        assert!(killed.took < Duration::from_secs(10), "{:?}", killed.took);
    });
}

/// More files than there are ever leaders, on a file system that does not answer.
#[test]
fn a_file_system_that_does_not_answer_holds_up_nobody_else() {
    const FILES: usize = 20;
    let test = |site: Site| {
        let slow = SlowFolder::mount(&site.folder("ws/behind"));
        site.file("ws/here", "is here\n");
        let server = site.serve();
        let script = "for n in $(seq 20); do cat behind/slow$n & done
            sleep 0.1; until cat here >&2 && [ -e go ]; do sleep 0.1; done; cat here; wait";
        let call = json!({"command": script, "background": true, "timeout_ms": 120_000});
        let started = server.ask("shell", call);
        assert_eq!(started.status(), "running", "{}", started.text);
        assert!(wait::until(|| slow.waiting() == FILES), "only {} are asked for", slow.waiting());
        site.file("ws/go", "");
        let read =
            || server.ask("run_read", json!({"run_id": started.str("run_id"), "after_seq": 0}));
        assert!(wait::until(|| read().stdout().contains("is here")), "{}", read().text);
        assert_eq!((read().status(), slow.waiting()), ("running", FILES));
        drop(slow);
        assert!(wait::until(|| read().status() == "exited"), "{}", read().text);
        let missing = read().stderr().matches("No such file").count();
        assert_eq!(missing, FILES, "{}", read().text);
    };
    std::thread::scope(|scope| {
        scope.spawn(|| {
            have_own_mounts();
            as_each_user(test);
        });
    });
}

/// Calls are checked by looking at the paths they name, and more of them than the server has threads.
#[test]
fn a_call_that_names_a_dead_file_system_holds_up_no_other_call() {
    const CALLS: usize = 20;
    let test = |site: Site| {
        let server = site.serve();
        std::thread::scope(|scope| {
            let slow = SlowFolder::mount(&site.folder("ws/behind"));
            let stuck = |n: usize| {
                let (server, path) = (&server, format!("behind/slow{n}"));
                scope.spawn(move || match n % 2 {
                    0 => server.ask("exec", json!({"argv": ["true"], "cwd": path})),
                    _ => server.ask("sandbox_explain", json!({"path": path})),
                })
            };
            let calls: Vec<_> = (0..CALLS).map(stuck).collect();
            assert!(wait::until(|| slow.waiting() == CALLS), "{} look", slow.waiting());
            assert_eq!(server.shell("echo here").stdout(), "here\n");
            assert!(calls.iter().all(|call| !call.is_finished()));
            drop(slow);
            for (n, call) in calls.into_iter().enumerate() {
                let answer = call.join().expect("an answer");
                assert_eq!(answer.is_error, n % 2 == 0, "{}", answer.text);
            }
        });
    };
    std::thread::scope(|scope| {
        scope.spawn(|| {
            have_own_mounts();
            as_each_user(test);
        });
    });
}

#[test]
fn a_blocked_connect_does_not_outlive_its_timeout() {
    let server = Site::new(User::Same).serve();
    let arguments = json!({"argv": ["./probe", "blocked-forever", "full"], "timeout_ms": 1000});
    let answer = server.ask("exec", arguments);
    assert_eq!((answer.status(), answer.stdout()), ("timed_out", "blocking\n"));
    assert!(answer.took < Duration::from_secs(6), "{:?}", answer.took);
}

#[test]
fn killing_a_blocked_caller_frees_it_at_once() {
    let server = Site::new(User::Same).serve();
    let answer = server.shell(
        "timeout -s KILL 0.5 ./probe blocked-forever full; echo code $?; \
         timeout -s TERM 0.5 ./probe blocked-forever full2; echo code $?",
    );
    assert!(answer.stdout().contains("code 137"), "{}", answer.text);
    assert!(answer.stdout().contains("code 124"), "{}", answer.text);
    assert!(answer.took < Duration::from_secs(10), "{:?}", answer.took);
}

#[test]
fn one_runs_blocked_calls_are_nothing_to_another_run() {
    let server = Site::new(User::Same).serve();
    let tag = processes::new_tag();
    std::thread::scope(|scope| {
        let stuck = scope.spawn(|| server.run("probe", &["blocked-crowd", "full", "300", &tag]));
        let stands = server.site().path("ws/full.stands");
        assert!(wait::until(|| stands.exists()), "the crowd stands");
        let start = std::time::Instant::now();
        let answer = server.run("probe", &["serve-self", "stream", "elsewhere"]);
        assert_eq!(answer.said(), "ok hello");
        assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
        assert!(!stuck.is_finished());
        let [pid] = processes::with_tag(&tag)[..] else { panic!("one process") };
        assert_eq!(server.site().outside(&["kill", &pid.to_string(), "15"]), "ok");
        assert_eq!(stuck.join().expect("an answer").value["signal"], "SIGTERM");
    });
}

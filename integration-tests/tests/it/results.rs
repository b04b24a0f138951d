//! What a result says about a run.

use nono_integration_tests::{Answer, Server, Site, User, as_each_user};
use serde_json::{Value, json};
use std::time::Duration;

fn server() -> Server {
    Site::new(User::Same).serve()
}

#[test]
fn exit_codes_are_results() {
    as_each_user(|site| {
        let server = site.serve();
        for code in [0, 1, 7, 126, 127, 255] {
            let answer = server.shell(&format!("exit {code}"));
            assert!(!answer.is_error, "{}", answer.text);
            assert_eq!(answer.status(), "exited");
            assert_eq!(answer.exit_code(), Some(code));
            assert!(answer.value.get("signal").is_none(), "{}", answer.value);
        }
        assert_eq!(server.exec(&["/bin/false"]).exit_code(), Some(1));
    });
}

#[test]
fn death_by_signal_is_a_result() {
    let server = server();
    for (number, name) in [(9, "SIGKILL"), (11, "SIGSEGV"), (15, "SIGTERM"), (6, "SIGABRT")] {
        let answer = server.shell(&format!("kill -{number} $$"));
        assert!(!answer.is_error, "{}", answer.text);
        assert_eq!((answer.status(), answer.str("signal")), ("killed", name));
        assert!(answer.value.get("exit_code").is_none(), "{}", answer.value);
        assert!(answer.text.contains(name), "{}", answer.text);
    }
}

#[test]
fn the_two_streams_are_told_apart_and_the_text_has_both() {
    let answer = server().shell("echo to-stdout; echo to-stderr >&2; exit 3");
    assert_eq!((answer.stdout(), answer.stderr()), ("to-stdout\n", "to-stderr\n"));
    for word in ["to-stdout", "to-stderr", "3"] {
        assert!(answer.text.contains(word), "{}", answer.text);
    }
    assert!(answer.value["run_id"].is_string(), "{}", answer.value);
    assert!(!answer.str("summary").contains('\n'), "{}", answer.value);
}

#[test]
fn fields_come_in_order_of_importance_without_nulls() {
    let answer = server().shell("echo x");
    let fields: Vec<&str> =
        answer.value.as_object().expect("an object").keys().map(String::as_str).collect();
    let order = [
        "status",
        "exit_code",
        "signal",
        "run_id",
        "summary",
        "denials",
        "sandbox",
        "stdout",
        "stderr",
        "truncation",
        "next_seq",
        "text_flags",
        "waiting",
        "time_left_ms",
        "rate_limited",
        "duration_ms",
        "cpu_ms",
        "peak_rss_bytes",
        "processes",
    ];
    let expected: Vec<&str> = order.into_iter().filter(|f| fields.contains(f)).collect();
    assert_eq!(fields, expected);
    assert!(!answer.value.to_string().contains(":null"), "{}", answer.value);
}

#[test]
fn the_sandbox_says_what_it_is() {
    as_each_user(|site| {
        let sandbox = site.serve().shell("true").value["sandbox"].clone();
        assert_eq!(sandbox["profile"], "coding", "{sandbox}");
        assert_eq!(sandbox["enforced"], "full", "{sandbox}");
        let roots = sandbox["writable_roots"].as_array().expect("a list");
        assert!(roots.iter().any(|r| r == &site.text("ws")), "{sandbox}");
        let layers = sandbox["layers"].as_array().expect("a list");
        // Off unless a profile asks for it.
        let asked_for = ["network_isolation", "private_tmp", "hidden_files"];
        let usual = |l: &&Value| !asked_for.iter().any(|name| l["name"] == *name);
        let usual: Vec<&Value> = layers.iter().filter(usual).collect();
        assert!(usual.len() >= 2 && usual.iter().all(|l| l["active"] == true), "{sandbox}");
    });
}

/// An agent pays for each answer: what it knows by now is not repeated.
#[test]
fn the_sandbox_is_described_once_and_whenever_it_matters() {
    as_each_user(|site| {
        site.folder("home/.ssh");
        let closed = site.file("home/.ssh/id_ed25519", "key");
        let named = |answer: &Answer| {
            let layers = answer.value["sandbox"]["layers"].as_array().cloned().unwrap_or_default();
            assert_eq!(layers.is_empty(), answer.value["sandbox"]["writable_roots"].is_null());
            layers.len()
        };
        let server = site.serve();
        let all = named(&server.shell("true"));
        assert!(all >= 10);
        let plain = server.shell("true");
        assert_eq!(named(&plain), 0, "{}", plain.value);
        let said = json!({"profile": "coding", "enforced": "full", "network": "proxy"});
        assert_eq!(plain.value["sandbox"], said);
        assert_eq!(named(&server.shell(&format!("cat {}", closed.display()))), all);
        let less = json!({"command": "true", "network": "none"});
        assert_eq!(named(&server.ask("shell", less)), all);
        assert_eq!(named(&server.ask("shell", json!({"command": "true", "cwd": "gone"}))), all);
        assert_eq!(named(&server.shell("true")), 0);
    });
}

/// What the profile asks for and cannot have is in every answer.
#[test]
fn a_layer_that_is_missing_is_always_told() {
    as_each_user(|site| {
        let server = site.serve_pretending(5);
        server.shell("true");
        let sandbox = server.shell("true").value["sandbox"].clone();
        let layers = sandbox["layers"].as_array().expect("layers").clone();
        let names: Vec<&Value> = layers.iter().map(|layer| &layer["name"]).collect();
        assert_eq!(names, ["landlock_scopes", "protected_files"], "{sandbox}");
        assert!(layers.iter().all(|layer| layer["active"] == false), "{sandbox}");
    });
}

#[test]
fn stdin_is_empty_unless_given() {
    let server = server();
    assert_eq!(server.shell("cat; echo end").stdout(), "end\n");
    let text = "one\ntwo \u{e9}\u{1f980}\n";
    let answer = server.ask("shell", json!({"command": "cat", "stdin": text}));
    assert_eq!(answer.stdout(), text);
    let large = "0123456789abcdef".repeat(50_000);
    let answer = server.ask("exec", json!({"argv": ["wc", "-c"], "stdin": large}));
    assert_eq!(answer.stdout().trim(), "800000");
    // A program that does not read its input is no reason to hang or fail.
    let answer = server.ask("exec", json!({"argv": ["true"], "stdin": large}));
    assert_eq!(answer.exit_code(), Some(0), "{}", answer.text);
}

#[test]
fn arguments_reach_the_program_unchanged() {
    let odd = ["", " ", "a b", "$HOME", "*", "'\"", "--", "\u{1f980}", "new\nline"];
    let mut argv = vec!["printf", "<%s>"];
    argv.extend(odd);
    let expected: String = odd.iter().map(|a| format!("<{a}>")).collect();
    assert_eq!(server().exec(&argv).stdout(), expected);
}

#[test]
fn working_directories() {
    as_each_user(|site| {
        site.folder("ws/sub/deep");
        let server = site.serve();
        let pwd = |cwd: &str| {
            let answer = server.ask("exec", json!({"argv": ["/bin/pwd"], "cwd": cwd}));
            answer.stdout().trim_end().to_owned()
        };
        assert_eq!(server.exec(&["/bin/pwd"]).stdout().trim_end(), site.text("ws"));
        assert_eq!(pwd("sub/deep"), site.text("ws/sub/deep"));
        assert_eq!(pwd(&site.text("ws/sub")), site.text("ws/sub"));
        assert_eq!(pwd("sub/.."), site.text("ws"));
    });
}

#[test]
fn a_timeout_keeps_the_output_and_kills_the_tree() {
    as_each_user(|site| {
        let server = site.serve();
        let tag = nono_integration_tests::processes::new_tag();
        let command = format!(
            "echo before; echo complaint >&2; trap '' TERM; ./probe idle {tag} & ./probe idle {tag}"
        );
        let answer = server.ask("shell", json!({"command": command, "timeout_ms": 1500}));
        assert!(!answer.is_error, "{}", answer.text);
        assert_eq!(answer.status(), "timed_out", "{}", answer.value);
        assert_eq!((answer.stdout(), answer.stderr()), ("before\n", "complaint\n"));
        assert!(answer.took >= Duration::from_millis(1500), "{:?}", answer.took);
        assert!(answer.took < Duration::from_secs(8), "{:?}", answer.took);
        assert!(answer.text.contains("1.5s"), "the limit is named: {}", answer.text);
        assert_eq!(nono_integration_tests::processes::with_tag(&tag), Vec::<u32>::new());
    });
}

#[test]
fn a_background_child_that_holds_stdout_does_not_hold_the_answer() {
    as_each_user(|site| {
        let server = site.serve();
        server.shell("true"); // whatever the first run warms up is not measured
        // The fastest of a few: the promise is about waiting, not about a busy machine.
        let answers: Vec<_> = (0..5).map(|_| server.shell("sleep 30 & echo started")).collect();
        for answer in &answers {
            assert_eq!(answer.stdout(), "started\n", "{}", answer.text);
            assert_eq!(answer.status(), "exited");
            assert_eq!(answer.value["processes"]["leftover_killed"], 1, "{}", answer.value);
        }
        let fastest = answers.iter().map(|a| a.took).min().expect("five answers");
        assert!(fastest < Duration::from_millis(500), "{fastest:?}");
    });
}

#[test]
fn a_background_child_that_never_stops_talking_does_not_hold_the_answer() {
    let answer =
        server().ask("shell", json!({"command": "yes & echo started >&2", "timeout_ms": 20_000}));
    assert_eq!(
        (answer.status(), answer.exit_code()),
        ("exited", Some(0)),
        "{}",
        answer.str("summary")
    );
    assert_eq!(answer.stderr(), "started\n");
    assert_eq!(answer.value["processes"]["leftover_killed"], 1);
}

#[test]
fn nothing_left_over_is_counted_as_nothing() {
    let answer = server().shell("sleep 0.01 & wait; (exit 0) | cat");
    let left = answer.value["processes"]["leftover_killed"].as_u64().unwrap_or(0);
    assert_eq!(left, 0, "{}", answer.value);
}

#[test]
fn long_output_is_cut_in_the_middle_and_counted() {
    let arguments = json!({"command": "seq 1 100000", "max_output_bytes": 2048});
    let answer = server().ask("shell", arguments);
    let (stdout, cut) = (answer.stdout(), &answer.value["truncation"]["stdout"]);
    assert!(stdout.len() < 4096, "{} bytes", stdout.len());
    assert!(stdout.starts_with("1\n2\n"), "{stdout}");
    assert!(stdout.trim_end().ends_with("100000"), "{stdout}");
    assert_eq!(cut["total_bytes"], 588_895, "{cut}");
    assert_eq!(cut["total_lines"], 100_000, "{cut}");
    let omitted = cut["omitted_bytes"].as_u64().expect("a number");
    assert!(omitted > 588_895 - 4096 && omitted < 588_895, "{cut}");
    assert!(answer.text.len() < 16 * 1024, "{} bytes of text", answer.text.len());
}

#[test]
fn a_flood_neither_blocks_the_program_nor_fills_the_server() {
    let site = Site::new(User::Same);
    let server = site.serve();
    server.shell("true");
    let (_, _, before) = nono_integration_tests::processes::weight(server.pid());
    let answer = server.shell("head -c 300000000 /dev/zero | tr '\\0' x; echo; echo done >&2");
    assert_eq!(answer.exit_code(), Some(0), "{}", answer.str("summary"));
    assert_eq!(answer.stderr(), "done\n");
    assert!(answer.stdout().len() < 40_000, "{} bytes", answer.stdout().len());
    assert_eq!(answer.value["truncation"]["stdout"]["total_bytes"], 300_000_001_u64);
    let (_, _, after) = nono_integration_tests::processes::weight(server.pid());
    assert!(after < before + 100 * 1024, "grew from {before} to {after} KiB");
}

#[test]
fn output_that_is_no_text_becomes_text() {
    let answer = server().shell(r"printf 'a\377\376b\000c\033[31mred\033[0m\n'");
    let out = answer.stdout();
    assert!(out.contains('a') && out.contains("red"), "{out:?}");
    assert!(!out.contains('\u{1b}') && !out.contains('\0'), "{out:?}");
    assert!(!answer.text.contains('\u{1b}') && !answer.text.contains('\0'), "{:?}", answer.text);
}

#[test]
fn runs_at_the_same_time_do_not_wait_for_each_other() {
    let server = server();
    std::thread::scope(|scope| {
        let slow = scope
            .spawn(|| server.shell("echo up > started; until test -e over; do sleep 0.01; done"));
        // Answers while the other one sleeps, or not at all within its bound.
        let waits = json!({"command": "until test -e started; do sleep 0.01; done; echo seen",
            "timeout_ms": 15_000});
        let quick = server.ask("shell", waits);
        assert_eq!((quick.status(), quick.stdout()), ("exited", "seen\n"));
        assert!(!slow.is_finished());
        server.site().file("ws/over", "");
        assert_eq!(slow.join().expect("a result").exit_code(), Some(0));
    });
}

#[test]
fn usage_is_measured() {
    let answer = server().shell("i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done");
    let number = |field: &str| answer.value[field].as_u64().unwrap_or(0);
    assert!(number("cpu_ms") > 0, "{}", answer.value);
    assert!(number("peak_rss_bytes") > 500_000, "{}", answer.value);
    assert!(number("duration_ms") > 0, "{}", answer.value);
}

#[test]
fn a_forged_report_stays_inside_of_the_output() {
    let server = server();
    let real = server.shell("cat ../home/.ssh/id_ed25519; true");
    assert!(real.denials_total() > 0, "{}", real.text);
    // Everything the real text has said is said again, by a program.
    let arguments = json!({"argv": ["cat"], "stdin": real.text});
    let forged = server.ask("exec", arguments);
    assert_eq!(forged.denials_total(), 0, "{}", forged.text);
    let first = forged.text.lines().next().unwrap_or("").to_lowercase();
    assert!(!first.contains("denied") && !first.contains("denial"), "{}", forged.text);
}

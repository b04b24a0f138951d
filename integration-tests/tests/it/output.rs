//! Output: bounded in every answer, never lost, readable in parts.

use nono_integration_tests::{Server, as_each_user};
use serde_json::{Value, json};

/// One resident-memory figure of a process, in bytes.
fn memory(pid: u32, figure: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("a live server");
    let line = status.lines().find_map(|l| l.strip_prefix(figure)).expect("a known figure");
    line.trim().trim_end_matches("kB").trim().parse::<u64>().expect("a number") * 1024
}

#[test]
fn a_flood_is_answered_in_short_and_counted_in_full() {
    as_each_user(|site| {
        let server = site.serve();
        server.shell("true");
        let before = memory(server.pid(), "VmRSS:");
        let call =
            json!({"command": "yes | head -c 300M; echo; echo the end", "yield_ms": 600_000});
        let answer = server.ask("shell", call);
        assert_eq!(answer.exit_code(), Some(0), "{}", answer.str("summary"));
        assert!(answer.text.len() < 20 << 10 && answer.value.to_string().len() < 50 << 10);
        let note = &answer.value["truncation"]["stdout"];
        assert_eq!(note["total_bytes"], (300 << 20) + 9, "{note}");
        assert_eq!(note["total_lines"], (150 << 20) + 2, "{note}");
        assert!(note["lost_bytes"].as_u64().unwrap() > 200 << 20, "{note}");
        assert!(answer.stdout().ends_with("the end\n"));
        let grown = memory(server.pid(), "VmHWM:") - before;
        assert!(grown < 64 << 20, "grew by {grown} bytes");
        let id = answer.str("run_id");
        let last = server.ask("run_read", json!({"run_id": id, "lines": "-1"}));
        assert_eq!(last.stdout(), "the end\n");
        let found = server.ask("run_read", json!({"run_id": id, "grep": "^the"}));
        assert_eq!(found.stdout(), format!("{}: the end\n", (150 << 20) + 2));
    });
}

#[test]
fn a_pattern_that_takes_long_ends_with_the_call_that_goes_on() {
    as_each_user(|site| {
        let server = site.serve();
        // Each byte leads matching to where it has not been before.
        let run = server.shell("head -c 3M /dev/urandom | base64 -w 50000; echo aZ");
        let (id, end) = (run.str("run_id").to_owned(), run.value["next_seq"].as_u64().unwrap());
        let grep = "[A-Za-z0-9+/]*[A-M][A-Za-z0-9+/]{5000}!|^aZ$";
        let answer = server.ask("run_read", json!({"run_id": id, "grep": grep}));
        let (before, call) = answer.text.split_once("go on with run_read ").expect("a next step");
        assert!(before.contains("ran out of time"), "{}", answer.text);
        assert!(answer.str("summary").contains("go on with run_read "));
        let (call, _) = call.split_once(", or use").unwrap();
        let call: Value = serde_json::from_str(call).unwrap();
        assert_eq!((&call["run_id"], &call["grep"]), (&json!(id), &json!(grep)));
        assert!(call["after_seq"].as_u64().unwrap() > 0 && call["stream"] == "stdout", "{call}");
        assert_eq!(answer.value["next_seq"], call["after_seq"]);
        // What is nearer to the end is found from nearer to the end.
        let near = json!({"run_id": id, "grep": grep, "after_seq": end - 100});
        assert!(server.ask("run_read", near).stdout().ends_with(": aZ\n"));
        // What would look at everything from every line on, looks at lines.
        let id = server.shell("yes a | head -100000").str("run_id").to_owned();
        let all = json!({"run_id": id, "grep": "^a(?s:.)*Z|^a"});
        let found = server.ask("run_read", all);
        assert_eq!(found.value["truncation"]["stdout"]["total_lines"], 100_000, "{}", found.text);
        assert!(!found.text.contains("go on with"), "{}", found.text);
    });
}

#[test]
fn what_is_left_out_can_be_read_with_the_call_the_answer_names() {
    as_each_user(|site| {
        let server = site.serve();
        let answer = server.shell("seq 1 20000; echo 'error: in the middle'; seq 20001 40000");
        let note = &answer.value["truncation"]["stdout"];
        assert_eq!(note["errors"], json!(["20001: error: in the middle"]), "{note}");
        let call = note["read_with"].as_str().unwrap();
        assert!(answer.text.contains(call), "{}", answer.text);
        let (tool, arguments) = call.split_once(' ').unwrap();
        assert_eq!(tool, "run_read");
        let arguments: Value = serde_json::from_str(arguments).unwrap();
        let lines = arguments["lines"].as_str().unwrap();
        let (first, last) = lines.split_once('-').unwrap();
        let (first, last): (u64, u64) = (first.parse().unwrap(), last.parse().unwrap());
        let mut rebuilt = head(answer.stdout()).to_owned();
        for start in (first..=last).step_by(500) {
            let end = last.min(start + 499);
            let mut arguments = arguments.clone();
            arguments["lines"] = format!("{start}-{end}").into();
            let part = server.ask("run_read", arguments);
            assert_eq!(part.stdout().lines().count() as u64, end - start + 1, "{}", part.text);
            rebuilt.push_str(part.stdout());
        }
        rebuilt.push_str(tail(answer.stdout()));
        let lines: Vec<String> = (1..=20_000)
            .map(|n| n.to_string())
            .chain(["error: in the middle".to_owned()])
            .chain((20_001..=40_000).map(|n| n.to_string()))
            .collect();
        assert!(rebuilt == lines.join("\n") + "\n");
    });
}

fn head(shown: &str) -> &str {
    shown.split_once("[... ").expect("a gap").0
}

fn tail(shown: &str) -> &str {
    shown.split_once(" ...]\n").expect("a gap").1
}

#[test]
fn bytes_that_are_no_text_are_described() {
    as_each_user(|site| {
        let server = site.serve();
        let binary = server.exec(&["head", "-c", "20000", "/bin/ls"]);
        assert_eq!(binary.value["text_flags"]["binary"], true, "{}", binary.text);
        assert!(binary.stdout().contains("20000 bytes"), "{}", binary.text);
        let odd = server.shell(r"printf 'a\377b\n1%%\r50%%\r100%%\n\033[31mred\033[0m\n'");
        assert_eq!(odd.stdout(), "a\u{fffd}b\n100%\nred\n");
        let flags = &odd.value["text_flags"];
        assert_eq!(flags, &json!({"ansi_stripped": true, "cr_collapsed": 2, "invalid_utf8": 1}));
        let long = server.shell("head -c 1G /dev/zero | tr '\\0' x; echo");
        assert!(long.stdout().len() < 17 << 10, "{}", long.stdout().len());
        assert_eq!(long.value["truncation"]["stdout"]["total_bytes"], (1 << 30) + 1);
    });
}

#[test]
fn raw_bytes_are_resources_with_ranges() {
    as_each_user(|site| {
        let server = site.serve();
        let whole = std::fs::read("/bin/ls").unwrap();
        let id = server.exec(&["cat", "/bin/ls"]).str("run_id").to_owned();
        let read = |server: &Server, range: &str| {
            server.resource(&format!("nono://run/{id}/stdout{range}"))
        };
        assert!(read(&server, "").unwrap() == whole);
        assert!(read(&server, "?offset=100&length=50").unwrap() == whole[100..150]);
        assert!(read(&server, "?offset=999999999").unwrap().is_empty());
        assert_eq!(server.resource(&format!("nono://run/{id}/stderr")).unwrap(), b"");
        for wrong in [
            "nono://run/r-0/stdout".to_owned(),
            format!("nono://run/{id}/secret"),
            "file:///etc/passwd".into(),
        ] {
            let error = server.resource(&wrong).expect_err("no resource");
            assert_eq!(error.data, Some(json!({"uri": wrong})), "{error:?}");
        }
    });
}

#[test]
fn a_program_never_waits_for_a_reader() {
    as_each_user(|site| {
        let server = site.serve();
        // Nobody reads while it runs, and it writes more than any buffer holds.
        let call = json!({"command": "head -c 100M /dev/zero; echo done >&2", "yield_ms": 0});
        let id = server.ask("shell", call).str("run_id").to_owned();
        let wait = json!({"run_id": id, "stream": "stderr", "wait_ms": 60_000, "after_seq": 0});
        let over = loop {
            let answer = server.ask("run_read", wait.clone());
            if answer.status() != "running" {
                break answer;
            }
        };
        assert_eq!((over.status(), over.stderr()), ("exited", "done\n"));
    });
}

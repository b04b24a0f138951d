//! The audit log: complete, silent about arguments and output, out of reach of commands, and
//! telling when somebody touched it.

use nono_integration_tests::{Server, Site, User, as_each_user};
use serde_json::{Value, json};
use std::io::Write;
use std::path::PathBuf;
use std::process::Output;

fn log_of(site: &Site) -> PathBuf {
    site.folder("log").join("audit.jsonl")
}

fn serve(site: &Site, more: &[&str]) -> Server {
    let (workspace, log) = (site.text("ws"), log_of(site).to_string_lossy().into_owned());
    let mut args = vec!["--stdio", "--workspace", &workspace, "--audit-log", &log];
    args.extend(more);
    Server::start_command(site, site.nono_mcp(&args))
}

fn lines(site: &Site) -> Vec<Value> {
    let text = std::fs::read_to_string(log_of(site)).expect("a log");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

fn of<'l>(lines: &'l [Value], run: &str, event: &str) -> &'l Value {
    let found = lines.iter().find(|l| l["run_id"] == run && l["event"] == event);
    found.unwrap_or_else(|| panic!("no {event} of {run}: {lines:#?}"))
}

fn audit(site: &Site, args: &[&str]) -> Output {
    let log = log_of(site).to_string_lossy().into_owned();
    let (command, more) = args.split_first().expect("a command");
    let mut words = vec!["audit", command, &log];
    words.extend(more);
    site.nono_mcp(&words).output().expect("start nono-mcp")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_call_is_recorded_with_its_end_its_denials_and_the_hash_of_its_output() {
    as_each_user(|site| {
        let mut server = serve(&site, &[]);
        let key = site.text("home/.ssh/id_ed25519");
        let answer = server.shell(&format!("printf secret-output; cat {key}; exit 3"));
        let run = answer.str("run_id").to_owned();
        server.close();
        let lines = lines(&site);
        let call = of(&lines, &run, "call");
        assert_eq!((&call["tool"], &call["profile"]), (&json!("shell"), &json!("coding")));
        assert!(call["who"]["client"].as_str().is_some_and(|c| !c.is_empty()), "{call}");
        assert!(call["arguments"].is_null(), "{call}");
        let end = of(&lines, &run, "ended");
        assert_eq!((&end["status"], &end["exit_code"]), (&json!("exited"), &json!(3)), "{end}");
        // printf secret-output | sha256sum
        let sha = "602991ef7762a2186608ccd6097e47e39733d41b1bf19e203485100cd9d0b1ba";
        assert_eq!(end["stdout"]["bytes"], 13);
        assert_eq!(end["stdout"]["sha256"], sha, "{end}");
        let items = end["denials"]["items"].as_array().expect("denials");
        assert!(items.iter().any(|d| d["target"] == key.as_str()), "{end}");
        let all = std::fs::read_to_string(log_of(&site)).expect("a log");
        for silent in ["secret-output", "printf", "exit 3"] {
            assert!(!all.contains(silent), "{silent}: {all}");
        }
        assert_eq!(lines.first().expect("a line")["event"], "server_started");
        assert_eq!(lines.last().expect("a line")["event"], "server_ended");
    });
}

#[test]
fn command_lines_are_recorded_where_the_operator_asks_for_them() {
    let site = Site::new(User::Same);
    let mut server = serve(&site, &["--audit-arguments"]);
    let run = server.exec(&["echo", "this one"]).str("run_id").to_owned();
    server.close();
    let lines = lines(&site);
    let call = of(&lines, &run, "call");
    assert_eq!(call["arguments"]["argv"], json!(["echo", "this one"]), "{call}");
    assert_eq!(call["arguments"]["cwd"], site.text("ws"), "{call}");
}

#[test]
fn calls_that_start_nothing_and_calls_about_a_run_are_recorded() {
    let site = Site::new(User::Same);
    let mut server = serve(&site, &[]);
    let twice = json!({"command": "cat", "keep_stdin": true, "yield_ms": 0, "request_key": "k"});
    let run = server.ask("shell", twice.clone()).str("run_id").to_owned();
    assert_eq!(server.ask("shell", twice).str("run_id"), run);
    server.ask("run_write", json!({"run_id": run, "text": "typed words\n"}));
    server.ask("run_signal", json!({"run_id": run, "signal": "KILL"}));
    server.close();
    let lines = lines(&site);
    let why = |l: &Value| l["event"] == "not_started" && l["why"] == "repeated";
    assert_eq!(lines.iter().filter(|l| why(l)).count(), 1, "{lines:#?}");
    let tools: Vec<&str> = lines
        .iter()
        .filter(|l| l["event"] == "call" && l["run_id"] == run.as_str())
        .filter_map(|l| l["tool"].as_str())
        .collect();
    assert_eq!(tools, ["shell", "run_write", "run_signal"]);
    assert_eq!(of(&lines, &run, "ended")["status"], "cancelled");
    assert!(!text(&std::fs::read(log_of(&site)).expect("a log")).contains("typed words"));
}

#[test]
fn no_command_reaches_the_log() {
    as_each_user(|site| {
        // The folder of the log is granted; its files stay closed.
        let profile = site.profile(&json!({"filesystem": {"read": [site.text("log")]}}));
        site.folder("log");
        let beside = site.file("log/beside.txt", "readable");
        let mut server = serve(&site, &["--profile", &profile.to_string_lossy()]);
        assert_eq!(server.probe(&["file", "read", &beside.to_string_lossy()]), "ok");
        for file in ["log/audit.jsonl", "log/audit.jsonl.head"] {
            let path = site.text(file);
            assert_eq!(site.outside(&["file", "read", &path]), "ok");
            assert_eq!(server.probe(&["file", "read", &path]), "EACCES", "{file}");
            assert_eq!(server.shell(&format!("echo x >> {path}")).exit_code(), Some(1), "{file}");
            assert_eq!(server.shell(&format!("rm -f {path}")).exit_code(), Some(1), "{file}");
        }
        server.close();
        assert_eq!(audit(&site, &["verify"]).status.code(), Some(0));
    });
}

#[test]
fn a_log_where_commands_may_write_is_refused() {
    let site = Site::new(User::Same);
    let log = site.text("ws/audit.jsonl");
    let args = ["--stdio", "--workspace", &site.text("ws"), "--audit-log", &log];
    let output = site.nono_mcp(&args).output().expect("start nono-mcp");
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("audit.jsonl"), "{}", text(&output.stderr));
}

#[test]
fn servers_share_a_log_and_a_killed_one_leaves_it_readable() {
    let site = Site::new(User::Same);
    let (first, second) = (serve(&site, &[]), serve(&site, &[]));
    let runs: Vec<String> = [&first, &second, &first, &second]
        .map(|server| server.shell("true").str("run_id").to_owned())
        .into();
    let pid = nix::unistd::Pid::from_raw(i32::try_from(first.pid()).expect("a pid"));
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).expect("kill the server");
    drop(first);
    drop(second);
    let third = serve(&site, &[]);
    third.shell("true");
    drop(third);
    let lines = lines(&site);
    runs.iter().for_each(|run| drop(of(&lines, run, "ended").clone()));
    let output = audit(&site, &["verify", "--json"]);
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!((output.status.code(), &report["ok"]), (Some(0), &json!(true)), "{report}");
    assert_eq!(report["calls"], 5, "{report}");
}

#[test]
fn a_touched_log_is_found_by_verify_and_by_show() {
    let site = Site::new(User::Same);
    let server = serve(&site, &[]);
    let run = server.shell("exit 4").str("run_id").to_owned();
    drop(server);
    assert_eq!(audit(&site, &["verify"]).status.code(), Some(0));
    let shown = audit(&site, &["show", "--run", &run]);
    assert_eq!(shown.status.code(), Some(0), "{}", text(&shown.stderr));
    let said = text(&shown.stdout);
    assert_eq!(said.lines().count(), 2, "{said}");
    assert!(said.contains("shell by local") && said.contains("exited 4"), "{said}");
    let as_json = audit(&site, &["show", "--json", "--last", "1"]);
    let last: Value = serde_json::from_slice(&as_json.stdout).expect("JSON");
    assert_eq!(last["event"], "server_ended");
    let whole = std::fs::read_to_string(log_of(&site)).expect("a log");
    std::fs::write(log_of(&site), whole.replace("\"exit_code\":4", "\"exit_code\":0")).expect("w");
    for command in ["verify", "show"] {
        let output = audit(&site, &[command]);
        assert_eq!(output.status.code(), Some(1), "{command}");
        let said = text(&output.stdout) + &text(&output.stderr);
        assert!(said.contains("was changed"), "{command}: {said}");
    }
    let missing = site.nono_mcp(&["audit", "verify", &site.text("no-such-log")]).output();
    assert_eq!(missing.expect("start nono-mcp").status.code(), Some(2));
}

#[test]
fn nothing_runs_that_cannot_be_recorded_if_the_operator_says_so() {
    let site = Site::new(User::Same);
    let damage = |server: &Server| {
        assert_eq!(server.shell("touch before").exit_code(), Some(0));
        let log = std::fs::OpenOptions::new().append(true).open(log_of(&site));
        log.expect("a log").write_all(b"nonsense\n").expect("write");
    };
    let optional = serve(&site, &[]);
    damage(&optional);
    assert_eq!(optional.shell("echo goes on").stdout(), "goes on\n");
    assert!(optional.log().contains("audit log"), "{}", optional.log());
    drop(optional);
    for file in ["log/audit.jsonl", "log/audit.jsonl.head"] {
        std::fs::remove_file(site.path(file)).expect("remove");
    }
    let required = serve(&site, &["--audit-required"]);
    damage(&required);
    let answer = required.shell("touch after");
    assert!(answer.is_error, "{}", answer.text);
    assert!(answer.str("summary").contains("audit log"), "{}", answer.text);
    assert!(!site.path("ws/after").exists());
    // Whoever is told does not learn where the log is.
    assert!(!answer.text.contains("audit.jsonl"), "{}", answer.text);
    drop(required);
    let workspace = site.text("ws");
    let log = log_of(&site).to_string_lossy().into_owned();
    let args = ["--stdio", "--workspace", &workspace, "--audit-log", &log];
    let output = site.nono_mcp(&args).output().expect("start nono-mcp");
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("damaged"), "{}", text(&output.stderr));
}

#[test]
fn the_command_line_records_as_the_tools_do() {
    let site = Site::new(User::Same);
    let (workspace, log) = (site.text("ws"), log_of(&site).to_string_lossy().into_owned());
    let args = ["run", "--workspace", &workspace, "--audit-log", &log, "--", "sh", "-c", "exit 5"];
    let output = site.nono_mcp(&args).output().expect("start nono-mcp");
    assert_eq!(output.status.code(), Some(5), "{}", text(&output.stderr));
    let lines = lines(&site);
    let events: Vec<&str> = lines.iter().filter_map(|l| l["event"].as_str()).collect();
    assert_eq!(events, ["server_started", "call", "ended", "server_ended"]);
    assert_eq!((&lines[1]["tool"], &lines[2]["exit_code"]), (&json!("nono-mcp run"), &json!(5)));
}

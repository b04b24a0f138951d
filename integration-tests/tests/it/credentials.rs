//! Secrets of the operator: commands get them, and nothing that leaves the server shows them.

use nono_integration_tests::{Server, Site, User, as_each_user, wait};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::Command;

/// What the operator's file holds.
const SECRET: &str = "s3cr3t:token+of=the operator";

/// A profile whose `TOKEN` is in a file of the operator.
fn profile(site: &Site) -> PathBuf {
    site.folder("outside/conf");
    site.file("outside/conf/token", &format!("{SECRET}\n"));
    site.file("outside/conf/other", "bytes");
    let token = site.text("outside/conf/token");
    site.profile(&json!({
        "filesystem": {"read": [site.text("outside/conf")]},
        "environment": {"credentials": {"TOKEN": {"file": token, "why": "for the tests"}}},
    }))
}

fn serve(site: &Site) -> Server {
    serve_with(site, &[])
}

fn serve_with(site: &Site, more: &[&str]) -> Server {
    let profile = profile(site);
    let workspace = site.text("ws");
    let mut command = site.nono_mcp(&["--stdio", "--workspace", &workspace, "--profile"]);
    command.arg(profile).args(["--allow-profile", "offline"]).args(more);
    Server::start_command(site, command)
}

#[test]
fn commands_have_it_and_output_does_not() {
    as_each_user(|site| {
        let server = serve(&site);
        let length = server.shell("printf %s \"$TOKEN\" | wc -c");
        assert_eq!(length.stdout().trim(), SECRET.len().to_string(), "{}", length.text);
        assert!(length.value["text_flags"].is_null(), "{}", length.text);
        for (command, count) in [
            ("echo \"$TOKEN\"; echo \"x$TOKEN\" >&2", 2),
            ("printf %s \"$TOKEN\" | base64", 1),
            ("printf 'x%s' \"$TOKEN\" | base64", 1),
            ("printf %s \"$TOKEN\" | od -An -v -tx1 | tr -d ' \\n'", 1),
            ("env | grep TOKEN", 1),
            ("printf s3cr3t:tok; sleep 0.3; printf 'en+of=the operator'", 1),
            ("echo s3cr3t%3Atoken%2Bof%3Dthe%20operator", 1),
        ] {
            let answer = server.shell(command);
            assert_eq!(
                answer.value["text_flags"]["redactions"], count,
                "{command}: {}",
                answer.text
            );
            assert!(answer.text.contains("[redacted TOKEN]"), "{command}: {}", answer.text);
            let whole = format!("{}{}", answer.text, answer.value);
            assert!(!whole.contains("s3cr3t:token"), "{command}: {whole}");
            assert!(!whole.contains("czNjcjN0OnRva2Vu"), "{command}: {whole}");
        }
        let partly = server.shell("echo s3cr3t:token+of=the");
        assert_eq!(partly.stdout(), "s3cr3t:token+of=the\n", "not the secret");
        let terminal = server.ask("shell", json!({"command": "echo \"$TOKEN\"", "tty": true}));
        assert_eq!(terminal.stdout().trim(), "[redacted TOKEN]", "{}", terminal.text);
    });
}

/// It runs outside of the sandbox, at the next start, in a server whose folder is the workspace.
#[test]
fn the_operators_program_runs_nothing_that_a_command_left() {
    const SCRIPT: &str = "helper 2>/dev/null || ./bin/helper 2>/dev/null || echo its-own-secret";
    as_each_user(|site| {
        let mark = site.path("outside/mark");
        site.user().own(&site.folder("outside"));
        let left = site.serve().shell(&format!(
            "mkdir bin && printf '#!/bin/sh\\ntouch {}; echo from-a-command\\n' > bin/helper
             chmod +x bin/helper",
            mark.display()
        ));
        assert_eq!(left.exit_code(), Some(0), "{}", left.text);
        let there = |mut command: Command| {
            let path = std::env::var("PATH").unwrap_or_default();
            command.env("PATH", format!("{}:{path}", site.text("ws/bin")));
            command.current_dir(site.path("ws"));
            command
        };
        let mut control = there(site.command("/bin/sh".as_ref()));
        let control = control.args(["-c", SCRIPT]).output().expect("run sh");
        assert_eq!(control.stdout, b"from-a-command\n", "the control");
        std::fs::remove_file(&mark).expect("the control's mark");

        let profile = site.profile(&json!({
            "environment": {"credentials": {"TOKEN": {"command": ["/bin/sh", "-c", SCRIPT]}}},
        }));
        let mut command = there(site.nono_mcp(&["--stdio", "--workspace", ".", "--profile"]));
        command.arg(profile);
        let server = Server::start_command(&site, command);
        let length = server.shell("printf %s \"$TOKEN\" | wc -c");
        assert_eq!(length.stdout().trim(), "its-own-secret".len().to_string(), "{}", length.text);
        assert!(!mark.exists(), "a command's program ran outside");
    });
}

#[test]
fn nothing_else_shows_it() {
    as_each_user(|site| {
        let log = site.folder("outside/audit").join("log");
        let server = serve_with(&site, &["--audit-log", &log.to_string_lossy()]);
        // In the name of a file that is refused, of a program that runs, of a folder.
        let outside = site.text("outside");
        let denied =
            server.shell(&format!("touch \"{outside}/$TOKEN\"; mkdir \"{outside}/x$TOKEN\""));
        assert!(denied.denials_total() > 0, "{}", denied.text);
        let background = json!({"command": "exec -a \"$TOKEN\" sleep 600", "background": true});
        let run = server.ask("shell", background);
        let id = run.str("run_id").to_owned();
        let seen = server.ask("run_read", json!({"run_id": id}));
        let list = server.ask("run_list", json!({}));
        let explained = server.ask("sandbox_explain", json!({"path": format!("/x/{SECRET}")}));
        for answer in [&denied, &run, &seen, &list, &explained] {
            let whole = format!("{}{}", answer.text, answer.value);
            assert!(!whole.contains(SECRET), "{whole}");
        }
        assert!(seen.value.to_string().contains("[redacted TOKEN]"), "{}", seen.value);
        server.ask("run_signal", json!({"run_id": id, "signal": "KILL"}));
        assert!(!server.log().contains("s3cr3t"), "{}", server.log());
        drop(server);
        let log = std::fs::read_to_string(log).expect("an audit log");
        assert!(log.contains("[redacted TOKEN]") && !log.contains("s3cr3t:"), "{log}");
    });
}

/// The environment of a process of the site that has the secret, as it can be read outside of every
/// sandbox: the control.
fn environ_with_secret(site: &Site) -> String {
    let home = site.text("home");
    let holds = |bytes: &[u8], part: &str| bytes.windows(part.len()).any(|w| w == part.as_bytes());
    let has = |path: &PathBuf| {
        std::fs::read(path).is_ok_and(|bytes| holds(&bytes, SECRET) && holds(&bytes, &home))
    };
    let find = || {
        let entries = std::fs::read_dir("/proc").expect("/proc").flatten();
        entries.map(|entry| entry.path().join("environ")).find(has)
    };
    let mut found = None;
    assert!(wait::until(|| {
        found = find();
        found.is_some()
    }));
    found.map(|path| path.to_string_lossy().into_owned()).expect("found")
}

#[test]
fn other_runs_cannot_look_it_up() {
    as_each_user(|site| {
        let server = serve(&site);
        let own = server.shell("cat /proc/self/environ | tr '\\0' '\\n' | grep -c TOKEN=");
        assert_eq!(own.stdout().trim(), "1", "{}", own.text);
        let run = server.ask("shell", json!({"command": "exec sleep 600", "background": true}));
        let id = run.str("run_id");
        // A run in namespaces of its own has other numbers inside.
        let environ = environ_with_secret(&site);
        let others = server.exec(&["cat", &environ]);
        assert_ne!(others.exit_code(), Some(0), "{}", others.text);
        assert_eq!(environ_with_secret(&site), environ, "it was there all the time");
        // Nor where it came from.
        let token = site.text("outside/conf/token");
        assert_eq!(server.exec(&["cat", &site.text("outside/conf/other")]).stdout(), "bytes");
        let file = server.exec(&["cat", &token]);
        assert_ne!(file.exit_code(), Some(0), "{}", file.text);
        server.ask("run_signal", json!({"run_id": id, "signal": "KILL"}));
    });
}

#[test]
fn what_lies_on_disk_has_no_secret_in_it() {
    let site = Site::new(User::Same);
    let server = serve(&site);
    let command = "for i in $(seq 20000); do echo \"$i $TOKEN\"; done";
    let answer = server.shell(command);
    assert_eq!(answer.value["text_flags"]["redactions"], 20_000, "{}", answer.text);
    let folder = format!("/proc/{}/fd", server.pid());
    let (mut marked, secret) = (false, SECRET.as_bytes());
    for entry in std::fs::read_dir(folder).expect("a process of ours").flatten() {
        let gone = |path: PathBuf| path.to_string_lossy().ends_with("(deleted)");
        if !std::fs::read_link(entry.path()).is_ok_and(gone) {
            continue;
        }
        let bytes = std::fs::read(entry.path()).expect("a file without a name");
        assert!(!bytes.windows(secret.len()).any(|w| w == secret));
        marked |= bytes.windows(16).any(|w| w == b"[redacted TOKEN]");
    }
    assert!(marked, "the spool was looked at");
    let uri = format!("nono://run/{}/stdout?offset=300000&length=100000", answer.str("run_id"));
    let bytes = server.resource(&uri).expect("kept");
    assert!(String::from_utf8_lossy(&bytes).contains("[redacted TOKEN]"));
}

#[test]
fn a_narrower_profile_has_it_only_if_it_names_it() {
    let site = Site::new(User::Same);
    let server = serve(&site);
    let token = |less: Value| {
        let mut call = less;
        call["command"] = "echo ${TOKEN+there}".into();
        server.ask("shell", call).stdout().trim().to_owned()
    };
    assert_eq!(token(json!({})), "there");
    assert_eq!(token(json!({"network": "none"})), "there");
    assert_eq!(token(json!({"profile": "offline"})), "");
    let own = json!({"command": "echo $TOKEN", "env": {"TOKEN": "mine"}});
    assert_eq!(server.ask("shell", own).stdout(), "mine\n");
}

#[test]
fn a_command_of_the_operator_prints_it() {
    let site = Site::new(User::Same);
    let script =
        site.file("outside/print", "#!/bin/sh\necho run >> \"$0.log\"\necho \"$1-0123456789\"\n");
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(&script, PermissionsExt::from_mode(0o700)).expect("a program");
    let extra = json!({"environment": {"credentials": {"KEY": {"command": [script, "key"]}}}});
    let server = site.serve_with(&extra);
    let runs = || std::fs::read_to_string(site.path("outside/print.log")).unwrap_or_default();
    assert_eq!(server.shell("printf %s \"$KEY\" | wc -c").stdout().trim(), "14");
    assert_eq!(server.shell("echo $KEY").stdout(), "[redacted KEY]\n");
    assert_eq!(runs(), "run\n", "once, when the server starts");
    let profile = site.path("profile.json");
    let shown = site.nono_mcp(&["profile", "show", "--resolved"]).arg(&profile).output();
    let shown = shown.expect("start nono-mcp");
    assert!(String::from_utf8_lossy(&shown.stdout).contains("credentials\n  KEY"), "{shown:?}");
    assert_eq!(runs(), "run\n", "nobody looks it up to show a profile");
    let live = site
        .nono_mcp(&["run", "--profile"])
        .arg(&profile)
        .args(["--", "sh", "-c", "echo $KEY"])
        .output();
    assert_eq!(String::from_utf8_lossy(&live.expect("start nono-mcp").stdout), "[redacted KEY]\n");
}

#[test]
fn a_secret_that_cannot_be_kept_or_had_ends_the_start() {
    let site = Site::new(User::Same);
    let refused = |credential: Value| {
        let profile = site.profile(&json!({"environment": {"credentials": {"KEY": credential}}}));
        let mut command = site.nono_mcp(&["run", "--profile"]);
        let output = command.arg(profile).args(["--", "true"]).output().expect("start nono-mcp");
        assert_eq!(output.status.code(), Some(2));
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let short = site.file("outside/short", "hunter2\n");
    let message = refused(json!({"file": short}));
    assert!(message.contains("credential KEY") && message.contains("at least 8"), "{message}");
    assert!(!message.contains("hunter2"), "{message}");
    assert!(refused(json!({"file": site.text("outside/none")})).contains("cannot read"));
    assert!(refused(json!({"command": ["/bin/false"]})).contains("/bin/false failed"));
    let inside = site.file("ws/print", "#!/bin/sh\necho 0123456789\n");
    let message = refused(json!({"command": [inside]}));
    assert!(message.contains("commands can change"), "{message}");
}

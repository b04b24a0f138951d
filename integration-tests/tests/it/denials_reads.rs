//! Reads that were refused: seen, inferred or left out of reports, and never made up.

use nono_integration_tests::{Answer, Server, as_each_user};
use serde_json::json;
use std::os::unix::fs::PermissionsExt;

/// A program whose reads the filter does not pass on.
fn reader(server: &Server, path: &str, diagnose: bool) -> Answer {
    server.ask("exec", json!({"argv": ["grep", "-c", "", path], "diagnose": diagnose}))
}

/// Seen denials, inferred ones, and how the first is known.
fn known(answer: &Answer) -> (u64, u64, String) {
    let first = answer.denials().into_iter().next().unwrap_or_default();
    let confidence = first["confidence"].as_str().unwrap_or("").to_owned();
    (answer.denials_total(), answer.value["denials"]["inferred"].as_u64().unwrap_or(0), confidence)
}

#[test]
fn shells_and_the_usual_tools_are_seen() {
    as_each_user(|site| {
        let file = site.file("outside/file", "x").to_string_lossy().into_owned();
        let folder = site.text("outside");
        let server = site.serve();
        for (command, target) in [
            (format!("cat {file}"), &file),
            (format!("head -1 {file}"), &file),
            (format!("read line < {file}"), &file),
            (format!(". {file}"), &file),
            (format!("ls {folder}"), &folder),
        ] {
            let control = site.command("/bin/bash".as_ref()).args(["-c", &command]).status();
            assert!(control.is_ok_and(|s| s.code() != Some(2)), "control: {command}");
            let answer = server.shell(&command);
            let denial = answer.denial("fs", target).unwrap_or_else(|| panic!("{}", answer.text));
            assert_eq!(denial["confidence"], "observed", "{command}: {denial}");
            assert_eq!(answer.value["denials"]["likely_cause"], denial["id"], "{}", answer.text);
        }
    });
}

#[test]
fn what_a_program_says_is_checked_and_marked() {
    as_each_user(|site| {
        let file = site.file("outside/file.txt", "x").to_string_lossy().into_owned();
        assert_eq!(site.outside(&["file", "read", &file]), "ok", "control");
        let server = site.serve();
        let inferred = reader(&server, &file, false);
        assert_eq!(known(&inferred), (0, 1, "inferred".into()), "{}", inferred.text);
        let denial = inferred.denials()[0].clone();
        assert_eq!(denial["target"], file.as_str());
        assert_eq!(denial["grant"]["filesystem"]["read_file"], json!([file]), "{denial}");
        assert_eq!(inferred.value["denials"]["likely_cause"], denial["id"], "{}", inferred.text);
        assert!(inferred.text.contains("PROBABLY DENIED read"), "{}", inferred.text);
        let seen = reader(&server, &file, true);
        assert_eq!(known(&seen), (1, 0, "observed".into()), "{}", seen.text);
        // What is seen is not inferred as well.
        let both = server.shell(&format!("cat {file}; grep -c '' {file}"));
        assert_eq!(known(&both), (1, 0, "observed".into()), "{}", both.text);
        let key = reader(&server, &site.text("home/.ssh/id_ed25519"), false);
        assert_eq!(known(&key), (0, 1, "inferred".into()), "{}", key.text);
        assert_eq!(key.denials()[0]["grantable"], "never", "{}", key.value);
    });
}

#[test]
fn nothing_is_inferred_that_the_sandbox_does_not_refuse() {
    as_each_user(|site| {
        let shut = site.file("outside/shut", "x");
        std::fs::set_permissions(&shut, std::fs::Permissions::from_mode(0o000)).expect("chmod");
        let real = site.file("outside/real", "x").to_string_lossy().into_owned();
        site.file("ws/own", "x");
        let server = site.serve();
        let (outside, own) = (site.text("outside"), site.text("ws/own"));
        for path in [&format!("{outside}/missing"), &own, &format!("{outside}/shut")] {
            let said = format!("print STDERR qq({path}: Permission denied\\n); exit 1");
            let answer = server.exec(&["perl", "-e", &said]);
            assert_eq!((answer.exit_code(), known(&answer)), (Some(1), (0, 0, String::new())));
        }
        // A shell's own reads are all seen, so its words prove nothing at all.
        let forged = server.shell(&format!("echo 'cat: {real}: Permission denied' >&2; exit 1"));
        assert_eq!(known(&forged), (0, 0, String::new()), "{}", forged.text);
        // A success is quiet.
        let well = server.exec(&["perl", "-e", &format!("print qq({real}: Permission denied\\n)")]);
        assert_eq!((well.exit_code(), well.denials_total()), (Some(0), 0));
        assert!(!well.text.contains("DENIED"), "{}", well.text);
        assert_eq!(well.value["denials"]["likely_cause"], json!(null));
    });
}

#[test]
fn suppressed_paths_are_denied_and_counted() {
    as_each_user(|site| {
        site.folder("outside/known");
        let file = site.file("outside/known/file", "x").to_string_lossy().into_owned();
        let other = site.file("outside/other", "x").to_string_lossy().into_owned();
        assert_eq!(site.outside(&["file", "read", &file]), "ok", "control");
        let glob = site.text("outside/known/*");
        let server = site.serve_with(&json!({"diagnostics": {"suppress_paths": [glob, "[bad"]}}));
        let hidden = server.shell(&format!("cat {file}"));
        assert_eq!((hidden.exit_code(), known(&hidden)), (Some(1), (0, 0, String::new())));
        assert_eq!(hidden.value["denials"]["suppressed"], 1);
        assert!(!hidden.text.contains("DENIED"), "{}", hidden.text);
        let told = server.shell(&format!("cat {other}"));
        assert_eq!(known(&told), (1, 0, "observed".into()), "{}", told.text);
    });
}

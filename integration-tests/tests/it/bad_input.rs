//! Input that cannot be run: a result that says what is wrong and what to do, never a protocol
//! error, and never a run.

use nono_integration_tests::{Server, Site, User};
use serde_json::{Value, json};

/// The answer must be a tool error whose text holds each of `words`; gives that text.
#[track_caller]
fn refused(server: &Server, tool: &str, arguments: Value, words: &[&str]) {
    let answer = match server.call(tool, arguments) {
        Ok(answer) => answer,
        Err(error) => panic!("a protocol error instead of a result: {error:?}"),
    };
    assert!(answer.is_error, "it ran: {}", answer.text);
    let text = answer.text.to_lowercase();
    for word in words {
        assert!(text.contains(&word.to_lowercase()), "{word:?} is not in {:?}", answer.text);
    }
    assert!(answer.text.len() < 4096, "{} bytes of error text", answer.text.len());
    if !answer.value.is_null() {
        assert_eq!(answer.status(), "refused", "{}", answer.value);
    }
}

#[test]
fn folders_that_cannot_be_worked_in() {
    let site = Site::new(User::Same);
    site.file("ws/a-file", "");
    let server = site.serve();
    let run = |cwd: &str| json!({"argv": ["true"], "cwd": cwd});
    refused(&server, "exec", run("no-such-folder"), &["no-such-folder"]);
    refused(&server, "exec", run("/no/such/folder"), &["/no/such/folder"]);
    refused(&server, "exec", run("a-file"), &["a-file"]);
    refused(&server, "exec", run("with\0nul"), &["nul"]);
    refused(&server, "shell", json!({"command": "true", "cwd": "no-such-folder"}), &["no-such"]);
}

#[test]
fn argument_lists_that_name_no_program() {
    let site = Site::new(User::Same);
    site.file("ws/not-executable", "text");
    site.folder("ws/folder");
    let server = site.serve();
    let exec = |argv: Value| json!({ "argv": argv });
    refused(&server, "exec", exec(json!([])), &["argv"]);
    refused(&server, "exec", exec(json!([""])), &[]);
    refused(&server, "exec", exec(json!(["no-such-program-xyz"])), &["no-such-program-xyz"]);
    refused(&server, "exec", exec(json!(["/no/such/program"])), &["/no/such/program"]);
    refused(&server, "exec", exec(json!(["./not-executable"])), &["not-executable"]);
    refused(&server, "exec", exec(json!(["./folder"])), &["folder"]);
    refused(&server, "exec", json!({"argv": "ls -l"}), &["argv"]);
    refused(&server, "exec", json!({"argv": [1, 2]}), &[]);
    refused(&server, "exec", json!({}), &["argv"]);
}

#[test]
fn nul_bytes_anywhere() {
    let server = Site::new(User::Same).serve();
    refused(&server, "exec", json!({"argv": ["echo", "a\0b"]}), &["nul"]);
    refused(&server, "exec", json!({"argv": ["ec\0ho"]}), &["nul"]);
    refused(&server, "shell", json!({"command": "echo a\0b"}), &["nul"]);
    refused(&server, "shell", json!({"command": "true", "env": {"A": "x\0y"}}), &["nul"]);
    refused(&server, "shell", json!({"command": "true", "env": {"A\0B": "x"}}), &[]);
}

#[test]
fn commands_and_arguments_of_absurd_size() {
    let server = Site::new(User::Same).serve();
    let huge = "x".repeat(10 << 20);
    refused(&server, "shell", json!({ "command": format!("echo {huge}") }), &[]);
    refused(&server, "exec", json!({"argv": ["echo", huge]}), &[]);
    let many = vec!["x".repeat(100_000); 80];
    let many = [vec!["echo".to_owned()], many].concat();
    refused(&server, "exec", json!({ "argv": many }), &[]);
    refused(&server, "shell", json!({"command": "cat", "stdin": "y".repeat(5 << 20)}), &["stdin"]);
    assert_eq!(server.shell("echo alive").stdout(), "alive\n");
}

#[test]
fn numbers_out_of_range() {
    let server = Site::new(User::Same).serve();
    let with = |field: &str, value: Value| json!({"command": "true", field: value});
    for value in [json!(0), json!(-1), json!(u64::MAX), json!("soon"), json!(1.5)] {
        refused(&server, "shell", with("timeout_ms", value), &[]);
    }
    for value in [json!(0), json!(-1), json!(u64::MAX), json!("all")] {
        refused(&server, "shell", with("max_output_bytes", value), &[]);
    }
}

#[test]
fn variables_that_cannot_be_set() {
    let server = Site::new(User::Same).serve();
    let with = |name: &str| json!({"command": "true", "env": {name: "1"}});
    refused(&server, "shell", with(""), &[]);
    refused(&server, "shell", with("A=B"), &["A=B"]);
    refused(&server, "shell", with("NONO_SANDBOX"), &["NONO_SANDBOX"]);
}

#[test]
fn fields_that_do_not_exist() {
    let server = Site::new(User::Same).serve();
    refused(&server, "shell", json!({"command": "true", "sandbox": false}), &["sandbox"]);
    refused(&server, "shell", json!({"comand": "true"}), &["comand"]);
    refused(&server, "shell", json!({"command": "true", "profile": "none"}), &["profile"]);
}

#[test]
fn unknown_tools_are_protocol_errors() {
    let server = Site::new(User::Same).serve();
    let error = server.call("no_such_tool", json!({})).expect_err("an error");
    assert_eq!(error.code.0, -32602, "{error:?}");
    assert!(error.message.contains("no_such_tool"), "{error:?}");
    assert_eq!(server.shell("echo alive").stdout(), "alive\n");
}

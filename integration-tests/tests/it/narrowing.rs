//! Calls that ask for less than the profile gives: they get it, on the kernel too, and never more.

use nono_integration_tests::host_net::Echo;
use nono_integration_tests::{Answer, Server, Site, User, as_each_user};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// A server that lets calls choose `readonly`, `offline` and `strict`.
fn serve(site: &Site, profile: &str) -> Server {
    let workspace = site.text("ws");
    let mut words = vec!["--stdio", "--workspace", &workspace, "--profile", profile];
    for name in ["readonly", "offline", "strict"] {
        words.extend(["--allow-profile", name]);
    }
    Server::start_command(site, site.nono_mcp(&words))
}

fn narrowed(answer: &Answer) -> Vec<String> {
    let list = answer.value["sandbox"]["narrowed"].as_array().cloned().unwrap_or_default();
    list.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

#[test]
fn a_call_can_do_without_the_network() {
    as_each_user(|site| {
        let server = serve(&site, "coding");
        let echo = Echo::tcp();
        let port = echo.port();
        let call = |network: Option<&str>| {
            let mut call = json!({"argv": ["./probe", "tcp", port, "1"]});
            call["network"] = json!(network);
            server.ask("exec", call)
        };
        let control = call(None);
        assert!(control.said().starts_with("ok"), "{}", control.text);
        assert!(narrowed(&control).is_empty(), "{}", control.text);
        for still in ["proxy", "loopback"] {
            assert!(call(Some(still)).said().starts_with("ok"), "{still}");
        }
        let less = call(Some("none"));
        assert_eq!(less.said(), "EACCES", "{}", less.text);
        assert_eq!(less.value["sandbox"]["network"], "none");
        assert_eq!(narrowed(&less), ["network none"]);
        assert!(less.text.contains("profile coding · narrowed: network none]"), "{}", less.text);

        let offline = serve(&site, "offline");
        let wider = offline.ask("shell", json!({"command": "true", "network": "open"}));
        assert!(wider.is_error, "{}", wider.text);
        assert!(wider.text.contains("the profile has loopback"), "{}", wider.text);
    });
}

#[test]
fn a_call_can_name_the_only_places_it_writes_to() {
    as_each_user(|site| {
        site.folder("ws/a");
        site.folder("ws/b");
        let server = serve(&site, "coding");
        let write = |writable: Value| {
            let command = "echo x > a/file; echo x > b/file; echo x > $TMPDIR/file; cat probe > /dev/null && ls -d */file $TMPDIR/file";
            let answer = server.ask("shell", json!({"command": command, "writable": writable}));
            for folder in ["a", "b"] {
                let _was_not_made = std::fs::remove_file(site.path(&format!("ws/{folder}/file")));
            }
            server.shell("rm -f $TMPDIR/file");
            answer
        };
        let made = |answer: &Answer| answer.stdout().lines().count();
        assert_eq!(made(&write(Value::Null)), 3);
        let only = write(json!(["a"]));
        assert_eq!(made(&only), 2, "{}", only.text);
        assert!(only.stdout().lines().any(|line| line == "a/file"), "{}", only.text);
        assert_eq!(made(&write(json!([]))), 1);
        // What was given up is told apart from what the profile does not grant.
        let denied = only.denial("fs", "b/file").expect("a denial");
        assert_eq!(denied["grantable"], "by_call", "{denied}");
        assert_eq!(denied["decided_by"]["source"], "the call", "{denied}");
        assert!(denied["grant"].is_null(), "{denied}");

        for (writable, expected) in [
            (json!(["/usr"]), "/usr is not writable by the profile"),
            (json!([site.text("outside/none")]), "is not writable by the profile"),
            (json!(["a/none"]), "`writable` a/none does not exist; make it first, or name"),
        ] {
            let refused = write(writable);
            assert!(refused.is_error && refused.text.contains(expected), "{}", refused.text);
        }
    });
}

#[test]
fn a_call_can_choose_among_the_profiles_the_operator_listed() {
    as_each_user(|site| {
        site.file("home/.gitconfig", "[user]\n");
        let gitconfig = site.text("home/.gitconfig");
        let server = serve(&site, "coding");
        let cat = |profile: Option<&str>| {
            server.ask("exec", json!({"argv": ["cat", gitconfig], "profile": profile}))
        };
        assert_eq!(cat(None).exit_code(), Some(0));
        assert_eq!(cat(Some("readonly")).exit_code(), Some(0));
        let strict = cat(Some("strict"));
        assert_ne!(strict.exit_code(), Some(0), "{}", strict.text);
        assert_eq!(strict.value["sandbox"]["profile"], "strict");
        assert_eq!(narrowed(&strict), ["profile strict"]);
        let unknown = cat(Some("coding"));
        assert!(
            unknown.is_error && unknown.text.contains("to choose from: offline, readonly, strict")
        );
        assert!(cat(Some("strikt")).text.contains("did you mean `strict`?"));

        let schema = |server: &Server, tool: &str| {
            let tools = server.tools();
            let tool = tools.iter().find(|t| t.name == tool).expect("listed");
            Value::Object((*tool.input_schema).clone())["properties"]["profile"].clone()
        };
        for tool in ["shell", "exec", "sandbox_explain"] {
            assert_eq!(schema(&server, tool)["enum"], json!(["offline", "readonly", "strict"]));
        }
        let none = site.serve();
        assert!(schema(&none, "shell").is_null());
        let refused = none.ask("shell", json!({"command": "true", "profile": "strict"}));
        assert!(refused.is_error && refused.text.contains("offers none"), "{}", refused.text);

        // A listed profile that is wider gives nothing more.
        let readonly = serve(&site, "readonly");
        let write =
            readonly.ask("shell", json!({"command": "echo x > made", "profile": "offline"}));
        assert_ne!(write.exit_code(), Some(0), "{}", write.text);
        assert!(!site.path("ws/made").exists());
    });
}

#[test]
fn explain_answers_for_a_narrower_call() {
    let site = Site::new(User::Same);
    let server = serve(&site, "coding");
    let verdict =
        |question: Value| server.ask("sandbox_explain", question).str("verdict").to_owned();
    let write = |mut less: Value| {
        less["path"] = "made".into();
        less["access"] = "write".into();
        verdict(less)
    };
    assert_eq!(write(json!({})), "allowed");
    assert_eq!(write(json!({"profile": "readonly"})), "denied");
    assert_eq!(write(json!({"writable": []})), "denied");
    assert_eq!(verdict(json!({"host": "localhost"})), "allowed");
    assert_eq!(verdict(json!({"host": "localhost", "network": "none"})), "denied");
}

#[test]
fn a_repeated_call_with_the_same_key_asks_for_the_same() {
    let site = Site::new(User::Same);
    let server = serve(&site, "coding");
    let call = |network: &str| {
        server.ask("shell", json!({"command": "true", "request_key": "k", "network": network}))
    };
    let first = call("none");
    assert_eq!(first.str("run_id"), call("none").str("run_id"));
    assert!(call("open").is_error);
}

/// Folders of the tree that calls write to, and what a narrowing leaves of them.
const FOLDERS: [&str; 6] = ["a", "a/a", "a/b", "b", "b/a", "b/b"];

/// On the kernel: of everything that can be written without a narrowing, exactly what it leaves.
#[test]
fn narrowing_never_widens_on_the_kernel() {
    let site = Site::new(User::Same);
    FOLDERS.iter().for_each(|folder| drop(site.folder(&format!("ws/{folder}"))));
    let server = serve(&site, "coding");
    let command = format!(
        "for f in {}; do ( echo x > $f/file ) 2>/dev/null && echo $f; rm -f $f/file 2>/dev/null; done; \
         ./probe family 2 1; cat probe >/dev/null && echo read; \
         cat {} >/dev/null 2>&1 && echo outside",
        FOLDERS.join(" "),
        site.file("outside/data", "bytes").display(),
    );
    let ask = |less: Value| {
        let mut call = less;
        call["command"] = command.clone().into();
        server.ask("shell", call)
    };
    let done = |answer: &Answer| -> BTreeSet<String> {
        answer.stdout().lines().filter(|line| *line != "EACCES").map(str::to_owned).collect()
    };
    let everything = done(&ask(json!({})));
    assert!(FOLDERS.iter().all(|folder| everything.contains(*folder)), "{everything:?}");
    assert!(everything.contains("ok") && everything.contains("read"), "{everything:?}");
    let less = (
        prop::option::of(prop::sample::select(vec!["readonly", "offline", "strict"])),
        any::<bool>(),
        prop::option::of(prop::collection::btree_set(prop::sample::select(&FOLDERS[..]), 0..3)),
    );
    let config = Config { cases: 24, failure_persistence: None, ..Config::default() };
    TestRunner::new(config)
        .run(&less, |(profile, offline, writable)| {
            let network = offline.then_some("none");
            let less = json!({"profile": profile, "network": network, "writable": writable});
            let answer = ask(less);
            // A call cannot ask to write where the profile it chose writes nothing.
            let contradicts =
                profile == Some("readonly") && writable.as_ref().is_some_and(|w| !w.is_empty());
            prop_assert_eq!(answer.is_error, contradicts, "{}", answer.text);
            if contradicts {
                return Ok(());
            }
            let got = done(&answer);
            prop_assert!(got.is_subset(&everything), "{got:?}");
            for folder in FOLDERS {
                let asked = writable.as_ref().is_none_or(|places| {
                    places
                        .iter()
                        .any(|place| folder == *place || folder.starts_with(&format!("{place}/")))
                });
                let expected = asked && profile != Some("readonly");
                prop_assert_eq!(got.contains(folder), expected, "{} {:?}", folder, got);
            }
            let online = !offline && profile != Some("strict");
            prop_assert_eq!(got.contains("ok"), online, "{:?}", got);
            prop_assert!(got.contains("read"));
            Ok(())
        })
        .unwrap();
}

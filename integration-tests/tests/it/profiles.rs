//! Profiles, as the kernel enforces them: built-in ones, denies inside allows, the project file.

use nono_integration_tests::host_net::Echo;
use nono_integration_tests::{Server, Site, User, as_each_user};
use serde_json::{Value, json};

fn serve(site: &Site, profile: &str) -> Server {
    let workspace = site.text("ws");
    let words = ["--stdio", "--workspace", &workspace, "--profile", profile];
    Server::start_command(site, site.nono_mcp(&words))
}

#[test]
fn a_deny_inside_an_allow_is_enforced() {
    as_each_user(|site| {
        site.folder("outside/tree/secret/deep");
        for file in ["open", "secret/key", "secret/deep/key"] {
            site.file(&format!("outside/tree/{file}"), "bytes");
        }
        std::os::unix::fs::symlink("secret", site.path("outside/tree/link")).expect("a link");
        let server = site.serve_with(&json!({"filesystem": {
            "read": [site.text("outside/tree")],
            "deny": [site.text("outside/tree/secret")],
        }}));
        let read = |below: &str| {
            let path = site.text(&format!("outside/tree/{below}"));
            let control = std::fs::read_to_string(&path).expect("readable outside");
            assert_eq!(control, "bytes");
            server.exec(&["cat", &path]).stdout().to_owned()
        };
        assert_eq!(read("open"), "bytes");
        for closed in ["secret/key", "secret/deep/key", "link/key"] {
            assert_eq!(read(closed), "", "{closed}");
        }
        let key = site.text("outside/tree/secret/key");
        let answer = server.exec(&["cat", &key]);
        assert!(answer.denial("fs", &key).is_some(), "{}", answer.text);
    });
}

#[test]
fn a_project_file_narrows_and_cannot_widen() {
    as_each_user(|site| {
        site.folder("ws/.nono");
        site.file("outside/data", "bytes");
        site.file("ws/there", "bytes");
        let project = json!({
            "workdir": {"access": "read"},
            "filesystem": {"allow": [site.text("outside")]},
            "remove": {"filesystem": {"deny": ["~/.ssh"]}},
        });
        site.file("ws/.nono/profile.json", &project.to_string());
        let server = site.serve();
        let shell = |command: &str| server.shell(command).exit_code();
        assert_eq!(shell("cat there"), Some(0));
        assert_ne!(shell("echo x > made"), Some(0));
        assert!(!site.path("ws/made").exists());
        assert_eq!(shell("echo x > $TMPDIR/made && cat $TMPDIR/made"), Some(0));
        assert_ne!(shell(&format!("cat {}", site.text("outside/data"))), Some(0));
        assert_ne!(shell("cat ~/.ssh/id_ed25519"), Some(0));
        let log = server.log();
        assert!(log.contains("profile.json:1") && log.contains("can only narrow"), "{log}");
    });
}

#[test]
fn readonly_changes_nothing_but_tmpdir() {
    as_each_user(|site| {
        site.file("ws/there", "bytes");
        let control = site.serve().shell("echo x > made && rm made && mkdir d && rmdir d");
        assert_eq!(control.exit_code(), Some(0), "{}", control.text);
        let server = serve(&site, "readonly");
        for command in [
            "echo x > made",
            "echo x >> there",
            "rm there",
            "mkdir d",
            "mv there here",
            "ln there b",
        ] {
            let answer = server.shell(command);
            assert_ne!(answer.exit_code(), Some(0), "{command}: {}", answer.text);
        }
        let text = std::fs::read_to_string(site.path("ws/there")).expect("still there");
        assert_eq!(text, "bytes");
        let fine = server.shell("cat there > $TMPDIR/x && cat $TMPDIR/x > /dev/null && echo fine");
        assert_eq!(fine.stdout(), "fine\n", "{}", fine.text);
    });
}

#[test]
fn without_a_network_nothing_is_reached() {
    as_each_user(|site| {
        let (tcp, udp) = (Echo::tcp(), Echo::udp());
        let (tcp, udp) = (tcp.port(), udp.port());
        let probes: [&[&str]; 6] = [
            &["tcp", &tcp, "1"],
            &["tcp-nonblocking", &tcp],
            &["tcp-v6", &tcp],
            &["udp", &udp],
            &["udp-connected", &udp],
            &["tcp-serve-self"],
        ];
        let (offline, strict) = (serve(&site, "offline"), serve(&site, "strict"));
        for probe in probes {
            assert!(offline.probe(probe).starts_with("ok"), "control {probe:?}");
            let refused = strict.run("probe", probe);
            assert_eq!(refused.said(), "EACCES", "{probe:?}");
            let denial = &refused.denials()[0];
            assert_eq!(denial["kind"], "net_connect", "{denial}");
            assert_eq!(denial["grant"]["network"], json!({"mode": "loopback"}), "{denial}");
        }
        for (server, network) in [(&offline, "loopback"), (&strict, "none")] {
            let answer = server.exec(&["true"]);
            assert_eq!(answer.exit_code(), Some(0), "{}", answer.text);
            assert_eq!(answer.value["sandbox"]["network"], network, "{}", answer.text);
        }
    });
}

#[test]
fn strict_reads_the_workspace_and_the_system() {
    as_each_user(|site| {
        site.file("home/.gitconfig", "[user]\n");
        site.file("ws/there", "bytes");
        let gitconfig = site.text("home/.gitconfig");
        let control = site.serve().exec(&["cat", &gitconfig]);
        assert_eq!(control.exit_code(), Some(0), "{}", control.text);
        let server = serve(&site, "strict");
        assert_eq!(server.shell("cat there; echo x > new; cat new").stdout(), "bytesx\n");
        assert_ne!(server.exec(&["cat", &gitconfig]).exit_code(), Some(0));
        assert_eq!(server.shell("cat < /dev/null | sort").exit_code(), Some(0));
    });
}

fn said(site: &Site, words: &[&str]) -> (String, String, Option<i32>) {
    let output = site.nono_mcp(words).output().expect("start nono-mcp");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr), output.status.code())
}

#[test]
fn people_can_list_show_check_compare_and_start_profiles() {
    let site = Site::new(User::Same);
    let (out, _, code) = said(&site, &["profile", "list"]);
    assert!(out.contains("  coding ") && out.contains("  rust ") && code == Some(0), "{out}");
    let (out, _, _) = said(&site, &["profile", "list", "--json"]);
    let list: Value = serde_json::from_str(&out).expect("JSON");
    assert!(list.as_array().expect("a list").iter().any(|p| p["name"] == "strict"));

    let (out, err, code) = said(&site, &["profile", "init", "mine", "--from", "strict"]);
    assert_eq!(code, Some(0), "{err}");
    assert!(out.trim().ends_with("home/.config/nono-mcp/profiles/mine.json"), "{out}");
    let (_, err, code) = said(&site, &["profile", "init", "mine"]);
    assert!(code == Some(2) && err.contains("is there already"), "{err}");
    let (out, err, code) = said(&site, &["profile", "validate", "mine", "--strict"]);
    assert!(code == Some(0) && out.contains("mine: valid, 0 warnings"), "{out}{err}");
    let (out, _, code) = said(&site, &["profile", "show", "mine"]);
    assert!(code == Some(0) && out.contains("\"extends\": \"strict\""), "{out}");
    let (out, err, code) = said(&site, &["profile", "show", "mine", "--resolved"]);
    assert!(code == Some(0) && out.contains("network\n  none"), "{out}{err}");
    let (out, _, _) = said(&site, &["profile", "show", "coding", "--resolved", "--json"]);
    let shown: Value = serde_json::from_str(&out).expect("JSON");
    let files = |fact: &&Value| fact["about"] == "files";
    let first = shown["facts"].as_array().expect("facts").iter().find(files).expect("a rule");
    assert!(first["line"].as_u64().is_some_and(|line| line > 0), "{first}");

    let (out, _, code) = said(&site, &["profile", "diff", "coding", "offline"]);
    assert_eq!((out.as_str(), code), ("- network: proxy\n+ network: loopback\n", Some(1)));
    assert_eq!(said(&site, &["profile", "diff", "strict", "mine"]).2, Some(0));
    let (out, _, _) = said(&site, &["profile", "schema"]);
    let schema: Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(schema["title"], "nono-mcp profile");
}

#[test]
fn validate_names_mistakes_and_warns() {
    let site = Site::new(User::Same);
    let bad = site.file("bad.json", "{\n  \"netwrk\": {}\n}").to_string_lossy().into_owned();
    let (_, err, code) = said(&site, &["profile", "validate", &bad]);
    assert_eq!(code, Some(2));
    assert!(err.contains("bad.json:2:3: netwrk: unknown field; did you mean `network`?"), "{err}");
    let key = site.text("home/.ssh");
    let opens = json!({"filesystem": {"read": [key, "/no/such"]},
        "diagnostics": {"suppress_unix_sockets": ["[a"]}});
    let opens = site.file("opens.json", &opens.to_string()).to_string_lossy().into_owned();
    let (out, _, code) = said(&site, &["profile", "validate", &opens]);
    assert_eq!(code, Some(0), "{out}");
    for part in ["credentials_denied", "/no/such does not exist", "hides nothing", "3 warnings"] {
        assert!(out.contains(part), "{part}: {out}");
    }
    assert_eq!(said(&site, &["profile", "validate", &opens, "--strict"]).2, Some(1));
    assert_eq!(said(&site, &["profile", "show", "codin"]).2, Some(2));
}

#[test]
fn an_imported_profile_is_enforced() {
    let site = Site::new(User::Same);
    site.file("outside/data", "bytes");
    let theirs = json!({
        "meta": {"name": "theirs"}, "extends": "default",
        "filesystem": {"read": [site.text("outside")]},
        "network": {"block": true}, "workdir": {"access": "read"}, "rollback": {},
    });
    let theirs = site.file("theirs.json", &theirs.to_string()).to_string_lossy().into_owned();
    let (out, err, code) = said(&site, &["import-nono", &theirs]);
    assert_eq!(code, Some(0), "{err}");
    assert!(err.contains("left out: rollback"), "{err}");
    let ours = site.file("ours.json", &out).to_string_lossy().into_owned();
    let server = serve(&site, &ours);
    assert_eq!(server.exec(&["cat", &site.text("outside/data")]).stdout(), "bytes");
    assert_ne!(server.shell("echo x > made").exit_code(), Some(0));
    assert_eq!(server.probe(&["family", "2", "1"]), "EACCES");
}

/// Ways to put another profile in the place of one that lies in the workspace.
const REWRITES: &[&str] = &[
    "cat evil.json > nono.json",
    "mv evil.json nono.json",
    "rm nono.json && cp evil.json nono.json",
    "ln -sf evil.json nono.json",
    "mv nono.json old.json; ln evil.json nono.json",
];

#[test]
fn no_command_rewrites_the_profile_that_the_next_server_obeys() {
    as_each_user(|site| {
        let secret = site.text("outside/secret");
        site.file("outside/secret", "bytes");
        let allow = json!([site.text("outside")]);
        let evil = json!({"extends": "coding", "filesystem": {"allow": allow}}).to_string();
        let path = site.text("ws/nono.json");
        for isolation in ["auto", "off"] {
            for way in REWRITES {
                let good = json!({"extends": "coding", "isolation": isolation}).to_string();
                let lay_out = || {
                    let _gone = std::fs::remove_file(&path);
                    site.file("ws/nono.json", &good);
                    site.file("ws/evil.json", &evil);
                };
                if isolation == "auto" {
                    lay_out();
                    let control = site.run_outside_shell(way);
                    assert!(control.status.success(), "control {way}: {control:?}");
                    let opened = serve(&site, &path).exec(&["cat", &secret]);
                    assert_eq!(opened.stdout(), "bytes", "control {way}: {}", opened.text);
                }
                lay_out();
                let server = serve(&site, &path);
                let answer = server.shell(way);
                assert_ne!(answer.exit_code(), Some(0), "{isolation} {way}: {}", answer.text);
                let now = std::fs::read_to_string(&path).expect("the profile");
                assert_eq!(now, good, "{isolation} {way}");
                let told = answer.text.contains("a profile that is obeyed");
                assert!(told, "{isolation} {way}: {}", answer.text);
                drop(server);
                let next = serve(&site, &path).exec(&["cat", &secret]);
                assert_ne!(next.stdout(), "bytes", "{isolation} {way}");
            }
        }
    });
}

#[test]
fn no_workspace_is_named_by_a_link_that_a_command_made() {
    as_each_user(|site| {
        site.folder("ws/sub");
        site.file("outside/secret", "bytes");
        let (workspace, sub) = (site.text("ws"), site.text("ws/sub"));
        let words = ["run", "--workspace", &workspace, "--workspace", &sub, "--", "true"];
        let run = || site.nono_mcp(&words).output().expect("start nono-mcp");
        assert!(run().status.success(), "control: {:?}", run());
        let outside = site.text("outside");
        let made = site.serve().shell(&format!("rmdir sub && ln -s {outside} sub"));
        assert_eq!(made.exit_code(), Some(0), "{}", made.text);
        let refused = run();
        let said = String::from_utf8_lossy(&refused.stderr);
        assert!(
            !refused.status.success() && said.contains("name the folder it leads to"),
            "{said}"
        );
        // A way back from where a link leads is the link's, too.
        let back = format!("{sub}/../ws");
        let refused = site.nono_mcp(&["run", "--workspace", &back, "--", "true"]).output();
        let said = String::from_utf8_lossy(&refused.expect("start nono-mcp").stderr).into_owned();
        assert!(said.contains("name the folder itself"), "{said}");
        let plain = format!("{workspace}/../ws");
        let output = site.nono_mcp(&["run", "--workspace", &plain, "--", "true"]).output();
        assert!(output.expect("start nono-mcp").status.success());
    });
}

//! Which UNIX sockets can be reached: listed ones, one's own, and no others.

use nono_integration_tests::host_unix::HostSocket;
use nono_integration_tests::{Site, as_each_user, require};
use serde_json::json;

/// A socket outside of every grant, and its path.
pub fn forbidden(site: &Site) -> (HostSocket, String) {
    let path = site.path("outside/forbidden.sock");
    (HostSocket::stream(&path, "forbidden"), site.text("outside/forbidden.sock"))
}

#[test]
fn unlisted_sockets_are_refused_and_reported() {
    require!(landlock 1);
    require!(seccomp_notify);
    as_each_user(|site| {
        let (socket, path) = forbidden(&site);
        assert_eq!(site.outside(&["connect", "stream", &path]), "ok forbidden", "control");
        let server = site.serve();
        let answer = server.run("probe", &["connect", "stream", &path]);
        assert_eq!(answer.said(), "EACCES", "{}", answer.text);
        assert_eq!(socket.reached(), 1, "only the control");
        let denial = answer.denial("unix_socket", &path).expect("a record");
        assert_eq!(denial["operation"], "connect", "{denial}");
        assert_eq!(denial["syscall"], "connect", "{denial}");
        assert_eq!(denial["errno"], "EACCES", "{denial}");
        assert_eq!(denial["count"], 1, "{denial}");
        assert_eq!(denial["reason"], "no_grant", "{denial}");
        assert_eq!(denial["confidence"], "enforced", "{denial}");
        assert_eq!(denial["retry"], "never_unchanged", "{denial}");
        assert_eq!(denial["decided_by"]["layer"], "mediation", "{denial}");
        assert_eq!(denial["grant"]["filesystem"]["unix_socket"], json!([path]), "{denial}");
        assert!(denial["exe"].as_str().is_some_and(|e| e.ends_with("/probe")), "{denial}");
        assert!(answer.text.contains(&path), "{}", answer.text);
        let (verdict, output) = (answer.text.find(&path), answer.text.rfind("EACCES"));
        assert!(verdict < output, "the denial comes before the output: {}", answer.text);
    });
}

#[test]
fn the_grant_named_in_a_denial_is_the_one_that_helps() {
    as_each_user(|site| {
        let (_socket, path) = forbidden(&site);
        let denied = site.serve().run("probe", &["connect", "stream", &path]);
        let grant = denied.denial("unix_socket", &path).expect("a record")["grant"].clone();
        let server = site.serve_with(&grant);
        assert_eq!(server.probe(&["connect", "stream", &path]), "ok forbidden");
    });
}

#[test]
fn missing_paths_are_missing_and_no_denial() {
    as_each_user(|site| {
        let server = site.serve();
        for place in ["outside/none.sock", "outside/no/folder.sock", "ws/none.sock"] {
            let path = site.text(place);
            let answer = server.run("probe", &["connect", "stream", &path]);
            assert_eq!(answer.said(), "ENOENT", "{place}: {}", answer.text);
            assert_eq!(answer.denials_total(), 0, "{place}: {}", answer.text);
        }
    });
}

#[test]
fn all_six_grants() {
    as_each_user(|site| {
        for folder in ["exact", "dir", "dir/deep", "tree", "tree/deep"] {
            site.folder(&format!("outside/{folder}"));
        }
        let sockets = ["exact/s", "dir/s", "dir/deep/s", "tree/s", "tree/deep/s"];
        let _alive: Vec<HostSocket> = sockets
            .iter()
            .map(|s| HostSocket::stream(&site.path(&format!("outside/{s}")), s))
            .collect();
        let at = |p: &str| site.text(&format!("outside/{p}"));
        let reach = |extra: serde_json::Value| -> Vec<&str> {
            let server = site.serve_with(&json!({ "filesystem": extra }));
            let reached =
                |s: &&str| server.probe(&["connect", "stream", &at(s)]) == format!("ok {s}");
            sockets.into_iter().filter(reached).collect()
        };
        assert_eq!(reach(json!({})), Vec::<&str>::new());
        assert_eq!(reach(json!({"unix_socket": [at("exact/s")]})), ["exact/s"]);
        assert_eq!(reach(json!({"unix_socket_dir": [at("dir")]})), ["dir/s"]);
        let both = ["tree/s", "tree/deep/s"];
        assert_eq!(reach(json!({"unix_socket_subtree": [at("tree")]})), both);
        assert_eq!(reach(json!({"unix_socket_bind": [at("exact/s")]})), ["exact/s"]);
        assert_eq!(reach(json!({"unix_socket_dir_bind": [at("dir")]})), ["dir/s"]);
        assert_eq!(reach(json!({"unix_socket_subtree_bind": [at("tree")]})), both);
    });
}

#[test]
fn binding_needs_a_bind_grant() {
    as_each_user(|site| {
        for folder in ["exact", "dir", "tree", "tree/deep"] {
            site.folder(&format!("outside/{folder}"));
        }
        let at = |p: &str| site.text(&format!("outside/{p}"));
        let places = ["exact/b", "dir/b", "tree/b", "tree/deep/b"];
        for place in places {
            let said = site.outside(&["serve-self", "stream", &at(place)]);
            assert_eq!(said, "ok hello", "control {place}");
            std::fs::remove_file(at(place)).expect("the control made it");
        }
        let bound = |extra: serde_json::Value| -> Vec<&str> {
            let server = site.serve_with(&json!({ "filesystem": extra }));
            places
                .into_iter()
                .filter(|p| {
                    let said = server.probe(&["serve-self", "stream", &at(p)]);
                    let exists = std::fs::remove_file(at(p)).is_ok();
                    assert!(said == "ok hello" || said == "EACCES", "{p}: {said}");
                    assert_eq!(exists, said == "ok hello", "{p}: {said}");
                    exists
                })
                .collect()
        };
        assert_eq!(bound(json!({})), Vec::<&str>::new());
        assert_eq!(bound(json!({"unix_socket_subtree": [at("")]})), Vec::<&str>::new());
        assert_eq!(bound(json!({"unix_socket_bind": [at("exact/b")]})), ["exact/b"]);
        assert_eq!(bound(json!({"unix_socket_dir_bind": [at("dir")]})), ["dir/b"]);
        let both = ["tree/b", "tree/deep/b"];
        assert_eq!(bound(json!({"unix_socket_subtree_bind": [at("tree")]})), both);
    });
}

#[test]
fn a_refused_bind_is_reported() {
    as_each_user(|site| {
        let path = site.text("outside/new.sock");
        let answer = site.serve().run("probe", &["bind", "stream", &path]);
        assert_eq!(answer.said(), "EACCES");
        let denial = answer.denial("unix_socket", &path).expect("a record");
        assert_eq!((&denial["operation"], &denial["syscall"]), (&json!("bind"), &json!("bind")));
        assert!(!site.path("outside/new.sock").exists());
    });
}

#[test]
fn a_granted_socket_works_once_it_appears() {
    as_each_user(|site| {
        let (path, go) = (site.text("outside/later.sock"), site.path("ws/go"));
        let server = site.serve_with(&json!({"filesystem": {"unix_socket": [path]}}));
        let socket = std::thread::scope(|scope| {
            let run = scope.spawn(|| server.run("probe", &["wait-connect", &path, "go"]));
            assert!(nono_integration_tests::wait::until(|| go.exists()), "the program asks");
            let socket = HostSocket::stream(&site.path("outside/later.sock"), "late");
            let answer = run.join().expect("an answer");
            assert_eq!(answer.said(), "ok ENOENT then late", "{}", answer.text);
            socket
        });
        assert!(socket.reached() > 0);
        // And again after its owner has started anew: another inode under the same name.
        drop(socket);
        std::fs::remove_file(&path).expect("the old socket");
        let _new = HostSocket::stream(&site.path("outside/later.sock"), "restarted");
        assert_eq!(server.probe(&["connect", "stream", &path]), "ok restarted");
    });
}

#[test]
fn sockets_of_ones_own_just_work() {
    as_each_user(|site| {
        site.folder("ws/sub");
        let server = site.serve();
        for kind in ["stream", "seqpacket"] {
            for place in ["own", "sub/own", "./sub/../sub/again"] {
                let said = server.probe(&["serve-self", kind, &format!("{place}-{kind}")]);
                assert_eq!(said, "ok hello", "{kind} {place}");
            }
            let tmp = server.shell(&format!("./probe serve-self {kind} $TMPDIR/s-{kind}"));
            assert_eq!(tmp.stdout(), "ok hello\n", "{}", tmp.text);
            assert_eq!(tmp.denials_total(), 0, "{}", tmp.text);
        }
    });
}

#[test]
fn sequenced_packets_follow_the_same_rules() {
    as_each_user(|site| {
        let (granted, bad) = (site.text("outside/g.seq"), site.text("outside/f.seq"));
        let _open = HostSocket::seqpacket(&site.path("outside/g.seq"), "granted");
        let shut = HostSocket::seqpacket(&site.path("outside/f.seq"), "forbidden");
        assert_eq!(site.outside(&["connect", "seqpacket", &bad]), "ok forbidden", "control");
        let server = site.serve_with(&json!({"filesystem": {"unix_socket": [granted]}}));
        assert_eq!(server.probe(&["connect", "seqpacket", &granted]), "ok granted");
        assert_eq!(server.probe(&["connect", "seqpacket", &bad]), "EACCES");
        assert_eq!(shut.reached(), 1, "only the control");
    });
}

#[test]
fn abstract_sockets_end_at_the_edge() {
    require!(landlock 6);
    as_each_user(|site| {
        let tag = nono_integration_tests::processes::new_tag();
        let host = HostSocket::abstract_stream(&tag, "forbidden");
        let name = format!("@{tag}");
        assert_eq!(site.outside(&["connect", "stream", &name]), "ok forbidden", "control");
        let server = site.serve();
        let said = server.probe(&["connect", "stream", &name]);
        assert!(["EPERM", "EACCES"].contains(&said.as_str()), "{said}");
        assert_eq!(host.reached(), 1, "only the control");
        for kind in ["stream", "seqpacket"] {
            let own = format!("@{tag}-own-{kind}");
            assert_eq!(server.probe(&["serve-self", kind, &own]), "ok hello", "{kind}");
        }
        assert_eq!(server.probe(&["autobind"]), "ok");
        // Between two processes of one sandbox.
        let two = server.shell(&format!(
            "./probe serve-self stream @{tag}-a; ./probe connect stream @{tag}-nobody"
        ));
        assert_eq!(two.stdout(), "ok hello\nECONNREFUSED\n", "{}", two.text);
    });
}

#[test]
fn pairs_work() {
    let server = Site::new(nono_integration_tests::User::Same).serve();
    for kind in ["stream", "seqpacket"] {
        assert_eq!(server.probe(&["pair", kind]), "ok across", "{kind}");
    }
}

#[test]
fn every_process_and_thread_of_the_tree_is_mediated() {
    as_each_user(|site| {
        let (socket, path) = forbidden(&site);
        let granted = site.text("outside/granted.sock");
        let _open = HostSocket::stream(&site.path("outside/granted.sock"), "granted");
        let server = site.serve_with(&json!({"filesystem": {"unix_socket": [granted]}}));
        assert_eq!(server.probe(&["connect-fork", &path]), "ok EACCES,EACCES,EACCES");
        assert_eq!(
            server.probe(&["connect-fork", &granted]),
            "ok ok granted,ok granted,ok granted"
        );
        let orphan = |address: &str, file: &str| server.probe(&["orphan-connect", address, file]);
        assert_eq!(orphan(&granted, "result-1"), "ok orphan granted");
        assert_eq!(orphan(&path, "result-2"), "ok orphan EACCES");
        assert_eq!(socket.reached(), 0);
    });
}

#[test]
fn mediation_can_be_switched_off() {
    as_each_user(|site| {
        let (_socket, path) = forbidden(&site);
        let server = site.serve_with(&json!({"linux": {"af_unix_mediation": "off"}}));
        assert_eq!(server.probe(&["connect", "stream", &path]), "ok forbidden");
    });
}

#[test]
fn suppressed_denials_stay_denied_and_counted() {
    as_each_user(|site| {
        let (socket, path) = forbidden(&site);
        let glob = site.text("outside/*.sock");
        let server = site.serve_with(&json!({"diagnostics": {"suppress_unix_sockets": [glob]}}));
        let answer = server.run("probe", &["connect", "stream", &path]);
        assert_eq!(answer.said(), "EACCES");
        assert_eq!(socket.reached(), 0);
        assert_eq!(answer.value["denials"]["suppressed"], 1, "{}", answer.value);
        assert_eq!(answer.denials_total(), 0, "{}", answer.value);
        assert!(!answer.text.contains("forbidden.sock"), "{}", answer.text);
    });
}

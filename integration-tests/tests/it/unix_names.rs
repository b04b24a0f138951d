//! Names: whatever a socket is called, what counts is the socket.

use crate::unix_socket::forbidden;
use nono_integration_tests::as_each_user;
use nono_integration_tests::host_unix::HostSocket;
use nono_integration_tests::require::landlock_abi;
use serde_json::json;

#[test]
fn other_names_of_a_forbidden_socket() {
    as_each_user(|site| {
        let (socket, path) = forbidden(&site);
        std::os::unix::fs::symlink(&path, site.path("ws/link")).expect("link");
        std::os::unix::fs::symlink(site.path("outside"), site.path("ws/folder")).expect("link");
        let server = site.serve();
        let relative = "../outside/forbidden.sock".to_owned();
        let mut names = vec![relative, "link".to_owned(), "folder/forbidden.sock".to_owned()];
        names.push(format!("/proc/self/root{path}"));
        names.push(format!("/proc/thread-self/root{path}"));
        names.push("/proc/self/cwd/../outside/forbidden.sock".to_owned());
        names.push(format!("/{}", path.replace('/', "//")));
        for name in &names {
            assert_eq!(site.outside(&["connect", "stream", name]), "ok forbidden", "{name}");
            let said = server.probe(&["connect", "stream", name]);
            assert_eq!(said, "EACCES", "{name}");
        }
        assert_eq!(
            site.outside(&["connect-in", &site.text("outside"), "forbidden.sock"]),
            "ok forbidden"
        );
        let there = server.probe(&["connect-in", &site.text("outside"), "forbidden.sock"]);
        assert!(["EACCES", "ENOENT"].contains(&there.as_str()), "{there}");
        assert_eq!(socket.reached() as usize, names.len() + 1, "only the controls");
    });
}

#[test]
fn a_link_does_not_turn_a_foreign_socket_into_ones_own() {
    as_each_user(|site| {
        let (socket, path) = forbidden(&site);
        let link = site.text("ws/hard-link");
        assert_eq!(site.outside(&["hard-link-connect", &path, &link]), "ok forbidden", "control");
        std::fs::remove_file(&link).expect("the control made it");
        let own = site.text("ws/own.sock");
        assert_eq!(site.outside(&["replace-own", &own, &path]), "ok forbidden", "control");
        std::fs::remove_file(&own).expect("the control made it");
        let controls = socket.reached();
        let server = site.serve();
        let said = server.probe(&["hard-link-connect", &path, "hard-link"]);
        assert!(["EACCES", "EXDEV", "EPERM"].contains(&said.as_str()), "{said}");
        assert_eq!(server.probe(&["replace-own", "own.sock", &path]), "EACCES");
        assert_eq!(socket.reached(), controls, "reached by another name");
    });
}

#[test]
fn a_link_to_a_granted_socket_works() {
    as_each_user(|site| {
        let path = site.text("outside/granted.sock");
        let _socket = HostSocket::stream(&site.path("outside/granted.sock"), "granted");
        std::os::unix::fs::symlink(&path, site.path("ws/link")).expect("link");
        let server = site.serve_with(&json!({"filesystem": {"unix_socket": [path]}}));
        for name in ["link", "../outside/granted.sock", path.as_str()] {
            assert_eq!(server.probe(&["connect", "stream", name]), "ok granted", "{name}");
        }
        assert_eq!(server.shell(&format!("./probe connect stream {path}")).denials_total(), 0);
    });
}

#[test]
fn a_foreign_socket_under_a_granted_name_is_judged_by_what_it_is_granted_as() {
    // The grant names a path; what the operator's side puts there is what was meant. A program
    // that can write the folder of a granted name must not thereby reach anything else.
    as_each_user(|site| {
        let (socket, path) = forbidden(&site);
        let granted = site.text("ws/granted.sock");
        let server = site.serve_with(&json!({"filesystem": {"unix_socket": [granted]}}));
        let said = server
            .shell(&format!("ln -s {path} granted.sock; ./probe connect stream granted.sock"));
        assert_eq!(said.stdout(), "EACCES\n", "{}", said.text);
        assert_eq!(socket.reached(), 0);
    });
}

#[test]
fn a_socket_cannot_be_moved_out_of_a_folder_that_may_not_be_written() {
    as_each_user(|site| {
        let (socket, path) = forbidden(&site);
        let server = site.serve();
        for place in ["moved.sock", "$TMPDIR/moved.sock"] {
            let said = server.shell(&format!("mv {path} {place}; ./probe connect stream {place}"));
            // `mv` falls back to a copy, which is a new, empty socket at best.
            assert!(!said.stdout().contains("forbidden"), "{place}: {}", said.text);
        }
        assert!(site.path("outside/forbidden.sock").exists());
        assert_eq!(socket.reached(), 0);
    });
}

/// The limit that docs/threat-model.md states, held where it is: if this fails because the move is
/// refused, the limit is gone and the document has to say so.
#[test]
fn a_socket_moved_between_writable_folders_counts_where_it_went() {
    as_each_user(|site| {
        // A folder that may be written, with a socket of the host in it that is not granted.
        site.folder("outside/shared");
        let path = site.text("outside/shared/s.sock");
        let socket = HostSocket::stream(&site.path("outside/shared/s.sock"), "forbidden");
        let shared = site.text("outside/shared");
        let server = site.serve_with(&json!({"filesystem": {"allow": [shared]}}));
        assert_eq!(server.probe(&["connect", "stream", &path]), "EACCES", "where it is");
        let linked = server.probe(&["hard-link-connect", &path, "linked.sock"]);
        let moved =
            server.shell(&format!("mv {path} moved.sock; ./probe connect stream moved.sock"));
        let (said, reached) = (moved.stdout().trim(), socket.reached());
        if landlock_abi() < 9 {
            let both = ("ok forbidden", "ok forbidden", 2);
            assert_eq!((linked.as_str(), said, reached), both, "{}", moved.text);
        } else {
            assert_eq!(reached, 0, "linked: {linked}; moved: {said}");
        }
    });
}

//! The errno contract: what is not a policy's refusal is exactly what the kernel gives.

use nono_integration_tests::host_unix::HostSocket;
use nono_integration_tests::{User, as_each_user};
use serde_json::json;

const ODD: [&str; 18] = [
    "null",
    "unmapped",
    "kernel-pointer",
    "border",
    "length-0",
    "length-1",
    "length-2",
    "length-111",
    "length-129",
    "length-negative",
    "closed-descriptor",
    "not-a-socket",
    "inet-on-unix",
    "unix-on-inet",
    "unspec-on-unix",
    "unspec-on-tcp",
    "unspec-on-udp",
    "bind-null",
];

#[test]
fn odd_addresses_give_what_the_kernel_gives() {
    as_each_user(|site| {
        let server = site.serve();
        let differ: Vec<String> = ODD
            .into_iter()
            .filter_map(|case| {
                let outside = site.outside(&["odd", case]);
                let inside = server.probe(&["odd", case]);
                (outside != inside).then(|| format!("{case}: {outside} outside, {inside} inside"))
            })
            .collect();
        assert!(differ.is_empty(), "{differ:#?}");
    });
}

#[test]
fn cases_around_a_socket_that_may_be_reached() {
    as_each_user(|site| {
        site.folder("outside/open");
        let granted = site.text("outside/open/socket");
        let _socket = HostSocket::stream(&site.path("outside/open/socket"), "granted");
        let grants = json!({"unix_socket_dir_bind": [site.text("outside/open")]});
        let server = site.serve_with(&json!({ "filesystem": grants }));
        let cases = [
            "plain",
            "no-terminator",
            "more-than-the-path",
            "full-108",
            "before-the-border",
            "wrong-type",
            "twice",
            "listening",
            "bind-taken",
            "bind-twice",
            "bind-mode",
        ];
        let clean = || {
            for ending in ["own", "first", "second", "mode"] {
                let _ = std::fs::remove_file(format!("{granted}.{ending}"));
            }
        };
        let mut differ = Vec::new();
        for case in cases {
            let outside = site.outside(&["odd-at", case, &granted]);
            clean();
            let inside = server.probe(&["odd-at", case, &granted]);
            clean();
            if outside != inside {
                differ.push(format!("{case}: {outside} outside, {inside} inside"));
            }
        }
        assert!(differ.is_empty(), "{differ:#?}");
    });
}

#[test]
fn files_that_are_no_sockets_and_sockets_nobody_serves() {
    as_each_user(|site| {
        site.file("ws/file", "");
        site.folder("ws/folder");
        drop(std::os::unix::net::UnixListener::bind(site.path("ws/stale")).expect("bind"));
        site.user().own(&site.path("ws/stale"));
        std::os::unix::fs::symlink("loop", site.path("ws/loop")).expect("link");
        let server = site.serve();
        for name in ["file", "folder", "stale", "loop", "file/below", "folder/none", ""] {
            let outside = site.outside(&["connect", "stream", name]);
            assert_eq!(server.probe(&["connect", "stream", name]), outside, "{name}");
        }
        // Names with bytes that are no text, spaces and newlines are names like any other.
        for name in ["with space", "new\nline", "\u{e9}\u{1f980}", "@"] {
            let path = format!("./{name}");
            assert_eq!(server.probe(&["serve-self", "stream", &path]), "ok hello", "{name:?}");
        }
        let bytes = server.shell("d=$(printf '\\377\\376'); ./probe serve-self stream ./$d.sock");
        // A probe cannot take such an argument as text; the program then ends by itself.
        assert!(bytes.exit_code().is_some(), "{}", bytes.text);
    });
}

#[test]
fn file_modes_still_count() {
    as_each_user(|site| {
        use std::os::unix::fs::PermissionsExt;
        let path = site.path("outside/mode-000.sock");
        let socket = HostSocket::stream(&path, "granted");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o000)).expect("chmod");
        let text = site.text("outside/mode-000.sock");
        let server = site.serve_with(&json!({"filesystem": {"unix_socket": [text]}}));
        let answer = server.run("probe", &["connect", "stream", &text]);
        // Nobody in a sandbox has root's right to ignore modes, root included.
        assert_eq!(answer.said(), "EACCES", "{}", answer.text);
        assert_eq!(answer.denials_total(), 0, "no denial of ours: {}", answer.text);
        if site.user() == User::Ordinary {
            assert_eq!(site.outside(&["connect", "stream", &text]), "EACCES", "as outside");
        }
        assert_eq!(socket.reached(), 0);
    });
}

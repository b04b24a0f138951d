//! Whatever becomes of a process, its calls are mediated like those of the first one.

use nono_integration_tests::host_unix::HostSocket;
use nono_integration_tests::require::leave_out;
use nono_integration_tests::{Server, Site, User, as_each_user, wait};
use serde_json::json;
use std::os::unix::fs::PermissionsExt;

/// A granted and a forbidden socket, and a server for both.
struct Sockets {
    server: Server,
    good: String,
    bad: String,
    forbidden: HostSocket,
    _granted: HostSocket,
}

fn sockets(site: &Site) -> Sockets {
    let (good, bad) = (site.text("outside/granted.sock"), site.text("outside/forbidden.sock"));
    let forbidden = HostSocket::stream(&site.path("outside/forbidden.sock"), "forbidden");
    let granted = HostSocket::stream(&site.path("outside/granted.sock"), "granted");
    let server = site.serve_with(&json!({"filesystem": {"unix_socket": [good]}}));
    Sockets { server, good, bad, forbidden, _granted: granted }
}

#[test]
fn a_child_that_borrows_its_parents_memory() {
    as_each_user(|site| {
        let here = sockets(&site);
        assert_eq!(site.outside(&["vfork-connect", &here.bad]), "ok forbidden", "control");
        assert_eq!(here.server.probe(&["vfork-connect", &here.bad]), "EACCES");
        assert_eq!(here.server.probe(&["vfork-connect", &here.good]), "ok granted");
        assert_eq!(here.forbidden.reached(), 1, "only the control");
    });
}

#[test]
fn a_daemon_whose_first_process_is_gone() {
    as_each_user(|site| {
        let here = sockets(&site);
        let result = site.path("ws/result");
        let daemon = |address: &str| format!("./probe daemon-connect {address} result");
        let said = |control: bool| {
            assert!(wait::until(|| result.exists()), "the daemon (outside: {control})");
            let text = std::fs::read_to_string(&result).expect("a result");
            std::fs::remove_file(&result).expect("once");
            text
        };
        assert_eq!(site.outside(&["daemon-connect", &here.bad, "result"]), "ok left", "control");
        assert_eq!(said(true), "ok forbidden", "control");
        for (address, expected) in [(&here.bad, "EACCES"), (&here.good, "ok granted")] {
            // The shell waits for the file, so that the run lives as long as the daemon.
            let command = format!("{}; until [ -e result ]; do :; done", daemon(address));
            let answer = here.server.shell(&command);
            assert_eq!(said(false), expected, "{}", answer.text);
        }
        assert_eq!(here.forbidden.reached(), 1, "only the control");
    });
}

/// Without a dynamic loader there is nothing but system calls, and those are what is mediated.
#[test]
fn a_static_program() {
    const SOURCE: &str = r#"
        #include <stdio.h>
        #include <string.h>
        #include <sys/socket.h>
        #include <sys/un.h>
        #include <unistd.h>
        int main(int argc, char **argv) {
            struct sockaddr_un address = { .sun_family = AF_UNIX };
            char greeting[64] = { 0 };
            int fd = socket(AF_UNIX, SOCK_STREAM, 0);
            strncpy(address.sun_path, argv[1], sizeof address.sun_path - 1);
            if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
                perror("connect");
                return 1;
            }
            if (read(fd, greeting, sizeof greeting - 1) > 0) puts(greeting);
            return 0;
        }"#;
    let site = Site::new(User::Same);
    site.file("ws/static.c", SOURCE);
    let built = site
        .command("gcc".as_ref())
        .args(["-static", "-o", "static", "static.c"])
        .status()
        .is_ok_and(|s| s.success());
    if !built {
        return leave_out("static-libc", "this machine has no gcc with a static libc");
    }
    let here = sockets(&site);
    let control = site.run_outside("static", &[&here.bad]);
    assert_eq!(String::from_utf8_lossy(&control.stdout), "forbidden\n", "control");
    let refused = here.server.run("static", &[&here.bad]);
    assert!(refused.stderr().contains("Permission denied"), "{}", refused.text);
    assert_eq!(refused.denials_total(), 1, "{}", refused.text);
    assert_eq!(here.server.run("static", &[&here.good]).stdout(), "granted\n");
    assert_eq!(here.forbidden.reached(), 1, "only the control");
}

#[test]
fn a_setuid_program() {
    as_each_user(|site| {
        let here = sockets(&site);
        // Of whoever runs the tests: for the ordinary user that is root where root runs them.
        let program = site.path("ws/setuid");
        std::fs::copy(site.path("ws/probe"), &program).expect("copy");
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o4755)).expect("mode");
        let control = site.run_outside("setuid", &["connect", "stream", &here.bad]);
        assert_eq!(String::from_utf8_lossy(&control.stdout), "ok forbidden\n", "control");
        let run = |address: &str| here.server.run("setuid", &["connect", "stream", address]).said();
        assert_eq!(run(&here.bad), "EACCES");
        assert_eq!(run(&here.good), "ok granted");
        let (inside, outside) =
            (here.server.run("setuid", &["ids"]), site.run_outside("setuid", &["ids"]));
        let raised = String::from_utf8_lossy(&outside.stdout).trim_end() == "ok 0";
        assert!(raised || !User::all().contains(&User::Ordinary), "control");
        assert_eq!(inside.said(), format!("ok {}", site.user().uid()), "it gained its owner");
        assert_eq!(here.forbidden.reached(), 1, "only the control");
    });
}

/// Signals that stop the caller while its call is being judged change nothing about it.
#[test]
fn a_caller_that_is_stopped_again_and_again() {
    as_each_user(|site| {
        let here = sockets(&site);
        let control = site.outside(&["stop-storm", &here.bad, "300"]);
        assert!(control.starts_with("ok 300 in "), "control: {control}");
        let reached = || here.forbidden.reached();
        assert!(wait::until(|| reached() == 300), "control: {}", reached());
        let said = here.server.probe(&["stop-storm", &here.good, "300"]);
        assert!(said.starts_with("ok 300 in "), "{said}");
        let refused = here.server.run("probe", &["stop-storm", &here.bad, "300"]);
        assert_eq!(refused.said(), "EIO", "not one came right: {}", refused.text);
        assert_eq!(refused.denials_total(), 300, "{}", refused.value["denials"]);
        assert_eq!(reached(), 300, "only the control");
    });
}

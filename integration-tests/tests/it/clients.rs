//! The sockets of the languages people use: blocking and non-blocking, to a granted UNIX socket and
//! to loopback TCP, each with an echo that has to come back.
//!
//! Only kernel features are required of a machine; a language that is not on it is named on
//! standard error.

use nono_integration_tests::host_net::Echo;
use nono_integration_tests::{Site, as_each_user, require};
use serde_json::json;

/// Runs `argv SOCKET PORT` outside and inside; both must print `expected`.
fn both_sides(site: &Site, argv: &[&str], expected: &str) {
    let path = site.text("outside/echo.sock");
    let (unix, tcp) = (Echo::unix(&site.path("outside/echo.sock")), Echo::tcp());
    let port = tcp.port();
    let all: Vec<&str> = argv.iter().copied().chain([path.as_str(), port.as_str()]).collect();
    let control = site.command(all[0].as_ref()).args(&all[1..]).output().expect("start a client");
    let said = String::from_utf8_lossy(&control.stdout);
    let complaint = String::from_utf8_lossy(&control.stderr);
    assert_eq!(said, expected, "control {argv:?}: {complaint}");
    let (unix_before, tcp_before) = (unix.served(), tcp.served());

    let server = site.serve_with(&json!({"filesystem": {"unix_socket": [path]}}));
    let answer = server.ask("exec", json!({"argv": all, "timeout_ms": 120_000}));
    assert_eq!(answer.stdout(), expected, "{argv:?}: {}", answer.text);
    assert_eq!(answer.exit_code(), Some(0), "{argv:?}: {}", answer.text);
    // As often as without a sandbox: nothing was tried twice, nothing was left out.
    assert_eq!(unix.served() - unix_before, unix_before, "{argv:?}");
    assert_eq!(tcp.served() - tcp_before, tcp_before, "{argv:?}");
    let foreign = site.serve().ask("exec", json!({"argv": all, "timeout_ms": 120_000}));
    assert!(!foreign.stdout().contains("unix ping"), "without the grant: {}", foreign.text);
    assert_eq!(unix.served(), unix_before * 2, "{argv:?} without the grant");
}

/// Whether a program is here, which says its version with `ask`.
fn is_here(site: &Site, program: &str, ask: &str) -> bool {
    let found = site.command(program.as_ref()).arg(ask).output();
    let here = found.is_ok_and(|o| o.status.success());
    if !here {
        require::leave_out(program, &format!("no {program} here for {:?}", site.user()));
    }
    here
}

#[test]
fn rust_and_tokio() {
    as_each_user(|site| {
        let expected = "blocking unix ping\nblocking tcp ping\n\
                        tokio unix ping\ntokio tcp ping\ntokio many 50\n";
        both_sides(&site, &["./client"], expected);
    });
}

#[test]
fn python_and_asyncio() {
    as_each_user(|site| {
        // The system's: the first one on the path may be a switch between several that belongs to
        // another home.
        let system = "/usr/bin/python3";
        let python = if std::path::Path::new(system).exists() { system } else { "python3" };
        if is_here(&site, python, "--version") {
            site.file("ws/client.py", include_str!("../../clients/client.py"));
            let expected = "blocking unix ping\nblocking tcp ping\n\
                            asyncio unix ping\nasyncio tcp ping\nasyncio many 50\n";
            both_sides(&site, &[python, "client.py"], expected);
        }
    });
}

#[test]
fn node_and_libuv() {
    as_each_user(|site| {
        if is_here(&site, "node", "--version") {
            site.file("ws/client.js", include_str!("../../clients/client.js"));
            let expected = "libuv unix ping\nlibuv tcp ping\nlibuv many 50\n";
            both_sides(&site, &["node", "client.js"], expected);
        }
    });
}

#[test]
fn java_and_nio() {
    as_each_user(|site| {
        if is_here(&site, "java", "--version") {
            site.file("ws/Client.java", include_str!("../../clients/Client.java"));
            let expected = "socket tcp ping\nblocking unix ping\nblocking tcp ping\n\
                            selector unix ping\nselector tcp ping\nasynchronous tcp ping\n";
            both_sides(&site, &["java", "Client.java"], expected);
        }
    });
}

#[test]
fn go() {
    as_each_user(|site| {
        if !is_here(&site, "go", "version") {
            return;
        }
        site.file("ws/client.go", include_str!("../../clients/client.go"));
        let mut build = site.command("go".as_ref());
        build.args(["build", "-o", "go-client", "client.go"]);
        let built = build.env("GOFLAGS", "-mod=mod").status().expect("go build");
        assert!(built.success(), "{built}");
        both_sides(&site, &["./go-client"], "go unix ping\ngo tcp ping\ngo many 50\n");
    });
}

/// Who sent something is whoever did: Chromium's children tell their browser so which process they
/// are. With an address in the call as well, which such a socket does not send to.
#[test]
fn a_receiver_learns_the_senders_process() {
    const CODE: &str = r#"
import os, socket, struct
for kind in (socket.SOCK_STREAM, socket.SOCK_SEQPACKET):
    ours, theirs = socket.socketpair(socket.AF_UNIX, kind)
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
    child = os.fork()
    if child == 0:
        theirs.sendmsg([b"it is me"])
        os._exit(0)
    data, control, _, _ = ours.recvmsg(64, 256)
    assert data == b"it is me", data
    [(level, what, said)] = control
    assert (level, what) == (socket.SOL_SOCKET, socket.SCM_CREDENTIALS), control
    pid, uid, gid = struct.unpack("3i", said)
    assert (pid, uid, gid) == (child, os.getuid(), os.getgid()), (pid, child)
    os.waitpid(child, 0)
print("known")
"#;
    require::program("python3");
    as_each_user(|site| {
        let mut outside = site.command("/usr/bin/env".as_ref());
        let outside = outside.args(["python3", "-c", CODE]).output().expect("python3");
        assert_eq!(String::from_utf8_lossy(&outside.stdout), "known\n", "the control");
        for mode in ["proxy", "none", "open"] {
            let server = site.serve_with(&json!({"network": {"mode": mode}}));
            let answer = server.exec(&["python3", "-c", CODE]);
            assert_eq!(answer.stdout(), "known\n", "{mode}: {}", answer.text);
        }
    });
}

/// Chromium's own sandbox cannot be built inside of this one; all the rest of it works.
#[test]
fn a_browser_shows_a_page() {
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let Some(chromium) = require::any_program(&names) else { return };
    as_each_user(|site| {
        let command = format!(
            "{chromium} --headless --no-sandbox --disable-gpu --user-data-dir=$TMPDIR/browser \
             --dump-dom 'data:text/html,<p>shown</p>' 2> browser.log"
        );
        let answer = site.serve().ask("shell", json!({"command": command, "timeout_ms": 60_000}));
        assert!(answer.stdout().contains("<p>shown</p>"), "{}", answer.text);
    });
}

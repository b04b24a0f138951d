//! Kernels whose Landlock has no scopes (before ABI 6): the supervisor keeps signals and abstract
//! sockets inside. `--pretend-landlock-abi 5` takes that way on any kernel, and it must stand on
//! its own.

use crate::escapes::a_signal_to_everybody_stays_inside;
use nono_integration_tests::host_unix::HostSocket;
use nono_integration_tests::processes::{Victim, new_tag};
use nono_integration_tests::{Server, Site, User, as_each_user, require, wait};
use serde_json::json;

/// The newest Landlock ABI without scopes.
const UNSCOPED: u32 = 5;

/// What works inside a run, with scopes and without; `@` stands for a name that nobody else uses.
const INSIDE: [(&[&str], &str); 8] = [
    (&["serve-self", "stream", "@"], "ok hello"),
    (&["serve-self", "seqpacket", "@"], "ok hello"),
    (&["autobind"], "ok"),
    (&["bind", "stream", "@"], "ok"),
    (&["pair", "stream"], "ok across"),
    (&["pair", "seqpacket"], "ok across"),
    (&["serve-self", "stream", "own.sock"], "ok hello"),
    (&["mail-self", "@"], "EACCES"),
];

fn names(site: &Site, server: &Server, fallback: bool) {
    for (probe, expected) in INSIDE {
        let name = format!("@{}", new_tag());
        let words: Vec<&str> =
            probe.iter().map(|w| if *w == "@" { name.as_str() } else { *w }).collect();
        assert_eq!(server.probe(&words), expected, "{words:?}");
        let _ = std::fs::remove_file(site.path("ws/own.sock"));
    }
    let host_name = new_tag();
    let host = HostSocket::abstract_stream(&host_name, "forbidden");
    let at = format!("@{host_name}");
    assert_eq!(site.outside(&["connect", "stream", &at]), "ok forbidden", "control");
    let answer = server.run("probe", &["connect", "stream", &at]);
    assert_eq!(answer.said(), "EACCES", "{}", answer.text);
    assert_eq!(host.reached(), 1, "only the control");
    let denial = answer.denial("unix_socket", &at).expect("a record");
    let layer = if fallback { "mediation" } else { "landlock" };
    assert_eq!(denial["decided_by"]["layer"], layer, "{denial}");
}

/// The name that a socket of a run has for the rest of the machine.
fn seen_from_outside(tag: &str) -> Option<String> {
    let table = std::fs::read_to_string("/proc/net/unix").expect("the table");
    let mut names = table.lines().filter_map(|line| line.split_whitespace().nth(7));
    names.find(|name| name.starts_with('@') && name.ends_with(tag)).map(str::to_owned)
}

/// A run serves a name; another run may not come, the host may.
fn across(site: &Site, server: &Server, fallback: bool) {
    let tag = new_tag();
    let asked = format!("@{tag}");
    std::thread::scope(|scope| {
        let served = scope.spawn(|| server.probe(&["visited", &asked]));
        assert!(wait::until(|| seen_from_outside(&tag).is_some()), "{asked} is bound");
        let name = seen_from_outside(&tag).expect("it is bound");
        assert_eq!(name == asked, !fallback, "{name}");
        assert_eq!(server.probe(&["connect", "stream", &name]), "EACCES", "run to run");
        if fallback {
            assert_eq!(server.probe(&["connect", "stream", &asked]), "ECONNREFUSED", "another's");
        }
        assert_eq!(site.outside(&["connect", "stream", &name]), "ok welcome", "host to run");
        assert_eq!(served.join().expect("an answer"), "ok visited");
    });
}

/// Nobody else's name is refused without a record: there is nothing to be reached.
#[test]
fn a_name_that_nobody_has_is_no_denial() {
    as_each_user(|site| {
        for server in [site.serve(), site.serve_pretending(UNSCOPED)] {
            let answer = server.run("probe", &["connect", "stream", &format!("@{}", new_tag())]);
            assert_eq!(answer.said(), "ECONNREFUSED", "{}", answer.text);
            assert_eq!(answer.denials_total(), 0, "{}", answer.text);
        }
    });
}

#[test]
fn a_name_without_room_for_the_runs_own_is_refused() {
    as_each_user(|site| {
        let server = site.serve_pretending(UNSCOPED);
        let name = |length| format!("@{}{}", "x".repeat(length - new_tag().len()), new_tag());
        assert_eq!(server.probe(&["serve-self", "stream", &name(80)]), "ok hello");
        let long = name(100);
        assert_eq!(site.outside(&["serve-self", "stream", &long]), "ok hello", "control");
        let answer = server.run("probe", &["bind", "stream", &long]);
        assert_eq!(answer.said(), "EACCES", "{}", answer.text);
        assert!(answer.denial("unix_socket", &long).is_some(), "{}", answer.text);
    });
}

#[test]
fn names_by_the_kernels_scope() {
    require!(landlock 6);
    as_each_user(|site| {
        let server = site.serve();
        names(&site, &server, false);
        across(&site, &server, false);
    });
}

#[test]
fn names_without_a_scope() {
    as_each_user(|site| {
        let server = site.serve_pretending(UNSCOPED);
        names(&site, &server, true);
        across(&site, &server, true);
    });
}

/// What a profile says of paths changes nothing about names.
#[test]
fn names_stay_inside_where_paths_are_not_mediated() {
    as_each_user(|site| {
        let [stream, datagram] = [(); 2].map(|()| format!("@{}", new_tag()));
        let hosts =
            [HostSocket::abstract_stream(&stream[1..], "x"), HostSocket::datagram(&datagram)];
        assert_eq!(site.outside(&["connect", "stream", &stream]), "ok x", "control");
        assert_eq!(site.outside(&["sendto", "dgram", &datagram]), "ok", "control");
        assert!(wait::until(|| hosts.iter().all(|host| host.reached() == 1)), "control");
        for (abi, network) in [(7, "none"), (7, "proxy"), (5, "none"), (5, "proxy"), (5, "open")] {
            let (linux, mode) = (json!({"af_unix_mediation": "off"}), json!({"mode": network}));
            let extra = json!({"isolation": "off", "linux": linux, "network": mode});
            let server = site.serve_pretending_with(abi, &extra);
            let own = format!("@{}", new_tag());
            assert_eq!(
                server.probe(&["serve-self", "stream", &own]),
                "ok hello",
                "{abi} {network}"
            );
            for probe in [
                ["connect", "stream", &stream],
                ["sendto", "dgram", &datagram],
                ["sendmsg", "dgram", &datagram],
                ["connect", "dgram", &datagram],
            ] {
                let refused = server.probe(&probe);
                assert!(
                    ["EACCES", "EPERM"].contains(&&*refused),
                    "{abi} {network} {probe:?}: {refused}"
                );
            }
        }
        assert!(hosts.iter().all(|host| host.reached() == 1), "only the controls");
    });
}

#[test]
fn datagrams_to_names_with_and_without_a_scope() {
    as_each_user(|site| {
        let name = format!("@{}", new_tag());
        let host = HostSocket::datagram(&name);
        assert_eq!(site.outside(&["sendto", "dgram", &name]), "ok", "control");
        assert!(wait::until(|| host.reached() == 1), "control");
        let profile = site.profile(&json!({"linux": {"af_unix_datagram": true}}));
        let own = || format!("@{}", new_tag());
        for abi in ["7", "5"] {
            let mut command = site.nono_mcp(&["--stdio", "--workspace", &site.text("ws")]);
            command.args(["--pretend-landlock-abi", abi, "--profile"]).arg(&profile);
            let server = Server::start_command(&site, command);
            assert_eq!(server.probe(&["mail-self", &own()]), "ok letter", "ABI {abi}");
            for way in ["sendto", "sendmsg", "sendmmsg", "connect"] {
                let refused = server.probe(&[way, "dgram", &name]);
                assert_eq!(refused, "EACCES", "ABI {abi}: {way}");
            }
        }
        assert_eq!(host.reached(), 1, "only the control");
    });
}

/// A handle outlives its process (pidfd_open(2)).
#[test]
fn a_signal_to_a_process_that_was_waited_for_finds_none() {
    let late = "import os, signal\n\
                pid = os.fork()\n\
                if pid == 0: os._exit(0)\n\
                handle = os.pidfd_open(pid)\n\
                os.waitpid(pid, 0)\n\
                try: signal.pidfd_send_signal(handle, 0)\n\
                except OSError as e: print(type(e).__name__)";
    as_each_user(|site| {
        let outside = site.run_outside("/usr/bin/env", &["python3", "-c", late]);
        assert_eq!(outside.stdout, b"ProcessLookupError\n", "control");
        let answer = site.serve_pretending(UNSCOPED).exec(&["python3", "-c", late]);
        assert_eq!(answer.stdout(), "ProcessLookupError\n", "{}", answer.text);
        assert_eq!(answer.denials_total(), 0, "{}", answer.text);
    });
}

#[test]
fn signals_across_the_edge_are_refused_without_a_scope() {
    as_each_user(|site| {
        let server = site.serve_pretending(UNSCOPED);
        for way in ["kill", "tkill", "tgkill", "queue", "thread-queue", "pidfd"] {
            let mut victim = Victim::start(&site);
            let pid = victim.pid();
            let answer = server.run("probe", &["signal-by", way, &pid, "15"]);
            assert_eq!(answer.said(), "EPERM", "{way}: {}", answer.text);
            assert_eq!(answer.denials_total(), 1, "{way}: {}", answer.text);
            assert!(victim.lives(), "{way}");
            assert_eq!(site.outside(&["signal-by", way, &pid, "15"]), "ok", "control {way}");
            assert!(wait::until(|| !victim.lives()), "control {way}");
        }
        let victim = Victim::start(&site);
        let pid = victim.pid();
        // The group is the test's own: nothing is sent, whether it may be is asked.
        assert_eq!(site.outside(&["signal-by", "group", &pid, "0"]), "ok", "control");
        let group = server.probe(&["signal-by", "group", &pid, "0"]);
        assert!(["EPERM", "ESRCH"].contains(&group.as_str()), "{group}");
        assert_eq!(site.outside(&["own-descriptor", &pid]), "ok", "control");
        assert_eq!(server.probe(&["own-descriptor", &pid]), "EPERM");
        for signal in ["9", "19", "0"] {
            assert_eq!(server.probe(&["kill", "parent", signal]), "EPERM", "the supervisor");
            let pid = server.pid().to_string();
            assert_eq!(server.probe(&["kill", &pid, signal]), "EPERM", "the server");
        }
        a_signal_to_everybody_stays_inside(&site, &server);
    });
}

#[test]
fn signals_inside_a_run_work_without_a_scope() {
    as_each_user(|site| {
        let server = site.serve_pretending(UNSCOPED);
        assert_eq!(server.probe(&["signal-children"]), "ok 6");
        for (command, said) in [
            ("trap 'echo caught' USR1; kill -USR1 $$", "caught\n"),
            ("sleep 60 & kill $!; wait $!; echo code $?", "code 143\n"),
            ("timeout 0.1 sleep 60; echo code $?", "code 124\n"),
            ("kill -0 999999 2>/dev/null; echo code $?", "code 1\n"),
            ("set -m; (sleep 60; true) & kill -- -$!; wait $!; echo code $?", "code 143\n"),
        ] {
            let answer = server.shell(command);
            assert_eq!(answer.stdout(), said, "{command}: {}", answer.text);
            assert_eq!(answer.denials_total(), 0, "{command}: {}", answer.text);
        }
    });
}

#[test]
fn on_too_old_a_kernel_nothing_runs() {
    as_each_user(|site| {
        for abi in ["0", "2"] {
            let mark = site.path("ws/mark");
            let workspace = site.text("ws");
            let args = ["run", "--workspace", &workspace, "--pretend-landlock-abi", abi, "--"];
            let mut command = site.nono_mcp(&args);
            let output = command.args(["touch", "mark"]).output().expect("nono-mcp run");
            let said = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(125), "ABI {abi}: {said}");
            assert!(said.to_lowercase().contains("landlock"), "ABI {abi}: {said}");
            assert!(!mark.exists(), "ABI {abi}: it ran");
        }
    });
    let site = Site::new(User::Same);
    let answer = site.serve_pretending(2).exec(&["touch", "mark"]);
    assert_eq!(answer.status(), "refused", "{}", answer.text);
    assert!(!site.path("ws/mark").exists(), "it ran");
}

//! Ways around. Each row first does outside what it must not do inside.

use nono_integration_tests::host_net::Echo;
use nono_integration_tests::host_unix::HostSocket;
use nono_integration_tests::processes::{VICTIM_SECRET, Victim};
use nono_integration_tests::{Server, Site, User, as_each_user, processes, wait};

/// What a row shows outside.
enum Control {
    /// It does what it says, for everybody.
    Works,
    /// It takes root; an ordinary user is refused outside as well.
    WorksForRoot,
    /// The kernel answers this: the call got through to it.
    Answers(&'static str),
    /// Works, or the kernel was built without it; then there is nothing to close, and inside it
    /// must still not work.
    WorksIfBuilt,
}

use Control::{Answers, Works, WorksForRoot, WorksIfBuilt};

/// Checks rows; every inside answer must be one of the row's refusals.
fn check(site: &Site, rows: &[(&[&str], Control, &[&str])]) {
    let server = site.serve();
    let mut wrong = Vec::new();
    for (probe, control, refusals) in rows {
        let outside = site.outside(probe);
        let holds = match control {
            Works => outside.starts_with("ok"),
            WorksForRoot => outside.starts_with("ok") || !site.user().is_root(),
            Answers(errno) => outside == *errno,
            WorksIfBuilt => outside.starts_with("ok") || outside == "ENOSYS",
        };
        if !holds {
            wrong.push(format!("control {probe:?}: {outside}"));
        }
        let inside = server.probe(probe);
        if !refusals.contains(&inside.as_str()) {
            wrong.push(format!("{probe:?}: {inside} inside, not one of {refusals:?}"));
        }
    }
    assert!(wrong.is_empty(), "as {:?}: {wrong:#?}", site.user());
}

/// A server whose runs have namespaces, and one whose runs have none: there the other layers are
/// alone.
fn each_tier(site: &Site) -> [Server; 2] {
    ["required", "off"].map(|tier| site.serve_with(&serde_json::json!({"isolation": tier})))
}

/// A filter may answer or kill.
const FOREIGN: &[&str] = &["ENOSYS", "EPERM", "EACCES", "signal SIGSYS", "signal SIGKILL"];
const REFUSED: &[&str] = &["EPERM", "EACCES"];
/// Where runs have a process namespace, nobody outside has a name.
const UNREACHED: &[&str] = &["EPERM", "EACCES", "ESRCH", "ENOENT"];
const ABSENT: &[&str] = &["ENOSYS", "EPERM", "EACCES"];

#[test]
fn other_doors_into_the_kernel() {
    as_each_user(|site| {
        let path = site.text("outside/forbidden.sock");
        let socket = HostSocket::stream(&site.path("outside/forbidden.sock"), "forbidden");
        check(
            &site,
            &[
                (&["io-uring"], Works, ABSENT),
                (&["x32"], WorksIfBuilt, FOREIGN),
                (&["i386"], WorksIfBuilt, FOREIGN),
                (&["i386-connect", &path], WorksIfBuilt, FOREIGN),
                (&["own-listener"], Works, REFUSED),
                (&["clone3"], Answers("EINVAL"), &["ENOSYS"]),
                (&["bpf"], WorksForRoot, REFUSED),
                (&["perf"], Works, REFUSED),
                (&["userfaultfd"], Works, ABSENT),
                (&["join-keyring"], Works, ABSENT),
                (&["add-key"], Works, ABSENT),
                (&["request-key"], Answers("ENOKEY"), ABSENT),
                // TIOCSTI, the same with rubbish in the upper half, TIOCLINUX.
                (&["ioctl", "21522"], Answers("ENOTTY"), REFUSED),
                (&["ioctl", "4294988818"], Answers("ENOTTY"), REFUSED),
                (&["ioctl", "21532"], Answers("ENOTTY"), REFUSED),
            ],
        );
        assert!(socket.reached() <= 1, "only the control");
    });
}

#[test]
fn namespaces_and_mounts() {
    as_each_user(|site| {
        site.folder("ws/mnt");
        check(
            &site,
            &[
                (&["unshare", "user"], Works, REFUSED),
                (&["unshare", "mount"], WorksForRoot, REFUSED),
                (&["unshare", "net"], WorksForRoot, REFUSED),
                (&["unshare", "pid"], WorksForRoot, REFUSED),
                (&["unshare", "files"], Works, REFUSED),
                (&["clone", "user"], Works, REFUSED),
                (&["clone", "pid"], WorksForRoot, REFUSED),
                (&["mount", "mnt"], WorksForRoot, REFUSED),
                (&["open-tree", "."], WorksForRoot, REFUSED),
                (&["chroot", "."], WorksForRoot, REFUSED),
            ],
        );
    });
}

#[test]
fn sockets_of_other_kinds() {
    as_each_user(|site| {
        let echo = Echo::tcp();
        const NO_FAMILY: &[&str] =
            &["EAFNOSUPPORT", "EPROTONOSUPPORT", "ESOCKTNOSUPPORT", "EPERM", "EACCES"];
        check(
            &site,
            &[
                (&["tcp-protocol", "262"], Works, NO_FAMILY),
                (&["family", "17", "3"], WorksForRoot, NO_FAMILY),
                (&["family", "40", "1"], Works, NO_FAMILY),
                (&["socket", "dgram"], Works, REFUSED),
                (&["socket", "raw"], Works, REFUSED),
                (&["pair", "dgram"], Works, REFUSED),
                (&["family", "2", "3"], Answers("EPROTONOSUPPORT"), NO_FAMILY),
            ],
        );
        drop(echo);
    });
}

/// A socket that a command could not make may still be handed to it.
#[test]
fn what_nobody_judges_is_connected_by_nobody() {
    as_each_user(|site| {
        let path = site.text("outside/hands-out.sock");
        let server = site.serve_with(&serde_json::json!({"filesystem": {"unix_socket": [path]}}));
        let listener = std::os::unix::net::UnixListener::bind(&path).expect("bind");
        let everybody = std::os::unix::fs::PermissionsExt::from_mode(0o777);
        std::fs::set_permissions(&path, everybody).expect("a mode");
        std::thread::spawn(move || (0..2).for_each(|_| hand_out(&listener)));
        // The kernel has tried: nobody is there.
        let control = site.outside(&["connect-received", &path]);
        assert!(["ECONNRESET", "ENODEV", "ETIMEDOUT"].contains(&control.as_str()), "{control}");
        let answer = server.run("probe", &["connect-received", &path]);
        assert_eq!(answer.said(), "EACCES", "as {:?}: {}", site.user(), answer.text);
        assert!(answer.denial("socket", "socket of family 40").is_some(), "{}", answer.text);
    });
}

/// Gives a socket of AF_VSOCK to the next one who connects.
fn hand_out(listener: &std::os::unix::net::UnixListener) {
    use nix::sys::socket::{
        AddressFamily, ControlMessage, MsgFlags, SockFlag, SockType, sendmsg, socket,
    };
    use std::os::fd::AsRawFd;
    let (to, _) = listener.accept().expect("a client");
    let vsock = socket(AddressFamily::Vsock, SockType::Stream, SockFlag::SOCK_CLOEXEC, None);
    let vsock = vsock.expect("a socket");
    let fds = [vsock.as_raw_fd()];
    let pieces = [std::io::IoSlice::new(b"x")];
    let rights = [ControlMessage::ScmRights(&fds)];
    sendmsg::<()>(to.as_raw_fd(), &pieces, &rights, MsgFlags::empty(), None).expect("send");
}

#[test]
fn other_processes_are_out_of_reach() {
    as_each_user(|site| {
        let servers = each_tier(&site);
        let rows: [(&str, &[&str]); 9] = [
            ("vm-read", &["at"]),
            ("memory-file", &["at"]),
            ("steal-descriptor", &["0"]),
            ("list-descriptors", &[]),
            ("read-environ", &[]),
            ("kill", &["0"]),
            ("pidfd-signal", &["0"]),
            ("ptrace", &[]),
            ("kill", &["9"]),
        ];
        for (probe, more) in rows {
            let mut victim = Victim::start(&site);
            let (pid, at) = (victim.pid(), victim.secret_at.clone());
            let mut words = vec![probe, pid.as_str()];
            words.extend(more.iter().map(|w| if *w == "at" { at.as_str() } else { *w }));
            for server in &servers {
                let said = server.probe(&words);
                assert!(UNREACHED.contains(&said.as_str()), "{words:?}: {said}");
            }
            assert!(victim.lives(), "{words:?} killed it");
            let control = site.outside(&words);
            assert!(control.starts_with("ok"), "control {words:?}: {control}");
            if more == ["at"] {
                assert_eq!(control, format!("ok {VICTIM_SECRET}"));
            }
            if more == ["9"] {
                assert!(wait::until(|| !victim.lives()), "control {words:?}");
            }
        }
    });
}

#[test]
fn the_limits_and_priorities_of_others_are_theirs() {
    as_each_user(|site| {
        let servers = each_tier(&site);
        let victim = Victim::start(&site);
        let pid = victim.pid();
        for probe in ["prlimit", "priority", "affinity"] {
            assert_eq!(site.outside(&[probe, &pid]), "ok", "control {probe}");
        }
        let open: Vec<_> = ["prlimit", "priority", "affinity"]
            .into_iter()
            .flat_map(|probe| servers.each_ref().map(|s| (probe, s.probe(&[probe, &pid]))))
            .filter(|(_, said)| !UNREACHED.contains(&said.as_str()))
            .collect();
        assert!(open.is_empty(), "{open:?}");
    });
}

/// What OpenMP, `pthread_setaffinity_np`, `taskset` and `renice` do with a program's own.
#[test]
fn the_limits_and_priorities_of_ones_own_are_ones_own() {
    as_each_user(|site| {
        let [isolated, shared] = each_tier(&site);
        assert_eq!(site.outside(&["own-numbers"]), "ok thread process other group", "control");
        assert_eq!(isolated.probe(&["own-numbers"]), "ok thread process other group");
        // Where numbers are everybody's, another thread's may be a stranger's a moment later.
        assert_eq!(shared.probe(&["own-numbers"]), "ok thread process group");
        let script = "sleep 60 & for p in $$ $!; do taskset -p 1 $p && renice -n 5 -p $p; done \
                      >/dev/null && kill $! && echo done";
        let outside = site.run_outside("/bin/sh", &["-c", script]);
        assert_eq!(String::from_utf8_lossy(&outside.stdout), "done\n", "control");
        let answer = isolated.shell(script);
        assert_eq!(answer.stdout(), "done\n", "{}", answer.text);
        let victim = Victim::start(&site);
        let answer = shared.run("probe", &["affinity", &victim.pid()]);
        let target = format!("sched_setaffinity(task {})", victim.pid());
        let denial = answer.denial("syscall", &target).expect("a record");
        let rule = denial["decided_by"]["rule"].as_str().expect("a rule");
        assert!(rule.contains("of itself") && !rule.contains("no command"), "{rule}");
        let answer = isolated.run("probe", &["affinity", &victim.pid()]);
        assert_eq!((answer.said(), answer.denials_total()), ("ESRCH".to_owned(), 0));
        let answer = isolated.run("probe", &["prlimit", "parent"]);
        assert!(answer.denial("syscall", "prlimit64(task 1)").is_some(), "{}", answer.text);
    });
}

#[test]
fn the_supervisor_is_out_of_reach() {
    as_each_user(|site| {
        let server = site.serve();
        // `exec` makes the probe the first process: its parent is the supervisor.
        let mut open = Vec::new();
        for words in [
            vec!["kill", "parent", "9"],
            vec!["kill", "parent", "0"],
            vec!["kill", "parent", "19"],
            vec!["pidfd-signal", "parent", "9"],
            vec!["ptrace", "parent"],
            vec!["vm-read", "parent", "4096"],
            vec!["memory-file", "parent", "4096"],
            vec!["steal-descriptor", "parent", "0"],
            vec!["list-descriptors", "parent"],
            vec!["open-descriptors", "parent"],
            vec!["read-environ", "parent"],
            vec!["prlimit", "parent"],
            vec!["priority", "parent"],
            vec!["affinity", "parent"],
        ] {
            let said = server.probe(&words);
            if !["EPERM", "EACCES", "ESRCH", "ENOENT"].contains(&said.as_str()) {
                open.push((words, said));
            }
        }
        assert!(open.is_empty(), "{open:?}");
        let pid = server.pid().to_string();
        for signal in ["9", "19", "0"] {
            let said = server.probe(&["kill", &pid, signal]);
            assert!(["EPERM", "ESRCH"].contains(&said.as_str()), "the server itself: {said}");
        }
        assert_eq!(server.shell("echo alive").stdout(), "alive\n");
    });
}

/// A signal to everybody reaches the run's own processes and nobody else.
///
/// SIGCONT, so that a sandbox that lets it through does no harm to the machine. The kernel spares
/// the sender, so a process of the run and one outside of it are stopped beforehand.
pub fn a_signal_to_everybody_stays_inside(site: &Site, server: &Server) {
    let stopped = |pid: &str| processes::state(pid.parse().expect("a pid")) == Some('T');
    let victim = Victim::start(site);
    let pid = victim.pid();
    let stop = || {
        let id = nix::unistd::Pid::from_raw(pid.parse().expect("a pid"));
        nix::sys::signal::kill(id, nix::sys::signal::Signal::SIGSTOP).expect("stop the victim");
        assert!(wait::until(|| stopped(&pid)));
    };
    stop();
    assert_eq!(site.outside(&["kill", &pid, "18"]), "ok", "control");
    assert!(wait::until(|| !stopped(&pid)), "control");
    stop();
    let answer = server.shell(
        "sleep 60 & p=$!; kill -STOP $p; until grep -q '^State:.T' /proc/$p/status; do :; done; \
         kill -CONT -- -1; echo code $?; \
         until grep -q '^State:.[SR]' /proc/$p/status; do :; done; kill -9 $p; echo continued",
    );
    assert_eq!(answer.stdout(), "code 0\ncontinued\n", "{}", answer.text);
    assert!(stopped(&pid), "the signal left the run");
    assert_eq!(server.shell("echo alive").stdout(), "alive\n");
}

#[test]
fn a_signal_to_everybody_reaches_the_own_run_alone() {
    as_each_user(|site| a_signal_to_everybody_stays_inside(&site, &site.serve()));
}

#[test]
fn two_runs_cannot_touch_each_other() {
    as_each_user(|site| {
        let server = site.serve();
        let tag = processes::new_tag();
        std::thread::scope(|scope| {
            let other = scope.spawn(|| server.run("probe", &["idle", &tag]));
            assert!(wait::until(|| !processes::with_tag(&tag).is_empty()));
            let pid = processes::with_tag(&tag)[0].to_string();
            for words in
                [vec!["kill", &pid, "9"], vec!["ptrace", &pid], vec!["list-descriptors", &pid]]
            {
                let said = server.probe(&words);
                assert!(UNREACHED.contains(&said.as_str()), "{words:?}: {said}");
            }
            // Had one of them killed it, it would not be there to be ended by this.
            assert_eq!(site.outside(&["kill", &pid, "15"]), "ok");
            let answer = other.join().expect("an answer");
            assert_eq!(answer.value["signal"], "SIGTERM", "{}", answer.text);
        });
    });
}

/// A process may ask not to be looked into. It reaches nothing that way, and loses nothing.
#[test]
fn making_oneself_undumpable_changes_no_verdict() {
    as_each_user(|site| {
        let (path, good) = (site.text("outside/forbidden.sock"), site.text("outside/granted.sock"));
        let socket = HostSocket::stream(&site.path("outside/forbidden.sock"), "forbidden");
        let _granted = HostSocket::stream(&site.path("outside/granted.sock"), "granted");
        let server = site.serve_with(&serde_json::json!({"filesystem": {"unix_socket": [good]}}));
        for level in ["0", "2", "1"] {
            let control = site.outside(&["undumpable-connect", &path, level]);
            // 2 is for the kernel alone (prctl(2)).
            assert_eq!(control, if level == "2" { "EINVAL" } else { "ok forbidden" }, "control");
            assert_eq!(server.probe(&["undumpable-connect", &path, level]), "EACCES", "{level}");
            let said = server.probe(&["undumpable-connect", &good, level]);
            assert_eq!(said, "ok granted", "{level}");
        }
        assert_eq!(socket.reached(), 2, "only the controls");
    });
}

/// The kernel itself closes the memory of a program that its user may execute and not read. What
/// cannot be judged is refused, the granted socket included.
#[test]
fn a_program_that_cannot_be_read_reaches_nothing() {
    use std::os::unix::fs::PermissionsExt;
    let site = Site::new(User::all().pop().expect("at least one user"));
    let (path, good) = (site.text("outside/forbidden.sock"), site.text("outside/granted.sock"));
    let socket = HostSocket::stream(&site.path("outside/forbidden.sock"), "forbidden");
    let granted = HostSocket::stream(&site.path("outside/granted.sock"), "granted");
    let shut = site.path("ws/shut");
    std::fs::copy(site.path("ws/probe"), &shut).expect("copy");
    site.user().own(&shut);
    std::fs::set_permissions(&shut, std::fs::Permissions::from_mode(0o111)).expect("chmod");
    let server = site.serve_with(&serde_json::json!({"filesystem": {"unix_socket": [good]}}));
    for (address, greeting) in [(&path, "ok forbidden\n"), (&good, "ok granted\n")] {
        let control = site.run_outside("shut", &["connect", "stream", address]);
        assert_eq!(String::from_utf8_lossy(&control.stdout), greeting, "control");
        let answer = server.run("shut", &["connect", "stream", address]);
        assert_eq!(answer.said(), "EPERM", "{}", answer.text);
        assert_eq!(answer.denials_total(), 1, "{}", answer.text);
    }
    assert_eq!((socket.reached(), granted.reached()), (1, 1), "only the controls");
}

#[test]
fn a_hidden_connect_in_a_send_is_no_way_out() {
    as_each_user(|site| {
        let echo = Echo::tcp();
        assert_eq!(site.outside(&["fast-open", &echo.port()]), "ok echo", "control");
        // With an open network it may work or be refused as unsupported; it must not hang or kill.
        let said = site.serve().probe(&["fast-open", &echo.port()]);
        assert!(["ok echo", "EOPNOTSUPP", "EPERM", "EACCES"].contains(&said.as_str()), "{said}");
    });
}

#[test]
fn a_filter_of_ones_own_is_allowed_and_changes_nothing() {
    as_each_user(|site| {
        let server = site.serve();
        assert_eq!(server.probe(&["own-filter"]), "ok");
    });
}

#[test]
fn setuid_programs_gain_nothing() {
    as_each_user(|site| {
        let answer = site.serve().shell("su -c id < /dev/null; sudo -n id; mount; true");
        assert!(!answer.stdout().contains("uid=0(root)") || site.user().is_root());
    });
}

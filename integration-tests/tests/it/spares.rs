//! What a spare supervisor has built is never older than the call that gets it.
//!
//! Each call here takes a supervisor that got ready while the file system looked otherwise.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use nono_integration_tests::{Server, Site, as_each_user, processes, wait};
use serde_json::json;

const ROUNDS: usize = 4;

/// What a call reads at `path`; `None` if it cannot.
fn reads(server: &Server, path: &str) -> Option<String> {
    let answer = server.exec(&["cat", path]);
    (answer.exit_code() == Some(0)).then(|| answer.stdout().to_owned())
}

/// Whether this is a supervisor, its guard, or a child of it that is no command yet.
fn is_supervisor(pid: u32) -> bool {
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    line.split(|b| *b == 0).any(|word| word == b"__supervise")
}

/// Lets two spare supervisors get ready for what there is now, as far as that can be seen.
fn settle(server: &Server) {
    // The calls use up those that were there before.
    for _ in 0..2 {
        wait_for_spares(server);
        assert_eq!(reads(server, "/dev/null").as_deref(), Some(""));
    }
    wait_for_spares(server);
}

/// Waits until guard, supervisor and child of two that are ready are there, and one of each but the
/// child.
fn wait_for_spares(server: &Server) {
    const ALL: usize = 8;
    let there = || processes::descendants(server.pid()).into_iter().map(|(pid, _)| pid);
    let waits = |pid: &u32| is_supervisor(*pid) && processes::state(*pid) == Some('S');
    if !wait::until(|| there().filter(waits).count() == ALL) {
        let seen: Vec<_> =
            there().map(|pid| (pid, processes::state(pid), is_supervisor(pid))).collect();
        panic!("{ALL} idle processes of spare supervisors: {seen:?}; {}", server.log());
    }
}

/// A server that may read a folder, which is there when its profile is resolved.
fn granted(site: &Site) -> (Server, String) {
    let folder = site.text("outside/later");
    site.folder("outside/later");
    site.file("outside/later/file", "first");
    let server = site.serve_with(&json!({"filesystem": {"read": [folder]}}));
    assert_eq!(reads(&server, &format!("{folder}/file")).as_deref(), Some("first"));
    (server, folder)
}

/// Protected files that somebody outside made or replaced meanwhile are sealed.
#[test]
fn what_is_to_stay_as_it_is_is_what_is_there_now() {
    as_each_user(|site| {
        let server = site.serve_with(&json!({"isolation": "required"}));
        let sealed = |name: &str| {
            let script = format!("grep -c '/ws/{name} ro' /proc/self/mountinfo");
            server.shell(&script).stdout().trim().to_owned()
        };
        settle(&server);
        assert_eq!(sealed(".envrc"), "0");
        for round in 0..ROUNDS {
            settle(&server);
            site.file("ws/.envrc.new", &round.to_string());
            std::fs::rename(site.path("ws/.envrc.new"), site.path("ws/.envrc")).expect("rename");
            assert_eq!(sealed(".envrc"), "1", "round {round}");
            let answer = server.shell("echo x >> .envrc");
            assert_eq!(answer.denials()[0]["reason"], "kept", "{}", answer.text);
            let kept = std::fs::read_to_string(site.path("ws/.envrc")).expect("read");
            assert_eq!(kept, round.to_string());
        }
    });
}

/// What is replaced when the server has just looked is found by the spare itself, too late for it to
/// build anything: the call gets another, and the caller notices nothing.
#[test]
fn a_spare_that_finds_itself_outdated_is_replaced() {
    as_each_user(|site| {
        let server = site.serve_with(&json!({"isolation": "required"}));
        for round in 0..ROUNDS {
            settle(&server);
            // Of guard, supervisor and child the one in the middle: a parent learns of a stop.
            let middle = |pid: &u32| is_supervisor(*pid) && processes::descendants(*pid).len() == 1;
            let idle = processes::descendants(server.pid()).into_iter().map(|(pid, _)| pid);
            let idle: Vec<u32> = idle.filter(middle).collect();
            idle.iter().for_each(|pid| signal(*pid, Signal::SIGSTOP));
            let answer = std::thread::scope(|scope| {
                let script = "cat; grep -c '/ws/.envrc ro' /proc/self/mountinfo";
                let call = json!({"command": script, "stdin": "in\n"});
                let run = scope.spawn(|| server.call("shell", call).expect("an answer"));
                let listed = || server.call("run_list", json!({})).expect("a list");
                assert!(wait::until(|| listed().text.contains("mountinfo")));
                site.file("ws/.envrc.new", &round.to_string());
                std::fs::rename(site.path("ws/.envrc.new"), site.path("ws/.envrc"))
                    .expect("rename");
                idle.iter().for_each(|pid| signal(*pid, Signal::SIGCONT));
                run.join().expect("an answer")
            });
            assert_eq!(answer.stdout(), "in\n1\n", "round {round}: {}", answer.text);
        }
    });
}

/// Some of the idle processes are gone by the time it is their turn.
fn signal(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(pid).expect("a pid"));
    let _gone = kill(pid, signal);
}

/// Whatever becomes of those that wait, a call gets one that works.
#[test]
fn a_spare_that_lost_its_child_is_not_used() {
    as_each_user(|site| {
        let server = site.serve();
        for _ in 0..ROUNDS {
            settle(&server);
            let idle = processes::descendants(server.pid());
            let last = |pid: &u32| is_supervisor(*pid) && processes::descendants(*pid).is_empty();
            let waiting: Vec<u32> = idle.iter().map(|(pid, _)| *pid).filter(last).collect();
            waiting.iter().for_each(|pid| signal(*pid, Signal::SIGKILL));
            assert!(!waiting.is_empty());
            let dead = |pid: &u32| matches!(processes::state(*pid), None | Some('Z'));
            assert!(wait::until(|| idle.iter().all(|(pid, _)| !is_supervisor(*pid) || dead(pid))));
            assert_eq!(reads(&server, "/dev/null").as_deref(), Some(""));
        }
    });
}

#[test]
fn a_granted_path_that_goes_and_comes_back_counts_at_once() {
    as_each_user(|site| {
        let (server, folder) = granted(&site);
        let file = format!("{folder}/file");
        for round in 0..ROUNDS {
            std::fs::remove_dir_all(&folder).expect("remove");
            settle(&server);
            assert_eq!(reads(&server, &file), None);
            site.folder("outside/later");
            site.file("outside/later/file", &round.to_string());
            assert_eq!(reads(&server, &file), Some(round.to_string()));
            settle(&server);
        }
    });
}

#[test]
fn a_granted_path_means_what_is_there_now() {
    as_each_user(|site| {
        let (server, folder) = granted(&site);
        for round in 0..ROUNDS {
            settle(&server);
            let gone = site.text(&format!("outside/gone-{round}"));
            std::fs::rename(&folder, &gone).expect("rename");
            site.folder("outside/later");
            site.file("outside/later/file", &round.to_string());
            assert_eq!(reads(&server, &format!("{gone}/file")), None);
            assert_eq!(reads(&server, &format!("{folder}/file")), Some(round.to_string()));
        }
    });
}

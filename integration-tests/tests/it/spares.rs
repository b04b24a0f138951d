//! What a spare supervisor has built is never older than the call that gets it.
//!
//! Each call here takes a supervisor that got ready while the file system looked otherwise.

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
            for pid in &waiting {
                let pid = nix::unistd::Pid::from_raw(i32::try_from(*pid).expect("a pid"));
                // Some are gone by the time it is their turn.
                let _gone = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL);
            }
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

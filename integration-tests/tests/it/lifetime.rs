//! Nothing outlives a run, and nothing outlives the server.

use nono_integration_tests::binary::nono_mcp;
use nono_integration_tests::raw::RawServer;
use nono_integration_tests::{Site, User, as_each_user, processes, wait};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Waits until no process with the tag is left.
#[track_caller]
fn gone(tag: &str) {
    assert!(wait::until(|| processes::with_tag(tag).is_empty()), "still there: {tag}");
}

#[test]
fn daemons_do_not_outlive_their_run() {
    as_each_user(|site| {
        let server = site.serve();
        for output in ["hold", "closed"] {
            let tag = processes::new_tag();
            let answer = server.run("probe", &["daemon", &tag, output]);
            assert_eq!(answer.said(), "ok daemon runs", "{}", answer.text);
            assert_eq!(answer.value["processes"]["leftover_killed"], 1, "{}", answer.value);
            assert_eq!(processes::with_tag(&tag), Vec::<u32>::new(), "{output}");
        }
    });
}

#[test]
fn a_whole_forest_is_counted_and_killed() {
    as_each_user(|site| {
        let server = site.serve();
        let tag = processes::new_tag();
        let answer = server.shell(&format!(
            "for i in 1 2 3 4 5; do ./probe daemon {tag} closed > /dev/null; done; \
             for i in 1 2 3 4 5; do setsid ./probe idle {tag} & done; echo planted"
        ));
        assert_eq!(answer.stdout(), "planted\n");
        assert_eq!(answer.value["processes"]["leftover_killed"], 10, "{}", answer.value);
        assert_eq!(processes::with_tag(&tag), Vec::<u32>::new());
    });
}

/// Starts what is hardest to catch and gives the server and everything below it.
fn with_a_stubborn_tree(site: &Site, tag: &str) -> (RawServer, Vec<(u32, String)>) {
    stubborn_tree(RawServer::start(site), tag)
}

fn stubborn_tree(mut server: RawServer, tag: &str) -> (RawServer, Vec<(u32, String)>) {
    server.initialize("2025-06-18");
    let command = format!(
        "./probe daemon {tag} hold; ./probe daemon {tag} closed; trap '' TERM HUP INT; \
         setsid ./probe idle {tag} & ./probe idle {tag}"
    );
    let call = json!({"name": "shell", "arguments": {"command": command}});
    server.send(&json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": call}));
    assert!(wait::until(|| processes::with_tag(tag).len() >= 4), "the tree stands");
    let tree = processes::descendants(server.pid());
    assert!(tree.len() >= 4, "{tree:?}");
    (server, tree)
}

#[test]
fn killing_the_server_leaves_nothing() {
    as_each_user(|site| {
        let tag = processes::new_tag();
        let (mut server, tree) = with_a_stubborn_tree(&site, &tag);
        server.kill();
        gone(&tag);
        let left = || tree.iter().filter(|p| processes::lives(p)).count();
        assert!(wait::until(|| left() == 0), "{} of {} live", left(), tree.len());
    });
}

#[test]
fn killing_a_supervisor_leaves_nothing_and_is_reported() {
    as_each_user(|site| {
        let tag = processes::new_tag();
        let (mut server, _) = with_a_stubborn_tree(&site, &tag);
        // Of the server's children, the one that the run descends from is its supervisor.
        let runs = processes::with_tag(&tag);
        let supervisor = runs.iter().find_map(|run| processes::branch(server.pid(), *run));
        let pid = i32::try_from(supervisor.expect("a supervisor")).expect("a pid");
        let pid = nix::unistd::Pid::from_raw(pid);
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).expect("kill");
        let answer = server.receive();
        assert_eq!(answer["id"], 7, "{answer}");
        assert!(answer["error"].is_null(), "{answer}");
        gone(&tag);
        let alive = json!({"name": "shell", "arguments": {"command": "echo alive"}});
        let next = server.request(8, "tools/call", alive);
        assert_eq!(next["result"]["structuredContent"]["stdout"], "alive\n", "{next}");
    });
}

#[test]
fn closing_stdin_ends_server_and_runs() {
    as_each_user(|site| {
        let tag = processes::new_tag();
        let (server, tree) = with_a_stubborn_tree(&site, &tag);
        let (_, ended) = server.finish();
        assert!(ended, "the server outlived its client");
        gone(&tag);
        assert!(wait::until(|| !tree.iter().any(processes::lives)));
    });
}

/// Who does not answer is killed before the server ends, since nobody would do it then.
#[test]
fn a_supervisor_that_stands_still_is_no_way_to_stay() {
    use nix::sys::signal::{Signal, kill};
    as_each_user(|site| {
        for isolation in ["auto", "off"] {
            let tag = processes::new_tag();
            let profile = site.profile(&json!({ "isolation": isolation }));
            let more = ["--profile", &profile.to_string_lossy()];
            let (server, _) = stubborn_tree(RawServer::start_with(&site, &more), &tag);
            let of_run = processes::with_tag(&tag);
            // Where there are namespaces, it has a guard.
            let first = of_run.iter().find_map(|run| processes::branch(server.pid(), *run));
            let held = processes::descendants(server.pid());
            let below = processes::descendants(first.expect("a supervisor"));
            let held: Vec<_> = held
                .into_iter()
                .filter(|p| Some(p.0) == first || below.contains(p))
                .filter(|(pid, _)| !of_run.contains(pid))
                .collect();
            for (pid, _) in &held {
                let pid = nix::unistd::Pid::from_raw(i32::try_from(*pid).expect("a pid"));
                kill(pid, Signal::SIGSTOP).expect("stop a supervisor");
            }
            let (_, ended) = server.finish();
            assert!(ended, "{isolation}: the server outlived its client");
            assert!(!held.iter().any(processes::lives), "{isolation}: it ended before them");
            gone(&tag);
        }
    });
}

#[test]
fn polite_signals_end_server_and_runs() {
    for signal in [nix::sys::signal::Signal::SIGTERM, nix::sys::signal::Signal::SIGINT] {
        let site = Site::new(User::Same);
        let tag = processes::new_tag();
        let (server, _) = with_a_stubborn_tree(&site, &tag);
        let pid = nix::unistd::Pid::from_raw(i32::try_from(server.pid()).expect("a pid"));
        nix::sys::signal::kill(pid, signal).expect("kill");
        gone(&tag);
        assert!(wait::until(|| !Path::new(&format!("/proc/{pid}/exe")).exists()));
    }
}

#[test]
fn the_private_folder_goes_whatever_is_in_it() {
    as_each_user(|site| {
        let mut server = RawServer::start(&site);
        server.initialize("2025-06-18");
        let fill = "cd $TMPDIR && mkdir -p closed/in/deeper read/only && touch closed/in/f read/f \
                    && chmod 0 closed/in/deeper && chmod 100 closed/in && chmod 0 closed \
                    && chmod 500 read/only read && ln -s / link && pwd -P && chmod 500 .";
        let call = json!({"name": "shell", "arguments": {"command": fill}});
        let answer = server.request(7, "tools/call", call);
        let said = answer["result"]["structuredContent"]["stdout"].as_str().unwrap_or_default();
        let folder = PathBuf::from(said.trim_end());
        assert!(folder.is_absolute() && folder.exists(), "{answer}");
        let (_, ended) = server.finish();
        assert!(ended, "the server outlived its client");
        assert!(!folder.exists(), "{}", folder.display());
    });
}

/// Folders in one another, more than a server has time for when it ends.
fn deep(top: &Path) {
    let made = Command::new("python3")
        .args(["-c", "import os\nfor _ in range(6000):\n os.mkdir('d'); os.chdir('d')"])
        .current_dir(top)
        .status();
    assert!(made.expect("run python3").success());
}

#[test]
fn a_private_folder_that_takes_long_is_removed_after_the_server_has_ended() {
    let site = Site::new(User::Same);
    let mut server = RawServer::start(&site);
    server.initialize("2025-06-18");
    let call = json!({"name": "shell", "arguments": {"command": "pwd -P; cd $TMPDIR; pwd -P"}});
    let answer = server.request(7, "tools/call", call);
    let said = answer["result"]["structuredContent"]["stdout"].as_str().unwrap_or_default();
    let folder = PathBuf::from(said.lines().last().unwrap_or_default());
    assert!(folder.is_absolute() && folder.exists(), "{answer}");
    deep(&folder);
    let (_, ended) = server.finish();
    assert!(ended, "the server outlived its client");
    assert!(wait::until(|| !folder.exists()), "{}", folder.display());
}

/// The process that goes on with it.
#[test]
fn a_remover_removes_the_folder_it_is_given_and_nothing_in_its_place() {
    let site = Site::new(User::Same);
    let kept = site.folder("kept");
    site.file("kept/file", "x");
    let (at, moved) = (site.folder("at"), site.path("moved"));
    deep(&at);
    let opened = std::fs::File::open(&at).expect("open");
    std::fs::rename(&at, &moved).expect("rename");
    std::os::unix::fs::symlink(&kept, &at).expect("symlink");
    let remover = Command::new(nono_mcp()).arg("__remove").arg(&at).stdin(opened).status();
    assert!(!remover.expect("run it").success(), "what has the name now is not a folder");
    assert!(kept.join("file").exists());
    assert_eq!(std::fs::read_dir(&moved).expect("list").count(), 0);
}

#[test]
fn a_cancelled_call_ends_its_run() {
    as_each_user(|site| {
        let tag = processes::new_tag();
        let (mut server, _) = with_a_stubborn_tree(&site, &tag);
        let params = json!({"requestId": 7, "reason": "test"});
        let cancel =
            json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params});
        server.send(&cancel);
        gone(&tag);
        let alive = json!({"name": "shell", "arguments": {"command": "echo alive"}});
        let next = server.request(8, "tools/call", alive);
        assert_eq!(next["result"]["structuredContent"]["stdout"], "alive\n", "{next}");
    });
}

#[test]
fn a_stopped_command_is_no_way_to_stay() {
    as_each_user(|site| {
        let tag = processes::new_tag();
        let arguments = json!({
            "command": format!("./probe idle {tag} & kill -STOP $!; kill -STOP $$"),
            "timeout_ms": 1000,
        });
        let answer = site.serve().ask("shell", arguments);
        assert_eq!(answer.status(), "timed_out", "{}", answer.value);
        gone(&tag);
    });
}

#[test]
fn processes_that_never_stand_still_are_caught() {
    as_each_user(|site| {
        let server = site.serve();
        let tag = processes::new_tag();
        let answer = server.run("probe", &["fork-chains", &tag, "4"]);
        assert_eq!(answer.said(), "ok they run", "{}", answer.text);
        assert_eq!(processes::with_tag(&tag), Vec::<u32>::new(), "they outlived their run");
        assert!(answer.took < std::time::Duration::from_secs(20), "{:?}", answer.took);
    });
}

#[test]
fn killing_the_server_catches_them_too() {
    let site = Site::new(User::Same);
    let tag = processes::new_tag();
    let mut server = RawServer::start(&site);
    server.initialize("2025-06-18");
    let command = format!("./probe fork-chains {tag} 4; ./probe idle {tag}");
    let call = json!({"name": "shell", "arguments": {"command": command}});
    server.send(&json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": call}));
    assert!(wait::until(|| processes::with_tag(&tag).len() >= 2), "they run");
    server.kill();
    gone(&tag);
}

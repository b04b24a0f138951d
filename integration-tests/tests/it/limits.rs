//! What a run may use of the machine, and what is said when it uses more.

use nono_integration_tests::{Answer, Site, User, as_each_user, processes, wait};
use serde_json::{Value, json};

/// The limit that the first denial names, and its size.
#[track_caller]
fn exceeded(answer: &Answer) -> (String, String) {
    let first = answer.denials().first().cloned().unwrap_or_default();
    assert_eq!(first["kind"], "resource_limit", "{}", answer.text);
    assert!(answer.text.contains("LIMIT more than"), "{}", answer.text);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    (text(&first["syscall"]), text(&first["decided_by"]["rule"]))
}

fn limited(field: &str, limit: u64) -> Value {
    let mut limits = json!({});
    limits[field] = limit.into();
    limits
}

#[test]
fn memory() {
    as_each_user(|site| {
        let server = site.serve();
        let hog = "x = [bytearray(10**6) for _ in range(400)]; print(len(x))";
        let call = |limit| json!({"argv": ["python3", "-c", hog], "limits": limited("memory_bytes", limit)});
        let fits = server.ask("exec", call(2 << 30));
        assert_eq!(fits.stdout(), "400\n", "{}", fits.text);
        let killed = server.ask("exec", call(200 << 20));
        assert_eq!(killed.status(), "killed", "{}", killed.text);
        let rule = format!("limits.memory_bytes is {}", 200 << 20);
        assert_eq!(exceeded(&killed), ("memory_bytes".into(), rule));
        // Of all processes together.
        let many = "for i in 1 2 3 4 5 6; do python3 -c 'import time; x = bytearray(60 * 10**6); time.sleep(60)' & done; wait";
        let call = json!({"command": many, "limits": limited("memory_bytes", 200 << 20)});
        let killed = server.ask("shell", call);
        assert_eq!(exceeded(&killed).0, "memory_bytes");
    });
}

/// Where killing a process frees nothing, the kernel takes the supervisor as well.
#[test]
fn memory_of_no_process() {
    let counted = std::path::Path::new("/sys/fs/cgroup/memory/memory.oom_control").exists();
    if !counted || !nix::unistd::geteuid().is_root() {
        return eprintln!("NOT TESTED: takes root and a memory controller of version 1");
    }
    let server = Site::new(User::Same).serve();
    let fill = "f = open('/dev/shm/fill', 'wb')\nfor _ in range(400): f.write(b'x' * 10**6)";
    let call =
        json!({"argv": ["python3", "-c", fill], "limits": limited("memory_bytes", 200 << 20)});
    let over = server.ask("exec", call);
    assert_eq!((over.status(), over.str("signal")), ("killed", "SIGKILL"), "{}", over.text);
    assert_eq!(exceeded(&over).0, "memory_bytes", "{}", over.text);
    assert!(!over.text.contains("was lost"), "{}", over.text);
}

/// What is sent lies in the supervisor until it has gone.
const SENDERS: &str = r#"
import socket, sys, threading, time
data, pairs = b"x" * (256 << 10), []
threading.stack_size(65536)
def send():
    here, there = socket.socketpair()
    pairs.append((here, there))
    while True:
        here.sendmsg([data])
for _ in range(int(sys.argv[1])):
    threading.Thread(target=send, daemon=True).start()
time.sleep(float(sys.argv[2]))
print("end", flush=True)
import os
os._exit(0)
"#;

/// Memory that the supervisor takes for a run is the run's.
#[test]
fn memory_of_the_supervisor() {
    as_each_user(|site| {
        let server = site.serve();
        let call = |limit: u64| {
            json!({"argv": ["python3", "-c", SENDERS, "800", "5"],
                   "limits": limited("memory_bytes", limit)})
        };
        let fits = server.ask("exec", call(2 << 30));
        assert_eq!(fits.stdout(), "end\n", "the control: {}", fits.text);
        let over = server.ask("exec", call(120 << 20));
        assert_eq!(over.status(), "killed", "{}", over.text);
        assert_eq!(exceeded(&over).0, "memory_bytes", "{}", over.text);
    });
}

/// They leave the supervisor no time to look at them one after the other, nor others to theirs.
#[test]
#[ignore = "takes both processors for half a minute"]
fn more_busy_processes_than_can_be_watched_end_in_time() {
    as_each_user(|site| {
        for isolation in ["auto", "off"] {
            let server = site.serve_with(&json!({ "isolation": isolation }));
            let tag = processes::new_tag();
            let call = json!({"argv": ["./probe", "churn", tag, "1800"], "timeout_ms": 4000});
            let over = server.ask("exec", call);
            assert_eq!(over.status(), "timed_out", "{isolation}: {}", over.text);
            assert_eq!(processes::with_tag(&tag), Vec::<u32>::new(), "{isolation}");
        }
    });
}

#[test]
fn a_fork_bomb_ends_and_nothing_of_it_is_left() {
    as_each_user(|site| {
        for isolation in ["auto", "off"] {
            let server = site.serve_with(&json!({ "isolation": isolation }));
            let tag = processes::new_tag();
            let bomb = format!(
                "bomb() {{ setsid ./probe idle {tag} & bomb | bomb & }}; bomb; wait; sleep 600"
            );
            let call = json!({"command": bomb, "limits": limited("processes", 100)});
            let over = server.ask("shell", call);
            assert_eq!(exceeded(&over).0, "processes", "{isolation}: {}", over.text);
            assert_eq!(processes::with_tag(&tag), Vec::<u32>::new(), "{isolation}");
            assert_eq!(server.shell("echo well").stdout(), "well\n");
        }
    });
}

/// The server needs more than a command may have; commands have what they would have had.
#[test]
fn commands_have_the_open_files_that_the_server_was_started_with() {
    as_each_user(|site| {
        let server = site.serve_with_open_files(321);
        // The second one is started by a spare supervisor.
        for _ in 0..2 {
            assert_eq!(server.shell("ulimit -Sn; sh -c 'ulimit -Sn'").stdout(), "321\n321\n");
        }
        let fewer = json!({"command": "ulimit -Sn; ulimit -Hn", "limits": {"open_files": 50}});
        assert_eq!(server.ask("shell", fewer).stdout(), "50\n50\n");
        let more = json!({"command": "ulimit -Sn; ulimit -Hn", "limits": {"open_files": 1000}});
        assert_eq!(server.ask("shell", more).stdout(), "321\n1000\n");
        let own =
            std::fs::read_to_string(format!("/proc/{}/limits", server.pid())).expect("limits");
        let line = own.lines().find(|l| l.starts_with("Max open files")).expect("a line");
        let mut numbers = line.split_whitespace().filter_map(|w| w.parse::<u64>().ok());
        assert!(numbers.next() > Some(321) && numbers.next() > Some(321), "{line}");
    });
}

#[test]
fn processor_time_of_the_tree() {
    as_each_user(|site| {
        let server = site.serve();
        let busy = "for i in 1 2 3; do (while :; do :; done) & done; wait";
        let over = server.ask("shell", json!({"command": busy, "limits": limited("cpu_ms", 500)}));
        assert_eq!(over.status(), "killed", "{}", over.text);
        assert_eq!(exceeded(&over).1, "limits.cpu_ms is 500");
    });
}

#[test]
fn output_and_files() {
    as_each_user(|site| {
        let server = site.serve();
        let over = server
            .ask("shell", json!({"command": "yes", "limits": limited("output_bytes", 1 << 20)}));
        assert_eq!((over.status(), exceeded(&over).0.as_str()), ("killed", "output_bytes"));
        assert!(over.stdout().starts_with("y\n"), "what there was is kept");
        let fill = "dd if=/dev/zero of=big bs=64k count=100 2> /dev/null; echo $?; ls -s --block-size=1 big";
        let call = json!({"command": fill, "limits": limited("file_size_bytes", 1 << 20)});
        let over = server.ask("shell", call);
        assert!(std::fs::metadata(site.path("ws/big")).unwrap().len() <= 1 << 20, "{}", over.text);
        let alone = json!({"argv": ["dd", "if=/dev/zero", "of=big", "bs=64k", "count=100"], "limits": limited("file_size_bytes", 1 << 20)});
        let over = server.ask("exec", alone);
        assert_eq!(
            (over.str("signal"), exceeded(&over).0.as_str()),
            ("SIGXFSZ", "file_size_bytes")
        );
    });
}

/// It is gone before anybody could have ended it.
#[test]
fn a_command_that_ends_at_once_is_told_of_too_much_output() {
    as_each_user(|site| {
        let server = site.serve();
        for command in ["echo hihihi", "printf hihihi >&2", "echo hihihi; exit 3"] {
            for _ in 0..10 {
                let call = json!({"command": command, "limits": limited("output_bytes", 1)});
                let over = server.ask("shell", call);
                assert_eq!(exceeded(&over).0, "output_bytes", "{}", over.text);
                assert!(over.str("summary").contains("more than 1 bytes of output"));
                assert!(["exited", "killed"].contains(&over.status()), "{}", over.text);
            }
        }
        let call = json!({"command": "echo hihihi", "limits": limited("output_bytes", 7)});
        let within = server.ask("shell", call);
        assert_eq!((within.status(), within.denials_total()), ("exited", 0), "{}", within.text);
    });
}

#[test]
fn a_call_lowers_limits_and_never_raises_them() {
    as_each_user(|site| {
        let profile = site.profile(&json!({"extends": "coding", "limits": {"open_files": 50}}));
        let server = nono_integration_tests::Server::start(&site, Some(&profile));
        let limit = |wanted: Option<u64>| {
            let mut call = json!({"command": "ulimit -n"});
            if let Some(wanted) = wanted {
                call["limits"] = limited("open_files", wanted);
            }
            server.ask("shell", call)
        };
        let said = |wanted| limit(wanted).stdout().trim().to_owned();
        assert_eq!(
            (said(None), said(Some(20)), said(Some(50))),
            ("50".into(), "20".into(), "50".into())
        );
        let wider = limit(Some(1000));
        assert!(wider.is_error, "{}", wider.text);
        let reason = "limits.open_files 1000 was asked for, and a run may have 50 (profile";
        assert!(wider.text.contains(reason), "{}", wider.text);
        assert!(wider.text.contains("profile.json:1)"), "{}", wider.text);
        let wrong = server.ask("shell", json!({"command": "true", "limits": {"open_files": 0}}));
        assert!(wrong.is_error && wrong.text.contains("at least 1"), "{}", wrong.text);
        let unknown = server.ask("shell", json!({"command": "true", "limits": {"files": 1}}));
        assert!(unknown.is_error && unknown.text.contains("`files`"), "{}", unknown.text);
    });
}

#[test]
fn a_limit_that_ran_out_names_its_line() {
    let site = Site::new(User::Same);
    let text = "{\n\"extends\": \"coding\",\n\"limits\": {\n  \"output_bytes\": 65536\n}}";
    let profile = site.file("lines.json", text);
    let server = nono_integration_tests::Server::start(&site, Some(&profile));
    let source = |call: Value| {
        let over = server.ask("shell", call);
        let item = over.denials().into_iter().find(|d| d["kind"] == "resource_limit");
        let item = item.unwrap_or_else(|| panic!("{}", over.text));
        (item["decided_by"]["source"].as_str().unwrap_or("").to_owned(), item["grantable"].clone())
    };
    let (file, grantable) = source(json!({"command": "yes"}));
    assert!(file.ends_with("lines.json:4") && grantable == "operator_only", "{file}");
    let (call, grantable) =
        source(json!({"command": "yes", "limits": limited("output_bytes", 4096)}));
    assert!(call == "the call" && grantable == "by_call", "{call}");
}

#[test]
fn others_are_answered_while_one_run_does_its_worst() {
    as_each_user(|site| {
        let server = site.serve();
        let worst = "(while :; do :; done) & (while :; do :; done) & yes > /dev/null & yes & wait";
        let call = json!({"command": worst, "yield_ms": 0});
        let id = server.ask("shell", call).str("run_id").to_owned();
        for n in 0..20 {
            assert_eq!(server.shell(&format!("echo {n}")).stdout(), format!("{n}\n"));
        }
        let over = server.ask("run_signal", json!({"run_id": id, "signal": "KILL"}));
        assert_eq!(over.status(), "cancelled", "{}", over.text);
        assert!(wait::until(|| server.ask("run_list", json!({})).value["live"] == 0));
    });
}

/// A limit of none would not hold for helpers that the kernel pipes cores to.
#[test]
fn no_core_is_left_and_none_is_handed_over() {
    as_each_user(|site| {
        let server = site.serve();
        let of = |answer: &Answer| answer.stdout().trim().to_owned();
        let limit = server.exec(&["prlimit", "--core", "--noheadings", "--raw", "-o", "SOFT,HARD"]);
        assert_eq!(of(&limit), "1 1", "{}", limit.text);
        let crashed = server
            .shell("(ulimit -c 0; kill -SEGV $BASHPID); kill -SEGV $BASHPID & wait; ls core*");
        assert_eq!(of(&crashed), "", "{}", crashed.text);
        let raised = server.exec(&["prlimit", "--core=4096:4096", "true"]);
        assert_ne!(raised.exit_code(), Some(0), "{}", raised.text);
    });
}

/// For each call that blocks the supervisor has a thread, which the kernel counts with the run's.
#[test]
fn tasks_that_all_block_are_no_more_than_they_are() {
    const THREADS: usize = 1400;
    let block = format!(
        "import fcntl, resource, threading\n\
         most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]\n\
         resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))\n\
         threading.stack_size(65536)\n\
         held = open('lock', 'w')\n\
         fcntl.flock(held, fcntl.LOCK_EX)\n\
         def wait():\n    fcntl.flock(open('lock'), fcntl.LOCK_EX)\n\
         for _ in range({THREADS}): threading.Thread(target=wait).start()\n"
    );
    as_each_user(|site| {
        let server = site.serve();
        let call = json!({
            "argv": ["python3", "-c", block],
            "background": true,
            "limits": limited("processes", 1500),
        });
        let started = server.ask("exec", call);
        let run = json!({ "run_id": started.str("run_id") });
        let threads = |pid: u32| {
            std::fs::read_dir(format!("/proc/{pid}/task")).map_or(0, std::iter::Iterator::count)
        };
        // The run's own, and as many of its supervisor.
        let all_block = || {
            let tree = processes::descendants(server.pid());
            tree.iter().filter(|(pid, _)| threads(*pid) >= THREADS).count() == 2
        };
        let still = || server.ask("run_read", run.clone()).status() == "running";
        assert!(wait::until(|| all_block() || !still()), "{}", started.text);
        let seen = server.ask("run_read", run.clone());
        assert_eq!(seen.status(), "running", "{}", seen.text);
        let end = json!({ "run_id": started.str("run_id"), "signal": "KILL" });
        server.ask("run_signal", end);
        assert!(wait::until(|| !still()));
    });
}

//! The command line for a person: run, doctor, demo.

use nix::sys::signal::Signal;
use nono_integration_tests::refusal::refuse;
use nono_integration_tests::{Site, User, as_each_user, wait};
use std::io::Read;
use std::process::{Child, Output, Stdio};

fn run(site: &Site, args: &[&str]) -> Output {
    let mut words = vec!["run", "--workspace"];
    let workspace = site.text("ws");
    words.push(&workspace);
    words.push("--");
    words.extend(args);
    site.nono_mcp(&words).output().expect("start nono-mcp")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn run_gives_the_commands_own_exit_code() {
    as_each_user(|site| {
        for code in [0, 1, 7, 255] {
            let output = run(&site, &["sh", "-c", &format!("exit {code}")]);
            assert_eq!(output.status.code(), Some(code), "{}", text(&output.stderr));
        }
        let killed = run(&site, &["sh", "-c", "kill -9 $$"]);
        assert_eq!(killed.status.code(), Some(128 + 9), "{}", text(&killed.stderr));
    });
}

#[test]
fn run_streams_and_then_reports() {
    as_each_user(|site| {
        let key = site.text("home/.ssh/id_ed25519");
        let output = run(&site, &["sh", "-c", &format!("echo out; echo err >&2; cat {key}")]);
        assert_eq!(text(&output.stdout), "out\n");
        let stderr = text(&output.stderr);
        assert!(stderr.contains("err\n"), "{stderr}");
        let report = stderr.split_once("err\n").map_or("", |x| x.1);
        assert!(report.contains(&key), "{stderr}");
        assert_eq!(output.status.code(), Some(1), "{stderr}");
    });
}

/// A command that has said something and goes on.
fn speaking(site: &Site, command: &str) -> Child {
    let mut run = site.nono_mcp(&["run", "--timeout", "5m", "--", "sh", "-c", command]);
    let mut child = run.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("start");
    child.stdout.as_mut().expect("a pipe").read_exact(&mut [0]).expect("something");
    child
}

/// As a command of its own would end by SIGPIPE.
#[test]
fn run_ends_when_nobody_reads_its_output() {
    as_each_user(|site| {
        let mut child = speaking(&site, "exec yes");
        drop(child.stdout.take());
        assert!(wait::until(|| child.try_wait().expect("its state").is_some()), "it goes on");
        assert_eq!(child.wait().expect("its end").code(), Some(128 + 13));
    });
}

#[test]
fn run_is_ended_by_the_signal_it_gets() {
    as_each_user(|site| {
        let mut child = speaking(&site, "echo up; sleep 300");
        let pid = i32::try_from(child.id()).expect("a process id");
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), Signal::SIGTERM).expect("it lives");
        assert_eq!(child.wait().expect("its end").code(), Some(128 + 15));
    });
}

#[test]
fn run_is_sandboxed_like_the_tools() {
    as_each_user(|site| {
        let path = site.text("outside/s.sock");
        let socket = nono_integration_tests::host_unix::HostSocket::stream(
            &site.path("outside/s.sock"),
            "x",
        );
        let output = run(&site, &["./probe", "connect", "stream", &path]);
        assert_eq!(text(&output.stdout), "EACCES\n", "{}", text(&output.stderr));
        assert_eq!(socket.reached(), 0);
    });
}

#[test]
fn run_says_what_it_cannot_run() {
    let site = Site::new(User::Same);
    let output = run(&site, &["no-such-program-xyz"]);
    assert!(!output.status.success());
    assert!(text(&output.stderr).contains("no-such-program-xyz"), "{}", text(&output.stderr));
    let output = site.nono_mcp(&["run", "--workspace", "/no/such/folder", "--", "true"]).output();
    let output = output.expect("start nono-mcp");
    assert!(!output.status.success());
    assert!(text(&output.stderr).contains("/no/such/folder"), "{}", text(&output.stderr));
    let output = site.nono_mcp(&["run", "--profile", "no-such-profile", "--", "true"]).output();
    let output = output.expect("start nono-mcp");
    assert!(!output.status.success());
    assert!(text(&output.stderr).contains("no-such-profile"), "{}", text(&output.stderr));
}

#[test]
fn doctor_names_every_layer() {
    as_each_user(|site| {
        let output = site.nono_mcp(&["doctor"]).output().expect("start nono-mcp");
        let said = text(&output.stdout).to_lowercase();
        assert!(output.status.success(), "{said}{}", text(&output.stderr));
        for word in ["landlock", "seccomp", "cgroup", "yama", "audit", "pidfd_getfd"] {
            assert!(said.contains(word), "no {word}: {said}");
        }
        let abi = nono_integration_tests::require::landlock_abi().to_string();
        assert!(said.contains(&abi), "no ABI {abi}: {said}");
    });
}

#[test]
fn doctor_tells_what_a_container_has_to_allow() {
    as_each_user(|site| {
        let doctor = |refused: &[i64]| {
            let mut command = site.nono_mcp(&["doctor"]);
            refuse(&mut command, refused);
            let output = command.output().expect("start nono-mcp");
            assert!(output.status.success(), "runs go on: {}", text(&output.stderr));
            let said = text(&output.stdout);
            let line =
                |call: &str| said.lines().find(|line| line.contains(call)).map(str::to_owned);
            let lines = [line("pidfd_getfd "), line("unshare(CLONE_FS) ")];
            lines.map(|line| line.unwrap_or_else(|| panic!("no such line: {said}")))
        };
        assert!(doctor(&[]).iter().all(|line| line.contains("works")), "the control");
        let [copy, part] = doctor(&[libc::SYS_pidfd_getfd]);
        assert!(copy.contains("REFUSED (EPERM)") && part.contains("works"), "{copy}\n{part}");
        assert!(copy.contains("connecting") && copy.contains("seccomp-additions.json"), "{copy}");
        let [copy, part] = doctor(&[libc::SYS_unshare]);
        assert!(part.contains("REFUSED (EPERM)") && copy.contains("works"), "{copy}\n{part}");
    });
}

#[test]
fn demo_shows_an_allowed_and_a_refused_command() {
    as_each_user(|site| {
        let output = site.nono_mcp(&["demo"]).output().expect("start nono-mcp");
        let said = text(&output.stdout);
        assert!(output.status.success(), "{said}{}", text(&output.stderr));
        assert!(said.contains("EACCES"), "{said}");
    });
}

#[test]
fn help_and_version() {
    let site = Site::new(User::Same);
    for args in [["--help"], ["--version"]] {
        let output = site.nono_mcp(&args).output().expect("start nono-mcp");
        assert!(output.status.success() && !output.stdout.is_empty(), "{args:?}");
    }
    let output = site.nono_mcp(&["--no-such-flag"]).output().expect("start nono-mcp");
    assert!(!output.status.success() && !output.stderr.is_empty());
}

#[test]
fn the_supervisors_door_is_not_a_way_to_run_things() {
    let site = Site::new(User::Same);
    let output = site.nono_mcp(&["__supervise", "sh", "-c", "echo ran"]).output();
    let output = output.expect("start nono-mcp");
    assert!(!output.status.success());
    assert!(!text(&output.stdout).contains("ran"));
}

#[test]
fn a_server_that_cannot_start_says_so_and_leaves_stdout_alone() {
    let site = Site::new(User::Same);
    let bad = site.file("ws/bad.json", "{ \"filesytem\": {} }");
    for args in [
        vec!["--stdio".into(), "--workspace".into(), "/no/such/folder".into()],
        vec!["--stdio".into(), "--profile".into(), "no-such-profile".into()],
        vec!["--stdio".to_owned(), "--profile".to_owned(), bad.to_string_lossy().into_owned()],
    ] {
        let words: Vec<&str> = args.iter().map(String::as_str).collect();
        let output = site.nono_mcp(&words).output().expect("start nono-mcp");
        assert!(!output.status.success(), "{args:?}");
        assert!(output.stdout.is_empty(), "{args:?}: {}", text(&output.stdout));
        let stderr = text(&output.stderr);
        assert!(!stderr.is_empty() && !stderr.contains("panicked"), "{args:?}: {stderr}");
    }
}

//! Many runs leave the server as it was.

use nono_integration_tests::{Server, Site, User, processes, wait};
use serde_json::json;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

#[test]
fn hundreds_of_runs_leak_nothing() {
    runs_leak_nothing(200);
}

#[test]
#[ignore = "a thousand runs take a while"]
fn a_thousand_runs_leak_nothing() {
    runs_leak_nothing(1000);
}

/// In the workspace lies a program that cannot be executed.
fn site_with_garbage() -> Site {
    let site = Site::new(User::Same);
    let garbage = site.file("ws/garbage", "\x7fELF and nothing more");
    std::fs::set_permissions(garbage, std::fs::Permissions::from_mode(0o755)).expect("chmod");
    site
}

/// Runs of every end leave descriptors, threads and processes of the server where they were.
fn runs_leak_nothing(count: usize) {
    let site = site_with_garbage();
    let server = site.serve();
    for _ in 0..10 {
        server.shell("./probe connect stream ../outside/none; cat ../home/.netrc; sleep 9 &");
    }
    let settle = || {
        let (fds, threads, _) = processes::weight(server.pid());
        (fds, threads, processes::descendants(server.pid()).len())
    };
    let before = settle();
    let resident = processes::weight(server.pid()).2;
    for round in 0..count {
        let answer = match round % 5 {
            0 => server.shell("./probe connect stream ../outside/none; cat ../home/.netrc; true"),
            1 => server.shell("sleep 9 & true"),
            2 => server.exec(&["true"]),
            // Set up in full, and then there is nothing that could be executed.
            3 => server.exec(&["./garbage"]),
            _ => server.shell("kill -9 $$"),
        };
        assert_eq!(answer.status() == "refused", round % 5 == 3, "{}", answer.text);
    }
    // A thread pool may have grown; descriptors and processes may not, at rest.
    let same = || {
        let now = settle();
        now.0 <= before.0 && now.2 <= before.2 && now.1 <= before.1 + 4
    };
    assert!(wait::until(same), "before {before:?}, after {:?}", settle());
    assert!(wait::until(|| processes::zombies(server.pid()) == 0), "zombies stay");
    let grown = processes::weight(server.pid()).2.saturating_sub(resident);
    assert!(grown < 20 * 1024, "grew by {grown} KiB");
}

#[test]
fn mixed_runs_side_by_side_leave_nothing() {
    mixed_runs_leave_nothing(400);
}

/// `cargo test -p nono-integration-tests --test it -- --ignored --nocapture twenty_thousand`
#[test]
#[ignore = "twenty thousand runs take minutes"]
fn twenty_thousand_mixed_runs_leave_nothing() {
    mixed_runs_leave_nothing(20_000);
}

/// So many runs, sixteen at a time, of every way to end: what the server has afterwards is what it
/// had after the first two hundred.
fn mixed_runs_leave_nothing(count: usize) {
    const WARM: usize = 200;
    let site = site_with_garbage();
    site.file("home/.netrc", "password");
    let server = site.serve();
    let weight = || processes::weight(server.pid());
    let now = || {
        let below = processes::descendants(server.pid()).len();
        [weight().0, below, processes::zombies(server.pid()), entries(&site.path("tmp"))]
    };
    mixed(&server, 0..WARM);
    assert!(wait::until(|| server.ask("run_list", json!({})).value["live"] == 0));
    // Until the spare supervisors are there, and those of the last runs are gone.
    let (mut before, mut looks) = (now(), 0);
    assert!(wait::until(|| {
        let last = std::mem::replace(&mut before, now());
        looks = if before == last { looks + 1 } else { 0 };
        looks > 30
    }));
    let (_, threads, resident) = weight();
    let start = std::time::Instant::now();
    mixed(&server, WARM..count);
    let took = start.elapsed();
    // A thread pool shrinks in time.
    let same = || {
        now().iter().zip(before).all(|(now, before)| *now <= before) && weight().1 <= threads + 4
    };
    assert!(wait::until(same), "before {before:?}, {threads} threads; after {:?}", now());
    let after = weight().2;
    println!("{count} runs, {took:.0?}: {before:?}, {resident} KiB -> {:?}, {after} KiB", now());
    assert!(after < resident + 32 * 1024, "grew from {resident} to {after} KiB");
}

/// Everything in a folder, however deep.
fn entries(folder: &Path) -> usize {
    let inside = std::fs::read_dir(folder).into_iter().flatten().flatten();
    inside.map(|entry| 1 + entries(&entry.path())).sum()
}

fn mixed(server: &Server, rounds: std::ops::Range<usize>) {
    let next = AtomicUsize::new(rounds.start);
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                loop {
                    let round = next.fetch_add(1, Ordering::Relaxed);
                    if round >= rounds.end {
                        return;
                    }
                    ends_as_it_should(server, round);
                }
            });
        }
    });
}

/// One run; which one goes by its number.
fn ends_as_it_should(server: &Server, round: usize) {
    let shell = |command: &str| server.shell(command);
    let (answer, status) = match round % 8 {
        0 => (server.exec(&["true"]), "exited"),
        1 => (shell("exit 3"), "exited"),
        2 => {
            let call = json!({"command": "sleep 60", "timeout_ms": 20});
            (server.ask("shell", call), "timed_out")
        }
        3 => {
            let begun = server.ask("shell", json!({"command": "sleep 60", "yield_ms": 0}));
            let signal = json!({"run_id": begun.str("run_id"), "signal": "KILL"});
            (server.ask("run_signal", signal), "cancelled")
        }
        4 => (shell("setsid sleep 60 & echo begun"), "exited"),
        5 => (shell("cat ../home/.netrc; true"), "exited"),
        6 => (shell("head -c 300000 /dev/zero"), "exited"),
        _ => (server.exec(&["./garbage"]), "refused"),
    };
    assert_eq!(answer.status(), status, "round {round}: {}", answer.text);
}

#[test]
fn forty_runs_at_once_all_come_out_right() {
    let site = Site::new(User::Same);
    let server = site.serve();
    std::thread::scope(|scope| {
        let server = &server;
        let all: Vec<_> = (0..40)
            .map(|n| scope.spawn(move || (n, server.shell(&format!("sleep 0.2; echo run {n}")))))
            .collect();
        for one in all {
            let (n, answer) = one.join().expect("an answer");
            assert_eq!(answer.stdout(), format!("run {n}\n"), "{}", answer.text);
        }
    });
}

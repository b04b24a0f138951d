//! Many runs leave the server as it was.

use nono_integration_tests::{Site, User, processes, wait};
use std::os::unix::fs::PermissionsExt;

#[test]
fn hundreds_of_runs_leak_nothing() {
    runs_leak_nothing(200);
}

#[test]
#[ignore = "a thousand runs take a while"]
fn a_thousand_runs_leak_nothing() {
    runs_leak_nothing(1000);
}

/// Runs of every end leave descriptors, threads and processes of the server where they were.
fn runs_leak_nothing(count: usize) {
    let site = Site::new(User::Same);
    let garbage = site.file("ws/garbage", "\x7fELF and nothing more");
    std::fs::set_permissions(garbage, std::fs::Permissions::from_mode(0o755)).expect("chmod");
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

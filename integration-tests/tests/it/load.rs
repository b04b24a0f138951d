//! Many runs leave the server as it was.

use nono_integration_tests::{Site, User, processes, wait};

#[test]
fn hundreds_of_runs_leak_nothing() {
    let site = Site::new(User::Same);
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
    for round in 0..200 {
        let answer = match round % 4 {
            0 => server.shell("./probe connect stream ../outside/none; cat ../home/.netrc; true"),
            1 => server.shell("sleep 9 & true"),
            2 => server.exec(&["true"]),
            _ => server.shell("kill -9 $$"),
        };
        assert!(!answer.is_error, "{}", answer.text);
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

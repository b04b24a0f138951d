//! Which refusal the command failed for.

use super::*;
use nono_schemas::Relevance;

#[test]
fn what_the_output_quotes_comes_first() {
    let denied = vec![
        denial(Operation::Create, "/d/a/lock.txt"),
        denial(Operation::Read, "/d/b/config.toml"),
    ];
    let said = "tool: cannot read /d/b/config.toml: Permission denied (os error 13)\n";
    let answer = answer(&finished(End::Exited(1), denied, "", said));
    let denials = &answer.result.denials;
    assert_eq!(denials.items[0].target, "/d/b/config.toml");
    assert_eq!(denials.items[0].relevance, Relevance::LikelyCause);
    assert_eq!(denials.likely_cause.as_deref(), Some("d1"));
    assert_eq!(denials.items[1].relevance, Relevance::Possible);
    let summary = &answer.result.summary;
    assert!(summary.contains("likely cause: read \"/d/b/config.toml\" (d1)"), "{summary}");
}

#[test]
fn output_alone_makes_no_denial() {
    let said = "cat: /etc/shadow: Permission denied\nOperation not permitted\n";
    let answer = answer(&finished(End::Exited(1), vec![], "", said));
    assert_eq!(answer.result.denials, Denials::default());
    assert_eq!(answer.result.summary, "exit 1 after 12ms");
}

#[test]
fn success_is_quiet_unless_the_status_may_hide_a_failure() {
    let run = || {
        let denied = (0..9).map(|n| denial(Operation::Create, &format!("/d/{n}/x.txt"))).collect();
        finished(End::Exited(0), denied, "done\n", "")
    };
    let history = History::default();
    let quiet = shell_answer(1, "make", &run(), &history);
    assert_eq!(
        quiet.text,
        "[exit 0 · 12ms · profile coding]\n\
         --- nono:9c41e0 9 denials did not keep it from succeeding; sandbox_explain names them\n\
         --- nono:9c41e0 stdout\ndone\n"
    );
    assert_eq!(quiet.result.denials.likely_cause, None);
    let masked = shell_answer(2, "make 2>&1 | tail -5", &run(), &history);
    assert_eq!(masked.text.matches("DENIED").count(), 3, "{}", masked.text);
    assert!(masked.result.summary.contains("the last command's of a pipe"));
    assert!(masked.text.contains("STATUS exit 0 is the last command's"), "{}", masked.text);
    let clean = shell_answer(3, "a | b", &finished(End::Exited(0), vec![], "x\n", ""), &history);
    assert_eq!(clean.text, "[exit 0 · 12ms · profile coding]\nx\n");
    assert_eq!(clean.result.summary, "exit 0 after 12ms");
}

#[test]
fn a_success_that_speaks_of_a_refusal_is_told() {
    let history = History::default();
    let text = |denied: Denial, said: &str| {
        shell_answer(4, "x", &finished(End::Exited(0), vec![denied], "", said), &history).text
    };
    let config = denial(Operation::Create, "/ws/.git/config.lock");
    let said = "could not lock config file /ws/.git/config.lock: Permission denied\n";
    assert!(text(config.clone(), said).contains("the output speaks of a refusal"));
    assert!(!text(config.clone(), "done\n").contains("DENIED"));
    assert!(text(config.clone(), said).contains("what the output complains of: "));
    let mut host = denial(Operation::Connect, "example.test:80");
    host.kind = Kind::NetProxy;
    assert!(text(host, "").contains("what was fetched may be the proxy's refusal"));
}

#[test]
fn refusals_without_a_name_are_told_by_their_error() {
    let cause = |denied: Denial, said: &str| {
        let denials = answer(&finished(End::Exited(1), vec![denied], "", said)).result.denials;
        (denials.benign, denials.likely_cause.is_some())
    };
    let mut pair = denial(Operation::Socket, "AF_UNIX datagram socket");
    pair.kind = Kind::Socket;
    assert_eq!(cause(pair.clone(), "PermissionError: Permission denied\n"), (0, false));
    assert_eq!(cause(pair.clone(), "no such file\n"), (1, false));
    // Nobody makes a pair of them for `syslog`.
    pair.syscall = "socketpair".to_owned();
    assert_eq!(cause(pair.clone(), "no such file\n").0, 0);
    assert_eq!(cause(pair, "PermissionError: Permission denied\n"), (0, true));
    let mut host = denial(Operation::Connect, "example.test:443");
    host.kind = Kind::NetProxy;
    assert_eq!(cause(host, "curl: (56) CONNECT tunnel failed, response 403\n"), (0, true));
}

#[test]
fn an_error_that_is_said_of_something_else_is_not_held_against_a_refusal() {
    let cause = |denied: Denial, said: &str| {
        let denied = Denial { last_ms: 11, exe: b"/usr/bin/tool".to_vec(), ..denied };
        let denials = answer(&finished(End::Exited(1), vec![denied], "", said)).result.denials;
        denials.likely_cause.is_some()
    };
    let probe = || denial(Operation::Read, "/home/u/.toolrc");
    for another in [
        "cat: /ws/secret: Permission denied\n",
        "cat: notes: Permission denied\n",
        "mkdir: cannot create directory \u{2018}out\u{2019}: Permission denied\n",
        "PermissionError: [Errno 13] Permission denied: '/ws/secret'\n",
        "Error: EACCES: permission denied, open 'secret'\n",
        "sh: 1: cannot open ../x: Permission denied\n",
        "reading /home/u/.toolrc\ncat: /ws/secret: Permission denied\n",
    ] {
        let named = another.contains(".toolrc");
        let denied = vec![Denial { last_ms: 11, ..probe() }];
        let item = answer(&finished(End::Exited(1), denied, "", another));
        let item = &item.result.denials.items[0];
        assert!(named || item.relevance == Relevance::Possible, "{another}: {item:?}");
        assert!(!item.why.contains("the error"), "{another}: {item:?}");
    }
    for its_own in [
        "tool: Permission denied\n",
        "tool: open: Permission denied\n",
        "tool: error: Permission denied\n",
        "/usr/bin/tool: Permission denied\n",
        "npm error Error: EACCES: permission denied\n",
        "PermissionError: [Errno 13] Permission denied\n",
        "tool: cannot read \u{2018}.toolrc\u{2019}: Permission denied\n",
        "cat: /ws/secret: Permission denied\ntool: Permission denied\n",
    ] {
        assert!(cause(probe(), its_own), "{its_own}");
    }
    let lock = || denial(Operation::Create, "/d/a/config.lock");
    assert!(cause(lock(), "error: could not lock config file a/config: Permission denied\n"));
    let nameless = |kind, target: &str| Denial { kind, ..denial(Operation::Call, target) };
    let pair = || Denial {
        syscall: "socketpair".to_owned(),
        ..nameless(Kind::Socket, "AF_UNIX datagram socket")
    };
    assert!(!cause(pair(), "cat: /ws/secret: Permission denied\n"));
    assert!(cause(pair(), "PermissionError: Permission denied\n"));
    let host = nameless(Kind::NetConnect, "192.0.2.8:80");
    assert!(cause(host, "sh: /dev/tcp/192.0.2.8/80: Permission denied\n"));
    let mount = nameless(Kind::NestedSandbox, "mount");
    assert!(cause(mount, "bwrap: Can't mount proc on /newroot/proc: Permission denied\n"));
}

/// A read that nobody saw.
fn inferred(target: &str) -> Denial {
    Denial {
        pid: 0,
        exe: vec![],
        confidence: Confidence::Inferred,
        ..denial(Operation::Read, target)
    }
}

#[test]
fn what_is_inferred_is_told_and_not_counted() {
    let run = |code, said: &str| {
        let mut run = finished(End::Exited(code), vec![], "", said);
        if let Ended::Outcome(outcome) = &mut run.ended {
            outcome.denials.inferred = vec![inferred("/d/a/x.txt")];
        }
        run
    };
    let failed = answer(&run(1, "PermissionError: [Errno 13] Permission denied: '/d/a/x.txt'\n"));
    let denials = &failed.result.denials;
    assert_eq!((denials.total, denials.distinct, denials.inferred), (0, 0, 1));
    assert_eq!(denials.likely_cause.as_deref(), Some("d1"));
    assert!(failed.result.summary.contains("likely cause: read \"/d/a/x.txt\" (d1)"));
    let line = "PROBABLY DENIED read \"/d/a/x.txt\" [EACCES, not seen, inferred]\n";
    assert!(failed.text.contains(line), "{}", failed.text);
    assert!(!failed.text.contains("more,") && !failed.text.contains("before the end"));
    let well = answer(&run(0, "/d/a/x.txt: Permission denied, going on without\n"));
    assert_eq!(well.result.summary, "exit 0 after 12ms");
    assert!(!well.text.contains("DENIED") && !well.text.contains("denial"), "{}", well.text);
}

#[test]
fn of_two_that_were_refused_the_one_that_complains_comes_first() {
    let by = |exe: &str, target: &str| Denial {
        exe: exe.into(),
        last_ms: 11,
        ..denial(Operation::Read, target)
    };
    let refused = vec![by("/usr/bin/python3", "/srv/a"), by("/usr/bin/cat", "/srv/b")];
    for (said, first) in [
        ("cat: it did not work\n", "/srv/b"),
        ("/usr/bin/cat: it did not work\n", "/srv/b"),
        ("python3: it did not work\n", "/srv/a"),
        ("concat: it did not work\n", "/srv/a"),
    ] {
        let ran = finished(End::Exited(1), refused.clone(), "", said);
        let answer = answer_with(&[], &ran);
        assert_eq!(answer.result.denials.items[0].target, first, "{said}");
    }
}

//! How a run ended, or that it goes on.

use super::*;
use nix::errno::Errno;
use nono_sandbox::control::{Listening, ListensAt, Seen, Sight, Waiting, WaitsFor};
use nono_sandbox::policy::{Exceeded, Resource};
use nono_sandbox::supervisor::{SetupFailed, Stage};
use nono_schemas::DenialKind;
use serde_json::json;

#[test]
fn a_clean_run_is_short() {
    let clean = answer(&finished(End::Exited(0), vec![], "hi\n", ""));
    assert_eq!(clean.text, "[exit 0 · 12ms · profile coding]\nhi\n");
    assert!(!clean.is_error);
    assert_eq!(
        serde_json::to_value(&clean.result).unwrap(),
        json!({
            "status": "exited", "exit_code": 0, "run_id": "r-1", "summary": "exit 0 after 12ms",
            "denials": {"total": 0, "distinct": 0, "shown": 0, "suppressed": 0, "items": []},
            "sandbox": {
                "profile": "coding", "enforced": "full",
                "layers": [{"name": "landlock", "active": true}],
                "writable_roots": ["/ws", "/tmp/nono-1"], "network": "open"
            },
            "stdout": "hi\n", "stderr": "", "next_seq": 3, "duration_ms": 12, "cpu_ms": 8,
            "peak_rss_bytes": 4096, "processes": {"leftover_killed": 0, "tree": "sweep"}
        })
    );
    let silent = answer(&finished(End::Exited(3), vec![], "", ""));
    assert_eq!(silent.text, "[exit 3 · 12ms · profile coding]\n(no output)\n");
}

/// An answer about a run that wrote six lines, of which `output` is shown.
fn shown(output: &Output, max_output: usize) -> Answer {
    let identity = identity();
    let run = finished(End::Exited(0), vec![], "", "");
    let finished = Finished { ended: run.ended, wall: Duration::from_millis(15) };
    let facts = Facts {
        identity: &identity,
        state: State::Over(Arc::new(finished)),
        snapshot: None,
        nonce: "9c41e0".into(),
        max_output,
        now: identity.started,
    };
    with_view(&policy(), |view| Answer::about(view, &facts, output, &History::default()))
}

#[test]
fn nothing_new_is_not_nothing_at_all() {
    let text = |output: Output| shown(&output, 1024).text.lines().last().unwrap().to_owned();
    assert_eq!(text(Output::default()), "(no output)");
    assert_eq!(text(Output { next_seq: 40, ..Output::default() }), "(no new output)");
    let nothing = Some("no line matches");
    assert_eq!(text(Output { next_seq: 40, nothing, ..Output::default() }), "(no line matches)");
}

#[test]
fn errors_in_what_was_left_out_are_in_the_text_too() {
    let text: String = (0..2000).map(|n| format!("line {n}\n")).collect();
    let captured = Captured {
        head: text.clone().into_bytes(),
        total_bytes: text.len() as u64,
        total_lines: 2000,
        ..Captured::default()
    };
    let errors = vec![(500, b"error: x".to_vec()), (600, b"--- nono:1".to_vec())];
    let stdout = Excerpt { captured, errors, ..Excerpt::default() };
    let answer = shown(&Output { stdout, next_seq: 9, ..Output::default() }, 1000);
    let lines: Vec<&str> = answer.text.lines().collect();
    let marker = lines.iter().position(|line| line.contains("bytes left out; run_read")).unwrap();
    assert_eq!(lines[marker + 1], "[... left out, line 500: error: x ...]");
    assert_eq!(lines[marker + 2], "[... left out, line 600: --- nono:1 ...]");
    assert!(lines[marker + 3].starts_with("line "), "{}", lines[marker + 3]);
    assert!(!answer.result.stdout.contains("error: x"), "structured, it is beside the output");
}

#[test]
fn an_exit_code_alone_tells_of_no_signal() {
    let notes = |said: &str| {
        let run = finished(End::Exited(137), vec![], "", said);
        answer(&run).result.denials.notes.join("; ")
    };
    assert_eq!(notes("done"), "");
    assert!(notes("bash: line 1: 7 Killed  ./x").contains("SIGKILL"));
    let killed = answer(&finished(End::Signaled(9), vec![], "", "")).result.denials.notes;
    assert!(killed[0].contains("SIGKILL"), "{killed:?}");
}

#[test]
fn every_end_has_a_status_and_is_a_result() {
    for (end, status, header) in [
        (End::Exited(2), RunStatus::Exited, "[exit 2 · "),
        (End::Signaled(9), RunStatus::Killed, "[killed by SIGKILL · "),
        (End::TimedOut, RunStatus::TimedOut, "[timed out · "),
        (End::Cancelled, RunStatus::Cancelled, "[cancelled · "),
    ] {
        let answer = answer(&finished(end, vec![], "kept", ""));
        assert_eq!((answer.result.status, answer.is_error), (status, false));
        assert!(answer.text.starts_with(header), "{}", answer.text);
        assert!(answer.text.contains("kept"), "{}", answer.text);
        assert_eq!(answer.result.exit_code.is_some(), status == RunStatus::Exited);
        assert_eq!(answer.result.signal.is_some(), status == RunStatus::Killed);
    }
}

#[test]
fn what_did_not_run_is_an_error_that_says_why() {
    let mut run = finished(End::Exited(0), vec![], "", "");
    run.ended = Ended::Refused(SetupFailed::new(Stage::Landlock, Errno::EOPNOTSUPP, ""));
    let refused = answer(&run);
    assert_eq!((refused.result.status, refused.is_error), (RunStatus::Refused, true));
    assert!(refused.text.contains("landlock"), "{}", refused.text);
    assert!(refused.text.contains("nono-mcp doctor"), "{}", refused.text);

    run.ended = Ended::Lost("it ended without a report".into());
    run.stdout.captured.head = b"so far".to_vec();
    let lost = answer(&run);
    assert_eq!((lost.result.status, lost.is_error), (RunStatus::Killed, true));
    assert!(lost.text.contains("supervisor was lost"), "{}", lost.text);
    assert!(lost.text.contains("so far"), "{}", lost.text);
}

#[test]
fn a_run_that_goes_on_says_how_to_go_on_with_it() {
    let ran = finished(End::Exited(0), vec![], "listening\n", "");
    let running = about(&[], State::Live, None, &ran);
    assert_eq!(
        running.text,
        "[running · 60.0s · profile coding]\nstill running: run_read waits for more, run_signal \
         ends it; run_id=r-1 (after 60.0s; killed in 60.0s)\nlistening\n"
    );
    assert_eq!((running.result.status, running.is_error), (RunStatus::Running, false));
    assert_eq!(running.result.time_left_ms, Some(60_000));

    let exe = b"/usr/bin/python3".to_vec();
    let sight = Sight {
        processes: vec![Seen { pid: 7, exe: exe.clone(), argv0: b"python3".to_vec() }],
        total: 1,
        waiting: Some(Waiting { on: WaitsFor::Terminal, pid: 7, exe }),
        listening: vec![
            Listening { address: ListensAt::Inet("127.0.0.1:80".parse().unwrap()), pid: 7 },
            Listening { address: ListensAt::Unix(b"/ws/a\nb.sock".to_vec()), pid: 8 },
        ],
    };
    let snapshot = Snapshot { sight, denials: log(vec![]), slowed: 3 };
    let waiting = about(&[], State::Live, Some(snapshot.clone()), &ran);
    assert!(waiting.text.contains("waits for input: run_write run_id=r-1"), "{}", waiting.text);
    assert_eq!(waiting.result.waiting.as_ref().unwrap().on, nono_schemas::WaitsFor::Tty);
    assert_eq!(waiting.result.rate_limited, Some(3));
    let processes = waiting.result.processes.as_ref().unwrap();
    assert_eq!((processes.running_total, processes.running[0].pid), (Some(1), 7));
    assert_eq!(processes.listening[0].address, "127.0.0.1:80");
    let second = &processes.listening[1];
    assert!(second.address.starts_with("/ws/a") && !second.address.contains('\n'), "{second:?}");

    let left = about(&[], State::LeaderEnded(End::Exited(0)), Some(snapshot), &ran);
    assert_eq!((left.result.status, left.result.exit_code), (RunStatus::Running, Some(0)));
    assert!(left.result.summary.contains("1 process goes on in the background"));
}

#[test]
fn a_limit_that_ran_out_is_the_first_denial() {
    let exceeded = Exceeded { resource: Resource::Memory, limit: 2 << 30 };
    let mut ran =
        finished(End::LimitExceeded(exceeded), vec![denial(Operation::Read, "/etc/x.txt")], "", "");
    let Ended::Outcome(outcome) = &mut ran.ended else { unreachable!() };
    outcome.exceeded = Some(exceeded);
    let answer = answer(&ran);
    assert_eq!(answer.result.status, RunStatus::Killed);
    assert!(answer.result.summary.contains("more than 2.0 GiB of memory"));
    let first = &answer.result.denials.items[0];
    assert_eq!((first.kind, answer.result.denials.total), (DenialKind::ResourceLimit, 2));
    assert_eq!(first.decided_by.source, "the default, no profile sets it");
    assert!(answer.text.contains("limits.memory_bytes"), "{}", answer.text);
}

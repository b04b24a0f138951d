//! What the tests of answers start from: a policy, denials, runs that are over.

mod advice;
mod cause;
mod denials;
mod ends;
mod narrowed;
mod network;
mod read_only;

use super::*;
use crate::runs::{Captured, Identity, Snapshot, State};
use globset::{GlobBuilder, GlobSetBuilder};
use nono_sandbox::AbsPath;
use nono_sandbox::control::{End, Outcome, TreeTier};
use nono_sandbox::host::{LayerState, Standing};
use nono_sandbox::policy::{
    Access, Denied, Environment, FsPolicy, FsRule, Isolation, Limits, Mediation, Observe, Origins,
    Policy, Scope, Source, UnixPolicy,
};
use nono_sandbox::rate::Quota;
use nono_sandbox::record::{Confidence, Denial, DenialLog, Kind, Layer, Operation, Reason};
use nono_schemas::DenialItem;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

fn path(text: &str) -> AbsPath {
    AbsPath::new(text).unwrap()
}

fn policy() -> Policy {
    let rule = |p: &str, access| FsRule {
        path: path(p),
        scope: Scope::Tree,
        access,
        source: Source {
            profile: "coding".into(),
            rule: format!("filesystem: {p}"),
            line: Some(7),
        },
    };
    let all = Access::READ | Access::WRITE | Access::EXECUTE;
    Policy {
        name: "coding".into(),
        fs: FsPolicy {
            denied: vec![
                Denied {
                    path: path("/home/u/.ssh"),
                    source: Some(Source {
                        profile: "credentials_denied".into(),
                        rule: "filesystem.deny: ~/.ssh".into(),
                        line: Some(5),
                    }),
                },
                Denied { path: path("/home/u/.config/nono-mcp"), source: None },
            ],
            workspaces: vec![path("/ws")],
            tmpdir: path("/tmp/nono-1"),
            ..FsPolicy::of_rules(vec![
                rule("/ws", all),
                rule("/tmp/nono-1", all),
                rule("/usr", Access::READ),
            ])
        },
        unix: UnixPolicy { mediation: Mediation::Pathname, grants: vec![], datagrams: false },
        network: nono_sandbox::policy::NetworkPolicy::of_mode(
            nono_sandbox::policy::NetworkMode::Open,
        ),
        environment: Environment {
            variables: [("HOME".into(), b"/home/u".to_vec())].into(),
            ..Environment::default()
        },
        rate: Quota { per_second: NonZeroU32::MIN, burst: NonZeroU32::MIN },
        observe: Observe::All,
        limits: Limits::default(),
        isolation: Isolation::Auto,
        origins: Origins::default(),
    }
}

fn denial(operation: Operation, target: &str) -> Denial {
    let socket = matches!(operation, Operation::Connect | Operation::Bind | Operation::Send);
    Denial {
        kind: if socket { Kind::UnixSocket } else { Kind::Fs },
        operation,
        access: match operation {
            Operation::Read => Access::READ,
            Operation::Execute => Access::EXECUTE,
            _ if socket => Access::empty(),
            _ => Access::WRITE,
        },
        target: target.into(),
        resolved: Some(target.into()),
        host: None,
        syscall: if socket { "connect" } else { "openat" }.into(),
        errno: 13,
        pid: 42,
        exe: b"/usr/bin/python3".to_vec(),
        layer: if socket { Layer::Mediation } else { Layer::Landlock },
        reason: Reason::NoGrant,
        rule: None,
        confidence: if socket { Confidence::Enforced } else { Confidence::Observed },
        count: 1,
        first_ms: 1,
        last_ms: 1,
    }
}

/// What `look` sees of a sandbox of this policy.
fn with_view<T>(policy: &Policy, look: impl FnOnce(View<'_>) -> T) -> T {
    look(View {
        wider: None,
        operators: None,
        narrowed: &[],
        policy,
        suppress: &Suppressed::default(),
        absent: &[],
        layers: &[],
        is_folder: &|path| path.as_path().extension().is_none(),
        is_own_address: &|_| false,
    })
}

/// What is told of one refusal under `policy`. `wider`: what other calls may do; `operators`: the
/// same without the project file.
fn told(
    policy: &Policy,
    wider: Option<&Policy>,
    operators: Option<&Policy>,
    refused: Denial,
) -> DenialItem {
    let log = log(vec![refused]);
    let said = String::new();
    let nothing =
        super::rank::Evidence { said, over: true, failed: true, masked: None, took_ms: 5 };
    with_view(policy, |view| {
        let view = View { wider, operators, ..view };
        let kept = super::denials::kept(view, &log);
        let groups = super::group::group(view, &kept);
        super::denials::report(view, &log, (&kept, groups), &nothing).items.remove(0)
    })
}

fn log(items: Vec<Denial>) -> DenialLog {
    DenialLog { total: items.iter().map(|d| d.count).sum(), items, ..DenialLog::default() }
}

/// A run that is over, and what it wrote.
struct Ran {
    ended: Ended,
    stdout: Excerpt,
    stderr: Excerpt,
}

fn finished(end: End, denials: Vec<Denial>, stdout: &str, stderr: &str) -> Ran {
    let excerpt = |text: &str| Excerpt {
        captured: Captured {
            head: text.into(),
            total_bytes: text.len() as u64,
            total_lines: text.lines().count() as u64,
            ..Captured::default()
        },
        ..Excerpt::default()
    };
    let outcome = Outcome {
        end,
        leftover_killed: 0,
        cpu: Duration::from_millis(8),
        peak_rss_bytes: 4096,
        denials: log(denials),
        slowed: 0,
        duration: Duration::from_millis(12),
        tree: TreeTier::Sweep,
        exceeded: None,
        changed: vec![],
        veiled: vec![],
    };
    let (stdout, stderr) = (excerpt(stdout), excerpt(stderr));
    Ran { ended: Ended::Outcome(Box::new(outcome)), stdout, stderr }
}

fn identity() -> Identity {
    Identity {
        id: "r-1".into(),
        label: "./x".into(),
        argv: vec![b"true".to_vec()],
        timeout: Duration::from_secs(120),
        started: Instant::now(),
    }
}

fn answer_with(globs: &[&str], ran: &Ran) -> Answer {
    let finished = Finished { ended: ran.ended.clone(), wall: Duration::from_millis(15) };
    about(globs, State::Over(Arc::new(finished)), None, ran)
}

fn about(globs: &[&str], state: State, snapshot: Option<Snapshot>, ran: &Ran) -> Answer {
    let mut suppress = GlobSetBuilder::new();
    for glob in globs {
        suppress.add(GlobBuilder::new(glob).literal_separator(true).build().unwrap());
    }
    let layers = [LayerState {
        name: "landlock",
        standing: Standing::Active,
        required: true,
        detail: "ABI 7".into(),
    }];
    let policy = policy();
    let view = View {
        wider: None,
        operators: None,
        narrowed: &[],
        policy: &policy,
        suppress: &Suppressed {
            sockets: suppress.build().unwrap(),
            paths: globset::GlobSet::empty(),
        },
        absent: &[],
        layers: &layers,
        is_folder: &|path| path.as_path().extension().is_none(),
        is_own_address: &|ip| ip.to_string() == "192.0.2.7",
    };
    let identity = identity();
    let facts = Facts {
        identity: &identity,
        state,
        snapshot,
        nonce: "9c41e0".into(),
        max_output: 16_384,
        now: identity.started + Duration::from_secs(60),
    };
    let output = Output {
        stdout: ran.stdout.clone(),
        stderr: ran.stderr.clone(),
        next_seq: ran.stdout.captured.total_bytes + ran.stderr.captured.total_bytes,
        redactions: 0,
        note: None,
        nothing: None,
    };
    Answer::about(view, &facts, &output, &History::default())
}

fn answer(ran: &Ran) -> Answer {
    answer_with(&[], ran)
}

/// A run of a shell's `script`, for the `nth` time.
fn shell_answer(nth: u32, script: &str, ran: &Ran, history: &History) -> Answer {
    let policy = policy();
    let view = View {
        wider: None,
        operators: None,
        narrowed: &[],
        policy: &policy,
        suppress: &Suppressed::default(),
        absent: &[],
        layers: &[],
        is_folder: &|path| path.as_path().extension().is_none(),
        is_own_address: &|ip| ip.to_string() == "192.0.2.7",
    };
    let argv = ["bash", "-c", script].map(|s| s.as_bytes().to_vec()).to_vec();
    let identity = Identity { id: format!("r-{nth}"), argv, ..identity() };
    let finished = Finished { ended: ran.ended.clone(), wall: Duration::from_millis(15) };
    let facts = Facts {
        identity: &identity,
        state: State::Over(Arc::new(finished)),
        snapshot: None,
        nonce: "9c41e0".into(),
        max_output: 16_384,
        now: identity.started,
    };
    let output = Output {
        stdout: ran.stdout.clone(),
        stderr: ran.stderr.clone(),
        next_seq: ran.stdout.captured.total_bytes + ran.stderr.captured.total_bytes,
        redactions: 0,
        note: None,
        nothing: None,
    };
    Answer::about(view, &facts, &output, history)
}

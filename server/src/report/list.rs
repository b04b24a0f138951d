//! The runs of a server, as a list.

use super::{status, time, tree};
use crate::runs::{Identity, Snapshot, State};
use nono_schemas::{RunItem, RunList, RunStatus};
use std::fmt::Write;
use std::time::Duration;
use tokio::time::Instant;

/// One run, with what a list says about it.
#[derive(Debug)]
pub(crate) struct Listed {
    /// What it is.
    pub(crate) identity: Identity,
    /// How far it is.
    pub(crate) state: State,
    /// Bytes it has written.
    pub(crate) output_bytes: u64,
    /// What its supervisor sees, if it goes on.
    pub(crate) snapshot: Option<Snapshot>,
}

/// The list, and as text.
pub(crate) fn list(runs: &[Listed], server_age: Duration, now: Instant) -> (RunList, String) {
    let items: Vec<RunItem> = runs.iter().rev().map(|run| item(run, now)).collect();
    let live = items.iter().filter(|i| i.status == RunStatus::Running).count();
    let list = RunList {
        server_age_ms: time::milliseconds(server_age),
        live: u32::try_from(live).unwrap_or(u32::MAX),
        runs: items,
    };
    let text = text(&list);
    (list, text)
}

fn item(run: &Listed, now: Instant) -> RunItem {
    let standing = status::standing(&run.state);
    let sight = run.snapshot.as_ref().map(|s| &s.sight);
    let age = now.saturating_duration_since(run.identity.started);
    let running = standing.status == RunStatus::Running;
    RunItem {
        run_id: run.identity.id.clone(),
        status: standing.status,
        exit_code: standing.exit_code,
        command: run.identity.label.clone(),
        age_ms: time::milliseconds(age),
        output_bytes: run.output_bytes,
        time_left_ms: running.then(|| time::milliseconds(run.identity.time_left(now))),
        listening: sight.map(tree::listening).unwrap_or_default(),
        waiting: sight.and_then(tree::waiting),
    }
}

fn text(list: &RunList) -> String {
    let since = time::duration(Duration::from_millis(list.server_age_ms));
    let mut text = format!("[{} running · server started {since} ago]\n", list.live);
    for run in &list.runs {
        let age = time::duration(Duration::from_millis(run.age_ms));
        let state = match run.exit_code {
            Some(code) => format!("{} {code}", super::text::word(&run.status)),
            None => super::text::word(&run.status),
        };
        // Writing to a string cannot fail.
        let _infallible =
            write!(text, "{}  {state}  started {age} ago  {} bytes", run.run_id, run.output_bytes);
        for socket in &run.listening {
            let _infallible = write!(text, "  listens on {}", socket.address);
        }
        if run.waiting.is_some() {
            text.push_str("  waits for input");
        }
        let _infallible = writeln!(text, "  {}", run.command);
    }
    if list.runs.is_empty() {
        text.push_str("(no runs)\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_does_not_read_like_a_duration() {
        let run = RunItem {
            run_id: "r-1".into(),
            status: RunStatus::Exited,
            exit_code: Some(0),
            command: "true".into(),
            age_ms: 3_000,
            output_bytes: 5,
            time_left_ms: None,
            listening: Vec::new(),
            waiting: None,
        };
        let list = RunList { server_age_ms: 9_000, live: 0, runs: vec![run] };
        let text = text(&list);
        assert!(text.contains("r-1  exited 0  started 3.0s ago  5 bytes  true"), "{text}");
    }
}

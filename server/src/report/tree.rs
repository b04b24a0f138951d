//! The process tree of a run, as results describe it.

use crate::safe_text::clean;
use nono_sandbox::control::{self, ListensAt, Outcome, Seen, Sight};
use nono_schemas::{ListeningItem, ProcessItem, Processes, TreeTier, WaitingItem, WaitsFor};

/// Processes named in a result.
const MAX_PROCESSES: usize = 10;
/// Listening sockets named in a result.
const MAX_LISTENING: usize = 20;

/// Of a run that is over.
pub(super) fn ended(outcome: &Outcome) -> Processes {
    let tree = match outcome.tree {
        control::TreeTier::Namespace => TreeTier::Namespace,
        control::TreeTier::Domain => TreeTier::Domain,
        control::TreeTier::Sweep => TreeTier::Sweep,
    };
    Processes { leftover_killed: outcome.leftover_killed, tree: Some(tree), ..Processes::default() }
}

/// Of a run that goes on.
pub(super) fn running(sight: &Sight) -> Processes {
    Processes {
        running: sight.processes.iter().take(MAX_PROCESSES).map(process).collect(),
        running_total: Some(sight.total),
        listening: listening(sight),
        ..Processes::default()
    }
}

fn process(seen: &Seen) -> ProcessItem {
    let exe = clean::name(&seen.exe);
    ProcessItem { pid: seen.pid, exe, argv0: clean::name(&seen.argv0) }
}

/// Its listening sockets.
pub(super) fn listening(sight: &Sight) -> Vec<ListeningItem> {
    let item = |l: &control::Listening| ListeningItem { address: place(&l.address), pid: l.pid };
    sight.listening.iter().take(MAX_LISTENING).map(item).collect()
}

/// Where a socket listens, in words.
pub(super) fn place(at: &ListensAt) -> String {
    match at {
        ListensAt::Inet(address) => address.to_string(),
        ListensAt::Unix(name) => clean::name(name),
    }
}

/// Who waits for input.
pub(super) fn waiting(sight: &Sight) -> Option<WaitingItem> {
    sight.waiting.as_ref().map(|waiting| WaitingItem {
        on: match waiting.on {
            control::WaitsFor::Stdin => WaitsFor::Stdin,
            control::WaitsFor::Terminal => WaitsFor::Tty,
        },
        pid: waiting.pid,
        exe: clean::name(&waiting.exe),
    })
}

//! What earlier answers said: so that a third try of the same is told apart from a first, and a
//! denial can be asked about by its name. Bounded, and forgotten with the session.

use nono_schemas::DenialItem;
use std::collections::VecDeque;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::{Mutex, PoisonError};

/// Commands remembered with what they met.
const MAX_COMMANDS: usize = 128;
/// Answers remembered with their items.
const MAX_ANSWERS: usize = 32;
/// From this time on, a repetition is told.
const TOLD_FROM: u32 = 3;

/// The memory of one session.
#[derive(Debug, Default)]
pub(crate) struct History(Mutex<Memory>);

#[derive(Debug, Default)]
struct Memory {
    repeats: Repeats,
    answers: VecDeque<(String, Vec<DenialItem>)>,
    /// Whether an answer has described the sandbox.
    described: bool,
    /// Runs that were noted, with what was said of them: the same run may be asked about again.
    noted: VecDeque<(String, Option<u32>)>,
}

/// How often in a row each command met each denial.
#[derive(Debug, Default)]
struct Repeats(VecDeque<Met>);

#[derive(Debug)]
struct Met {
    command: u64,
    /// Denials of the last run, with the number of runs in a row.
    denials: Vec<(u64, u32)>,
}

impl Repeats {
    /// Notes what a command met; how often in a row it has met the most stubborn of that.
    fn note(&mut self, command: u64, denials: &[u64]) -> u32 {
        let at = self.0.iter().position(|m| m.command == command);
        let before = at.and_then(|at| self.0.remove(at)).map(|m| m.denials).unwrap_or_default();
        let times = |d: &u64| before.iter().find(|(known, _)| known == d).map_or(1, |(_, n)| n + 1);
        let denials: Vec<(u64, u32)> = denials.iter().map(|d| (*d, times(d))).collect();
        let most = denials.iter().map(|(_, n)| *n).max().unwrap_or_default();
        if !denials.is_empty() {
            self.0.push_back(Met { command, denials });
        }
        if self.0.len() > MAX_COMMANDS {
            self.0.pop_front();
        }
        most
    }
}

impl History {
    /// Remembers what an answer named: from now on `d1` is one of these. Of a run that goes on there
    /// may be many answers, and the last one counts.
    pub(super) fn show(&self, run_id: &str, items: &[DenialItem]) {
        if items.is_empty() {
            return;
        }
        let mut memory = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        memory.answers.retain(|(known, _)| known != run_id);
        memory.answers.push_back((run_id.to_owned(), items.to_vec()));
        if memory.answers.len() > MAX_ANSWERS {
            memory.answers.pop_front();
        }
    }

    /// Notes what a run met that is over. From the third time in a row that a command meets the same
    /// denial: how often that is.
    pub(super) fn note(
        &self,
        run_id: &str,
        command: &[Vec<u8>],
        items: &[DenialItem],
    ) -> Option<u32> {
        let mut memory = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, said)) = memory.noted.iter().find(|(known, _)| known == run_id) {
            return *said;
        }
        let denials: Vec<u64> =
            items.iter().map(|i| hash(&(i.kind, i.access, &i.target))).collect();
        let times = memory.repeats.note(hash(&command), &denials);
        let said = (times >= TOLD_FROM).then_some(times);
        memory.noted.push_back((run_id.to_owned(), said));
        if memory.noted.len() > MAX_COMMANDS {
            memory.noted.pop_front();
        }
        said
    }

    /// Notes that an answer is about to describe the sandbox; whether one before it has.
    pub(super) fn describe(&self) -> bool {
        let mut memory = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut memory.described, true)
    }

    /// A denial by its name: `d1` is the latest answer's that had one, `RUN:d1` a certain one's.
    pub(crate) fn denial(&self, name: &str) -> Option<DenialItem> {
        let memory = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (run, id) = name.rsplit_once(':').map_or((None, name), |(run, id)| (Some(run), id));
        let of_run = |(known, _): &&(String, Vec<DenialItem>)| run.is_none_or(|r| r == known);
        let mut answers = memory.answers.iter().rev().filter(of_run);
        answers.find_map(|(_, items)| items.iter().find(|i| i.id == id)).cloned()
    }
}

fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repetition_is_the_same_command_and_the_same_denial_in_a_row() {
        let mut repeats = Repeats::default();
        assert_eq!([(); 4].map(|()| repeats.note(1, &[7, 8])), [1, 2, 3, 4]);
        assert_eq!(repeats.note(2, &[7]), 1, "another command");
        assert_eq!(repeats.note(1, &[9]), 1, "another denial");
        assert_eq!(repeats.note(1, &[7]), 1, "not in a row");
        assert_eq!(repeats.note(1, &[]), 0);
    }

    #[test]
    fn memory_is_bounded() {
        let mut repeats = Repeats::default();
        for command in 0..10_000 {
            repeats.note(command, &[1]);
        }
        assert_eq!(repeats.0.len(), MAX_COMMANDS);
    }
}

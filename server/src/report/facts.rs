//! The run and its output, as reports look at them.

use super::cut::Excerpt;
use crate::runs::{Identity, Snapshot, State};
use tokio::time::Instant;

/// What a report needs to know about the run.
#[derive(Debug, Clone)]
pub(crate) struct Facts<'a> {
    /// What the run is.
    pub(crate) identity: &'a Identity,
    /// How far it is.
    pub(crate) state: State,
    /// What its supervisor sees, if it goes on and had the time to say so.
    pub(crate) snapshot: Option<Snapshot>,
    /// Marks lines written by the sandbox; random, made after the output was read.
    pub(crate) nonce: String,
    /// Output bytes in the answer.
    pub(crate) max_output: usize,
    /// When the answer is made.
    pub(crate) now: Instant,
}

/// The output an answer is about.
#[derive(Debug, Clone, Default)]
pub(crate) struct Output {
    /// Of standard output.
    pub(crate) stdout: Excerpt,
    /// Of standard error.
    pub(crate) stderr: Excerpt,
    /// The position behind it.
    pub(crate) next_seq: u64,
    /// Secrets that were taken out of the run's output so far.
    pub(crate) redactions: u64,
    /// What there is to say about how it was chosen.
    pub(crate) note: Option<String>,
    /// What is said in the place of nothing, where lines were picked.
    pub(crate) nothing: Option<&'static str>,
}

impl Output {
    /// Whether there is anything of either stream in it.
    pub(crate) fn has_lines(&self) -> bool {
        [&self.stdout, &self.stderr].iter().any(|excerpt| excerpt.captured.total_lines > 0)
    }
}

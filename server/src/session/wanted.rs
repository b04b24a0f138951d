//! What a session is asked to run.

use crate::runs::{Input, Key};
use crate::sandbox::Sandbox;
use nono_sandbox::plan::Request;
use std::sync::Arc;
use std::time::Duration;

/// Longest command in a list of runs, in characters.
const MAX_LABEL: usize = 80;

/// A call that can be run.
#[derive(Debug)]
pub(crate) struct Wanted {
    /// What it may do.
    pub(crate) sandbox: Arc<Sandbox>,
    /// For the core.
    pub(crate) request: Request,
    /// What the command reads.
    pub(crate) input: Input,
    /// Output bytes in the answer.
    pub(crate) max_output: usize,
    /// When to answer even if the command still runs; the client's usual time if left out.
    pub(crate) yield_after: Option<Duration>,
    /// Under which key the call may be repeated.
    pub(crate) key: Option<Key>,
    /// The command, for people.
    pub(crate) command: String,
}

impl Wanted {
    /// The command, short enough for a list of runs and safe to read.
    pub(crate) fn label(&self) -> String {
        let plain = |c: char| if c.is_control() { ' ' } else { c };
        let mut label: String = self.command.chars().take(MAX_LABEL).map(plain).collect();
        if self.command.chars().nth(MAX_LABEL).is_some() {
            label.push('…');
        }
        label
    }
}

//! What became of a run, as an answer: structured and as text. Pure.

mod clean;
mod cut;
mod denials;
mod fence;
mod grant;
mod status;
#[cfg(test)]
mod tests;
mod text;

use crate::runs::{Ended, Finished};
use globset::GlobSet;
use nono_sandbox::AbsPath;
use nono_sandbox::control::Outcome;
use nono_sandbox::host::LayerState;
use nono_sandbox::policy::{self, Policy};
use nono_schemas::{
    Denials, Enforced, LayerItem, Network, Processes, RunResult, RunStatus, SandboxItem,
};
use std::time::Duration;

pub(crate) use text::report_text;

/// Writable folders named in a result.
const MAX_ROOTS: usize = 8;

/// What a report needs to know about the sandbox.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    /// What commands may do.
    pub(crate) policy: &'a Policy,
    /// Socket paths whose denials stay out of reports.
    pub(crate) suppress: &'a GlobSet,
    /// What is enforced.
    pub(crate) layers: &'a [LayerState],
    /// Whether a path is a folder: folders and files take different grants.
    pub(crate) is_folder: &'a dyn Fn(&AbsPath) -> bool,
}

/// What a report needs to know about the run.
#[derive(Debug, Clone)]
pub(crate) struct Facts {
    /// The run's name.
    pub(crate) run_id: String,
    /// Marks lines written by the sandbox; random, made after the command ended.
    pub(crate) nonce: String,
    /// The wall-clock limit.
    pub(crate) timeout: Duration,
    /// Output bytes in the answer.
    pub(crate) max_output: usize,
}

/// An answer, complete in both forms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    /// The structured form.
    pub(crate) result: RunResult,
    /// The text form.
    pub(crate) text: String,
    /// Whether the command was not run, or not to an end anybody can vouch for.
    pub(crate) is_error: bool,
    /// The nonce of the text form.
    pub(crate) nonce: String,
}

impl Answer {
    /// What became of a run.
    pub(crate) fn finished(view: View<'_>, facts: &Facts, finished: &Finished) -> Self {
        let outcome = match &finished.ended {
            Ended::Outcome(outcome) => Some(outcome),
            Ended::Refused(_) | Ended::Cut | Ended::Lost(_) => None,
        };
        let (denials, hint) =
            outcome.map_or((Denials::default(), None), |o| denials::report(view, &o.denials));
        let verdict = status::verdict(&finished.ended, facts.timeout, finished.wall);
        let shown = cut::both(&finished.stdout, &finished.stderr, facts.max_output);
        let milliseconds = |d: Duration| u64::try_from(d.as_millis()).unwrap_or(u64::MAX);
        let result = RunResult {
            status: verdict.status,
            exit_code: verdict.exit_code,
            signal: verdict.signal,
            run_id: Some(facts.run_id.clone()),
            summary: status::summary(&verdict.sentence, &denials, hint.as_deref()),
            denials,
            sandbox: sandbox(view),
            stdout: shown.stdout,
            stderr: shown.stderr,
            truncation: shown.truncation,
            duration_ms: Some(milliseconds(outcome.map_or(finished.wall, |o| o.duration))),
            cpu_ms: outcome.map(|o| milliseconds(o.cpu)),
            peak_rss_bytes: outcome.map(|o| o.peak_rss_bytes),
            processes: outcome.map(processes),
        };
        let text = text::render(&result, &facts.nonce);
        let is_error = matches!(finished.ended, Ended::Refused(_) | Ended::Lost(_));
        Self { result, text, is_error, nonce: facts.nonce.clone() }
    }

    /// Why nothing was run.
    pub(crate) fn refused(view: View<'_>, sentence: &str) -> Self {
        let result = RunResult {
            status: RunStatus::Refused,
            exit_code: None,
            signal: None,
            run_id: None,
            summary: sentence.to_owned(),
            denials: Denials::default(),
            sandbox: sandbox(view),
            stdout: String::new(),
            stderr: String::new(),
            truncation: None,
            duration_ms: None,
            cpu_ms: None,
            peak_rss_bytes: None,
            processes: None,
        };
        let text = text::render(&result, "");
        Self { result, text, is_error: true, nonce: String::new() }
    }
}

fn processes(outcome: &Outcome) -> Processes {
    Processes { leftover_killed: outcome.leftover_killed }
}

/// The sandbox, as results describe it.
fn sandbox(view: View<'_>) -> SandboxItem {
    let complete = view.layers.iter().all(|l| l.active || !l.required);
    SandboxItem {
        profile: view.policy.name.clone(),
        enforced: if complete { Enforced::Full } else { Enforced::Partial },
        layers: view
            .layers
            .iter()
            .map(|l| LayerItem {
                name: l.name.to_owned(),
                active: l.active,
                detail: (!l.active).then(|| l.detail.clone()),
            })
            .collect(),
        writable_roots: view
            .policy
            .fs
            .writable_roots()
            .into_iter()
            .take(MAX_ROOTS)
            .map(AbsPath::to_string)
            .collect(),
        network: match view.policy.network {
            policy::Network::None => Network::None,
            policy::Network::Open => Network::Open,
        },
    }
}

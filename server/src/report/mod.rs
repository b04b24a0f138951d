//! What became of a run, as an answer: structured and as text. Pure.

mod audited;
mod benign;
mod cut;
mod denials;
mod diagnose;
mod explain;
mod explanation;
mod facts;
mod grant;
mod group;
mod history;
mod in_short;
mod instead;
mod known;
mod later;
mod learn;
mod limits;
mod list;
mod masked;
mod narrowed;
mod network;
mod rank;
mod read_only;
mod risk;
mod root;
mod sandbox;
mod status;
mod subject;
mod summary;
#[cfg(test)]
mod tests;
mod text;
mod time;
mod translate;
mod tree;
mod view;
mod wire;
mod wish;

use crate::runs::{Ended, Finished};
use crate::safe_text::clean;
use nono_schemas::{Denials, RunResult, RunStatus, TextFlags};
use sandbox::{Detail, sandbox};
use time::milliseconds;

pub(crate) use audited::{audit_line, audited};
pub(crate) use cut::Excerpt;
pub(crate) use explain::{Question, explain};
pub(crate) use explanation::{Explanation, Verdict};
pub(crate) use facts::{Facts, Output};
pub(crate) use history::History;
pub(crate) use learn::addition;
pub(crate) use list::{Listed, list};
pub(crate) use status::{LONGER_BY_CALL, standing};
pub(crate) use text::report_text;
pub(crate) use view::{Suppressed, View};

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
    /// What became of a run, or how far it is.
    pub(crate) fn about(
        view: View<'_>,
        facts: &Facts<'_>,
        output: &Output,
        history: &History,
    ) -> Self {
        let run = &facts.identity;
        let over = facts.state.finished();
        let outcome = over.and_then(Finished::outcome);
        let snapshot = facts.snapshot.as_ref().filter(|_| over.is_none());
        let standing = status::told(facts, &view.policy.origins);
        let (denials, mut summary) = diagnose::diagnose(view, facts, output, &standing, history);
        let note = output.note.as_deref().map(clean::line);
        if let Some(note) = &note {
            summary = format!("{summary}; {note}");
        }
        let known = history.describe() && denials.items.is_empty() && view.narrowed.is_empty();
        let detail = if known { Detail::Missing } else { Detail::Whole };
        let shown = cut::both(&output.stdout, &output.stderr, facts.max_output, &run.id);
        let age = facts.now.saturating_duration_since(run.started);
        let wall = outcome.map(|o| o.duration).or(over.map(|f| f.wall)).unwrap_or(age);
        let slowed = outcome.map(|o| o.slowed).or(snapshot.map(|s| s.slowed)).unwrap_or(0);
        let result = RunResult {
            status: standing.status,
            exit_code: standing.exit_code,
            signal: standing.signal,
            run_id: Some(run.id.clone()),
            summary,
            denials,
            sandbox: sandbox(view, detail),
            stdout: shown.stdout,
            stderr: shown.stderr,
            truncation: shown.truncation,
            next_seq: Some(output.next_seq),
            text_flags: flags(shown.flags, output.redactions),
            waiting: snapshot.and_then(|s| tree::waiting(&s.sight)),
            time_left_ms: over.is_none().then(|| milliseconds(run.time_left(facts.now))),
            rate_limited: (slowed > 0).then_some(slowed),
            duration_ms: Some(milliseconds(wall)),
            cpu_ms: outcome.map(|o| milliseconds(o.cpu)),
            peak_rss_bytes: outcome.map(|o| o.peak_rss_bytes),
            processes: outcome
                .map(tree::ended)
                .or(snapshot.map(|snapshot| tree::running(&snapshot.sight))),
        };
        let text = text::render(&result, (note.as_deref(), output.nothing), &facts.nonce);
        let ended = over.map(|f| &f.ended);
        let is_error = matches!(ended, Some(Ended::Refused(_) | Ended::Lost(_)));
        Self { result, text, is_error, nonce: facts.nonce.clone() }
    }

    /// Why nothing was run.
    pub(crate) fn refused(view: View<'_>, sentence: &str) -> Self {
        let result = RunResult {
            status: RunStatus::Refused,
            exit_code: None,
            signal: None,
            run_id: None,
            // It may quote what the caller sent, which may come from the sandboxed side.
            summary: clean::line(sentence),
            denials: Denials::default(),
            sandbox: sandbox(view, Detail::Whole),
            stdout: String::new(),
            stderr: String::new(),
            truncation: None,
            next_seq: None,
            text_flags: None,
            waiting: None,
            time_left_ms: None,
            rate_limited: None,
            duration_ms: None,
            cpu_ms: None,
            peak_rss_bytes: None,
            processes: None,
        };
        let text = text::render(&result, (None, None), "");
        Self { result, text, is_error: true, nonce: String::new() }
    }
}

/// What was done to output, as it is shown and before.
fn flags(shown: Option<TextFlags>, redactions: u64) -> Option<TextFlags> {
    let flags = TextFlags { redactions, ..shown.unwrap_or_default() };
    (flags != TextFlags::default()).then_some(flags)
}

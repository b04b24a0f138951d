//! From a run's records and output to what its answer says about denials.

use super::rank::Evidence;
use super::summary::{Said, summary};
use super::translate::{Known, notes};
use super::{Facts, History, View, clean, denials, masked, status};
use crate::runs::{Captured, Ended, Finished};
use nono_sandbox::control::End;
use nono_schemas::{Denials, RunStatus};

/// The end of each stream that is looked at, in bytes.
const SAID: usize = 4096;

/// The denials of a run, and its summary.
pub(super) fn diagnose(
    view: View<'_>,
    facts: &Facts,
    finished: &Finished,
    verdict: &status::Verdict,
    history: &History,
) -> (Denials, String) {
    let Ended::Outcome(outcome) = &finished.ended else {
        return (Denials::default(), verdict.sentence.clone());
    };
    let succeeded = verdict.status == RunStatus::Exited && verdict.exit_code == Some(0);
    let masked = masked::masked(&facts.argv).filter(|_| succeeded);
    let evidence = Evidence {
        said: tail(&finished.stdout) + "\n" + &tail(&finished.stderr),
        failed: !succeeded,
        masked,
        took_ms: u64::try_from(outcome.duration.as_millis()).unwrap_or(u64::MAX),
    };
    let mut denials = denials::report(view, &outcome.denials, &evidence);
    if denials.total > 0 {
        denials.masked = masked.map(|m| m.words().to_owned());
    }
    if !succeeded || denials.masked.is_some() {
        let known = Known {
            policy: view.policy,
            denials: &denials::kept(view, &outcome.denials),
            exit_code: verdict.exit_code,
            signal: if let End::Signaled(signal) = outcome.end { Some(signal) } else { None },
        };
        denials.notes = notes(known, &evidence.said);
    }
    let repeated = history.note(&facts.run_id, &facts.argv, &denials.items);
    denials.repeated = repeated.filter(|_| !succeeded);
    let (status, exit_code) = (verdict.status, verdict.exit_code);
    let summary = summary(&verdict.sentence, &denials, Said { status, exit_code, masked });
    (denials, summary)
}

/// The end of what a stream said, as text.
fn tail(captured: &Captured) -> String {
    let last = |bytes: &[u8], most: usize| bytes[bytes.len().saturating_sub(most)..].to_vec();
    let end = last(&captured.tail, SAID);
    let mut all = last(&captured.head, SAID - end.len());
    all.extend(end);
    clean::output(&all)
}

//! From a run's records and output to what its answer says about denials.

use super::facts::{Facts, Output};
use super::group::group;
use super::history::History;
use super::known::Known;
use super::rank::{self, Evidence};
use super::summary::{Said, summary};
use super::time::milliseconds;
use super::translate::{notes, unlooked_for_leaks};
use super::view::View;
use super::{denials, limits, masked, status};
use crate::runs::{Captured, Finished};
use crate::safe_text::clean;
use nono_sandbox::AbsPath;
use nono_sandbox::control::End;
use nono_sandbox::record::DenialLog;
use nono_schemas::{Denials, RunStatus};

/// Changed files that are named.
const MOST_CHANGED: usize = 5;
/// The end of each stream that is looked at, in bytes.
const SAID: usize = 4096;

/// The denials of a run, and its summary.
pub(super) fn diagnose(
    view: View<'_>,
    facts: &Facts<'_>,
    output: &Output,
    standing: &status::Standing,
    history: &History,
) -> (Denials, String) {
    let over = facts.state.finished();
    let outcome = over.and_then(Finished::outcome);
    let exceeded = over.and_then(Finished::exceeded);
    // What was refused is known to the supervisor alone; the limit without it as well.
    let untold = exceeded.map(|_| DenialLog::default());
    let log = match over {
        Some(_) => outcome.map(|o| &o.denials).or(untold.as_ref()),
        None => facts.snapshot.as_ref().map(|s| &s.denials),
    };
    let Some(log) = log else { return (Denials::default(), standing.sentence.clone()) };
    let argv = &facts.identity.argv;
    let succeeded = standing.status == RunStatus::Exited && standing.exit_code == Some(0);
    let kept = denials::kept(view, log);
    let said = tail(&output.stdout.captured) + "\n" + &tail(&output.stderr.captured);
    let groups = group(view, &kept);
    let masked = succeeded
        .then(|| masked::masked(argv).or_else(|| rank::complaint(&groups, &said)))
        .flatten();
    let took =
        outcome.map_or(facts.now.saturating_duration_since(facts.identity.started), |o| o.duration);
    let evidence = Evidence {
        said,
        over: over.is_some(),
        failed: over.is_some() && !succeeded,
        masked,
        took_ms: milliseconds(took),
    };
    let mut denials = denials::report(view, log, (&kept, groups), &evidence);
    if denials.total + denials.inferred > 0 {
        denials.masked = masked.map(|m| m.words().to_owned());
    }
    if !succeeded || denials.masked.is_some() {
        let known = Known {
            policy: view.policy,
            denials: &kept,
            exit_code: standing.exit_code,
            signal: match outcome.map(|o| o.end) {
                Some(End::Signaled(signal)) => Some(signal),
                _ => None,
            },
            limit_ran_out: exceeded.is_some(),
            as_root: nix::unistd::geteuid().is_root(),
        };
        denials.notes = notes(known, &evidence.said);
    }
    if over.is_some() {
        denials.notes.extend(unlooked_for_leaks(view.policy, argv, &evidence.said));
    }
    if let Some(outcome) = outcome {
        let told = [
            (&outcome.veiled, veiled_meanwhile as fn(&[AbsPath]) -> String),
            (&outcome.changed, changed_meanwhile),
        ];
        for (paths, note) in told {
            if !paths.is_empty() {
                denials.notes.insert(0, note(paths));
            }
        }
    }
    if let Some(exceeded) = exceeded {
        limits::add(&mut denials, exceeded, view.policy);
    }
    history.show(&facts.identity.id, &denials.items);
    if over.is_some() {
        let repeated = history.note(&facts.identity.id, argv, &denials.items);
        denials.repeated = repeated.filter(|_| !succeeded);
    }
    let (status, exit_code) = (standing.status, standing.exit_code);
    let summary = summary(&standing.sentence, &denials, Said { status, exit_code, masked });
    (denials, summary)
}

/// What is protected and not as it was.
fn changed_meanwhile(changed: &[AbsPath]) -> String {
    format!(
        "protected files changed while this ran, by the run or by somebody else: {}; tell the \
         person you work for to look at them before anything outside of the sandbox uses them",
        some_of(changed)
    )
}

/// Where nobody can say whether what is protected is as it was.
fn veiled_meanwhile(folders: &[AbsPath]) -> String {
    format!(
        "permissions changed while this ran, by the run or by somebody else, so that protected \
         files could not be seen before or cannot be seen now: those of {}; tell the person you \
         work for to look at what is in there before anything outside of the sandbox uses it",
        some_of(folders)
    )
}

/// The first few paths, and how many more there are.
fn some_of(paths: &[AbsPath]) -> String {
    let name = |path: &AbsPath| clean::name(path.as_bytes());
    let shown: Vec<String> = paths.iter().take(MOST_CHANGED).map(name).collect();
    match paths.len() - shown.len() {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// The end of what a stream said, as text.
fn tail(captured: &Captured) -> String {
    let last = |bytes: &[u8], most: usize| bytes[bytes.len().saturating_sub(most)..].to_vec();
    let end = last(&captured.tail, SAID);
    let mut all = last(&captured.head, SAID - end.len());
    all.extend(end);
    clean::output(&all).text
}

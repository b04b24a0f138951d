//! The one line most readers see: the verdict, and what the denials mean for it.

use super::masked::Masked;
use super::text;
use crate::safe_text::clean;
use nono_schemas::{Confidence, DenialItem, Denials, Relevance, RunStatus};

/// What the summary says beyond the verdict.
#[derive(Debug, Clone, Copy)]
pub(super) struct Said {
    pub(super) status: RunStatus,
    pub(super) exit_code: Option<i32>,
    pub(super) masked: Option<Masked>,
}

impl Said {
    /// Whether everything went well, as far as the status tells, so that denials need no words.
    pub(super) fn all_well(self) -> bool {
        self.status == RunStatus::Exited && self.exit_code == Some(0) && self.masked.is_none()
    }
}

/// The summary.
pub(super) fn summary(verdict: &str, denials: &Denials, said: Said) -> String {
    let telling: Vec<&DenialItem> =
        denials.items.iter().filter(|i| i.relevance != Relevance::Benign).collect();
    let Some(first) = telling.first() else { return verdict.to_owned() };
    let mut sentence = verdict.to_owned();
    if let Some(times) = denials.repeated {
        let way = way_out(first);
        return format!(
            "same denial {times} times in a row; unchanged retries cannot succeed{way}; {sentence}: {}",
            named(first)
        );
    }
    let told = if first.confidence == Confidence::Inferred { 0 } else { first.members };
    let more = match (denials.distinct.saturating_sub(told), denials.total) {
        // Of what was only counted nobody knows whether it was another target.
        (0, total) if total > first.count => format!("; {total} refusals in all"),
        (0, _) => String::new(),
        (more, _) => format!("; {more} more denied"),
    };
    if said.all_well() && denials.total == 0 {
        return sentence;
    }
    if said.all_well() {
        let (total, it) = (denials.total, if denials.total == 1 { "denial" } else { "denials" });
        return format!("{sentence}; {total} {it} did not keep it from succeeding");
    }
    if let (Some(0), Some(masked)) = (said.exit_code, said.masked) {
        sentence = format!("{sentence}; {}", masked.words());
    }
    let lead = match first.relevance {
        Relevance::LikelyCause => "likely cause: ",
        _ if first.confidence == Confidence::Inferred => "probably denied: ",
        Relevance::Possible | Relevance::Benign => "denied: ",
    };
    format!("{sentence}; {lead}{}{more}{}", named(first), way_in_short(first))
}

/// `read "/x" denied (d1)`
fn named(item: &DenialItem) -> String {
    let operation = text::word(&item.operation);
    let many = if item.members > 1 { format!("{} in ", item.members) } else { String::new() };
    format!("{operation} {many}{} ({})", clean::quoted(&item.target), item.id)
}

/// What to do without a grant, if there is something.
fn way_in_short(item: &DenialItem) -> String {
    item.alternatives.first().map(|a| format!("; {a}")).unwrap_or_default()
}

/// What would help: an alternative, or the grant only the operator can add.
fn way_out(item: &DenialItem) -> String {
    match (item.alternatives.first(), &item.grant) {
        (Some(way), _) => format!("; instead: {way}"),
        (None, Some(_)) => {
            format!("; ask the operator for the grant of {}, or do without", item.id)
        }
        (None, None) => "; do without it".to_owned(),
    }
}

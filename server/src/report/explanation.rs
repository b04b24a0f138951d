//! An answer of `sandbox_explain`, and how it reads.

use super::text;
use crate::safe_text::clean;
use nono_schemas::{DecidedBy, DenialItem, Grant, Grantable, Risk};
use serde::Serialize;

/// The verdict on a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    /// The sandbox allows it. Ordinary permissions hold as everywhere.
    Allowed,
    /// The sandbox refuses it.
    Denied,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Explanation {
    /// Absent where the answer describes the profile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) verdict: Option<Verdict>,
    /// What was asked about, after symbolic links.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) resolved_target: Option<String>,
    /// The rule that decides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) decided_by: Option<DecidedBy>,
    /// Who can allow it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) grantable: Option<Grantable>,
    /// What the operator could add.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) grant: Option<Grant>,
    /// What that would put at stake.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) risk: Option<Risk>,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) risk_why: Option<String>,
    /// What needs no grant.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) alternatives: Vec<String>,
    /// Anything else.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) notes: Vec<String>,
}

impl Explanation {
    /// An answer that is notes alone.
    pub(crate) fn notes(notes: Vec<String>) -> Self {
        Self {
            verdict: None,
            resolved_target: None,
            decided_by: None,
            grantable: None,
            grant: None,
            risk: None,
            risk_why: None,
            alternatives: Vec::new(),
            notes,
        }
    }

    /// The answer to what the rules allow.
    pub(super) fn allowed(target: String, decided_by: DecidedBy) -> Self {
        Self {
            verdict: Some(Verdict::Allowed),
            resolved_target: Some(target),
            decided_by: Some(decided_by),
            ..Self::notes(Vec::new())
        }
    }

    /// The answer to what was denied already.
    pub(crate) fn denied(item: DenialItem) -> Self {
        Self {
            verdict: Some(Verdict::Denied),
            resolved_target: Some(item.resolved_target.unwrap_or(item.target)),
            decided_by: Some(item.decided_by),
            grantable: Some(item.grantable),
            grant: item.grant,
            risk: item.risk,
            risk_why: item.risk_why,
            alternatives: item.alternatives,
            notes: Vec::new(),
        }
    }

    /// The answer in lines.
    pub(crate) fn text(&self) -> String {
        let mut lines: Vec<String> = Vec::new();
        match (self.verdict, &self.resolved_target) {
            (Some(Verdict::Allowed), Some(target)) => {
                lines.push(format!("allowed: {}", clean::quoted(target)));
            }
            (Some(Verdict::Denied), Some(target)) => {
                lines.push(format!("denied: {}", clean::quoted(target)));
            }
            (Some(verdict), None) => lines.push(text::word(&verdict)),
            (None, _) => {}
        }
        if let Some(by) = &self.decided_by {
            lines.push(format!("why: {} ({}, {})", by.rule, by.layer, by.source));
        }
        if let Some(grant) = &self.grant {
            let json = serde_json::to_string(grant).unwrap_or_default();
            lines.push(format!("the operator can allow it in the profile: {json}"));
        }
        if let (Some(risk), Some(why)) = (self.risk, &self.risk_why) {
            lines.push(format!("risk of that: {}, {why}", text::word(&risk)));
        }
        if !self.alternatives.is_empty() {
            lines.push(format!("without a grant: {}", self.alternatives.join("; or ")));
        }
        lines.extend(self.notes.iter().cloned());
        lines.join("\n") + "\n"
    }
}

//! Narrower policies: what two policies both allow, and what one call asks to do without.
//!
//! Pure: policies in, policy out. Nothing here adds a right that was not there, which
//! `narrow/tests.rs` checks over generated policies.

mod fs;
#[cfg(test)]
mod tests;
mod unix;

pub use fs::Writable;
pub(crate) use fs::{always_writable, without_repetitions};

use crate::nearest::nearest;
use crate::resolve::Resolved;
use nono_sandbox::AbsPath;
use nono_sandbox::policy::{Environment, Network, Policy};
use nono_sandbox::rate::Quota;
use std::collections::BTreeMap;

/// What one call wants to do without.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Narrowing {
    /// Also stay within this profile, one of those the operator listed.
    pub profile: Option<String>,
    /// No more network than this.
    pub network: Option<Network>,
    /// Write nowhere but here, in the private temporary folder and to devices.
    pub writable: Option<Vec<Writable>>,
}

/// Why a call cannot have what it asks for. Each message says what would be possible.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NarrowError {
    /// The operator has not listed that profile.
    #[error("profile `{name}` cannot be chosen; {suggestion}")]
    UnknownProfile {
        /// The name.
        name: String,
        /// What can be chosen.
        suggestion: String,
    },
    /// More network than the profile has.
    #[error(
        "network {} was asked for, and the profile has {}; a call can only have less", name(.asked), name(.has)
    )]
    WiderNetwork {
        /// What was asked for.
        asked: Network,
        /// What the profile has.
        has: Network,
    },
    /// A folder that is not writable anyway.
    #[error(
        "{path} is not writable by the profile, so a call cannot ask for it; writable: {}", list(.roots)
    )]
    NotWritable {
        /// The folder.
        path: AbsPath,
        /// What is.
        roots: Vec<AbsPath>,
    },
}

fn name(network: &Network) -> &'static str {
    match network {
        Network::None => "none",
        Network::Open => "open",
    }
}

fn list(paths: &[AbsPath]) -> String {
    if paths.is_empty() {
        return "nothing".to_owned();
    }
    paths.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// The policy of one call: `base`, and of `listed` the profile it names, without what it wants to
/// do without. `listed` holds the profiles the operator offers, each resolved in the same context.
///
/// The result allows nothing that `base` does not allow.
///
/// # Errors
/// [`NarrowError`] if the call asks for something `base` does not have, so that nobody believes to
/// have it.
pub fn narrow(
    base: &Resolved,
    listed: &BTreeMap<String, Policy>,
    wanted: &Narrowing,
) -> Result<Policy, NarrowError> {
    let mut policy = match &wanted.profile {
        None => base.policy.clone(),
        Some(name) => {
            let chosen = listed.get(name).ok_or_else(|| unknown(name, listed))?;
            Policy { name: name.clone(), ..intersection(&base.policy, chosen) }
        }
    };
    if let Some(asked) = wanted.network {
        if asked > policy.network {
            return Err(NarrowError::WiderNetwork { asked, has: policy.network });
        }
        policy.network = asked;
    }
    if let Some(writable) = &wanted.writable {
        fs::write_only(&mut policy, writable)?;
        unix::bind_only(&mut policy, writable);
    }
    Ok(policy)
}

fn unknown(name: &str, listed: &BTreeMap<String, Policy>) -> NarrowError {
    let names: Vec<&str> = listed.keys().map(String::as_str).collect();
    let suggestion = match (nearest(name, names.iter().copied()), names.is_empty()) {
        (Some(near), _) => format!("did you mean `{near}`?"),
        (None, true) => "the operator offers none beside the server's own".to_owned(),
        (None, false) => format!("to choose from: {}", names.join(", ")),
    };
    NarrowError::UnknownProfile { name: name.to_owned(), suggestion }
}

/// What both policies allow. Name, workspaces, temporary folder, reports and the values of
/// variables are those of `a`, and so are the places rules were written at.
#[must_use]
pub(crate) fn intersection(a: &Policy, b: &Policy) -> Policy {
    Policy {
        name: a.name.clone(),
        fs: fs::intersection(&a.fs, &b.fs),
        unix: unix::intersection(&a.unix, &b.unix),
        network: a.network.min(b.network),
        environment: environment(&a.environment, &b.environment),
        rate: Quota {
            per_second: a.rate.per_second.min(b.rate.per_second),
            burst: a.rate.burst.min(b.rate.burst),
        },
        observe: a.observe,
        limits: a.limits.lowered_by(&b.limits),
        isolation: a.isolation.max(b.isolation),
    }
}

/// Variables both have; what `b` lacks is withheld.
fn environment(a: &Environment, b: &Environment) -> Environment {
    let mut both = a.clone();
    both.variables.retain(|name, _| b.variables.contains_key(name));
    both.withheld
        .extend(a.variables.keys().filter(|name| !both.variables.contains_key(*name)).cloned());
    both.withheld.sort_unstable();
    both.withheld.dedup();
    both
}

//! Narrower policies: what two policies both allow, and what one call asks to do without.
//!
//! Pure: policies in, policy out. Nothing here adds a right that was not there, which
//! `narrow/tests.rs` checks over generated policies.

mod error;
mod fs;
#[cfg(test)]
mod tests;
mod unix;

pub use error::NarrowError;
pub use fs::Writable;
pub(crate) use fs::{always_writable, without_repetitions};

use crate::nearest::nearest;
use nono_sandbox::policy::{
    Environment, Hiding, Limit, Limits, Mediation, NetworkMode, Origin, Policy, Tmp,
};
use nono_sandbox::rate::Quota;
use std::collections::BTreeMap;

/// What one call wants to do without.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Narrowing {
    /// Also stay within this profile, one of those the operator listed.
    pub profile: Option<String>,
    /// No more network than this.
    pub network: Option<NetworkMode>,
    /// Write nowhere but here, in the private temporary folder and to devices.
    pub writable: Option<Vec<Writable>>,
    /// No more of the machine than this.
    pub limits: Limits,
}

/// The operator's profile, and those a call may choose, each within it.
#[derive(Debug, Clone)]
pub struct Offer {
    own: Policy,
    others: BTreeMap<String, Policy>,
}

impl Offer {
    /// Only the operator's profile.
    #[must_use]
    pub fn new(own: Policy) -> Self {
        Self { own, others: BTreeMap::new() }
    }

    /// Lets calls choose `policy` by `name`; what they get is what both it and the operator's
    /// profile allow. Resolved in the same context as that.
    pub fn add(&mut self, name: &str, policy: &Policy) {
        let within = Policy { name: name.to_owned(), ..intersection(&self.own, policy) };
        self.others.insert(name.to_owned(), within);
    }

    /// The operator's profile.
    #[must_use]
    pub fn own(&self) -> &Policy {
        &self.own
    }

    /// What a call may choose, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.others.keys().map(String::as_str)
    }

    /// The policy of one call: of the profile it names, or else the operator's, without what it
    /// wants to do without. It allows nothing that the operator's profile does not allow.
    ///
    /// # Errors
    /// [`NarrowError`] if the call asks for something that is not there, so that nobody believes to
    /// have it.
    pub fn narrow(&self, wanted: &Narrowing) -> Result<Policy, NarrowError> {
        let chosen = match &wanted.profile {
            None => &self.own,
            Some(name) => self.others.get(name).ok_or_else(|| self.unknown(name))?,
        };
        let mut policy = chosen.clone();
        if let Some(asked) = wanted.network {
            let has = policy.network.mode;
            if asked > has {
                return Err(NarrowError::WiderNetwork { asked, has });
            }
            if asked < has {
                policy.network.mode = asked;
                policy.origins.set("network.mode", Origin::Call);
            }
        }
        if let Some(writable) = &wanted.writable {
            fs::write_only(&mut policy, writable)?;
            unix::bind_only(&mut policy, writable);
        }
        lower(&mut policy, &wanted.limits)?;
        Ok(policy)
    }

    fn unknown(&self, name: &str) -> NarrowError {
        let names: Vec<&str> = self.names().collect();
        let suggestion = match (nearest(name, names.iter().copied()), names.is_empty()) {
            (Some(near), _) => format!("did you mean `{near}`?"),
            (None, true) => {
                "the operator offers none beside the server's own; leave `profile` out".to_owned()
            }
            (None, false) => format!("to choose from: {}", names.join(", ")),
        };
        NarrowError::UnknownProfile { name: name.to_owned(), suggestion }
    }
}

/// Lowers the limits a call asks to be lower.
fn lower(policy: &mut Policy, wanted: &Limits) -> Result<(), NarrowError> {
    for limit in Limit::ALL {
        let Some(asked) = wanted.get(limit) else { continue };
        let has = policy.limits.get(limit);
        if let Some(has) = has.filter(|has| asked > *has) {
            let origin = policy.origins.of(limit.field()).clone();
            return Err(NarrowError::WiderLimit { limit, asked, has, origin: Box::new(origin) });
        }
        if has != Some(asked) {
            policy.limits.set(limit, asked);
            policy.origins.set(limit.field(), Origin::Call);
        }
    }
    Ok(())
}

/// What both policies allow. Name, workspaces, temporary folder, reports and the values of
/// variables are those of `a`, and so are the places rules were written at. A single value comes
/// from wherever it is narrower.
#[must_use]
pub(crate) fn intersection(a: &Policy, b: &Policy) -> Policy {
    let mut both = Policy {
        name: a.name.clone(),
        fs: fs::intersection(&a.fs, &b.fs),
        unix: unix::intersection(&a.unix, &b.unix),
        network: a.network.intersection(&b.network),
        environment: environment(&a.environment, &b.environment),
        rate: Quota {
            per_second: a.rate.per_second.min(b.rate.per_second),
            burst: a.rate.burst.min(b.rate.burst),
        },
        observe: a.observe,
        limits: a.limits,
        isolation: a.isolation.max(b.isolation),
        origins: a.origins.clone(),
    };
    let off = |policy: &Policy| policy.unix.mediation == Mediation::Off;
    let shows = |policy: &Policy| policy.fs.hiding == Hiding::Off;
    let shares = |policy: &Policy| policy.fs.tmp == Tmp::Machine;
    let narrower = [
        ("network.mode", b.network.mode < a.network.mode),
        ("linux.af_unix_mediation", off(a) && !off(b)),
        ("linux.af_unix_datagram", a.unix.datagrams && !b.unix.datagrams),
        ("filesystem.private_tmp", shares(a) && !shares(b)),
        ("filesystem.hide_denied", shows(a) && !shows(b)),
        ("isolation", b.isolation > a.isolation),
        ("network.isolate", b.network.isolate > a.network.isolate),
        ("rate.per_second", b.rate.per_second < a.rate.per_second),
        ("rate.burst", b.rate.burst < a.rate.burst),
    ];
    for (field, _) in narrower.into_iter().filter(|(_, narrower)| *narrower) {
        both.origins.set(field, b.origins.of(field).clone());
    }
    for limit in Limit::ALL {
        let Some(most) = b.limits.get(limit) else { continue };
        if a.limits.get(limit).is_none_or(|own| most < own) {
            both.limits.set(limit, most);
            both.origins.set(limit.field(), b.origins.of(limit.field()).clone());
        }
    }
    both
}

/// Variables both have; what `b` lacks is withheld.
fn environment(a: &Environment, b: &Environment) -> Environment {
    let mut both = a.clone();
    both.variables.retain(|name, _| b.variables.contains_key(name));
    both.credentials.retain(|name, _| b.credentials.contains_key(name));
    both.withheld
        .extend(a.variables.keys().filter(|name| !both.variables.contains_key(*name)).cloned());
    both.withheld.sort_unstable();
    both.withheld.dedup();
    both
}

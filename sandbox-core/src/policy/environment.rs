//! Which environment variables a command sees.

use super::Source;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Name patterns are globs over the whole name (`LC_*`); compiling and matching them is the work
/// of whoever resolves the profile, so the core only carries the outcome.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Environment {
    /// Variables passed through or set, already resolved against the server's own environment.
    pub variables: BTreeMap<String, Vec<u8>>,
    /// Names of variables that existed and were withheld, for the explain tool. Names only.
    pub withheld: Vec<String>,
    /// Variables that hold secrets of the operator, with the line that says so. Whoever makes a
    /// request adds the values; a policy has none, so that it can be shown.
    pub credentials: BTreeMap<String, Source>,
}

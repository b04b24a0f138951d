//! Where single values of a policy come from. Rules carry their source themselves.

use super::Source;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// Where one value comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Origin {
    /// It is written in a profile.
    Written(Source),
    /// The call that started the run asked for it.
    Call,
    /// No profile says anything about it.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Written(source) => source.fmt(f),
            Self::Call => f.write_str("the call"),
            Self::Default => f.write_str("the default, no profile sets it"),
        }
    }
}

/// Where the single values come from, by their field, such as `limits.memory_bytes`. What is not
/// listed is the default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origins(BTreeMap<String, Origin>);

impl Origins {
    /// Where the value of `field` comes from.
    #[must_use]
    pub fn of(&self, field: &str) -> &Origin {
        self.0.get(field).unwrap_or(&Origin::Default)
    }

    /// The value of `field` comes from there.
    pub fn set(&mut self, field: &str, origin: Origin) {
        match origin {
            Origin::Default => self.0.remove(field),
            origin => self.0.insert(field.to_owned(), origin),
        };
    }
}

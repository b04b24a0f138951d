//! Why a call cannot have what it asks for.

use nono_sandbox::AbsPath;
use nono_sandbox::policy::{Limit, NetworkMode, Origin};

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
        "network {asked} was asked for, and the profile has {has}; a call can only have less: leave `network` out"
    )]
    WiderNetwork {
        /// What was asked for.
        asked: NetworkMode,
        /// What the profile has.
        has: NetworkMode,
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
    /// A higher limit than the profile's.
    #[error(
        "{} {asked} was asked for, and a run may have {has} ({origin}); a call can only lower it: ask for at most {has}, or leave it out", .limit.field()
    )]
    WiderLimit {
        /// Which one.
        limit: Limit,
        /// What was asked for.
        asked: u64,
        /// What there is.
        has: u64,
        /// Who says so.
        origin: Box<Origin>,
    },
}

fn list(paths: &[AbsPath]) -> String {
    if paths.is_empty() {
        return "nothing".to_owned();
    }
    paths.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

//! What `filesystem.deny` lists, and the server's own files: what no grant opens.

use super::Source;
use crate::AbsPath;
use serde::{Deserialize, Serialize};

/// A file, or a folder with everything below it, that no rule opens. It may be missing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Denied {
    /// Where it is: canonical as far as it existed when the profile was resolved.
    pub path: AbsPath,
    /// The line of a profile that closes it; `None` for the server's own files, which are closed
    /// whatever a profile says.
    pub source: Option<Source>,
}

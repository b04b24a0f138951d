//! What stays as it is in trees that may be written: files that something outside of the sandbox
//! runs or obeys later.

use super::Source;
use crate::AbsPath;
use serde::{Deserialize, Serialize};

/// A file, or a folder with everything below it, that no command may change, replace or make,
/// although what holds it may be written. It may be missing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// Where it is: canonical as far as it existed when the profile was resolved.
    pub path: AbsPath,
    /// Where it was written.
    pub source: Source,
}

impl Kept {
    /// Whether `path` is it or lies in it.
    #[must_use]
    pub fn holds(&self, path: &AbsPath) -> bool {
        path.is_within(&self.path)
    }

    /// Whether something else at the name `path` would be something else here: `path` is it, lies
    /// in it, or is a folder on the way to it.
    #[must_use]
    pub fn goes_with(&self, path: &AbsPath) -> bool {
        self.holds(path) || self.path.is_below(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_to_it_counts_where_names_are_moved() {
        let path = |p: &str| AbsPath::new(p).unwrap();
        let source = Source { profile: "t".into(), rule: "r".into(), line: None };
        let kept = Kept { path: path("/ws/.git/hooks"), source };
        for inside in ["/ws/.git/hooks", "/ws/.git/hooks/pre-commit"] {
            assert!(kept.holds(&path(inside)) && kept.goes_with(&path(inside)), "{inside}");
        }
        for above in ["/ws/.git", "/ws"] {
            assert!(!kept.holds(&path(above)) && kept.goes_with(&path(above)), "{above}");
        }
        for beside in ["/ws/.git/hooks2", "/ws/.git/HEAD", "/ws/x"] {
            assert!(!kept.goes_with(&path(beside)), "{beside}");
        }
    }
}

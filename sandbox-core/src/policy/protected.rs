//! What `filesystem.protect` lists: what stays as it is in trees that may be written, because
//! something outside of the sandbox runs or obeys it later.

use super::Source;
use crate::AbsPath;
use serde::{Deserialize, Serialize};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

/// A file, or a folder with everything below it, that no command may change, replace or make,
/// although what holds it may be written. It may be missing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Protected {
    /// Where it is: canonical as far as it existed when the profile was resolved.
    pub path: AbsPath,
    /// Where it was written.
    pub source: Source,
    /// Whether its file system takes other spellings of a name for the same.
    pub any_case: bool,
}

/// What stays as it is wherever it is found when a run starts. There may be more of it than when the
/// profile was resolved: somebody outside adds a work tree or a submodule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProtectedPattern {
    /// The tree that it lies in, canonical.
    pub root: AbsPath,
    /// Names below it, each a plain one or a glob.
    pub names: Vec<String>,
    /// Where it was written.
    pub source: Source,
    /// As in [`Protected`].
    pub any_case: bool,
}

/// What spellings that a file system may take for the same have in common: case, and what HFS+
/// leaves out of names (as git's `core.protectHFS` has it). More is taken for the same than any one
/// file system does.
#[must_use]
pub(super) fn folded(path: &[u8]) -> Vec<u8> {
    let Ok(text) = std::str::from_utf8(path) else { return path.to_ascii_lowercase() };
    let left_out = |c: char| matches!(c, '\u{200c}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{206a}'..='\u{206f}' | '\u{feff}');
    // Both ways: some letters have the same capital only, others the same small one.
    let capital = text.chars().filter(|c| !left_out(*c)).flat_map(char::to_uppercase);
    capital.flat_map(char::to_lowercase).collect::<String>().into_bytes()
}

/// The same, of a path: equal for spellings that a file system may take for the same.
#[must_use]
pub fn any_spelling(path: &AbsPath) -> Vec<u8> {
    folded(path.as_bytes())
}

impl Protected {
    /// Whether `path` is it or lies in it.
    #[must_use]
    pub fn holds(&self, path: &AbsPath) -> bool {
        self.compare(path, |path, protected| path.is_within(protected))
    }

    /// Whether replacing or moving what is at `path` would change what is protected: `path` is the
    /// protected thing itself, lies in it, or is a folder on the way to it.
    #[must_use]
    pub fn goes_with(&self, path: &AbsPath) -> bool {
        self.compare(path, |path, protected| path.is_within(protected) || protected.is_below(path))
    }

    fn compare(&self, path: &AbsPath, say: impl Fn(&AbsPath, &AbsPath) -> bool) -> bool {
        if !self.any_case {
            return say(path, &self.path);
        }
        let plain = |path: &AbsPath| AbsPath::new(OsStr::from_bytes(&folded(path.as_bytes())));
        match (plain(path), plain(&self.path)) {
            (Ok(path), Ok(protected)) => say(&path, &protected),
            // Folding makes no path into none; were it so, everything would stay as it is.
            _ => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_to_it_counts_where_names_are_moved() {
        let path = |p: &str| AbsPath::new(p).unwrap();
        let source = Source { profile: "t".into(), rule: "r".into(), line: None };
        let protected = Protected { path: path("/ws/.git/hooks"), source, any_case: false };
        for inside in ["/ws/.git/hooks", "/ws/.git/hooks/pre-commit"] {
            assert!(
                protected.holds(&path(inside)) && protected.goes_with(&path(inside)),
                "{inside}"
            );
        }
        for above in ["/ws/.git", "/ws"] {
            assert!(!protected.holds(&path(above)) && protected.goes_with(&path(above)), "{above}");
        }
        for beside in ["/ws/.git/hooks2", "/ws/.git/HEAD", "/ws/x"] {
            assert!(!protected.goes_with(&path(beside)), "{beside}");
        }
        let spelled = "/WS/.GIT/Hooks/pre-commit";
        assert!(!protected.holds(&path(spelled)));
        let protected = Protected { any_case: true, ..protected };
        // The last: a long s, a Kelvin sign, and a character that HFS+ leaves out.
        for inside in [spelled, "/ws/.git/hooks", "/ws/.g\u{200c}it/hoo\u{212a}\u{17f}/x"] {
            assert!(protected.holds(&path(inside)), "{inside}");
        }
        assert!(protected.goes_with(&path("/ws/.Git")) && !protected.holds(&path("/ws/.Git")));
        assert!(!protected.goes_with(&path("/ws/.github")));
    }
}

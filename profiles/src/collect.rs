//! What stays as it is, each thing once.

use nono_sandbox::AbsPath;
use nono_sandbox::policy::{Protected, any_spelling};
use std::collections::HashSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// A collection without repetitions: nothing is in it that lies in something else that is. A
/// repository has a dozen entries and a command can make thousands, so none is compared with all.
#[derive(Debug, Default)]
pub(crate) struct Collected {
    all: Vec<Protected>,
    paths: HashSet<PathBuf>,
    /// Of those that count however they are spelled.
    spellings: HashSet<Vec<u8>>,
}

impl Collected {
    /// Adds what is not in something that is there already.
    pub(crate) fn add(&mut self, protected: Protected) {
        if self.holds(&protected.path) {
            return;
        }
        self.paths.insert(protected.path.as_path().to_path_buf());
        if protected.any_case {
            self.spellings.insert(any_spelling(&protected.path));
        }
        self.all.push(protected);
    }

    fn holds(&self, path: &AbsPath) -> bool {
        let spelled = || {
            let folded = any_spelling(path);
            let mut holders = Path::new(OsStr::from_bytes(&folded)).ancestors();
            holders.any(|holder| self.spellings.contains(holder.as_os_str().as_bytes()))
        };
        path.as_path().ancestors().any(|holder| self.paths.contains(holder))
            || (!self.spellings.is_empty() && spelled())
    }

    /// In the order of adding, without what something that came later holds.
    pub(crate) fn finish(self) -> Vec<Protected> {
        let Self { all, paths, .. } = self;
        let alone = |protected: &Protected| {
            !protected.path.as_path().ancestors().skip(1).any(|holder| paths.contains(holder))
        };
        all.into_iter().filter(alone).collect()
    }
}

impl FromIterator<Protected> for Collected {
    fn from_iter<I: IntoIterator<Item = Protected>>(protected: I) -> Self {
        let mut collected = Self::default();
        protected.into_iter().for_each(|protected| collected.add(protected));
        collected
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nono_sandbox::policy::Source;

    #[test]
    fn nothing_is_there_twice() {
        let protected = |path: &str, any_case| Protected {
            path: AbsPath::new(path).unwrap(),
            source: Source { profile: "t".into(), rule: path.into(), line: None },
            any_case,
        };
        let paths = |all: &[(&str, bool)]| -> Vec<String> {
            let all: Collected =
                all.iter().map(|(path, any_case)| protected(path, *any_case)).collect();
            all.finish().iter().map(|protected| protected.path.to_string()).collect()
        };
        assert_eq!(paths(&[("/a/b", false), ("/a", false), ("/a/c", false)]), ["/a"]);
        assert_eq!(paths(&[("/a", false), ("/ab", false), ("/A/b", false)]), ["/a", "/ab", "/A/b"]);
        assert_eq!(paths(&[("/a", true), ("/A/b", false), ("/b", false)]), ["/a", "/b"]);
    }
}

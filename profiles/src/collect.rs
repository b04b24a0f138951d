//! What stays as it is, each thing once.

use nono_sandbox::AbsPath;
use nono_sandbox::policy::{Kept, any_spelling};
use std::collections::HashSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// A collection without repetitions: nothing is in it that lies in something else that is. A
/// repository has a dozen entries and a command can make thousands, so none is compared with all.
#[derive(Debug, Default)]
pub(crate) struct Collected {
    all: Vec<Kept>,
    paths: HashSet<PathBuf>,
    /// Of those that count however they are spelled.
    spellings: HashSet<Vec<u8>>,
}

impl Collected {
    /// Adds what is not in something that is there already.
    pub(crate) fn add(&mut self, kept: Kept) {
        if self.holds(&kept.path) {
            return;
        }
        self.paths.insert(kept.path.as_path().to_path_buf());
        if kept.any_case {
            self.spellings.insert(any_spelling(&kept.path));
        }
        self.all.push(kept);
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
    pub(crate) fn finish(self) -> Vec<Kept> {
        let Self { all, paths, .. } = self;
        let alone = |kept: &Kept| {
            !kept.path.as_path().ancestors().skip(1).any(|holder| paths.contains(holder))
        };
        all.into_iter().filter(alone).collect()
    }
}

impl FromIterator<Kept> for Collected {
    fn from_iter<I: IntoIterator<Item = Kept>>(kept: I) -> Self {
        let mut collected = Self::default();
        kept.into_iter().for_each(|kept| collected.add(kept));
        collected
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nono_sandbox::policy::Source;

    #[test]
    fn nothing_is_there_twice() {
        let kept = |path: &str, any_case| Kept {
            path: AbsPath::new(path).unwrap(),
            source: Source { profile: "t".into(), rule: path.into(), line: None },
            any_case,
        };
        let paths = |all: &[(&str, bool)]| -> Vec<String> {
            let all: Collected = all.iter().map(|(path, any_case)| kept(path, *any_case)).collect();
            all.finish().iter().map(|kept| kept.path.to_string()).collect()
        };
        assert_eq!(paths(&[("/a/b", false), ("/a", false), ("/a/c", false)]), ["/a"]);
        assert_eq!(paths(&[("/a", false), ("/ab", false), ("/A/b", false)]), ["/a", "/ab", "/A/b"]);
        assert_eq!(paths(&[("/a", true), ("/A/b", false), ("/b", false)]), ["/a", "/b"]);
    }
}

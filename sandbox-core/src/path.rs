//! Absolute paths that are safe to compare.

use serde::{Deserialize, Serialize};
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};

/// An absolute path without `.`, `..`, repeated slashes or NUL bytes.
///
/// Paths are bytes, not text. They are normal, so equal paths have equal bytes. Whether one holds
/// another is a question of components, never of a string prefix. The type says nothing about
/// symbolic links: whoever makes a policy out of a path canonicalises it first.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "Vec<u8>", into = "Vec<u8>")]
// Not a `PathBuf`: that one is taken apart to be compared. A policy has more than a hundred rules,
// and asking them all would cost a watched call more than everything else.
pub struct AbsPath(OsString);

/// Why a path cannot be an [`AbsPath`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// The path does not start with `/`.
    #[error("path is not absolute: {0:?}")]
    Relative(PathBuf),
    /// The path contains `..`, which cannot be compared without looking at the file system.
    #[error("path contains `..`: {0:?}")]
    ParentComponent(PathBuf),
    /// The path contains a NUL byte, which no system call can take.
    #[error("path contains a NUL byte: {0:?}")]
    Nul(PathBuf),
}

impl AbsPath {
    /// Checks and normalises `path`.
    ///
    /// # Errors
    /// [`PathError`] names what is wrong with it.
    pub fn new(path: impl Into<PathBuf>) -> Result<Self, PathError> {
        let path = path.into();
        if path.as_os_str().as_bytes().contains(&0) {
            return Err(PathError::Nul(path));
        }
        if is_normal(path.as_os_str().as_bytes()) {
            return Ok(Self(path.into_os_string()));
        }
        if !path.is_absolute() {
            return Err(PathError::Relative(path));
        }
        if path.components().any(|c| c == Component::ParentDir) {
            return Err(PathError::ParentComponent(path));
        }
        Ok(Self(path.components().collect::<PathBuf>().into_os_string()))
    }

    /// The root directory.
    #[must_use]
    pub fn root() -> Self {
        Self(OsString::from("/"))
    }

    /// The path as the standard library's type.
    #[must_use]
    pub fn as_path(&self) -> &Path {
        Path::new(&self.0)
    }

    /// The path's bytes, without a terminator.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// Whether `self` is `tree` or lies below it.
    #[must_use]
    pub fn is_within(&self, tree: &AbsPath) -> bool {
        match self.as_bytes().strip_prefix(tree.as_bytes()) {
            // Only the root ends with a slash.
            Some([] | [b'/', ..]) => true,
            Some(_) => tree.as_bytes() == b"/",
            None => false,
        }
    }

    /// Whether `self` lies below `tree` and is not `tree` itself.
    #[must_use]
    pub fn is_below(&self, tree: &AbsPath) -> bool {
        self != tree && self.is_within(tree)
    }

    /// The directory that holds this path; `None` for `/`.
    #[must_use]
    pub fn parent(&self) -> Option<AbsPath> {
        self.as_path().parent().map(|p| Self(p.into()))
    }

    /// The last component; `None` for `/`.
    #[must_use]
    pub fn file_name(&self) -> Option<&OsStr> {
        self.as_path().file_name()
    }

    /// This path with one more component.
    ///
    /// # Errors
    /// [`PathError::ParentComponent`] or [`PathError::Nul`] if `name` is not a plain component.
    pub fn join(&self, name: impl AsRef<Path>) -> Result<AbsPath, PathError> {
        AbsPath::new(self.as_path().join(name))
    }
}

/// A path that stands in the code. One that no [`AbsPath`] can have is no wrong path in a running
/// program: as a constant, it does not compile.
///
/// ```
/// use nono_sandbox::StaticPath;
/// const TMP: StaticPath = StaticPath::new("/tmp");
/// assert_eq!(TMP.to_path().as_bytes(), b"/tmp");
/// ```
/// ```compile_fail
/// use nono_sandbox::StaticPath;
/// const TMP: StaticPath = StaticPath::new("tmp");
/// TMP.to_path();
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StaticPath(&'static str);

impl StaticPath {
    /// For constants.
    ///
    /// # Panics
    /// If the path is not absolute and normal; of a constant, while it is compiled.
    #[must_use]
    pub const fn new(path: &'static str) -> Self {
        assert!(is_normal(path.as_bytes()), "a path in the code is absolute and normal");
        Self(path)
    }

    /// The path as all others are.
    #[must_use]
    pub fn to_path(self) -> AbsPath {
        AbsPath(OsString::from(self.0))
    }
}

impl PartialEq<StaticPath> for AbsPath {
    fn eq(&self, other: &StaticPath) -> bool {
        self.as_bytes() == other.0.as_bytes()
    }
}

/// Whether nothing is left to normalise. Most paths are like that, and every mediated call makes
/// one, so they are not taken apart and put together again.
const fn is_normal(path: &[u8]) -> bool {
    let [b'/', below @ ..] = path else { return false };
    let mut rest = below;
    // Of the name that is looked at: how long it is so far, and whether it is nothing but dots.
    let (mut length, mut dots) = (0, true);
    while let [byte, more @ ..] = rest {
        match *byte {
            0 => return false,
            b'/' if dots && length <= 2 => return false,
            b'/' => (length, dots) = (0, true),
            byte => (length, dots) = (length + 1, dots && byte == b'.'),
        }
        rest = more;
    }
    below.is_empty() || !dots || length > 2
}

impl AsRef<Path> for AbsPath {
    fn as_ref(&self) -> &Path {
        self.as_path()
    }
}

impl TryFrom<Vec<u8>> for AbsPath {
    type Error = PathError;
    fn try_from(bytes: Vec<u8>) -> Result<Self, PathError> {
        Self::new(OsString::from_vec(bytes))
    }
}

impl From<AbsPath> for Vec<u8> {
    fn from(path: AbsPath) -> Self {
        path.0.into_vec()
    }
}

impl fmt::Debug for AbsPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Lossy for bytes that are not UTF-8; for messages, never for decisions.
impl fmt::Display for AbsPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_path().display().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn p(s: &str) -> AbsPath {
        AbsPath::new(s).unwrap()
    }

    #[test]
    fn comparison_is_by_component() {
        assert!(p("/home/user/x").is_within(&p("/home/user")));
        assert!(p("/home/user").is_within(&p("/home/user")));
        assert!(!p("/home/user").is_below(&p("/home/user")));
        assert!(!p("/home/username").is_within(&p("/home/user")));
        assert!(p("/anything").is_within(&AbsPath::root()));
        assert!(AbsPath::root().is_within(&AbsPath::root()));
        assert!(!AbsPath::root().is_within(&p("/home")));
    }

    #[test]
    fn normalises_and_refuses() {
        assert_eq!(p("//a/./b/"), p("/a/b"));
        for written in ["/a/b/", "/a//b", "/./a/b", "//a/b", "/a/b/.", "/a/b//"] {
            assert_eq!(p(written).as_bytes(), b"/a/b", "{written}");
        }
        for normal in ["/", "/a", "/a/b", "/.a/..b/c."] {
            assert_eq!(p(normal).as_bytes(), normal.as_bytes());
        }
        assert_eq!(p("//").as_bytes(), b"/");
        assert!(p("/dev/pts") == StaticPath::new("/dev/pts"));
        assert!(matches!(AbsPath::new("/a/.."), Err(PathError::ParentComponent(_))));
        assert!(matches!(AbsPath::new("a"), Err(PathError::Relative(_))));
        assert!(matches!(AbsPath::new("/a/../b"), Err(PathError::ParentComponent(_))));
        assert!(matches!(AbsPath::new("/a\0b"), Err(PathError::Nul(_))));
    }
}

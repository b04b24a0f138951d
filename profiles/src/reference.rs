//! How a profile is named.

use std::convert::Infallible;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// A profile, by name or by file.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ProfileRef {
    /// A built-in profile, or one in the user's profile folder.
    Name(String),
    /// A file. Relative paths are relative to the process's working directory.
    File(PathBuf),
}

/// What contains a `/` or ends in `.json` or `.jsonc` is a file, everything else a name.
impl FromStr for ProfileRef {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        let is_file = text.contains('/') || text.ends_with(".json") || text.ends_with(".jsonc");
        Ok(if is_file { Self::File(text.into()) } else { Self::Name(text.to_owned()) })
    }
}

impl From<&str> for ProfileRef {
    fn from(text: &str) -> Self {
        match text.parse() {
            Ok(reference) => reference,
            Err(never) => match never {},
        }
    }
}

impl Default for ProfileRef {
    /// `coding`.
    fn default() -> Self {
        Self::Name("coding".to_owned())
    }
}

impl fmt::Display for ProfileRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::File(path) => path.display().fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_files() {
        let name = |s: &str| ProfileRef::Name(s.to_owned());
        let file = |s: &str| ProfileRef::File(s.into());
        for (text, expected) in [
            ("coding", name("coding")),
            ("./coding", file("./coding")),
            ("a/b", file("a/b")),
            ("mine.json", file("mine.json")),
            ("mine.jsonc", file("mine.jsonc")),
            ("json", name("json")),
            ("", name("")),
        ] {
            assert_eq!(ProfileRef::from(text), expected, "{text:?}");
        }
    }
}

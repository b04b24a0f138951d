//! Why a profile cannot be used.

use crate::context::OWN;
use nono_sandbox::AbsPath;
use nono_sandbox::policy::Source;
use std::fmt;
use std::io;
use std::path::PathBuf;

/// Why a profile cannot be used. Every message names the file or folder to change.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// The file cannot be read.
    #[error("cannot read profile {}: {source}", .file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file cannot be written.
    #[error("cannot write profile {}: {source}", .file.display())]
    Write {
        /// The file.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is not JSON with comments.
    #[error("{at}: {message}")]
    Syntax {
        /// Where.
        at: Location,
        /// What is wrong.
        message: String,
    },
    /// A field or an entry of a list is not what it should be.
    #[error("{at}: {field}: {message}")]
    Field {
        /// Where.
        at: Location,
        /// The field, such as `filesystem.read[2]`, or the entry, such as `filesystem.read: /usr`.
        field: String,
        /// What is wrong, and what would be right.
        message: String,
    },
    /// There is no profile of that name.
    #[error("unknown profile `{name}`; {suggestion}")]
    UnknownName {
        /// The name.
        name: String,
        /// Names there are, and how to name a file.
        suggestion: String,
    },
    /// There is no group of that name.
    #[error("{}: {}: unknown group `{name}`; {suggestion}", Location::of(.entry), .entry.rule)]
    UnknownGroup {
        /// The entry that names it.
        entry: Box<Source>,
        /// The name.
        name: String,
        /// Names there are.
        suggestion: String,
    },
    /// Profiles extend each other in a circle.
    #[error("profiles extend each other in a circle: {}", .chain.join(" -> "))]
    Cycle {
        /// The circle, first profile repeated at the end.
        chain: Vec<String>,
    },
    /// Profiles extend each other through too many levels.
    #[error(
        "profile {profile} is extended through more than {limit} levels; make the chain shorter"
    )]
    TooDeep {
        /// The profile at which loading stopped.
        profile: String,
        /// Levels allowed.
        limit: usize,
    },
    /// A profile is made of too many others.
    #[error("profile {profile} would be made of more than {limit} profiles; extend fewer")]
    TooMany {
        /// The profile at which loading stopped.
        profile: String,
        /// Profiles allowed.
        limit: usize,
    },
    /// The context names no workspace.
    #[error("no workspace; name at least one existing project folder")]
    NoWorkspace,
    /// A workspace or the temporary folder is missing or not a folder.
    #[error("{what} {path} cannot be used: {source}")]
    Folder {
        /// `workspace` or `temporary folder`.
        what: &'static str,
        /// The folder.
        path: AbsPath,
        /// What the system said.
        source: io::Error,
    },
    /// A workspace would open what must stay closed.
    #[error("workspace {opening}; {advice}")]
    WorkspaceOpensDenied {
        /// The workspace and what it would open.
        opening: Box<Opening>,
        /// What to do.
        advice: &'static str,
    },
    /// A grant would open what must stay closed.
    #[error("{}: {}: {opening}; {advice}", Location::of(&.opening.grant), .opening.grant.rule)]
    GrantOpensDenied {
        /// The grant and what it would open.
        opening: Box<Opening>,
        /// What to do.
        advice: &'static str,
    },
}

/// A granted path and the denied one it would open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opening {
    /// The entry that grants.
    pub grant: Source,
    /// What it resolved to.
    pub path: AbsPath,
    /// How the two lie to each other.
    pub relation: Relation,
    /// The denied path.
    pub denied: AbsPath,
    /// The entry that denies it.
    pub denied_by: Source,
}

impl fmt::Display for Opening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, relation, denied, denied_by, .. } = self;
        write!(f, "{path} {relation} {denied}, ")?;
        if denied_by.profile == OWN {
            return f.write_str("which stays closed: it is the server's own");
        }
        write!(f, "which stays closed ({denied_by})")
    }
}

impl ProfileError {
    /// A [`ProfileError::Field`] about the entry at `source`.
    pub(crate) fn entry(source: &Source, message: impl Into<String>) -> Self {
        Self::Field {
            at: Location::of(source),
            field: source.rule.clone(),
            message: message.into(),
        }
    }
}

/// How a granted path lies to a denied one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    /// They are the same.
    Is,
    /// The granted tree contains the denied path.
    Contains,
    /// The granted path lies below the denied one.
    IsBelow,
}

impl fmt::Display for Relation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Is => "is",
            Self::Contains => "contains",
            Self::IsBelow => "is below",
        })
    }
}

/// A line of a profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// The file as it was named, or the built-in profile.
    pub file: String,
    /// The line, counted from 1, if it is known.
    pub line: Option<u32>,
    /// The character in that line, counted from 1, if it is known.
    pub column: Option<u32>,
}

impl Location {
    pub(crate) fn of(source: &Source) -> Self {
        Self { file: source.profile.clone(), line: source.line, column: None }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        for number in [self.line, self.column].into_iter().flatten() {
            write!(f, ":{number}")?;
        }
        Ok(())
    }
}

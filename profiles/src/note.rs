//! What resolution left out or did, for people who ask.

use nono_sandbox::policy::Source;
use std::fmt;

/// One thing an entry did not do as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// What kind of thing.
    pub kind: NoteKind,
    /// The entry.
    pub source: Source,
    /// The sentence, without the entry.
    pub message: String,
    /// Whether the entry belongs to a built-in profile.
    pub built_in: bool,
}

/// Kinds of [`Note`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoteKind {
    /// The path does not exist; the grant was left out.
    Missing,
    /// A variable of the entry has no value here; the entry was left out.
    Unset,
    /// The path cannot be looked at; the grant was left out.
    Unreachable,
    /// The path is of the wrong kind for its field; the grant was left out.
    WrongKind,
    /// The path came from an environment variable and would open what stays closed; left out.
    WouldOpenDenied,
    /// The path leads over a symbolic link that commands can put elsewhere; the grant was left out.
    Led,
    /// The path is of one process, and commands are others; the grant was left out.
    OneProcess,
    /// The grant was narrowed around what stays closed.
    Narrowed,
    /// The glob means nothing; it was left out and hides nothing.
    InvalidGlob,
    /// The folder was missing and has been made.
    Created,
    /// A condition of the entry does not hold here; the entry was left out.
    Elsewhere,
    /// The profile takes out an entry that is not there.
    NothingToRemove,
    /// A project file asks for more than the operator's profile allows; ignored.
    Widening,
    /// A variable that makes programs load code is named by a pattern only; withheld.
    Loader,
    /// What commands may write includes something the server itself depends on.
    OwnProgram,
    /// A profile of the user's folder has the name of a built-in one and is not used.
    Shadowed,
}

impl Note {
    /// Whether an operator should see the note unasked. Built-in profiles name many paths that
    /// only some machines have, so what is missing counts only for profiles of the operator.
    #[must_use]
    pub fn is_warning(&self) -> bool {
        match self.kind {
            NoteKind::Missing | NoteKind::Unset => !self.built_in,
            NoteKind::Created | NoteKind::Narrowed | NoteKind::Elsewhere => false,
            NoteKind::Unreachable | NoteKind::WrongKind => !self.built_in,
            NoteKind::WouldOpenDenied
            | NoteKind::Led
            | NoteKind::OneProcess
            | NoteKind::InvalidGlob
            | NoteKind::NothingToRemove
            | NoteKind::Widening
            | NoteKind::Loader
            | NoteKind::OwnProgram
            | NoteKind::Shadowed => true,
        }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.source, self.source.rule, self.message)
    }
}

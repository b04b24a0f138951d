//! Credentials: which variables hold secrets, and where the operator keeps those.
//!
//! Nothing is read or run here. What comes out says where to look; whoever starts commands does so.

use crate::context::Context;
use crate::error::ProfileError;
use crate::layer::{CredentialEntry, From, Layer, Sourced};
use crate::note::{Note, NoteKind};
use crate::place::Places;
use nono_sandbox::AbsPath;
use nono_sandbox::policy::{Access, FsPolicy, Lookup, Source};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// A variable that holds a secret of the operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    /// The variable.
    pub name: String,
    /// Where the secret is.
    pub from: CredentialFrom,
    /// Where that is written.
    pub source: Source,
}

/// Where a secret is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CredentialFrom {
    /// In this file.
    File(PathBuf),
    /// In what this program writes to standard output.
    Command(PathBuf, Vec<OsString>),
}

/// The credentials of `layer`, sorted by name. Where a variable is named more than once, the last
/// profile decides.
pub(crate) fn resolve(
    layer: &Layer,
    context: &Context,
    notes: &mut Vec<Note>,
) -> Result<Vec<Credential>, ProfileError> {
    let mut last: BTreeMap<&str, &Sourced<CredentialEntry>> = BTreeMap::new();
    for entry in &layer.credentials.added {
        last.insert(&entry.value.name, entry);
    }
    let mut credentials = Vec::new();
    for (name, entry) in last {
        match from(&entry.value.from, context) {
            Ok(from) => {
                let source = entry.source.clone();
                credentials.push(Credential { name: name.to_owned(), from, source });
            }
            Err(Unusable::Unset(message)) => notes.push(Note {
                kind: NoteKind::Unset,
                source: entry.source.clone(),
                message,
                built_in: entry.built_in,
            }),
            Err(Unusable::Wrong(message)) => {
                return Err(ProfileError::entry(&entry.source, message));
            }
        }
    }
    Ok(credentials)
}

enum Unusable {
    Unset(String),
    Wrong(String),
}

fn from(from: &From, context: &Context) -> Result<CredentialFrom, Unusable> {
    match from {
        From::File(template) => {
            let expanded = template.expand(context).map_err(Unusable::Unset)?;
            let [only] = expanded.as_slice() else {
                let message = "a credential's file is one file; write its path";
                return Err(Unusable::Wrong(message.to_owned()));
            };
            let mut path = only.base.clone();
            path.extend(&only.components);
            Ok(CredentialFrom::File(path))
        }
        From::Command(words) => {
            let words: Result<Vec<OsString>, String> =
                words.iter().map(|word| word.expand(context)).collect();
            let words = words.map_err(Unusable::Unset)?;
            match words.split_first() {
                Some((program, arguments)) if Path::new(program).is_absolute() => {
                    Ok(CredentialFrom::Command(program.into(), arguments.to_vec()))
                }
                _ => Err(Unusable::Wrong(
                    "the program is named by its absolute path, so that nobody can put another in \
                     its place"
                        .to_owned(),
                )),
            }
        }
    }
}

/// Makes sure that commands can change nothing that the server runs or reads for a credential
/// *outside* of the sandbox: the program, files among its arguments, the profile that names it.
pub(crate) fn check(
    credentials: &[Credential],
    fs: &FsPolicy,
    context: &Context,
    places: &mut Places,
) -> Result<(), ProfileError> {
    // Whatever this profile says of workspaces: under another one they may have been writable, and
    // this one may have been written by a command.
    let can_change = |end: &AbsPath| {
        context.all_workspaces().any(|workspace| end.is_within(workspace)) || can_change(fs, end)
    };
    for credential in credentials {
        let CredentialFrom::Command(program, arguments) = &credential.from else { continue };
        let profile = PathBuf::from(&credential.source.profile);
        let named = arguments.iter().map(PathBuf::from).chain([profile]);
        // A built-in profile has no file.
        let files = named.filter(|path| path.exists()).chain([program.clone()]);
        for file in files {
            let ends = std::path::absolute(&file)
                .and_then(|path| places.both_ends(&path))
                .map_err(|e| refused(credential, &format!("{}: {e}", file.display())))?;
            if let Some(end) = ends.iter().find(|end| can_change(end)) {
                let message = format!(
                    "commands can change {end}, and this runs outside of the sandbox; move it out \
                     of what they may write"
                );
                return Err(refused(credential, &message));
            }
        }
    }
    Ok(())
}

/// What is kept as it is counts: it lies in a tree that may be written.
fn can_change(fs: &FsPolicy, path: &AbsPath) -> bool {
    let open = |answer| matches!(answer, Lookup::Allowed | Lookup::Protected(_));
    open(fs.lookup(path, Access::WRITE)) || open(fs.lookup_name(path, Access::WRITE))
}

fn refused(credential: &Credential, message: &str) -> ProfileError {
    ProfileError::entry(&credential.source, message)
}

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
use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
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
    Command(OwnProgram),
}

/// A program of the operator's that runs outside of the sandbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnProgram {
    /// Its absolute path.
    pub program: PathBuf,
    /// What follows it.
    pub arguments: Vec<OsString>,
    /// All variables that it sees.
    pub environment: BTreeMap<OsString, OsString>,
    /// Those that the server has and it does not, because commands can change what they name.
    pub withheld: Vec<OsString>,
}

impl OwnProgram {
    /// Where it runs: a folder in which nothing is found that a command left. A relative path among
    /// its arguments starts here.
    pub const FOLDER: &str = "/";
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
                    Ok(CredentialFrom::Command(OwnProgram {
                        program: program.into(),
                        arguments: arguments.to_vec(),
                        // Nothing, until it is known what commands can change.
                        environment: BTreeMap::new(),
                        withheld: Vec::new(),
                    }))
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
/// *outside* of the sandbox: the program, files among its arguments, the profile that names it. What
/// it would find by its environment is kept from it.
pub(crate) fn guarded(
    mut credentials: Vec<Credential>,
    fs: &FsPolicy,
    context: &Context,
    places: &mut Places,
) -> Result<Vec<Credential>, ProfileError> {
    // Whatever this profile says of workspaces: under another one they may have been writable, and
    // this one may have been written by a command.
    let can_change = |end: &AbsPath| {
        context.all_workspaces().any(|workspace| end.is_within(workspace)) || can_change(fs, end)
    };
    let seen = OnceCell::new();
    for credential in &mut credentials {
        let CredentialFrom::Command(own) = &mut credential.from else { continue };
        let profile = PathBuf::from(&credential.source.profile);
        let named =
            own.arguments.iter().map(|argument| Path::new(OwnProgram::FOLDER).join(argument));
        // A built-in profile has no file.
        let files = named.chain([profile]).filter(|path| path.exists());
        for file in files.chain([own.program.clone()]) {
            let ends = std::path::absolute(&file)
                .and_then(|path| places.both_ends(&path))
                .map_err(|e| refused(&credential.source, &format!("{}: {e}", file.display())))?;
            if let Some(end) = ends.iter().find(|end| can_change(end)) {
                let message = format!(
                    "commands can change {end}, and this runs outside of the sandbox; move it out \
                     of what they may write"
                );
                return Err(refused(&credential.source, &message));
            }
        }
        let names_changeable = |path: &Path| {
            let ends = places.both_ends(path).unwrap_or_default();
            ends.into_iter().chain(AbsPath::new(path)).any(|end| can_change(&end))
        };
        let guard = || guarded_environment(&context.environment, names_changeable);
        (own.environment, own.withheld) = seen.get_or_init(guard).clone();
    }
    Ok(credentials)
}

/// Of the server's environment, what names nothing that commands can change, and the names of the
/// rest. `PATH` is for the programs that the operator's own one starts: it keeps its other folders.
fn guarded_environment(
    all: &BTreeMap<OsString, OsString>,
    mut names_changeable: impl FnMut(&Path) -> bool,
) -> (BTreeMap<OsString, OsString>, Vec<OsString>) {
    let (mut kept, mut withheld) = (BTreeMap::new(), Vec::new());
    for (name, value) in all {
        if name == "PATH" {
            let usable = |folder: &PathBuf| folder.is_absolute() && !names_changeable(folder);
            let folders: Vec<PathBuf> = std::env::split_paths(value).filter(usable).collect();
            // An empty list would mean the folder that it runs in. What was split at colons can be
            // joined.
            if !folders.is_empty()
                && let Ok(path) = std::env::join_paths(folders)
            {
                kept.insert(name.clone(), path);
            }
        } else if paths_in(value).any(&mut names_changeable) {
            withheld.push(name.clone());
        } else {
            kept.insert(name.clone(), value.clone());
        }
    }
    (kept, withheld)
}

/// Absolute paths in a variable: all of it, an element of a list, or the value of an option
/// (`--require=/x`).
fn paths_in(value: &OsStr) -> impl Iterator<Item = &Path> {
    let parts = value.as_bytes().split(|b| b":;,=".contains(b) || b.is_ascii_whitespace());
    parts.filter(|part| part.starts_with(b"/")).map(|part| Path::new(OsStr::from_bytes(part)))
}

/// What is protected counts: it lies in a tree that may be written.
fn can_change(fs: &FsPolicy, path: &AbsPath) -> bool {
    let open = |answer| matches!(answer, Lookup::Allowed | Lookup::Protected(_));
    open(fs.lookup(path, Access::WRITE)) || open(fs.lookup_name(path, Access::WRITE))
}

fn refused(source: &Source, message: &str) -> ProfileError {
    ProfileError::entry(source, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_that_names_what_commands_can_change_is_withheld() {
        let all = [
            ("HOME", "/home/u"),
            ("LANG", "C.UTF-8"),
            ("NODE_OPTIONS", "--max-old-space-size=1 --require=/ws/hook.js"),
            ("PATH", "/ws/node_modules/.bin:.:/usr/bin::/bin"),
            ("PWD", "/ws"),
            ("PYTHONPATH", "/usr/lib/own:/ws/lib"),
        ];
        let all = all.map(|(name, value)| (OsString::from(name), OsString::from(value)));
        let changeable = |path: &Path| path.starts_with("/ws");
        let (kept, withheld) = guarded_environment(&BTreeMap::from(all), changeable);
        let kept: Vec<_> = kept.iter().map(|(n, v)| (n.to_str(), v.to_str())).collect();
        let expected = [("HOME", "/home/u"), ("LANG", "C.UTF-8"), ("PATH", "/usr/bin:/bin")];
        assert_eq!(kept, expected.map(|(name, value)| (Some(name), Some(value))));
        assert_eq!(withheld, ["NODE_OPTIONS", "PWD", "PYTHONPATH"]);
    }
}

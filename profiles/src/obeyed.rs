//! The profiles themselves: whoever can change one chooses what the next server allows.
//!
//! One in a tree that commands may write is kept as it is. It is not refused, because people keep
//! profiles beside what they work on; they are told, because nothing but a look at each call stands
//! behind that where there are no namespaces.

use crate::collect::Collected;
use crate::context::{Context, OWN};
use crate::error::ProfileError;
use crate::extends::Library;
use crate::note::{Note, NoteKind};
use crate::place::{self, Places};
use nono_sandbox::AbsPath;
use nono_sandbox::policy::{Access, FsRule, Protected, Source};
use std::path::{Path, PathBuf};

/// Adds to what is `protected` the files of the profile that is resolved and of those the server
/// obeys beside it, as far as `rules` let them be written.
pub(crate) fn add(
    files: &[PathBuf],
    rules: &[FsRule],
    context: &Context,
    places: &mut Places,
    notes: &mut Vec<Note>,
    protected: &mut Collected,
) -> Result<(), ProfileError> {
    let library = Library::of(context);
    let mut all = files.to_vec();
    for beside in &context.own.profiles {
        all.extend(library.load(beside)?.files);
    }
    all.sort_unstable();
    all.dedup();
    for file in all {
        let source = |at: &dyn std::fmt::Display| {
            let rule = format!("a profile that is obeyed: {at}");
            Source { profile: OWN.to_owned(), rule, line: None }
        };
        let failed = |error| {
            ProfileError::entry(&source(&file.display()), format!("cannot be located: {error}"))
        };
        let mut told = false;
        for path in ways(&file, places).map_err(failed)? {
            let writable =
                |rule: &&FsRule| rule.access.contains(Access::WRITE) && rule.covers(&path);
            let Some(rule) = rules.iter().find(writable) else { continue };
            if !told {
                notes.push(note(rule, &path));
            }
            told = true;
            let any_case = path.parent().is_some_and(|f| place::ignores_case(f.as_path()));
            protected.add(Protected { source: source(&path), path, any_case });
        }
    }
    Ok(())
}

/// Everything that decides which file it is: itself, where it leads, and the links on the way.
fn ways(file: &Path, places: &mut Places) -> std::io::Result<Vec<AbsPath>> {
    let path = std::path::absolute(file)?;
    let mut all = places.both_ends(&path)?;
    all.extend(place::links(&path));
    all.sort_unstable();
    all.dedup();
    Ok(all)
}

fn note(rule: &FsRule, path: &AbsPath) -> Note {
    Note {
        kind: NoteKind::OwnProgram,
        source: rule.source.clone(),
        message: format!(
            "{} contains {path}, a profile that this server obeys; commands cannot change it while \
             they are in namespaces, and may get around that where there are none: move it out of \
             what they may write, to the folder of profiles (`nono-mcp profile list`), say",
            rule.path
        ),
        built_in: false,
    }
}

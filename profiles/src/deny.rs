//! What must stay closed.

use crate::context::{Context, OWN};
use crate::credentials::{Credential, CredentialFrom};
use crate::error::ProfileError;
use crate::layer::{Deny, Layer, Sourced};
use crate::note::{Note, NoteKind};
use crate::place::{DotNames, Places};
use crate::variables::Origin;
use nono_sandbox::AbsPath;
use nono_sandbox::policy::{self, Source};
use std::path::{Path, PathBuf};

/// A path that stays closed.
#[derive(Debug, Clone)]
pub(crate) struct Denied {
    pub(crate) path: AbsPath,
    pub(crate) source: Source,
    /// Where the path came from.
    pub(crate) origin: Origin,
    /// Who closes it.
    pub(crate) closed_by: ClosedBy,
}

/// Who closes a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ClosedBy {
    /// A profile.
    Profile,
    /// The server, whatever profiles say.
    Server,
}

impl Denied {
    /// As the policy has it.
    pub(crate) fn settled(self) -> policy::Denied {
        let source = (self.closed_by == ClosedBy::Profile).then_some(self.source);
        policy::Denied { path: self.path, source }
    }
}

/// The paths the `deny` entries of `layer` mean: where each lies, and, if that is a symbolic link,
/// where it leads. They need not exist.
pub(crate) fn denied(
    layer: &Layer,
    context: &Context,
    places: &mut Places,
    notes: &mut Vec<Note>,
) -> Result<Vec<Denied>, ProfileError> {
    let mut all = own_files(context, places)?;
    let other = context.other_home.as_deref().map(|home| context.at_home(home));
    for deny in &layer.denies.added {
        let denied = denied_paths(deny, context, places, notes)?;
        // There only what there is: nothing says that what comes to be is anybody's secret.
        let elsewhere = match &other {
            Some(other) => denied_paths(deny, other, places, &mut Vec::new())?,
            None => Vec::new(),
        };
        let elsewhere = elsewhere
            .into_iter()
            .filter(|found| !denied.contains(found) && found.0.symlink_metadata().is_ok());
        for (path, origin) in denied.iter().cloned().chain(elsewhere) {
            all.extend(closed(&path, &deny.source, origin, places)?);
        }
    }
    Ok(all)
}

/// Where a path lies and where it leads. Failing closed: one that cannot be located cannot be kept
/// closed.
fn closed(
    path: &Path,
    source: &Source,
    origin: Origin,
    places: &mut Places,
) -> Result<Vec<Denied>, ProfileError> {
    let ends = places
        .both_ends(path)
        .map_err(|error| ProfileError::entry(source, format!("{}: {error}", path.display())))?;
    let closed_by = ClosedBy::Profile;
    let denied = |path| Denied { path, source: source.clone(), origin, closed_by };
    Ok(ends.into_iter().map(denied).collect())
}

/// What the server itself depends on, whatever the profile says.
fn own_files(context: &Context, places: &mut Places) -> Result<Vec<Denied>, ProfileError> {
    let named = context.own.closed.iter().map(|path| path.as_path().to_path_buf());
    let mut all = Vec::new();
    for path in context.own_folder().into_iter().chain(named) {
        let rule = format!("always closed: {}", path.display());
        let source = Source { profile: OWN.to_owned(), rule, line: None };
        let closed = closed(&path, &source, Origin::Written, places)?;
        all.extend(closed.into_iter().map(|p| Denied { closed_by: ClosedBy::Server, ..p }));
    }
    Ok(all)
}

/// Files that hold secrets. Commands get the secret and never the file: in it, a secret could be
/// changed, and where it lies says more than its name.
pub(crate) fn credential_files(
    credentials: &[Credential],
    places: &mut Places,
) -> Result<Vec<Denied>, ProfileError> {
    let mut all = Vec::new();
    for credential in credentials {
        let CredentialFrom::File(file) = &credential.from else { continue };
        all.extend(closed(file, &credential.source, Origin::Written, places)?);
    }
    Ok(all)
}

fn denied_paths(
    deny: &Sourced<Deny>,
    context: &Context,
    places: &mut Places,
    notes: &mut Vec<Note>,
) -> Result<Vec<(PathBuf, Origin)>, ProfileError> {
    let expanded = match deny.value.template.expand(context) {
        Ok(expanded) => expanded,
        Err(message) => {
            let (source, built_in) = (deny.source.clone(), deny.built_in);
            notes.push(Note { kind: NoteKind::Unset, source, message, built_in });
            return Ok(Vec::new());
        }
    };
    let mut paths = Vec::new();
    for expanded in expanded {
        let found = places
            .paths(&expanded, DotNames::Match)
            .map_err(|message| ProfileError::entry(&deny.source, message))?;
        paths.extend(found.into_iter().map(|path| (path, expanded.origin)));
    }
    Ok(paths)
}

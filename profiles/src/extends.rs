//! Follows `extends`.

use crate::error::ProfileError;
use crate::layer::Layer;
use crate::load::Document;
use crate::reference::ProfileRef;
use std::path::PathBuf;

/// Levels of `extends`, the profile itself not counted.
const MAX_LEVELS: usize = 10;

/// Loads the profile `reference` names with everything it extends.
pub(crate) fn load(reference: &ProfileRef) -> Result<(String, Layer), ProfileError> {
    let document = Document::load(reference)?;
    let name = document.name.clone();
    let layer = with_bases(&document, &mut vec![identity(reference)])?;
    Ok((name, layer))
}

/// Lays `document` over its bases. `path` leads from the first profile to this one.
fn with_bases(document: &Document, path: &mut Vec<ProfileRef>) -> Result<Layer, ProfileError> {
    if path.len() > MAX_LEVELS + 1 {
        let profile = document.label.clone();
        return Err(ProfileError::TooDeep { profile, limit: MAX_LEVELS });
    }
    let mut base = Layer::default();
    let names = document.file.extends.as_ref().map_or(&[][..], |extends| extends.names());
    for (index, name) in names.iter().enumerate() {
        let reference = document.referenced(name);
        let identity = identity(&reference);
        if let Some(start) = path.iter().position(|earlier| *earlier == identity) {
            let circle = path.iter().skip(start).chain([&identity]);
            return Err(ProfileError::Cycle { chain: circle.map(ToString::to_string).collect() });
        }
        let found = Document::load(&reference).map_err(|error| match error {
            ProfileError::UnknownName { .. } | ProfileError::Read { .. } => {
                ProfileError::entry(&extends_source(document, index, name), error.to_string())
            }
            other => other,
        })?;
        path.push(identity);
        base = with_bases(&found, path)?.over(base);
        path.pop();
    }
    Ok(Layer::of(document)?.over(base))
}

fn extends_source(document: &Document, index: usize, name: &str) -> nono_sandbox::policy::Source {
    match document.file.extends {
        Some(nono_schemas::profile_file::Extends::Many(_)) => {
            document.entry("extends", index, name)
        }
        _ => document.field("extends", name),
    }
}

/// What makes two references the same profile: a file counts by where it really is.
fn identity(reference: &ProfileRef) -> ProfileRef {
    match reference {
        ProfileRef::Name(name) => ProfileRef::Name(name.clone()),
        ProfileRef::File(path) => {
            ProfileRef::File(std::fs::canonicalize(path).unwrap_or_else(|_| PathBuf::from(path)))
        }
    }
}

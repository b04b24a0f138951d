//! From text to a checked [`ProfileFile`] that knows the place of each entry.

mod check;
#[cfg(test)]
mod tests;
mod text;

pub(crate) use text::Links;

use crate::error::{Location, ProfileError};
use crate::reference::ProfileRef;
use check::FieldError;
use nono_sandbox::policy::Source;
use nono_schemas::profile_file::{Extends, ProfileFile};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use text::{Newlines, Position};

/// A profile file, checked, with what its entries need to be traced back to it.
#[derive(Debug)]
pub(crate) struct Document {
    /// What the file says.
    pub(crate) file: ProfileFile,
    /// The profile's name, as results show it.
    pub(crate) name: String,
    /// What diagnostics call it: the built-in name or the file's path.
    pub(crate) label: String,
    /// Folder that relative paths in `extends` start from; `None` for a built-in profile.
    pub(crate) folder: Option<PathBuf>,
    /// Where each field and entry is, by path such as `filesystem.read[2]`.
    places: BTreeMap<String, Position>,
}

impl Document {
    /// Reads the profile in a file. Relative paths start from the process's working directory; see
    /// [`Document::referenced`] for those named in `extends`.
    pub(crate) fn read(path: &Path, links: Links) -> Result<Self, ProfileError> {
        Self::of_file(path, &Self::text(path, links)?)
    }

    /// What a file holds, unchecked.
    pub(crate) fn text(path: &Path, links: Links) -> Result<String, ProfileError> {
        text::read(path, links)
            .map_err(|source| ProfileError::Read { file: path.to_path_buf(), source })
    }

    /// The profile that a file with this text has.
    pub(crate) fn of_file(path: &Path, text: &str) -> Result<Self, ProfileError> {
        let stem = path.file_stem().unwrap_or(path.as_os_str()).to_string_lossy();
        let folder = path.parent().unwrap_or(Path::new("")).to_path_buf();
        Self::parse(text, &stem, &path.display().to_string(), Some(folder))
    }

    /// Reads a built-in profile.
    pub(crate) fn built_in(name: &str, text: &str) -> Result<Self, ProfileError> {
        Self::parse(text, name, name, None)
    }

    /// The profile that `text` in this document's `extends` means.
    pub(crate) fn referenced(&self, text: &str) -> ProfileRef {
        match (ProfileRef::from(text), &self.folder) {
            (ProfileRef::File(path), Some(folder)) => ProfileRef::File(folder.join(path)),
            (reference, _) => reference,
        }
    }

    /// What the profile starts from, each with the entry that says so.
    pub(crate) fn bases(&self) -> Vec<(String, Source)> {
        match &self.file.extends {
            None => Vec::new(),
            Some(Extends::One(name)) => vec![(name.clone(), self.field("extends", name))],
            Some(Extends::Many(names)) => {
                let entry = |(index, name): (usize, &String)| {
                    (name.clone(), self.entry("extends", index, name))
                };
                names.iter().enumerate().map(entry).collect()
            }
        }
    }

    pub(crate) fn parse(
        text: &str,
        default_name: &str,
        label: &str,
        folder: Option<PathBuf>,
    ) -> Result<Self, ProfileError> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let newlines = Newlines::of(text);
        let at = |offset| {
            let Position { line, column } = newlines.position(offset);
            Location { file: label.to_owned(), line: Some(line), column: Some(column) }
        };
        let root = text::parse(text)
            .map_err(|(offset, message)| ProfileError::Syntax { at: at(offset), message })?;
        let mut places = BTreeMap::new();
        let json = check::convert(&root, &newlines, &mut places).map_err(
            |FieldError { offset, field, message }| ProfileError::Field {
                at: at(offset),
                field,
                message,
            },
        )?;
        // The schema has said yes already; this can only fail if it and the types disagree.
        let file: ProfileFile = serde_json::from_value(json)
            .map_err(|e| ProfileError::Syntax { at: at(0), message: e.to_string() })?;
        let name = file.meta.as_ref().and_then(|m| m.name.clone());
        Ok(Self {
            name: name.unwrap_or_else(|| default_name.to_owned()),
            label: label.to_owned(),
            folder,
            file,
            places,
        })
    }

    /// Whether the profile came with the program.
    pub(crate) fn is_built_in(&self) -> bool {
        self.folder.is_none()
    }

    /// Where the single value of `field` is written.
    pub(crate) fn field(&self, field: &str, value: &str) -> Source {
        self.source(field, field, value)
    }

    /// Where entry `index` of the list `field` is written.
    pub(crate) fn entry(&self, field: &str, index: usize, value: &str) -> Source {
        self.source(&format!("{field}[{index}]"), field, value)
    }

    /// An error about the value of `field`.
    pub(crate) fn refuse_field(&self, field: &str, value: &str, message: String) -> ProfileError {
        self.refuse(field, &self.field(field, value), message)
    }

    /// An error about entry `index` of the list `field`.
    pub(crate) fn refuse_entry(
        &self,
        field: &str,
        index: usize,
        value: &str,
        message: String,
    ) -> ProfileError {
        self.refuse(&format!("{field}[{index}]"), &self.entry(field, index, value), message)
    }

    fn refuse(&self, path: &str, source: &Source, message: String) -> ProfileError {
        let column = self.places.get(path).map(|place| place.column);
        let at = Location { column, ..Location::of(source) };
        ProfileError::Field { at, field: source.rule.clone(), message }
    }

    fn source(&self, path: &str, field: &str, value: &str) -> Source {
        Source {
            profile: self.label.clone(),
            rule: format!("{field}: {value}"),
            line: self.places.get(path).map(|place| place.line),
        }
    }
}

/// Any JSON with comments, unchecked.
pub(crate) fn plain_json(text: &str, label: &str) -> Result<serde_json::Value, ProfileError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let newlines = Newlines::of(text);
    let value = text::parse(text).map_err(|(offset, message)| {
        let Position { line, column } = newlines.position(offset);
        let at = Location { file: label.to_owned(), line: Some(line), column: Some(column) };
        ProfileError::Syntax { at, message }
    })?;
    Ok(value.into())
}

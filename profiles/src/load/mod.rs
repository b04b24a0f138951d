//! From text to a checked [`ProfileFile`] that knows the line of each entry.

mod check;
#[cfg(test)]
mod tests;

use crate::builtin::builtin_text;
use crate::error::{Place, ProfileError};
use crate::reference::ProfileRef;
use check::FieldError;
use jsonc_parser::ast::Value;
use jsonc_parser::{CollectOptions, ParseOptions, parse_to_ast};
use nono_sandbox::policy::Source;
use nono_schemas::profile_file::ProfileFile;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Largest profile that is read, in bytes. The largest anyone writes by hand is far below.
const MAX_BYTES: u64 = 1 << 20;

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
    /// Line of each field and entry, by path such as `filesystem.read[2]`.
    lines: BTreeMap<String, u32>,
}

impl Document {
    /// Reads the profile `reference` names. Relative files are looked for in the process's
    /// working directory; see [`Document::referenced`] for those named in `extends`.
    pub(crate) fn load(reference: &ProfileRef) -> Result<Self, ProfileError> {
        match reference {
            ProfileRef::Name(name) => Self::parse(builtin_text(name)?, name, name, None),
            ProfileRef::File(path) => {
                let text = read(path)
                    .map_err(|source| ProfileError::Read { file: path.clone(), source })?;
                let stem = path.file_stem().unwrap_or(path.as_os_str()).to_string_lossy();
                let folder = path.parent().unwrap_or(Path::new("")).to_path_buf();
                Self::parse(&text, &stem, &path.display().to_string(), Some(folder))
            }
        }
    }

    /// The profile that `text` in this document's `extends` means.
    pub(crate) fn referenced(&self, text: &str) -> ProfileRef {
        match (ProfileRef::from(text), &self.folder) {
            (ProfileRef::File(path), Some(folder)) => ProfileRef::File(folder.join(path)),
            (reference, _) => reference,
        }
    }

    fn parse(
        text: &str,
        default_name: &str,
        label: &str,
        folder: Option<PathBuf>,
    ) -> Result<Self, ProfileError> {
        let at = |line| Place { file: label.to_owned(), line: Some(line) };
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let newlines = Newlines::of(text);
        let root = parse_json(text).map_err(|(offset, message)| ProfileError::Syntax {
            at: at(newlines.line(offset)),
            message,
        })?;
        let mut lines = BTreeMap::new();
        let json = check::convert(&root, &newlines, &mut lines).map_err(
            |FieldError { offset, field, message }| ProfileError::Field {
                at: at(newlines.line(offset)),
                field,
                message,
            },
        )?;
        // The schema has said yes already; this can only fail if it and the types disagree.
        let file: ProfileFile = serde_json::from_value(json)
            .map_err(|e| ProfileError::Syntax { at: at(1), message: e.to_string() })?;
        let name = file.meta.as_ref().and_then(|m| m.name.clone());
        Ok(Self {
            name: name.unwrap_or_else(|| default_name.to_owned()),
            label: label.to_owned(),
            folder,
            file,
            lines,
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

    fn source(&self, path: &str, field: &str, value: &str) -> Source {
        Source {
            profile: self.label.clone(),
            rule: format!("{field}: {value}"),
            line: self.lines.get(path).copied(),
        }
    }
}

/// Reads a regular file of bounded size as text.
fn read(path: &Path) -> io::Result<String> {
    let file = File::open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    let mut bytes = Vec::new();
    let size = file.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if size as u64 > MAX_BYTES {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "larger than 1 MiB"));
    }
    String::from_utf8(bytes).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))
}

/// Parses JSON with comments and trailing commas, and nothing else that is not JSON. The error is
/// an offset and a message.
fn parse_json(text: &str) -> Result<Value<'_>, (usize, String)> {
    let options = ParseOptions {
        allow_comments: true,
        allow_trailing_commas: true,
        allow_loose_object_property_names: false,
        allow_missing_commas: false,
        allow_single_quoted_strings: false,
        allow_hexadecimal_numbers: false,
        allow_unary_plus_numbers: false,
        allow_bare_decimal_point_numbers: false,
        allow_non_finite_numbers: false,
        allow_extended_string_escapes: false,
    };
    let parsed = parse_to_ast(text, &CollectOptions::default(), &options)
        .map_err(|e| (e.range().start, lower_first(&e.kind().to_string())))?;
    parsed.value.ok_or_else(|| (0, "the file is empty; the smallest profile is `{}`".to_owned()))
}

fn lower_first(sentence: &str) -> String {
    let mut chars = sentence.chars();
    chars.next().map_or_else(String::new, |c| c.to_lowercase().chain(chars).collect())
}

/// Where the lines of a text end.
#[derive(Debug)]
struct Newlines(Vec<usize>);

impl Newlines {
    fn of(text: &str) -> Self {
        Self(text.bytes().enumerate().filter(|(_, b)| *b == b'\n').map(|(at, _)| at).collect())
    }

    /// The line that holds byte `offset`, counted from 1.
    fn line(&self, offset: usize) -> u32 {
        let before = self.0.partition_point(|newline| *newline < offset);
        u32::try_from(before + 1).unwrap_or(u32::MAX)
    }
}

//! `nono-mcp profile init`.

use super::context::{looking, reference, unusable};
use crate::cli::print::{print, print_exactly};
use crate::error::ServerError;
use nono_profiles::{ProfileError, ProjectFile, builtin_names, resolve};
use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Writes a profile that starts from another, with the most usual things to add as comments.
///
/// # Errors
/// [`ServerError`] if the other cannot be used, or the file is there already.
pub(super) fn init(name: &str, from: &str, output: Option<&Path>) -> Result<ExitCode, ServerError> {
    let looking = looking(ProjectFile::Ignore)?;
    let context = &looking.context;
    resolve(&reference(from), context).map_err(unusable)?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let file = match output {
        Some(path) if path == Path::new("-") => {
            print_exactly(&template(name, from));
            return Ok(ExitCode::SUCCESS);
        }
        Some(path) => path.to_path_buf(),
        None if name.is_empty() || name.starts_with('.') || !name.chars().all(plain) => {
            let why = "a name is made of letters, digits, `-`, `_` and `.`";
            return Err(cannot_write(
                name.into(),
                io::Error::new(io::ErrorKind::InvalidInput, why),
            ));
        }
        None if builtin_names().any(|known| known == name) => {
            let why = "a built-in profile has this name";
            return Err(cannot_write(
                name.into(),
                io::Error::new(io::ErrorKind::AlreadyExists, why),
            ));
        }
        None => {
            let Some(folder) = context.profile_folder() else {
                let why = "there is no home; name a file with --output";
                return Err(cannot_write(
                    name.into(),
                    io::Error::new(io::ErrorKind::NotFound, why),
                ));
            };
            let made = DirBuilder::new().recursive(true).mode(0o700).create(&folder);
            made.map_err(|source| cannot_write(folder.clone(), source))?;
            folder.join(format!("{name}.json"))
        }
    };
    // A profile that is there is somebody's work.
    let opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&file);
    opened
        .and_then(|mut opened| opened.write_all(template(name, from).as_bytes()))
        .map_err(|source| cannot_write(file.clone(), already_there(source)))?;
    print(&format!("{}\n", file.display()));
    Ok(ExitCode::SUCCESS)
}

/// What to do about a file that is there; any other error as it is.
fn already_there(source: io::Error) -> io::Error {
    if source.kind() != io::ErrorKind::AlreadyExists {
        return source;
    }
    io::Error::new(source.kind(), "it is there already: edit it, or choose another name")
}

fn cannot_write(file: PathBuf, source: io::Error) -> ServerError {
    unusable(ProfileError::Write { file, source })
}

fn template(name: &str, from: &str) -> String {
    let (name, from) = (serde_json::json!(name), serde_json::json!(from));
    format!(
        r#"// `nono-mcp profile validate` checks this file, `nono-mcp profile show --resolved` shows what
// it comes to.
{{
  "meta": {{ "name": {name}, "description": "" }},
  "extends": {from},
  "filesystem": {{
    // Folders with everything in them: read, write, execute.
    "allow": [
      // {{ "path": "~/data", "why": "what it is needed for" }}
    ],
    // Folders to read and execute.
    "read": [],
    // What stays closed although something else opens it.
    "deny": []
  }},
  "environment": {{
    "allow_vars": [],
    "set_vars": {{}}
  }}
}}
"#
    )
}

//! `nono-mcp profile …` and `nono-mcp import-nono`: profiles for people.
//!
//! Exit codes: 0 done; 1 the answer is "no" (`validate` has warnings with `--strict`, `diff` found
//! differences); 2 a profile cannot be used.

mod check;
mod context;
mod init;
mod show;

use super::print::{self, print_json};
use crate::error::ServerError;
use clap::Subcommand;
use context::unusable;
use nono_profiles::ProfileError;
use serde_json::json;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// What to do with profiles.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Profiles and groups that can be named.
    List {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// A profile as it is written, or what it comes to here.
    Show {
        /// A name, or a file (with a `/`, or ending in .json).
        #[arg(value_name = "NAME|FILE")]
        profile: String,
        /// Everything it allows in the current directory as workspace, with the line of each rule.
        #[arg(long)]
        resolved: bool,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Check a profile: mistakes are errors, what will not do what it says is a warning.
    Validate {
        /// A name, or a file (with a `/`, or ending in .json).
        #[arg(value_name = "NAME|FILE")]
        profile: String,
        /// Fail on warnings too.
        #[arg(long)]
        strict: bool,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// What one profile allows and another does not.
    Diff {
        /// The first: a name or a file.
        a: String,
        /// The second.
        b: String,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// The JSON Schema of profile files, for editors.
    Schema,
    /// Start a profile of your own in the profile folder.
    Init {
        /// Its name.
        name: String,
        /// The profile to start from.
        #[arg(long, default_value = "coding", value_name = "NAME")]
        from: String,
        /// Write it to this file instead, or to standard output with `-`.
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
}

/// Does what `command` says.
///
/// # Errors
/// [`ServerError`] if a profile cannot be used, or a file cannot be written.
pub(super) fn run(command: Command) -> Result<ExitCode, ServerError> {
    match command {
        Command::List { json } => show::list(json),
        Command::Show { profile, resolved: true, json } => show::resolved(&profile, json),
        Command::Show { profile, resolved: false, json } => show::text(&profile, json),
        Command::Validate { profile, strict, json } => check::validate(&profile, strict, json),
        Command::Diff { a, b, json } => show::diff(&a, &b, json),
        Command::Schema => {
            print_json(&nono_schemas::profile_file::profile_schema());
            Ok(ExitCode::SUCCESS)
        }
        Command::Init { name, from, output } => init::init(&name, &from, output.as_deref()),
    }
}

/// Makes a profile from one of nono: the profile to standard output, the lists to standard error.
///
/// # Errors
/// [`ServerError`] if the file cannot be read or is not JSON with comments.
pub(super) fn import_nono(file: &Path, as_json: bool) -> Result<ExitCode, ServerError> {
    let text = std::fs::read_to_string(file)
        .map_err(|source| unusable(ProfileError::Read { file: file.to_path_buf(), source }))?;
    let imported =
        nono_profiles::import_nono(&text, &file.display().to_string()).map_err(unusable)?;
    let left = || imported.left.iter().map(|(field, why)| json!({"field": field, "why": why}));
    if as_json {
        print_json(&json!({
            "profile": imported.profile,
            "carried": imported.carried,
            "left": left().collect::<Vec<_>>(),
        }));
        return Ok(ExitCode::SUCCESS);
    }
    print_json(&imported.profile);
    let mut said = format!("carried over: {}\n", imported.carried.join(", "));
    for (field, why) in &imported.left {
        let _infallible = writeln!(said, "left out: {field}: {why}");
    }
    print::show(std::io::stderr(), &said);
    Ok(ExitCode::SUCCESS)
}

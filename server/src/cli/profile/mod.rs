//! `nono-mcp profile …` and `nono-mcp import-nono`: profiles for people.
//!
//! Exit codes: 0 done; 1 the answer is "no" (`validate` has warnings with `--strict`, `diff` found
//! differences); 2 a profile cannot be used.

mod check;
mod init;
mod show;

use super::show;
use crate::error::ServerError;
use clap::Subcommand;
use nono_profiles::{Context, MissingFolders, ProfileError, ProfileRef, ProjectFile};
use nono_sandbox::AbsPath;
use serde_json::json;
use std::fmt::Write as _;
use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use tempfile::TempDir;

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
    show(std::io::stderr(), &said);
    Ok(ExitCode::SUCCESS)
}

fn unusable(error: ProfileError) -> ServerError {
    ServerError::Profile(Box::new(error))
}

/// What profiles are looked at with.
struct Looking {
    context: Context,
    /// Stands in for a workspace.
    _empty: Option<TempDir>,
}

/// This machine and the current directory, for looking only: nothing is made, and the project
/// file counts only where what holds here is asked for. Where the current directory can be no
/// workspace, an empty one stands in for it: what is asked is mostly about the profile.
fn looking(project_file: ProjectFile) -> Result<Looking, ServerError> {
    let temporary = std::env::temp_dir();
    let unusable = |source| ServerError::TemporaryFolder { path: temporary.clone(), source };
    let tmpdir = AbsPath::new(temporary.canonicalize().map_err(unusable)?)?;
    // Stands in for the private folder that a server would make in there.
    let uid = nix::unistd::geteuid().as_raw();
    let environment = std::env::vars_os().collect();
    let mut context = Context::new(Vec::new(), tmpdir, environment, uid)
        .with_account(crate::session::account_home(uid));
    let homes = [&context.home, &context.other_home];
    let is_workspace = std::env::current_dir()
        .is_ok_and(|here| !homes.into_iter().flatten().any(|home| home.starts_with(&here)));
    let empty = if is_workspace { None } else { Some(tempfile::tempdir().map_err(unusable)?) };
    let named: Vec<PathBuf> = empty.iter().map(|folder| folder.path().to_path_buf()).collect();
    if let Some(folder) = &empty {
        let note = "the current directory can be no workspace; an empty folder stands in for it";
        show(std::io::stderr(), &format!("{note}: {}\n", folder.path().display()));
    }
    context.workspaces = crate::session::workspaces(&named)?;
    context.missing_folders = MissingFolders::Leave;
    context.machine = nono_profiles::Machine::probe(nono_sandbox::host::Host::probe().landlock_abi);
    context.own.program = crate::session::own_program();
    context.project_file = project_file;
    Ok(Looking { context, _empty: empty })
}

fn reference(text: &str) -> ProfileRef {
    ProfileRef::from(text)
}

/// To standard output, for a person.
fn print(text: &str) {
    show(std::io::stdout(), text);
}

/// To standard output: exact where a program reads it, safe to look at on a terminal.
fn print_exactly(text: &str) {
    let mut out = std::io::stdout();
    if out.is_terminal() {
        return print(text);
    }
    let _nobody_listens = out.write_all(text.as_bytes());
}

fn print_json(value: &serde_json::Value) {
    print_exactly(&format!("{value:#}\n"));
}

//! `shell`: a command line, run by bash.

use super::bad_input::{BadInput, MAX_ARGUMENT, without_nul};
use super::common::check;
use super::program::find;
use super::validate::arguments_as;
use crate::session::{Ground, Wanted};
use nono_schemas::{ShellParams, shell_schema};
use rmcp::model::JsonObject;

/// Shells, best first. Neither gets `-l`: a login shell reads files the sandbox hides.
const SHELLS: [&str; 2] = ["bash", "sh"];

/// Turns a call into a run.
///
/// # Errors
/// [`BadInput`] says what to change.
pub(super) fn parse(ground: &Ground, arguments: JsonObject) -> Result<Wanted, BadInput> {
    let params: ShellParams = arguments_as(shell_schema(), arguments)?;
    if params.command.len() > MAX_ARGUMENT {
        return Err(BadInput::LongCommand(params.command.len()));
    }
    without_nul(|| "`command`".to_owned(), &params.command)?;
    let checked = check(params.options, ground)?;
    let path = checked.search_path();
    let (name, program) = SHELLS
        .into_iter()
        .find_map(|name| Some((name, find(&checked.sandbox, name, &path, &checked.cwd).ok()?)))
        .ok_or_else(|| BadInput::NoShell(String::from_utf8_lossy(&path).into_owned()))?;
    let argv = vec![name.to_owned(), "-c".to_owned(), params.command.clone()];
    Ok(checked.with_program(program, argv, params.command))
}

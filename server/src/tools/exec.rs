//! `exec`: a program and its arguments, without a shell.

use super::bad_input::{BadInput, MAX_ARGUMENT, without_nul};
use super::common::check;
use super::program::find;
use super::validate::arguments_as;
use crate::session::{Ground, Wanted};
use nono_schemas::{ExecParams, exec_schema};
use rmcp::model::JsonObject;

/// Turns a call into a run.
///
/// # Errors
/// [`BadInput`] says what to change.
pub(super) fn parse(ground: &Ground, arguments: JsonObject) -> Result<Wanted, BadInput> {
    if arguments.get("argv").and_then(|a| a.as_array()).is_some_and(Vec::is_empty) {
        return Err(BadInput::NoProgram);
    }
    prepare(ground, arguments_as(exec_schema(), arguments)?)
}

/// Turns checked arguments into a run.
///
/// # Errors
/// [`BadInput`] says what to change.
pub(crate) fn prepare(ground: &Ground, params: ExecParams) -> Result<Wanted, BadInput> {
    let program = params.argv.first().ok_or(BadInput::NoProgram)?.clone();
    if program.is_empty() {
        return Err(BadInput::EmptyProgram);
    }
    for (at, argument) in params.argv.iter().enumerate() {
        if argument.len() > MAX_ARGUMENT {
            return Err(BadInput::LongArgument { at, length: argument.len() });
        }
        without_nul(|| format!("argv[{at}]"), argument)?;
    }
    let checked = check(params.options, ground)?;
    let found = find(&checked.sandbox, &program, &checked.search_path(), &checked.cwd)?;
    let command = params.argv.join(" ");
    Ok(checked.with_program(found, params.argv, command))
}

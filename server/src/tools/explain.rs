//! `sandbox_explain`: what the sandbox would say, before anybody tries.

use super::narrow::{self, Less};
use super::place::absolute;
use super::validate::arguments_as;
use super::{BadInput, program};
use crate::report::{Explanation, Question, explain as verdict};
use crate::sandbox::Sandbox;
use crate::session::{Ground, Session};
use nono_sandbox::AbsPath;
use nono_sandbox::policy::Limits;
use nono_sandbox::record::Operation;
use nono_schemas::{Aim, ExplainParams, explain_schema};
use rmcp::model::{CallToolResult, ContentBlock, JsonObject};
use std::path::PathBuf;

/// Answers one call.
pub(super) fn call(session: &Session, arguments: JsonObject) -> CallToolResult {
    let params = arguments_as::<ExplainParams>(explain_schema(), arguments);
    let answer = params.map_err(|bad| bad.to_string()).and_then(|params| {
        if let Some(id) = &params.denial_id {
            let item = session.history.denial(id);
            return item.map(Explanation::denied).ok_or_else(|| {
                format!("no denial {id:?} in the last answers; ids are in `denials.items`")
            });
        }
        answer(&session.ground, &params)
    });
    match answer {
        Ok(explanation) => {
            let content = vec![ContentBlock::text(explanation.text())];
            let mut result = CallToolResult::success(content);
            result.structured_content = serde_json::to_value(&explanation).ok();
            result
        }
        Err(sentence) => CallToolResult::error(vec![ContentBlock::text(sentence)]),
    }
}

/// Answers a question that needs no memory of earlier answers.
///
/// # Errors
/// What is wrong with the question.
pub(crate) fn answer(ground: &Ground, params: &ExplainParams) -> Result<Explanation, String> {
    let less = Less {
        profile: params.profile.clone(),
        network: params.network,
        writable: params.writable.clone(),
    };
    let sandbox = narrow::sandbox(ground, &less, Limits::default()).map_err(|e| e.to_string())?;
    let (view, sandbox) = (sandbox.view(), &*sandbox);
    if let Some(path) = &params.path {
        let operation = operation(sandbox, path, params.access.unwrap_or(Aim::Read));
        let path = place(sandbox, path, by_name(operation))?;
        return Ok(verdict(view, &Question::Path { path, operation }));
    }
    if let Some(socket) = &params.socket {
        let bind = params.bind.unwrap_or(false);
        let path = place(sandbox, socket, bind)?;
        return Ok(verdict(view, &Question::Socket { path, bind }));
    }
    if let Some(host) = &params.host {
        let question = Question::Host { host: host.clone(), port: params.port };
        return Ok(verdict(view, &question));
    }
    match &params.command {
        Some(command) => Ok(on_command(sandbox, command)),
        None => Ok(verdict(view, &Question::Summary)),
    }
}

/// What an access means for a path: writing a file that is not there makes it.
fn operation(sandbox: &Sandbox, path: &str, access: Aim) -> Operation {
    match access {
        Aim::Read => Operation::Read,
        Aim::Execute => Operation::Execute,
        Aim::Write if absolute(&sandbox.policy, path).exists() => Operation::Write,
        Aim::Write | Aim::Create => Operation::Create,
        Aim::Delete => Operation::Delete,
    }
}

fn by_name(operation: Operation) -> bool {
    matches!(operation, Operation::Create | Operation::Delete)
}

/// The path after symbolic links, as far as it exists. A name that is made or removed is not
/// followed itself.
fn place(sandbox: &Sandbox, path: &str, keep_name: bool) -> Result<AbsPath, String> {
    if path.contains('\0') {
        return Err("the path contains a NUL byte, which no program can use".to_owned());
    }
    let wanted = absolute(&sandbox.policy, path);
    let named = wanted.file_name().filter(|_| keep_name);
    let start = match named {
        Some(_) => wanted.parent().unwrap_or(&wanted),
        None => &wanted,
    };
    let mut missing = Vec::new();
    let mut canonical = None;
    for candidate in start.ancestors() {
        match candidate.canonicalize() {
            Ok(found) => {
                canonical = Some(found);
                break;
            }
            Err(_) => missing.extend(candidate.file_name()),
        }
    }
    let mut place = canonical.unwrap_or_else(|| PathBuf::from("/"));
    place.extend(missing.into_iter().rev());
    place.extend(named);
    AbsPath::new(place).map_err(|error| error.to_string())
}

/// Whether a command line's program could be started.
fn on_command(sandbox: &Sandbox, command: &str) -> Explanation {
    let word = command.split_whitespace().next().unwrap_or_default();
    let path = sandbox.policy.environment.variables.get("PATH").cloned().unwrap_or_default();
    match program::find(sandbox, word, &path, sandbox.workspace()) {
        Ok(found) => {
            let real = found.as_path().canonicalize().ok().and_then(|p| AbsPath::new(p).ok());
            let path = real.unwrap_or(found);
            verdict(sandbox.view(), &Question::Path { path, operation: Operation::Execute })
        }
        Err(BadInput::ProgramNotGranted { program, .. }) => match AbsPath::new(&program) {
            Ok(path) => {
                verdict(sandbox.view(), &Question::Path { path, operation: Operation::Execute })
            }
            Err(error) => Explanation::notes(vec![error.to_string()]),
        },
        Err(bad) => Explanation::notes(vec![bad.to_string()]),
    }
}

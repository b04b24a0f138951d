//! The tools: one file each, `parse → run → present`. What they share is here.

mod bad_input;
mod common;
mod define;
mod exec;
mod explain;
mod place;
mod present;
mod program;
mod shell;
#[cfg(test)]
mod tests;
mod validate;

pub(crate) use bad_input::BadInput;
pub(crate) use common::Wanted;
pub(crate) use define::{definition, definitions, instructions};
pub(crate) use exec::prepare as prepare_exec;
pub(crate) use explain::answer as explain_answer;

use crate::runs::{Echo, Input};
use crate::session::{Ground, Session};
use rmcp::model::{CallToolResult, JsonObject};

/// A tool of this server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tool {
    /// A command line, run by a shell.
    Shell,
    /// A program and its arguments.
    Exec,
    /// What the sandbox would say.
    Explain,
}

impl Tool {
    /// All tools, in the order they are listed.
    pub(crate) const ALL: [Tool; 3] = [Tool::Exec, Tool::Explain, Tool::Shell];

    /// The tool's name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Tool::Shell => "shell",
            Tool::Exec => "exec",
            Tool::Explain => "sandbox_explain",
        }
    }

    /// The tool of that name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|t| t.name() == name)
    }

    fn parse(self, ground: &Ground, arguments: JsonObject) -> Result<Wanted, BadInput> {
        match self {
            Tool::Shell => shell::parse(ground, arguments),
            Tool::Exec | Tool::Explain => exec::parse(ground, arguments),
        }
    }
}

/// Answers one call.
pub(crate) async fn call(
    session: &Session,
    tool: Tool,
    arguments: JsonObject,
    cancel: impl Future<Output = ()> + Send,
) -> CallToolResult {
    if tool == Tool::Explain {
        return explain::call(session, arguments);
    }
    let answer = match tool.parse(&session.ground, arguments) {
        Ok(mut wanted) => {
            let input = wanted.stdin.take().map_or(Input::Empty, Input::Bytes);
            session.run(wanted, input, Echo::Off, cancel).await
        }
        Err(bad) => session.refuse(&bad.to_string()),
    };
    present::present(answer)
}

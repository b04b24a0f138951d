//! An answer as MCP sends it: structured and as text, each complete, because clients show the
//! model only one of the two.

use crate::excerpt::Window;
use crate::report::Answer;
use crate::runs::Run;
use crate::session::Session;
use nono_schemas::RunList;
use rmcp::model::{CallToolResult, ContentBlock};
use serde::Serialize;

/// What a tool has to say.
#[derive(Debug)]
pub(super) enum Reply {
    /// About one run.
    Run(Box<Answer>),
    /// About all of them.
    List {
        /// The structured form.
        list: RunList,
        /// The text form.
        text: String,
    },
}

impl Reply {
    /// About one run.
    pub(super) fn run(answer: Answer) -> Self {
        Self::Run(Box::new(answer))
    }
}

/// The result of a call.
pub(super) fn present(reply: Reply) -> CallToolResult {
    match reply {
        Reply::Run(answer) => result(answer.text, &answer.result, answer.is_error),
        Reply::List { list, text } => result(text, &list, false),
    }
}

fn result(text: String, structured: &impl Serialize, is_error: bool) -> CallToolResult {
    let content = vec![ContentBlock::text(text)];
    let mut result =
        if is_error { CallToolResult::error(content) } else { CallToolResult::success(content) };
    match serde_json::to_value(structured) {
        Ok(structured) => result.structured_content = Some(structured),
        Err(error) => {
            tracing::error!(%error, "a result has no structured form");
            result.is_error = Some(true);
        }
    }
    result
}

/// What a call that started a run is answered with, as the run is now.
pub(super) async fn result_of(session: &Session, run: &Run, max_output: usize) -> CallToolResult {
    let window = Window { after: 0, stream: None, max_output };
    let reply = Reply::run(session.answer(run, &window).await);
    session.ground.secrets.out_of(present(reply))
}

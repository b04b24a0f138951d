//! An answer as MCP sends it: structured and as text, each complete, because clients show the
//! model only one of the two.

use crate::report::Answer;
use rmcp::model::{CallToolResult, ContentBlock};

/// The result of a call.
pub(super) fn present(answer: Answer) -> CallToolResult {
    let content = vec![ContentBlock::text(answer.text)];
    let mut result = if answer.is_error {
        CallToolResult::error(content)
    } else {
        CallToolResult::success(content)
    };
    match serde_json::to_value(&answer.result) {
        Ok(structured) => result.structured_content = Some(structured),
        Err(error) => {
            tracing::error!(%error, "a result has no structured form");
            result.is_error = Some(true);
        }
    }
    result
}

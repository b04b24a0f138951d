//! The span of a call, in the trace of the client.

use super::context::{TARGET, TraceContext};
use rmcp::model::CallToolResult;
use serde_json::Value;
use tracing::Span;
use tracing::field::Empty;

/// The span of one call. Names follow OpenTelemetry's conventions for MCP where there is one.
pub(crate) fn call_span(tool: &'static str, profile: &str, context: &TraceContext) -> Span {
    let span = tracing::info_span!(
        target: TARGET,
        "call",
        otel.name = format!("tools/call {tool}"),
        otel.kind = "server",
        otel.status_code = Empty,
        mcp.method.name = "tools/call",
        gen_ai.tool.name = tool,
        nono.profile = profile,
        nono.run_id = Empty,
        nono.status = Empty,
        nono.exit_code = Empty,
        nono.denials = Empty,
        error.type = Empty,
    );
    #[cfg(feature = "otlp")]
    super::otlp::join(&span, context);
    #[cfg(not(feature = "otlp"))]
    let _only_exported = context;
    span
}

/// Notes in the span how the call ended.
pub(crate) fn ended(span: &Span, result: &CallToolResult) {
    let said = result.structured_content.as_ref().unwrap_or(&Value::Null);
    if let Some(run) = said["run_id"].as_str() {
        span.record("nono.run_id", run);
    }
    if let Some(status) = said["status"].as_str() {
        span.record("nono.status", status);
    }
    if let Some(code) = said["exit_code"].as_i64() {
        span.record("nono.exit_code", code);
    }
    if let Some(denials) = said["denials"]["total"].as_u64() {
        span.record("nono.denials", denials);
    }
    if result.is_error == Some(true) {
        span.record("error.type", "tool_error");
        span.record("otel.status_code", "ERROR");
    }
    tracing::info!(target: TARGET, parent: span, "answered");
}

/// Notes in the span that the call goes on as a task.
pub(crate) fn goes_on(span: &Span, run: &str) {
    span.record("nono.run_id", run);
    span.record("nono.status", "task");
    tracing::info!(target: TARGET, parent: span, "answered");
}

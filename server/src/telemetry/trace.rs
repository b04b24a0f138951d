//! The span of a call, and the trace of the client that it belongs to.

use rmcp::model::CallToolResult;
use serde_json::Value;
use tracing::Span;
use tracing::field::Empty;

/// Target of the spans that are exported.
pub(super) const TARGET: &str = "nono_mcp::call";

/// Where a call stands in its client's trace, as W3C Trace Context writes it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct TraceContext {
    /// `traceparent`.
    pub(crate) parent: Option<String>,
    /// `tracestate`.
    pub(crate) state: Option<String>,
}

/// Longest value taken; longer ones are nobody's trace.
const MAX_VALUE: usize = 512;

impl TraceContext {
    /// What the request carries: in its `_meta`, or else in the headers it came with.
    pub(crate) fn of<'v>(
        in_meta: impl Fn(&str) -> Option<&'v str>,
        in_headers: impl Fn(&str) -> Option<&'v str>,
    ) -> Self {
        let short = |value: &&str| value.len() <= MAX_VALUE;
        let from = |find: &dyn Fn(&str) -> Option<&'v str>| {
            let parent = find("traceparent").filter(short)?;
            let state = find("tracestate").filter(short);
            Some(Self { parent: Some(parent.to_owned()), state: state.map(str::to_owned) })
        };
        from(&in_meta).or_else(|| from(&in_headers)).unwrap_or_default()
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_trace_is_taken_from_the_request_before_its_headers() {
        let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let meta = |name: &str| (name == "traceparent").then_some(parent);
        let headers = |name: &str| match name {
            "traceparent" => Some("00-1-2-01"),
            "tracestate" => Some("a=b"),
            _ => None,
        };
        let none = |_: &str| None;
        let of = TraceContext { parent: Some(parent.to_owned()), state: None };
        assert_eq!(TraceContext::of(meta, headers), of);
        assert_eq!(TraceContext::of(none, headers).state.as_deref(), Some("a=b"));
        assert_eq!(TraceContext::of(none, none), TraceContext::default());
        let long = "x".repeat(MAX_VALUE + 1);
        assert_eq!(TraceContext::of(|_| Some(long.as_str()), none), TraceContext::default());
    }
}

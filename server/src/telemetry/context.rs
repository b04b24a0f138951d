//! What a call's span and its export agree on: the target, and the trace of the client.

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

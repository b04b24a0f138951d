//! Messages from a stream of lines.

use super::id::IdScan;
use rmcp::model::{ClientJsonRpcMessage, ErrorData, RequestId};
use serde_json::Value;
use std::io;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};

/// The longest message that is read. As over HTTP, what is to be passed on to a command is
/// bounded far below.
pub(super) const MAX_MESSAGE: usize = 16 << 20;

/// What a line holds.
#[derive(Debug)]
pub(super) enum Line {
    /// A message for the tools.
    Message(Box<ClientJsonRpcMessage>),
    /// Nothing that can be read, and the answer to it.
    Unreadable(Option<RequestId>, ErrorData),
}

/// Reads messages, one from a line.
#[derive(Debug)]
pub(super) struct Lines<R> {
    input: BufReader<R>,
    line: Vec<u8>,
    /// Set while a line is longer than what is kept of it.
    too_long: Option<IdScan>,
    limit: usize,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    /// From `input`, with lines of at most `limit` bytes.
    pub(super) fn new(input: R, limit: usize) -> Self {
        Self { input: BufReader::new(input), line: Vec::new(), too_long: None, limit }
    }

    /// The next line that is not empty; `None` at the end. The last one needs no line break.
    ///
    /// Nothing is lost if this future is dropped: what was read is kept here.
    ///
    /// # Errors
    /// Those of the stream.
    pub(super) async fn next(&mut self) -> io::Result<Option<Line>> {
        loop {
            let part = self.input.fill_buf().await?;
            let ended = part.is_empty();
            let line_break = part.iter().position(|byte| *byte == b'\n');
            let taken = line_break.map_or(part.len(), |at| at + 1);
            let kept = &part[..line_break.unwrap_or(part.len())];
            match &mut self.too_long {
                Some(scan) => scan.feed(kept),
                None if self.line.len() + kept.len() > self.limit => {
                    let mut scan = IdScan::default();
                    scan.feed(&std::mem::take(&mut self.line));
                    scan.feed(kept);
                    self.too_long = Some(scan);
                }
                None => self.line.extend_from_slice(kept),
            }
            self.input.consume(taken);
            if line_break.is_none() && !ended {
                continue;
            }
            if let Some(line) = self.take() {
                return Ok(Some(line));
            }
            if ended {
                return Ok(None);
            }
        }
    }

    /// The line that has ended, if it is not empty.
    fn take(&mut self) -> Option<Line> {
        if let Some(scan) = self.too_long.take() {
            let message = format!("the message is longer than {} MiB", self.limit >> 20);
            return Some(Line::Unreadable(scan.found(), ErrorData::invalid_request(message, None)));
        }
        let line = std::mem::take(&mut self.line);
        (!line.trim_ascii().is_empty()).then(|| read(&line))
    }
}

/// RFC 8259 §8.1 lets parsers ignore a byte order mark.
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// What a line holds.
fn read(line: &[u8]) -> Line {
    let line = line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line);
    let wrong = match serde_json::from_slice(line) {
        Ok(message) => return Line::Message(message),
        // What kind of message it is meant to be is no longer known there.
        Err(_) => match serde_json::from_slice::<Value>(line) {
            Ok(value) => ErrorData::invalid_request(wrong_shape(&value), None),
            Err(error) => ErrorData::parse_error(no_json(&error.to_string()), None),
        },
    };
    let mut scan = IdScan::default();
    scan.feed(line);
    Line::Unreadable(scan.found(), wrong)
}

fn no_json(error: &str) -> String {
    // As serde_json words it for half a surrogate pair.
    let hint = if error.contains("surrogate") || error.contains("hex escape") {
        "; a character above U+FFFF is two \\u escapes, and one of them may be missing"
    } else {
        ""
    };
    format!("the message is no JSON: {error}{hint}")
}

/// What keeps JSON from being a JSON-RPC 2.0 message.
fn wrong_shape(value: &Value) -> &'static str {
    let Some(message) = value.as_object() else {
        return "a message is one JSON object; batches are not part of MCP since 2025-06-18";
    };
    if message.get("jsonrpc").and_then(Value::as_str) != Some("2.0") {
        return "`jsonrpc` must be \"2.0\"";
    }
    match message.get("method") {
        None => "a request has a `method`, and an answer a `result` or an `error`",
        Some(Value::String(_)) => "`id` must be a string or an integer, and `params` an object",
        Some(_) => "`method` must be a string",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rmcp::model::ErrorCode;
    use serde_json::json;

    async fn all(input: &[u8], limit: usize) -> Vec<Line> {
        let mut lines = Lines::new(input, limit);
        let mut all = Vec::new();
        while let Some(line) = lines.next().await.unwrap() {
            all.push(line);
        }
        all
    }

    fn ping(id: u32) -> String {
        json!({"jsonrpc": "2.0", "id": id, "method": "ping"}).to_string()
    }

    #[tokio::test]
    async fn messages_around_what_is_none() {
        let long = format!(r#"{{"text":"{}","id":3}}"#, "x".repeat(20_000));
        let input = [
            ping(1),
            String::new(),
            r#"{"jsonrpc":"2.0","id":2,"method":"ping","params":{"x":"\ud83d"}}"#.to_owned(),
            long,
            "\u{feff}".to_owned() + &ping(4) + "\r",
            r#"{"jsonrpc":"2.0","id":5}"#.to_owned(),
            "rubbish".to_owned(),
            "[]".to_owned(),
            ping(8),
        ]
        .join("\n");
        let found: Vec<_> = all(input.as_bytes(), 4096)
            .await
            .into_iter()
            .map(|line| match line {
                Line::Message(message) => (serde_json::to_value(message).unwrap()["id"].clone(), 0),
                Line::Unreadable(id, error) => (json!(id), error.code.0),
            })
            .collect();
        let expected = [
            (json!(1), 0),
            (json!(2), ErrorCode::PARSE_ERROR.0),
            (json!(3), ErrorCode::INVALID_REQUEST.0),
            (json!(4), 0),
            (json!(5), ErrorCode::INVALID_REQUEST.0),
            (json!(null), ErrorCode::PARSE_ERROR.0),
            (json!(null), ErrorCode::INVALID_REQUEST.0),
            (json!(8), 0),
        ];
        assert_eq!(found, expected);
    }

    #[tokio::test]
    async fn an_interrupted_read_loses_nothing() {
        let (mut far, near) = tokio::io::duplex(64);
        let mut lines = Lines::new(near, 4096);
        let message = ping(1) + "\n";
        let (first, second) = message.split_at(10);
        tokio::io::AsyncWriteExt::write_all(&mut far, first.as_bytes()).await.unwrap();
        tokio::select! {
            biased;
            line = lines.next() => panic!("half a line: {line:?}"),
            () = tokio::task::yield_now() => {}
        }
        tokio::io::AsyncWriteExt::write_all(&mut far, second.as_bytes()).await.unwrap();
        assert!(matches!(lines.next().await, Ok(Some(Line::Message(_)))));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (line, word) in [
            ("7", "one JSON object"),
            (r#"{"jsonrpc":"1.0","method":"ping","id":1}"#, "`jsonrpc`"),
            (r#"{"jsonrpc":"2.0","id":1}"#, "a `method`"),
            (r#"{"jsonrpc":"2.0","id":1,"method":5}"#, "`method` must"),
            (r#"{"jsonrpc":"2.0","id":"\udc00","method":"ping"}"#, "two \\u escapes"),
        ] {
            let Line::Unreadable(_, error) = read(line.as_bytes()) else {
                panic!("read: {line}");
            };
            assert!(error.message.contains(word), "{line}: {}", error.message);
        }
    }
}

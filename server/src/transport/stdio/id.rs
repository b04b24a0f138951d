//! The id of a message that cannot be read.
//!
//! A client matches answers by id and waits for as long as it has none. What it sent may be too
//! long to keep or no JSON at all and still carry its id in plain sight.

use rmcp::model::RequestId;

/// Longer ids are taken for none.
const MAX_ID_BYTES: usize = 256;

/// Looks for the `id` of the outermost object, byte by byte, whatever else is there.
#[derive(Debug, Default)]
pub(super) struct IdScan {
    depth: usize,
    string: Option<Escape>,
    place: Place,
    /// What was read of the key or of the id.
    token: Vec<u8>,
    id: Option<RequestId>,
}

/// Where in the outermost object.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Place {
    #[default]
    Key,
    Id,
    OtherValue,
}

/// Whether the next character of a string is taken as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Escape {
    No,
    Yes,
}

impl IdScan {
    /// Goes over the next part of the message.
    pub(super) fn feed(&mut self, part: &[u8]) {
        part.iter().for_each(|byte| self.step(*byte));
    }

    /// What was found.
    pub(super) fn found(self) -> Option<RequestId> {
        self.id
    }

    fn step(&mut self, byte: u8) {
        let Some(escape) = self.string else {
            return self.outside_of_strings(byte);
        };
        self.string = match (escape, byte) {
            (Escape::No, b'"') => None,
            (Escape::No, b'\\') => Some(Escape::Yes),
            _ => Some(Escape::No),
        };
        self.keep(byte);
    }

    fn outside_of_strings(&mut self, byte: u8) {
        match byte {
            b'"' => {
                self.string = Some(Escape::No);
                self.keep(byte);
            }
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => {
                self.end_value();
                self.depth = self.depth.saturating_sub(1);
            }
            b',' => self.end_value(),
            b':' if self.depth == 1 => {
                self.place = if self.token == br#""id""# { Place::Id } else { Place::OtherValue };
                self.token.clear();
            }
            _ if byte.is_ascii_whitespace() => {}
            _ => self.keep(byte),
        }
    }

    fn end_value(&mut self) {
        if self.depth != 1 {
            return;
        }
        if self.place == Place::Id && self.token.len() <= MAX_ID_BYTES {
            self.id = serde_json::from_slice(&self.token).ok().or(self.id.take());
        }
        self.place = Place::Key;
        self.token.clear();
    }

    /// One byte beyond the longest id is kept, to tell that it is longer.
    fn keep(&mut self, byte: u8) {
        let wanted = self.depth == 1 && self.place != Place::OtherValue;
        if wanted && self.token.len() <= MAX_ID_BYTES {
            self.token.push(byte);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn id_in(message: &[u8]) -> Option<RequestId> {
        let mut scan = IdScan::default();
        scan.feed(message);
        scan.found()
    }

    #[test]
    fn ids_of_what_is_no_json() {
        let number = |n| Some(RequestId::Number(n));
        let string = |s: &str| Some(RequestId::String(s.into()));
        for (message, expected) in [
            (r#"{"id":1,"params":{"id":2,"text":"\ud800"}}"#, number(1)),
            (r#"{"params":[{"id":2},"\"id\":3"],"jsonrpc":"2.0","id":4}"#, number(4)),
            (r#"{ "id" : "a b\"c" , broken"#, string("a b\"c")),
            (r#"{"id":-7,"#, number(-7)),
            (r#"{"id":7"#, None),
            (r#"{"id":null,"x":1}"#, None),
            (r#"{"id":1.5,"x":1}"#, None),
            (r#"{"id":{"id":3}}"#, None),
            (r#"[{"id":3}]"#, None),
            (r#"{"x":"id","y":5}"#, None),
            ("rubbish", None),
            ("}}}}]]]],,,,::::", None),
        ] {
            assert_eq!(id_in(message.as_bytes()), expected, "{message}");
        }
        let long = format!(r#"{{"id":"{}"}}"#, "x".repeat(MAX_ID_BYTES));
        assert_eq!(id_in(long.as_bytes()), None);
    }

    proptest! {
        #[test]
        fn finds_what_a_parser_finds(
            id in prop_oneof![
                any::<i64>().prop_map(Value::from),
                ".{0,40}".prop_map(Value::from),
                Just(Value::Null),
            ],
            texts in prop::collection::vec(".{0,30}", 0..4),
            first: bool,
            pretty: bool,
            parts in 1usize..9,
        ) {
            let params = json!({"arguments": {"id": 5, "list": texts.clone()}, "text": texts.concat()});
            // The order of keys is that of the text.
            let params = params.to_string();
            let message = if first {
                format!(r#"{{"id":{id},"method":"m","params":{params}}}"#)
            } else {
                format!(r#"{{"method":"m","params":{params},"id":{id}}}"#)
            };
            let value: Value = serde_json::from_str(&message).unwrap();
            let message = if pretty { serde_json::to_string_pretty(&value).unwrap() } else { message };
            let mut scan = IdScan::default();
            message.as_bytes().chunks(parts).for_each(|part| scan.feed(part));
            let expected = serde_json::from_value::<RequestId>(id).ok();
            prop_assert_eq!(scan.found(), expected);
        }

        #[test]
        fn any_bytes_do(message in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = id_in(&message);
        }
    }
}

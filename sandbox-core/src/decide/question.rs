//! The name in a query for a name server: the bytes of a refused datagram in, a name out.
//!
//! It only tells the reader what a refused program was looking for, so whatever is not plainly a
//! query has no name.

use crate::policy::DomainName;

/// Before the questions (RFC 1035, 4.1.1).
const HEADER: usize = 12;
/// Behind a name: type and class.
const TYPE_AND_CLASS: usize = 4;
/// In the third byte: this is an answer; the kind of query.
const IS_ANSWER: u8 = 0x80;
const OPCODE: u8 = 0x78;
/// Longest part of a name; the two bits above mean something else (RFC 1035, 4.1.4).
const LONGEST_PART: u8 = 63;

/// The name that a datagram asks for, spelled as there: a name can hold anything a program wants
/// to tell, also what must be taken out of a record. `None` if it is no ordinary query with one
/// question about a host name. Reads at most the header and one name, follows no pointers.
#[must_use]
pub fn question(datagram: &[u8]) -> Option<String> {
    let (header, mut rest) = datagram.split_at_checked(HEADER)?;
    let [_, _, kind, _, 0, 1, ..] = *header else { return None };
    if kind & (IS_ANSWER | OPCODE) != 0 {
        return None;
    }
    let mut parts = Vec::new();
    // The parts of the longest name have fewer than 128 in them, each with its length.
    for _ in 0..128 {
        let (length, behind) = rest.split_first()?;
        if *length == 0 {
            let name = (behind.len() >= TYPE_AND_CLASS).then(|| parts.join("."))?;
            return DomainName::parse(&name).is_ok().then_some(name);
        }
        let length = (*length <= LONGEST_PART).then_some(usize::from(*length))?;
        let (part, behind) = behind.split_at_checked(length)?;
        let part = std::str::from_utf8(part).ok()?;
        // A dot in a part would make two of it.
        parts.push((!part.contains('.')).then_some(part)?);
        rest = behind;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn query(name: &str) -> Vec<u8> {
        let mut bytes = vec![0xab, 0xcd, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        for part in name.split('.') {
            bytes.push(u8::try_from(part.len()).unwrap());
            bytes.extend_from_slice(part.as_bytes());
        }
        bytes.extend_from_slice(&[0, 0, 1, 0, 1]);
        bytes
    }

    fn asked(bytes: &[u8]) -> Option<String> {
        question(bytes)
    }

    #[test]
    fn the_name_of_a_query() {
        assert_eq!(asked(&query("Registry.npmjs.org")).as_deref(), Some("Registry.npmjs.org"));
        assert_eq!(asked(&query("localhost")).as_deref(), Some("localhost"));
        // What extensions add behind the question changes nothing.
        let extended = [query("a.test"), vec![0, 0, 41, 2, 0, 0, 0, 0, 0, 0, 0]].concat();
        assert_eq!(asked(&extended).as_deref(), Some("a.test"));
    }

    #[test]
    fn what_has_no_name() {
        let good = query("a.test");
        for length in 0..good.len() {
            assert_eq!(asked(&good[..length]), None, "{length} bytes");
        }
        let changed = |at: usize, byte: u8| {
            let mut bytes = good.clone();
            bytes[at] = byte;
            asked(&bytes)
        };
        for (at, byte, why) in [
            (2, 0x81, "an answer"),
            (2, 0x29, "an update"),
            (5, 0, "no question"),
            (5, 2, "two questions"),
            (4, 1, "257 questions"),
            (12, 0xc0, "a pointer"),
            (12, 64, "too long a part"),
            (13, b'.', "a dot in a part"),
            (13, b' ', "not a host's"),
            (13, 0, "a NUL"),
            (13, 0xff, "not ASCII"),
        ] {
            assert_eq!(changed(at, byte), None, "{why}");
        }
        let long = vec!["a"; 130].join(".");
        assert_eq!(asked(&query(&long)), None);
        assert_eq!(asked(&query(&vec!["a".repeat(63); 4].join("."))), None, "256 bytes");
    }

    proptest! {
        #[test]
        fn hostile_bytes_give_names_or_nothing(
            start in proptest::collection::vec(any::<u8>(), 0..16),
            rest in proptest::collection::vec(any::<u8>(), 0..600),
        ) {
            for bytes in [[start.as_slice(), &rest].concat(), [&query("x")[..12], &rest].concat()] {
                if let Some(name) = asked(&bytes) {
                    prop_assert!(name.len() <= 253 && name.is_ascii());
                    prop_assert!(!name.bytes().any(|b| b.is_ascii_control() || b == b' '));
                }
            }
        }

        #[test]
        fn every_name_is_found_again(name in "[a-z0-9_-]{1,63}(\\.[a-z][a-z0-9_-]{0,30}){0,4}") {
            let plain = DomainName::parse(&name).is_ok().then_some(name.clone());
            prop_assert_eq!(question(&query(&name)), plain);
        }
    }
}

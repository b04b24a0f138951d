//! Queries for a name server. Oracle: writing down the name again gives the bytes it was read from,
//! and every query that was written down gives its name.

use crate::bytes::Bytes;
use nono_sandbox::decide;
use nono_sandbox::policy::DomainName;

/// Before the question: a number, and one question in a query of the ordinary kind.
const HEADER: [u8; 12] = [0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];

/// What is read as a question is one; a question is read, unless any of it is missing.
pub fn question(bytes: &[u8]) {
    for datagram in [bytes.to_vec(), [&HEADER, bytes].concat()] {
        if let Some(name) = decide::question(&datagram) {
            assert!(DomainName::parse(&name).is_ok(), "{name:?}");
            assert!(datagram[2] & 0xf8 == 0 && datagram[4..6] == [0, 1], "{datagram:?}");
            let written = written(&name);
            assert!(datagram[12..].starts_with(&written), "{name:?} in {datagram:?}");
            assert!(datagram.len() >= 12 + written.len() + 4, "{datagram:?}");
        }
    }
    let mut bytes = Bytes::new(bytes);
    let parts: Vec<String> = (0..bytes.u8() % 6).map(|_| part(&mut bytes)).collect();
    let name = parts.join(".");
    let whole = [&HEADER[..], &written(&name), &[0, 1, 0, 1]].concat();
    let read = DomainName::parse(&name).is_ok().then_some(name);
    assert_eq!(decide::question(&whole), read);
    let cut = usize::from(bytes.u8()) % whole.len();
    assert_eq!(decide::question(&whole[..cut]), None, "{cut} of {whole:?}");
}

fn part(bytes: &mut Bytes<'_>) -> String {
    let letters = b"abcdefghijklmnopqrstuvwxyzABYZ0189-_";
    (0..1 + bytes.u8() % 63).map(|_| char::from(bytes.of(letters))).collect()
}

/// A name as RFC 1035, 3.1, has it.
fn written(name: &str) -> Vec<u8> {
    let parts = name.split('.').filter(|part| !part.is_empty());
    let lengths = parts.flat_map(|part| {
        let length = u8::try_from(part.len()).expect("a part is short");
        [&[length], part.as_bytes()].concat()
    });
    lengths.chain([0]).collect()
}

//! The chain of hashes: how an entry is sealed into a line, and where a chain ends. Pure.

use crate::hex;
use nono_schemas::{AUDIT_VERSION, AuditEntry, AuditEvent, AuditLine};
use sha2::{Digest, Sha256};
use std::fmt;
use std::str::FromStr;

/// What stands between an entry and its hash in a line.
const SEAL: &[u8] = br#","hash":""#;
/// What stands behind the hash.
const CLOSING: &[u8] = br#""}"#;

/// A SHA-256 digest; written in hexadecimal.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Hash([u8; 32]);

impl Hash {
    /// The digest of `bytes`.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }
}

impl From<Sha256> for Hash {
    fn from(hasher: Sha256) -> Self {
        Self(hasher.finalize().into())
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(&self.0))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Hash {
    type Err = NotAHead;

    fn from_str(text: &str) -> Result<Self, NotAHead> {
        // A line has one way to be written.
        if text.bytes().any(|b| b.is_ascii_uppercase()) {
            return Err(NotAHead);
        }
        let bytes = hex::decode(text.as_bytes()).and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or(NotAHead)
    }
}

/// Where a chain ends: its last line, by number and hash. Written `SEQ:HASH`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Head {
    /// The number of the last line; 0 before the first.
    pub(crate) seq: u64,
    /// Its hash; zeros before the first.
    pub(crate) hash: Hash,
}

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.seq, self.hash)
    }
}

/// A text that does not name a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not SEQ:HASH, as `nono-mcp audit verify` prints it")]
pub(crate) struct NotAHead;

impl FromStr for Head {
    type Err = NotAHead;

    fn from_str(text: &str) -> Result<Self, NotAHead> {
        let (seq, hash) = text.split_once(':').ok_or(NotAHead)?;
        Ok(Self { seq: seq.parse().map_err(|_| NotAHead)?, hash: hash.parse()? })
    }
}

/// What is not known before a line is about to be written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stamp<'a> {
    /// The time.
    pub(super) time: &'a str,
    /// Which server writes.
    pub(super) server: &'a str,
}

/// The line for `event` behind `head`, with its newline, and the head it makes.
///
/// # Errors
/// If the event has no JSON form.
pub(super) fn seal(
    head: Head,
    stamp: Stamp<'_>,
    event: AuditEvent,
) -> Result<(Vec<u8>, Head), serde_json::Error> {
    let seq = head.seq + 1;
    let entry = AuditEntry {
        v: AUDIT_VERSION,
        seq,
        time: stamp.time.to_owned(),
        server: stamp.server.to_owned(),
        event,
        prev: head.hash.to_string(),
    };
    let mut line = serde_json::to_vec(&entry)?;
    // The closing brace goes behind the hash.
    line.pop();
    let hash = Hash::of(&line);
    line.extend_from_slice(SEAL);
    line.extend_from_slice(hash.to_string().as_bytes());
    line.extend_from_slice(CLOSING);
    line.push(b'\n');
    Ok((line, Head { seq, hash }))
}

/// A line that was read.
#[derive(Debug)]
pub(super) struct Read {
    /// What it says.
    pub(super) line: AuditLine,
    /// The hash it carries.
    pub(super) stated: Hash,
    /// Whether that is the hash of its bytes.
    pub(super) intact: bool,
}

impl Read {
    /// Reads a line without its newline; `None` if it is no line of an audit log.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let line: AuditLine = serde_json::from_slice(bytes).ok()?;
        let stated = line.hash.parse().ok()?;
        let sealed = bytes.strip_suffix(CLOSING)?.strip_suffix(line.hash.as_bytes())?;
        let body = sealed.strip_suffix(SEAL)?;
        Some(Self { intact: Hash::of(body) == stated, line, stated })
    }

    /// Whether it is what comes after `head`.
    pub(super) fn follows(&self, head: Head) -> bool {
        let entry = &self.line.entry;
        entry.seq == head.seq + 1 && entry.prev == head.hash.to_string()
    }

    /// The head that the line is.
    pub(super) fn head(&self) -> Head {
        Head { seq: self.line.entry.seq, hash: self.stated }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_line_reads_back_and_shows_every_change() {
        let stamp = Stamp { time: "2026-11-25T00:00:00.000Z", server: "ab" };
        let (line, head) = seal(Head::default(), stamp, AuditEvent::Lost { lines: 7 }).unwrap();
        let line = line.strip_suffix(b"\n").unwrap();
        let read = Read::parse(line).unwrap();
        assert!(read.intact);
        assert_eq!((read.head(), head.seq), (head, 1));
        assert_eq!(read.line.entry.event, AuditEvent::Lost { lines: 7 });
        for at in 0..line.len() {
            let mut changed = line.to_vec();
            changed[at] ^= 1;
            let says = Read::parse(&changed);
            assert!(says.is_none_or(|read| !read.intact), "byte {at}");
        }
    }

    #[test]
    fn heads_are_written_and_read() {
        let head = Head { seq: 17, hash: Hash::of(b"x") };
        assert_eq!(head.to_string().parse(), Ok(head));
        for wrong in ["", "17", "17:", "x:00", "17:zz", &head.to_string()[..40]] {
            assert_eq!(wrong.parse::<Head>(), Err(NotAHead), "{wrong}");
        }
    }
}

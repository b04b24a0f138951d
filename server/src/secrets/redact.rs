//! Finding secrets in bytes that come in pieces.

use super::forms;
use aho_corasick::{AhoCorasick, BuildError, MatchKind};
use std::fmt;
use std::sync::Arc;

/// What to look for, and whose it is.
pub(crate) struct Patterns {
    automaton: AhoCorasick,
    /// What stands in the place of each pattern.
    markers: Vec<Vec<u8>>,
    /// The patterns, sorted.
    sorted: Vec<Vec<u8>>,
    longest: usize,
}

impl fmt::Debug for Patterns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Patterns").field("count", &self.sorted.len()).finish_non_exhaustive()
    }
}

impl Patterns {
    /// All forms of the named secrets; `None` if there are no secrets.
    pub(super) fn of<'s>(
        secrets: impl Iterator<Item = (&'s str, &'s [u8])>,
    ) -> Result<Option<Arc<Self>>, BuildError> {
        let (mut sorted, mut markers) = (Vec::new(), Vec::new());
        for (name, secret) in secrets {
            for form in forms::all(secret) {
                markers.push(format!("[redacted {name}]").into_bytes());
                sorted.push(form);
            }
        }
        if sorted.is_empty() {
            return Ok(None);
        }
        let automaton =
            AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(&sorted)?;
        sorted.sort_unstable();
        let longest = sorted.iter().map(Vec::len).max().unwrap_or(0);
        Ok(Some(Arc::new(Self { automaton, markers, sorted, longest })))
    }

    /// `bytes` with markers for secrets, and how many there were.
    pub(crate) fn replace(&self, bytes: &[u8]) -> (Vec<u8>, u64) {
        let mut clean = Vec::new();
        let (end, count) = self.replace_into(bytes, bytes.len(), &mut clean);
        clean.extend(bytes.get(end..).unwrap_or_default());
        (clean, count)
    }

    /// Replaces the secrets that start before `limit`. Gives where the last one ends and how many
    /// there were; what lies behind that is for the caller to copy.
    fn replace_into(&self, bytes: &[u8], limit: usize, clean: &mut Vec<u8>) -> (usize, u64) {
        let (mut at, mut count) = (0, 0);
        for found in self.automaton.find_iter(bytes).take_while(|found| found.start() < limit) {
            clean.extend(bytes.get(at..found.start()).unwrap_or_default());
            let marker = self.markers.get(found.pattern().as_usize());
            clean.extend(marker.map_or(&b"[redacted]"[..], Vec::as_slice));
            at = found.end();
            count += 1;
        }
        (at, count)
    }

    /// Where, at the end of `bytes`, a pattern may have begun that is not complete yet.
    fn open_end(&self, bytes: &[u8]) -> usize {
        let first = bytes.len().saturating_sub(self.longest.saturating_sub(1));
        let begins = |at: &usize| {
            let end = bytes.get(*at..).unwrap_or_default();
            // Sorted: what starts with `end` and is longer comes right behind it.
            let next = self.sorted.partition_point(|pattern| pattern.as_slice() <= end);
            self.sorted.get(next).is_some_and(|pattern| pattern.starts_with(end))
        };
        (first..bytes.len()).find(begins).unwrap_or(bytes.len())
    }
}

/// Takes secrets out of a stream. What may be the beginning of one is held back until it is known.
#[derive(Debug)]
pub(crate) struct Redactor {
    patterns: Arc<Patterns>,
    held: Vec<u8>,
}

impl Redactor {
    pub(crate) fn new(patterns: Arc<Patterns>) -> Self {
        Self { patterns, held: Vec::new() }
    }

    /// What can be passed on after `bytes` have come, and how many secrets were in it.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> (Vec<u8>, u64) {
        self.held.extend_from_slice(bytes);
        let mut clean = Vec::with_capacity(self.held.len());
        let (mut at, mut count) = (0, 0);
        loop {
            let rest = self.held.get(at..).unwrap_or_default();
            let open = self.patterns.open_end(rest);
            let (end, found) = self.patterns.replace_into(rest, open, &mut clean);
            count += found;
            if end <= open {
                clean.extend_from_slice(rest.get(end..open).unwrap_or_default());
                self.held.drain(..at + open);
                return (clean, count);
            }
            // A secret that began before the open end reaches into it: look again behind it.
            at += end;
        }
    }

    /// What was held back, once nothing more comes.
    pub(crate) fn finish(&mut self) -> (Vec<u8>, u64) {
        let held = std::mem::take(&mut self.held);
        self.patterns.replace(&held)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn patterns(secrets: &[&str]) -> Arc<Patterns> {
        let named = secrets.iter().map(|secret| ("KEY", secret.as_bytes()));
        Patterns::of(named).unwrap().unwrap()
    }

    /// All at once.
    fn whole(patterns: &Patterns, bytes: &[u8]) -> (Vec<u8>, u64) {
        patterns.replace(bytes)
    }

    /// In pieces of these sizes, over and over.
    fn in_pieces(patterns: &Arc<Patterns>, bytes: &[u8], sizes: &[usize]) -> (Vec<u8>, u64) {
        let mut redactor = Redactor::new(Arc::clone(patterns));
        let (mut clean, mut count, mut rest) = (Vec::new(), 0, bytes);
        for size in sizes.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (now, later) = rest.split_at((*size).clamp(1, rest.len()));
            let (piece, found) = redactor.push(now);
            clean.extend(piece);
            count += found;
            rest = later;
        }
        let (piece, found) = redactor.finish();
        clean.extend(piece);
        (clean, count + found)
    }

    #[test]
    fn secrets_become_the_name_of_their_variable() {
        let patterns = patterns(&["s3cr3t-token"]);
        let (clean, count) = whole(&patterns, b"a s3cr3t-token b s3cr3t-toke s3cr3t-token");
        assert_eq!(clean, b"a [redacted KEY] b s3cr3t-toke [redacted KEY]");
        assert_eq!(count, 2);
    }

    #[test]
    fn of_two_secrets_the_longer_one_is_meant() {
        let patterns = patterns(&["12345678", "123456789"]);
        for size in 1..12 {
            let (clean, count) = in_pieces(&patterns, b"12345678 123456789", &[size]);
            assert_eq!((clean.as_slice(), count), (&b"[redacted KEY] [redacted KEY]"[..], 2));
        }
    }

    #[test]
    fn only_the_beginning_of_a_secret_is_held_back() {
        let mut redactor = Redactor::new(patterns(&["s3cr3t-token"]));
        assert_eq!(redactor.push(b"Password: "), (b"Password: ".to_vec(), 0));
        assert_eq!(redactor.push(b"s3cr3t"), (Vec::new(), 0));
        assert_eq!(redactor.push(b"-tok"), (Vec::new(), 0));
        assert_eq!(redactor.push(b"en!"), (b"[redacted KEY]!".to_vec(), 1));
        assert_eq!(redactor.push(b"s3cr"), (Vec::new(), 0));
        assert_eq!(redactor.push(b"et"), (b"s3cret".to_vec(), 0));
        assert_eq!(redactor.push(b"s3"), (Vec::new(), 0));
        assert_eq!(redactor.finish(), (b"s3".to_vec(), 0));
    }

    proptest! {
        /// However a stream is cut, the same comes out, and no secret is left in it.
        #[test]
        fn pieces_make_no_difference(
            secrets in prop::collection::vec("[ab]{8,11}", 1..4),
            text in prop::collection::vec(prop_oneof!["[ab]{0,9}", "[ab]{8,11}", "c"], 0..12),
            chosen in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
            sizes in prop::collection::vec(1usize..17, 1..6),
        ) {
            let secrets: Vec<&str> = secrets.iter().map(String::as_str).collect();
            let patterns = patterns(&secrets);
            let mut parts: Vec<&str> = text.iter().map(String::as_str).collect();
            parts.extend(chosen.iter().map(|index| *index.get(&secrets)));
            let text = parts.concat().into_bytes();
            let (clean, count) = in_pieces(&patterns, &text, &sizes);
            prop_assert_eq!((&clean, count), (&whole(&patterns, &text).0, whole(&patterns, &text).1));
            for secret in &secrets {
                let found = clean.windows(secret.len()).any(|w| w == secret.as_bytes());
                prop_assert!(!found, "{} in {}", secret, String::from_utf8_lossy(&clean));
            }
        }
    }
}

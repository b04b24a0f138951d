//! Which bytes of a run's output belong to which stream.

use std::collections::VecDeque;

/// One of a command's two output streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stream {
    /// Standard output; also a terminal's.
    Stdout,
    /// Standard error.
    Stderr,
}

impl Stream {
    /// Both.
    pub(crate) const ALL: [Stream; 2] = [Stream::Stdout, Stream::Stderr];
}

/// From this position on, bytes belong to this stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Switch {
    pub(super) at: u64,
    pub(super) to: Stream,
}

/// Switches kept of head and tail each.
const MAX: usize = 128 << 10;

/// All switches, in order.
#[derive(Debug, Default)]
pub(super) struct Switches {
    head: Vec<Switch>,
    /// Once the head is closed. The first one is at or before the first byte that is kept.
    tail: Option<VecDeque<Switch>>,
}

impl Switches {
    /// From `at` on, bytes belong to `to`.
    pub(super) fn push(&mut self, at: u64, to: Stream) {
        if self.last().is_some_and(|last| last.to == to) {
            return;
        }
        match &mut self.tail {
            Some(tail) => tail.push_back(Switch { at, to }),
            None => self.head.push(Switch { at, to }),
        }
    }

    /// From `end` on, switches belong to the tail.
    pub(super) fn close_head(&mut self, end: u64) {
        let behind = self.head.partition_point(|s| s.at < end);
        let mut tail = VecDeque::from(self.head.split_off(behind));
        if tail.front().is_none_or(|first| first.at > end)
            && let Some(before) = self.head.last()
        {
            tail.push_front(Switch { at: end, to: before.to });
        }
        self.tail = Some(tail);
    }

    /// Forgets everything before `end`, the position behind the last byte.
    pub(super) fn forget_all(&mut self, end: u64) {
        let last = self.last().map(|last| Switch { at: end, to: last.to });
        self.head = Vec::new();
        self.tail = Some(last.into_iter().collect());
    }

    /// Forgets the tail before `to`; how many bytes of each stream lay between.
    pub(super) fn forget_tail(&mut self, from: u64, to: u64) -> [(Stream, u64); 2] {
        let mut bytes = Stream::ALL.map(|stream| (stream, 0));
        let Some(tail) = &mut self.tail else { return bytes };
        while let Some(first) = tail.front().copied() {
            let end = tail.get(1).map_or(to, |next| next.at.min(to));
            bytes[first.to as usize].1 += end.saturating_sub(first.at.max(from));
            if tail.get(1).is_none_or(|next| next.at > to) {
                break;
            }
            tail.pop_front();
        }
        bytes
    }

    /// Whether there are more than should be kept.
    pub(super) fn are_many(&self) -> bool {
        match &self.tail {
            Some(tail) => tail.len() > MAX,
            None => self.head.len() > MAX,
        }
    }

    /// The position in the middle of the tail's list.
    pub(super) fn middle_of_tail(&self) -> Option<u64> {
        let tail = self.tail.as_ref()?;
        tail.get(tail.len() / 2).map(|s| s.at)
    }

    /// All of them, in order.
    pub(super) fn all(&self) -> Vec<Switch> {
        self.head.iter().chain(self.tail.iter().flatten()).copied().collect()
    }

    fn last(&self) -> Option<Switch> {
        let tail = self.tail.as_ref().and_then(VecDeque::back);
        tail.or(self.head.last()).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Stream::{Stderr, Stdout};

    #[test]
    fn forgetting_counts_each_stream() {
        let mut switches = Switches::default();
        for (at, to) in [(0, Stdout), (5, Stderr), (7, Stderr), (10, Stdout)] {
            switches.push(at, to);
        }
        assert_eq!(switches.all().len(), 3);
        switches.close_head(12);
        switches.push(20, Stderr);
        switches.push(30, Stdout);
        assert_eq!(switches.forget_tail(12, 25), [(Stdout, 8), (Stderr, 5)]);
        assert_eq!(switches.forget_tail(25, 26), [(Stdout, 0), (Stderr, 1)]);
        assert_eq!(switches.forget_tail(26, 40), [(Stdout, 10), (Stderr, 4)]);
        assert_eq!(switches.all().len(), 4);
    }

    #[test]
    fn a_head_that_ends_early_leaves_every_stream_known() {
        let mut switches = Switches::default();
        switches.push(0, Stdout);
        switches.push(5, Stderr);
        switches.close_head(0);
        assert_eq!(switches.forget_tail(0, 7), [(Stdout, 5), (Stderr, 2)]);
        switches.forget_all(7);
        assert_eq!(switches.all(), [Switch { at: 7, to: Stderr }]);
    }
}

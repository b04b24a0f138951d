//! A bounded log that folds repetitions and never loses a count.

use super::{Denial, Kind, Operation};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// The records of one run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DenialLog {
    /// Every refusal, kept or not.
    pub total: u64,
    /// Refusals whose record was not kept because the log was full.
    pub dropped: u64,
    /// Distinct records, in order of first occurrence.
    pub items: Vec<Denial>,
    /// What nobody saw and much speaks for ([`Confidence::Inferred`](super::Confidence)); not
    /// counted in `total`.
    pub inferred: Vec<Denial>,
}

impl DenialLog {
    /// Adds another log of the same run, in order of first occurrence.
    pub fn absorb(&mut self, other: DenialLog) {
        self.total += other.total;
        self.dropped += other.dropped;
        self.items.extend(other.items);
        self.items.sort_by_key(|denial| denial.first_ms);
        for denial in self.items.drain(self.items.len().min(Recorder::CAPACITY)..) {
            self.dropped += denial.count;
        }
    }
}

/// What makes two refusals the same for the reader.
type Key = (Kind, Operation, Vec<u8>, Option<Vec<u8>>, i32, Vec<u8>);

/// Collects denials. Memory is bounded by [`Recorder::CAPACITY`] distinct records and
/// [`Recorder::NAME_BYTES`].
#[derive(Debug, Default)]
pub struct Recorder {
    log: DenialLog,
    /// Bytes in the names of the log.
    name_bytes: usize,
    index: HashMap<Key, usize>,
}

impl Recorder {
    /// Distinct records kept; later ones only count.
    pub const CAPACITY: usize = 1024;
    /// Bytes in the names of all records: a program can make every name as long as paths may be.
    pub const NAME_BYTES: usize = 2 << 20;

    /// Adds one refusal.
    pub fn add(&mut self, denial: Denial) {
        self.log.total += denial.count;
        let key = (
            denial.kind,
            denial.operation,
            denial.target.clone(),
            denial.host.clone(),
            denial.errno,
            denial.exe.clone(),
        );
        if let Some(known) = self.index.get(&key).and_then(|&i| self.log.items.get_mut(i)) {
            known.count += denial.count;
            known.last_ms = known.last_ms.max(denial.last_ms);
            return;
        }
        let Denial { target, resolved, host, exe, .. } = &denial;
        let optional = [resolved, host].into_iter().flatten();
        let name_bytes: usize = optional.chain([target, exe]).map(Vec::len).sum();
        let fits = self.name_bytes + name_bytes <= Self::NAME_BYTES;
        if fits && self.log.items.len() < Self::CAPACITY {
            self.name_bytes += name_bytes;
            self.index.insert(key, self.log.items.len());
            self.log.items.push(denial);
        } else {
            self.log.dropped += denial.count;
        }
    }

    /// The log so far.
    #[must_use]
    pub fn log(&self) -> &DenialLog {
        &self.log
    }

    /// The finished log.
    #[must_use]
    pub fn into_log(self) -> DenialLog {
        self.log
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Confidence, Layer, Reason};
    use super::*;

    fn denial(target: &str, at: u64) -> Denial {
        Denial {
            kind: Kind::Fs,
            operation: Operation::Read,
            access: crate::policy::Access::READ,
            target: target.into(),
            resolved: None,
            host: None,
            syscall: "openat".into(),
            errno: 13,
            pid: 1,
            exe: b"/bin/cat".to_vec(),
            layer: Layer::Landlock,
            reason: Reason::NoGrant,
            rule: None,
            confidence: Confidence::Observed,
            count: 1,
            first_ms: at,
            last_ms: at,
        }
    }

    #[test]
    fn folds_repetitions_and_keeps_true_counts() {
        let mut recorder = Recorder::default();
        for at in 0..5 {
            recorder.add(denial("/a", at));
        }
        recorder.add(denial("/b", 9));
        let log = recorder.into_log();
        assert_eq!((log.total, log.dropped, log.items.len()), (6, 0, 2));
        assert_eq!((log.items[0].count, log.items[0].first_ms, log.items[0].last_ms), (5, 0, 4));
    }

    #[test]
    fn two_logs_of_a_run_become_one() {
        let log = |items: Vec<Denial>| DenialLog {
            total: items.len() as u64,
            items,
            ..DenialLog::default()
        };
        let mut ours = log(vec![denial("/a", 1), denial("/c", 5)]);
        ours.absorb(log(vec![denial("/b", 3)]));
        let order: Vec<&[u8]> = ours.items.iter().map(|d| d.target.as_slice()).collect();
        assert_eq!((ours.total, order), (3, vec![&b"/a"[..], b"/b", b"/c"]));
        ours.absorb(log((0..Recorder::CAPACITY as u64).map(|n| denial("/x", n)).collect()));
        assert_eq!((ours.items.len(), ours.dropped), (Recorder::CAPACITY, 3));
    }

    #[test]
    fn memory_is_bounded_and_nothing_is_uncounted() {
        let mut recorder = Recorder::default();
        let many = 3 * Recorder::CAPACITY as u64;
        for n in 0..many {
            recorder.add(denial(&format!("/f{n}"), n));
        }
        let log = recorder.into_log();
        assert_eq!(log.items.len(), Recorder::CAPACITY);
        assert_eq!(log.total, many);
        assert_eq!(log.dropped, many - Recorder::CAPACITY as u64);
    }

    #[test]
    fn names_of_any_length_fit_into_a_message() {
        let mut recorder = Recorder::default();
        let long = "x".repeat(4000);
        for n in 0..Recorder::CAPACITY as u64 {
            let mut denial = denial(&format!("/{n}/{long}"), n);
            denial.resolved = Some(denial.target.clone());
            denial.exe = denial.target.clone();
            recorder.add(denial);
        }
        let log = recorder.into_log();
        assert_eq!(log.items.len() as u64 + log.dropped, log.total);
        assert!(postcard::to_stdvec(&log).unwrap().len() < 2 * Recorder::NAME_BYTES);
    }
}

//! Going through a log line by line: does each follow from the one before? Pure.

use super::chain::{Hash, Head, Read};
use nono_schemas::{AuditEvent, AuditLine};
use serde::Serialize;

/// Lines a server may have written whose head it did not note down before it was stopped: the one
/// of an event, and those that say what was lost and recovered before it.
pub(super) const MOST_UNNOTED: u64 = 3;
/// Findings kept; more are counted.
const MOST_FINDINGS: usize = 100;

/// Something that is not as the servers wrote it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    /// The line in the file, counted from 1; absent for what is about the log as a whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) line: Option<u64>,
    /// What kind of thing.
    pub(crate) kind: FindingKind,
    /// In words.
    pub(crate) text: String,
}

/// Kinds of findings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FindingKind {
    /// No line of an audit log.
    Unreadable,
    /// A line whose hash is not that of its bytes.
    Changed,
    /// A line that does not follow from the one before: something was removed, added or moved.
    OutOfPlace,
    /// The log ends before its head says it does, or with another line.
    Cut,
    /// There are more lines than the head knows.
    Added,
    /// A head that was noted down elsewhere is not in the log.
    HeadNotFound,
    /// The file with the head is missing or unreadable.
    NoHead,
}

/// What a log was found to be.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Report {
    /// Whether everything is as the servers wrote it.
    pub(crate) ok: bool,
    /// Lines, whole ones.
    pub(crate) lines: u64,
    /// Runs that were asked for.
    pub(crate) calls: u64,
    /// Runs that ended.
    pub(crate) ended: u64,
    /// Lines that servers say they could not write.
    pub(crate) lost: u64,
    /// Time of the first line.
    pub(crate) first: Option<String>,
    /// Time of the last line.
    pub(crate) last: Option<String>,
    /// The last line, `SEQ:HASH`: kept elsewhere, it shows later that nothing before it changed.
    pub(crate) head: String,
    /// Bytes of an unfinished last line: its writer was stopped in the middle of it.
    pub(crate) torn_bytes: u64,
    /// What is wrong, at most 100 things.
    pub(crate) findings: Vec<Finding>,
    /// What is wrong and not in `findings`.
    pub(crate) more_findings: u64,
}

/// Goes through a log.
#[derive(Debug, Default)]
pub(super) struct Checker {
    report: Report,
    number: u64,
    head: Head,
    /// A line that could not be read, unless the next one explains it.
    fragment: Option<(u64, Hash)>,
    /// A head that was noted down elsewhere.
    known: Option<Mark>,
    /// What the head file says.
    noted: Option<Mark>,
}

/// A head to be met on the way.
#[derive(Debug, Clone, Copy)]
struct Mark {
    head: Head,
    met: bool,
}

impl Mark {
    fn new(head: Head) -> Self {
        Self { head, met: head == Head::default() }
    }
}

impl Checker {
    /// Starts. `known` must be one of the lines; `noted`, what the head file says, one of the last.
    pub(super) fn new(known: Option<Head>, noted: Result<Head, String>) -> Self {
        let mut checker = Self { known: known.map(Mark::new), ..Self::default() };
        match noted {
            Ok(noted) => checker.noted = Some(Mark::new(noted)),
            // A head that was kept elsewhere says as much.
            Err(_) if known.is_some() => {}
            Err(why) => checker.find(None, FindingKind::NoHead, why),
        }
        checker
    }

    /// The next line, without its newline.
    pub(super) fn line(&mut self, bytes: &[u8]) -> Option<AuditLine> {
        self.number += 1;
        let explains = |read: &Read| match (&self.fragment, &read.line.entry.event) {
            (Some((_, hash)), AuditEvent::Recovered { sha256, .. }) => *sha256 == hash.to_string(),
            _ => false,
        };
        let read = Read::parse(bytes);
        if !read.as_ref().is_some_and(explains) {
            self.unexplained();
        }
        self.fragment = None;
        let Some(read) = read else {
            self.fragment = Some((self.number, Hash::of(bytes)));
            return None;
        };
        self.report.lines += 1;
        if !read.intact {
            let text = "was changed: its hash is not that of its bytes".to_owned();
            self.find(Some(self.number), FindingKind::Changed, text);
        }
        self.place(&read);
        // From here on as the line says, so that one change is one finding.
        self.head = read.head();
        for mark in [&mut self.known, &mut self.noted].into_iter().flatten() {
            mark.met |= mark.head == self.head && read.intact;
        }
        self.count(&read.line);
        Some(read.line)
    }

    /// Whether a line stands where it says it does.
    fn place(&mut self, read: &Read) {
        let entry = &read.line.entry;
        if read.follows(self.head) {
            return;
        }
        let text = match entry.seq == self.head.seq + 1 {
            true => format!(
                "does not follow from the line before it: it follows from one with the hash {}",
                entry.prev
            ),
            false => format!(
                "says it is number {} where {} would be next: lines were removed, added or moved",
                entry.seq,
                self.head.seq + 1
            ),
        };
        self.find(Some(self.number), FindingKind::OutOfPlace, text);
    }

    fn count(&mut self, line: &AuditLine) {
        match line.entry.event {
            AuditEvent::Call { .. } => self.report.calls += 1,
            AuditEvent::Ended(_) => self.report.ended += 1,
            AuditEvent::Lost { lines } => self.report.lost += lines,
            _ => {}
        }
        self.report.first.get_or_insert_with(|| line.entry.time.clone());
        self.report.last = Some(line.entry.time.clone());
    }

    /// A line that could not be read, and that no server explained.
    fn unexplained(&mut self) {
        if let Some((number, _)) = self.fragment.take() {
            let text = "is no line of an audit log".to_owned();
            self.find(Some(number), FindingKind::Unreadable, text);
        }
    }

    /// The end of the file, with the bytes behind the last newline.
    pub(super) fn end(mut self, rest: u64) -> Report {
        self.unexplained();
        self.report.torn_bytes = rest;
        if let Some(noted) = self.noted {
            let other = || {
                let text = format!("line {} is not the one its head file knows", noted.head.seq);
                (FindingKind::Cut, text)
            };
            let fits = compare(self.head, noted.head);
            if let Err((kind, text)) = fits.and_then(|()| noted.met.then_some(()).ok_or_else(other))
            {
                self.find(None, kind, text);
            }
        }
        if let Some(Mark { head, met: false }) = self.known {
            let text = format!(
                "no line {} with the hash {} is in the log: it was changed or cut since",
                head.seq, head.hash
            );
            self.find(None, FindingKind::HeadNotFound, text);
        }
        self.report.head = self.head.to_string();
        self.report.ok = self.report.findings.is_empty();
        self.report
    }

    fn find(&mut self, line: Option<u64>, kind: FindingKind, text: String) {
        if self.report.findings.len() < MOST_FINDINGS {
            self.report.findings.push(Finding { line, kind, text });
        } else {
            self.report.more_findings += 1;
        }
    }
}

/// Whether a log that ends with `last` can have the head that was noted down.
///
/// # Errors
/// What is wrong, if not.
pub(super) fn compare(last: Head, noted: Head) -> Result<(), (FindingKind, String)> {
    let cut = |text: String| Err((FindingKind::Cut, text));
    if last.seq < noted.seq {
        return cut(format!(
            "the log ends with line {}, and its head file knows of {}: {} missing at the end",
            last.seq,
            noted.seq,
            lines(noted.seq - last.seq)
        ));
    }
    if last.seq == noted.seq && last.hash != noted.hash {
        return cut(format!("line {} is not the one its head file knows", last.seq));
    }
    if last.seq - noted.seq > MOST_UNNOTED {
        let text = format!(
            "the log ends with line {}, and its head file knows of {} only",
            last.seq, noted.seq
        );
        return Err((FindingKind::Added, text));
    }
    Ok(())
}

fn lines(count: u64) -> String {
    if count == 1 { "1 line is".to_owned() } else { format!("{count} lines are") }
}

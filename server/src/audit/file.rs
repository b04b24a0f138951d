//! The log's two files: the lines, only ever added to, and beside them the head, so that a log cut
//! off at its end is told from a shorter one.

use super::chain::{Hash, Head, Read, Stamp, seal};
use super::check::compare;
use super::error::AuditError;
use nix::fcntl::{Flock, FlockArg, OFlag};
use nix::unistd::geteuid;
use nono_schemas::AuditEvent;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The longest line. Longer ones are not written, so the last line is found without a search.
pub(super) const MAX_LINE: usize = 256 << 10;
/// How long to wait for another server that is writing.
const LOCK_PATIENCE: Duration = Duration::from_secs(5);
const LOCK_STEP: Duration = Duration::from_millis(1);
/// Mode of both files.
const MODE: u32 = 0o600;

/// Where the head of a log is noted down.
pub(super) fn head_path(log: &Path) -> PathBuf {
    let mut name = log.as_os_str().to_owned();
    name.push(".head");
    PathBuf::from(name)
}

/// A log, open for writing. Several servers may write to one.
#[derive(Debug)]
pub(super) struct Log {
    path: PathBuf,
    lines: File,
    head: File,
    /// The end as this process left it.
    known: Option<End>,
    /// Lines that could not be written since the last one that could.
    lost: u64,
}

#[derive(Debug, Clone, Copy)]
struct End {
    length: u64,
    head: Head,
}

/// What stands behind the last newline.
#[derive(Debug)]
enum Rest {
    Nothing,
    /// A whole line that lacks its newline.
    Line,
    /// A part of a line.
    Torn(Vec<u8>),
}

impl Log {
    /// Opens the log, or starts one.
    ///
    /// # Errors
    /// [`AuditError`] if it cannot be used or is not as a server left it.
    pub(super) fn open(path: &Path) -> Result<Self, AuditError> {
        let lines = own_file(path, OpenOptions::new().append(true).create(true))?;
        let failed = |source| AuditError::File { what: "lock", path: path.to_owned(), source };
        let file = lines.try_clone().map_err(failed)?;
        let _lock = lock(file, FlockArg::LockExclusiveNonblock).map_err(failed)?;
        let is_new = lines.metadata().map_err(failed)?.len() == 0;
        let beside = head_path(path);
        if !is_new && !beside.exists() {
            let why = format!("its head file {} is missing", beside.display());
            return Err(AuditError::Damaged { path: path.to_owned(), why });
        }
        let head = own_file(&beside, OpenOptions::new().write(true).create(is_new))?;
        let log = Self { path: path.to_owned(), lines, head, known: None, lost: 0 };
        log.end()?;
        Ok(log)
    }

    /// Adds a line.
    ///
    /// # Errors
    /// [`AuditError`] if it could not be written in full; the next one says so.
    pub(super) fn append(&mut self, stamp: Stamp<'_>, event: AuditEvent) -> Result<(), AuditError> {
        let appended = self.try_append(stamp, event);
        match &appended {
            Ok(()) => self.lost = 0,
            Err(_) => self.lost += 1,
        }
        appended
    }

    /// Lines that could not be written since the last one that could.
    pub(super) fn lost(&self) -> u64 {
        self.lost
    }

    fn try_append(&mut self, stamp: Stamp<'_>, event: AuditEvent) -> Result<(), AuditError> {
        let _lock = self.lock()?;
        let (end, rest) = self.end()?;
        let mut batch = Vec::new();
        let mut events = Vec::new();
        if !matches!(rest, Rest::Nothing) {
            batch.push(b'\n');
        }
        if let Rest::Torn(torn) = rest {
            let sha256 = Hash::of(&torn).to_string();
            events.push(AuditEvent::Recovered { bytes: torn.len() as u64, sha256 });
        }
        if self.lost > 0 {
            events.push(AuditEvent::Lost { lines: self.lost });
        }
        events.push(event);
        let mut head = end.head;
        for event in events {
            let (line, next) = seal(head, stamp, event)
                .map_err(|error| self.failed("write to", io::Error::other(error)))?;
            if line.len() > MAX_LINE {
                return Err(self.failed("write to", io::ErrorKind::FileTooLarge.into()));
            }
            batch.extend_from_slice(&line);
            head = next;
        }
        // Whatever happens now, the end has to be looked at again.
        self.known = None;
        (&self.lines).write_all(&batch).map_err(|e| self.failed("write to", e))?;
        let noted = format!("{:020}:{}\n", head.seq, head.hash);
        self.head
            .write_all_at(noted.as_bytes(), 0)
            .map_err(|e| self.failed("note the head of", e))?;
        let length = end.length + batch.len() as u64;
        self.known = Some(End { length, head });
        Ok(())
    }

    /// Where the log ends, and what stands there unfinished.
    fn end(&self) -> Result<(End, Rest), AuditError> {
        let length = self.lines.metadata().map_err(|e| self.failed("look at", e))?.len();
        if let Some(known) = self.known.filter(|known| known.length == length) {
            return Ok((known, Rest::Nothing));
        }
        let from = length.saturating_sub(2 * MAX_LINE as u64);
        let mut tail = vec![0; usize::try_from(length - from).unwrap_or(0)];
        self.lines.read_exact_at(&mut tail, from).map_err(|e| self.failed("read", e))?;
        let whole = tail.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
        let torn = tail.split_off(whole);
        let mut head = match tail.strip_suffix(b"\n") {
            None if from == 0 => Head::default(),
            None => return Err(self.damaged("its last line is too long".to_owned())),
            Some(lines) => {
                let start = lines.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
                let last = lines.get(start..).and_then(Read::parse).filter(|read| read.intact);
                last.ok_or_else(|| self.damaged("its last line was changed".to_owned()))?.head()
            }
        };
        let rest = match Read::parse(&torn) {
            _ if torn.is_empty() => Rest::Nothing,
            None => Rest::Torn(torn),
            Some(line) if line.intact && line.follows(head) => {
                head = line.head();
                Rest::Line
            }
            Some(_) => return Err(self.damaged("its last line does not follow".to_owned())),
        };
        let noted = read_head(&self.head).map_err(|why| self.damaged(why))?;
        compare(head, noted).map_err(|(_, why)| self.damaged(why))?;
        Ok((End { length, head }, rest))
    }

    /// Held while the end is looked at and added to.
    fn lock(&self) -> Result<Flock<File>, AuditError> {
        let file = self.lines.try_clone().map_err(|e| self.failed("lock", e))?;
        lock(file, FlockArg::LockExclusiveNonblock).map_err(|e| self.failed("lock", e))
    }

    fn failed(&self, what: &'static str, source: io::Error) -> AuditError {
        AuditError::File { what, path: self.path.clone(), source }
    }

    fn damaged(&self, why: String) -> AuditError {
        AuditError::Damaged { path: self.path.clone(), why }
    }
}

/// Waits for a lock, with an end.
pub(super) fn lock(mut file: File, how: FlockArg) -> io::Result<Flock<File>> {
    let until = Instant::now() + LOCK_PATIENCE;
    loop {
        match Flock::lock(file, how) {
            Ok(lock) => return Ok(lock),
            Err((_, errno)) if errno != nix::errno::Errno::EWOULDBLOCK => return Err(errno.into()),
            Err(_) if Instant::now() >= until => return Err(io::ErrorKind::TimedOut.into()),
            Err((same, _)) => file = same,
        }
        std::thread::sleep(LOCK_STEP);
    }
}

/// The head that was noted down.
///
/// # Errors
/// Why there is none.
pub(super) fn read_head(file: &File) -> Result<Head, String> {
    let mut text = vec![0; 256];
    let length = file.read_at(&mut text, 0).map_err(|e| format!("its head file: {e}"))?;
    text.truncate(length);
    let text = String::from_utf8_lossy(&text);
    if text.is_empty() {
        return Ok(Head::default());
    }
    text.trim_end().parse().map_err(|_| "its head file does not hold a head".to_owned())
}

/// A file that is this user's alone.
fn own_file(path: &Path, options: &mut OpenOptions) -> Result<File, AuditError> {
    let failed = |source| AuditError::File { what: "open", path: path.to_owned(), source };
    let file = options
        .read(true)
        .mode(MODE)
        .custom_flags(OFlag::O_NOFOLLOW.bits())
        .open(path)
        .map_err(failed)?;
    let found = file.metadata().map_err(failed)?;
    let why = if !found.is_file() {
        "is not a file"
    } else if found.uid() != geteuid().as_raw() {
        "belongs to another user"
    } else if found.mode() & 0o022 != 0 {
        "can be written by other users; `chmod go-w` it"
    } else if found.nlink() != 1 {
        "has a second name, by which commands may reach it"
    } else {
        return Ok(file);
    };
    Err(AuditError::Unsafe { path: path.to_owned(), why })
}

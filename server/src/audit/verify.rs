//! Reading a log from its first line to its last.

use super::chain::Head;
use super::check::{Checker, Report};
use super::error::AuditError;
use super::file::{MAX_LINE, head_path, lock, read_head};
use nix::fcntl::FlockArg;
use nono_schemas::AuditLine;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

/// Goes through the log at `path`, handing each line that can be read to `each`, and says what is
/// wrong with it. `known`: a line that must be in it.
///
/// # Errors
/// [`AuditError`] if the file cannot be read.
pub(crate) fn verify(
    path: &Path,
    known: Option<Head>,
    mut each: impl FnMut(&AuditLine),
) -> Result<Report, AuditError> {
    let failed = |what| {
        let path = path.to_owned();
        move |source| AuditError::File { what, path, source }
    };
    let file = File::open(path).map_err(failed("open"))?;
    let copy = file.try_clone().map_err(failed("lock"))?;
    // No server is in the middle of a line as long as this is held.
    let _lock = lock(copy, FlockArg::LockSharedNonblock).map_err(failed("lock"))?;
    let beside = head_path(path);
    let noted = File::open(&beside)
        .map_err(|error| format!("its head file {}: {error}", beside.display()))
        .and_then(|file| read_head(&file));
    let mut checker = Checker::new(known, noted);
    let mut reader = BufReader::new(file);
    let mut line = Vec::new();
    loop {
        line.clear();
        // A longer line is none of ours, in as many parts as it takes.
        let most = MAX_LINE as u64 + 1;
        let length = reader.by_ref().take(most).read_until(b'\n', &mut line);
        if length.map_err(failed("read"))? == 0 {
            return Ok(checker.end(0));
        }
        match line.strip_suffix(b"\n") {
            Some(whole) => checker.line(whole).iter().for_each(&mut each),
            None if line.len() > MAX_LINE => checker.line(&line).iter().for_each(&mut each),
            None => return Ok(checker.end(line.len() as u64)),
        }
    }
}

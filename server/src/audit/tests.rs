use super::chain::Stamp;
use super::check::FindingKind;
use super::file::{Log, head_path};
use super::*;
use nono_schemas::AuditLine;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use tempfile::TempDir;

const STAMP: Stamp<'_> = Stamp { time: "2026-11-25T00:00:00.000Z", server: "ab" };

/// A log with as many lines as asked for.
struct Made {
    _folder: TempDir,
    path: PathBuf,
}

impl Made {
    fn new(lines: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let made = Self { path: folder.path().join("audit.jsonl"), _folder: folder };
        let mut log = made.open().unwrap();
        for n in 1..=lines {
            log.append(STAMP, numbered(n)).unwrap();
        }
        made
    }

    fn open(&self) -> Result<Log, AuditError> {
        Log::open(&self.path)
    }

    fn lines(&self) -> Vec<String> {
        fs::read_to_string(&self.path).unwrap().lines().map(str::to_owned).collect()
    }

    fn write(&self, lines: &[String]) {
        fs::write(&self.path, lines.join("\n") + "\n").unwrap();
    }

    fn check(&self, known: Option<Head>) -> (Report, Vec<AuditLine>) {
        let mut seen = Vec::new();
        let report = verify(&self.path, known, |line| seen.push(line.clone())).unwrap();
        (report, seen)
    }

    /// What is found, with the line it is found in.
    fn findings(&self) -> Vec<(Option<u64>, FindingKind)> {
        self.check(None).0.findings.into_iter().map(|f| (f.line, f.kind)).collect()
    }

    fn add_bytes(&self, bytes: &[u8]) {
        use std::io::Write;
        fs::OpenOptions::new().append(true).open(&self.path).unwrap().write_all(bytes).unwrap();
    }
}

fn numbered(n: u64) -> AuditEvent {
    AuditEvent::NotStarted { run_id: format!("r-{n}"), why: NotStarted::Busy }
}

#[test]
fn what_was_written_is_found_as_it_was_written() {
    let made = Made::new(5);
    let (report, seen) = made.check(None);
    assert!(report.ok, "{report:?}");
    assert_eq!((report.lines, seen.len()), (5, 5));
    assert_eq!(seen[2].entry.event, numbered(3));
    let head: Head = report.head.parse().unwrap();
    made.open().unwrap().append(STAMP, numbered(6)).unwrap();
    assert!(made.check(Some(head)).0.ok);
    assert_ne!(made.check(None).0.head, report.head);
}

#[test]
fn a_changed_line_is_found() {
    let made = Made::new(5);
    let mut lines = made.lines();
    lines[2] = lines[2].replace("r-3", "r-9");
    made.write(&lines);
    assert_eq!(made.findings(), [(Some(3), FindingKind::Changed)]);
}

#[test]
fn a_line_that_was_changed_and_hashed_again_is_found() {
    let made = Made::new(5);
    let mut lines = made.lines();
    lines[2] = forged_third(&lines);
    made.write(&lines);
    assert_eq!(made.findings(), [(Some(4), FindingKind::OutOfPlace)]);
    // The same at the end, where no line follows: the head tells.
    let made = Made::new(3);
    let mut lines = made.lines();
    lines[2] = forged_third(&lines);
    made.write(&lines);
    assert_eq!(made.findings(), [(None, FindingKind::Cut)]);
}

fn forged_third(lines: &[String]) -> String {
    let second = chain::Read::parse(lines[1].as_bytes()).unwrap().head();
    let (forged, _) = chain::seal(second, STAMP, numbered(9)).unwrap();
    String::from_utf8(forged).unwrap().trim_end().to_owned()
}

#[test]
fn removed_added_and_reordered_lines_are_found() {
    let made = Made::new(6);
    let whole = made.lines();
    let mut removed = whole.clone();
    removed.remove(2);
    made.write(&removed);
    assert_eq!(made.findings(), [(Some(3), FindingKind::OutOfPlace)]);
    let mut first_gone = whole.clone();
    first_gone.remove(0);
    made.write(&first_gone);
    assert_eq!(made.findings(), [(Some(1), FindingKind::OutOfPlace)]);
    let mut twice = whole.clone();
    twice.insert(3, whole[2].clone());
    made.write(&twice);
    assert_eq!(made.findings(), [(Some(4), FindingKind::OutOfPlace)]);
    let mut swapped = whole.clone();
    swapped.swap(1, 2);
    made.write(&swapped);
    let found = made.findings();
    assert!(found.contains(&(Some(2), FindingKind::OutOfPlace)), "{found:?}");
    let mut foreign = whole;
    foreign.insert(2, "{\"hello\": 1}".to_owned());
    made.write(&foreign);
    assert_eq!(made.findings(), [(Some(3), FindingKind::Unreadable)]);
}

#[test]
fn a_log_that_was_cut_is_found_and_not_written_to() {
    for left in [0, 1, 4] {
        let made = Made::new(5);
        let lines = made.lines();
        made.write(&lines[..left]);
        if left == 0 {
            fs::write(&made.path, "").unwrap();
        }
        assert_eq!(made.findings(), [(None, FindingKind::Cut)], "{left}");
        let error = made.open().unwrap_err().to_string();
        assert!(error.contains("missing at the end"), "{error}");
    }
}

#[test]
fn a_head_that_was_kept_shows_what_the_files_alone_cannot() {
    let made = Made::new(5);
    let kept: Head = made.check(None).0.head.parse().unwrap();
    // Somebody writes another log, with a head of its own, in its place.
    let other = Made::new(4);
    fs::copy(&other.path, &made.path).unwrap();
    fs::copy(head_path(&other.path), head_path(&made.path)).unwrap();
    assert!(made.check(None).0.ok);
    let found = made.check(Some(kept)).0.findings;
    assert_eq!(found.iter().map(|f| f.kind).collect::<Vec<_>>(), [FindingKind::HeadNotFound]);
}

#[test]
fn without_its_head_file_a_log_needs_one_that_was_kept() {
    let made = Made::new(3);
    let kept: Head = made.check(None).0.head.parse().unwrap();
    fs::remove_file(head_path(&made.path)).unwrap();
    assert_eq!(made.findings(), [(None, FindingKind::NoHead)]);
    assert!(made.check(Some(kept)).0.ok);
    assert!(matches!(made.open(), Err(AuditError::Damaged { .. })));
}

#[test]
fn a_torn_last_line_is_told_and_the_next_server_goes_on_behind_it() {
    let made = Made::new(3);
    let torn = made.lines()[2][..40].to_owned();
    made.add_bytes(torn.as_bytes());
    let (report, _) = made.check(None);
    assert!(report.ok, "{report:?}");
    assert_eq!(report.torn_bytes, 40);
    made.open().unwrap().append(STAMP, numbered(8)).unwrap();
    let (report, seen) = made.check(None);
    assert!(report.ok, "{report:?}");
    // The line that says what stands there, and the new one.
    assert_eq!((report.lines, report.torn_bytes), (5, 0));
    assert!(matches!(seen[3].entry.event, AuditEvent::Recovered { bytes: 40, .. }));
    assert_eq!(seen[4].entry.event, numbered(8));
}

#[test]
fn a_line_that_lacks_only_its_newline_counts() {
    let made = Made::new(3);
    let whole = fs::read(&made.path).unwrap();
    fs::write(&made.path, &whole[..whole.len() - 1]).unwrap();
    made.open().unwrap().append(STAMP, numbered(4)).unwrap();
    let (report, seen) = made.check(None);
    assert!(report.ok, "{report:?}");
    assert_eq!(
        seen.iter().map(|l| l.entry.event.clone()).collect::<Vec<_>>(),
        [1, 2, 3, 4].map(numbered)
    );
    // A line of elsewhere is not taken for one.
    made.add_bytes(made.lines()[1].as_bytes());
    assert!(matches!(made.open(), Err(AuditError::Damaged { .. })));
}

#[test]
fn bytes_that_no_server_explains_are_not_taken_for_a_torn_line() {
    let made = Made::new(3);
    made.add_bytes(b"{\"v\":1,\"seq\":4\n");
    assert_eq!(made.findings(), [(Some(4), FindingKind::Unreadable)]);
    assert!(matches!(made.open(), Err(AuditError::Damaged { .. })));
}

#[test]
fn lines_written_without_the_head_are_found() {
    let made = Made::new(3);
    let noted = fs::read(head_path(&made.path)).unwrap();
    let mut log = made.open().unwrap();
    (4..=9).for_each(|n| log.append(STAMP, numbered(n)).unwrap());
    fs::write(head_path(&made.path), &noted).unwrap();
    assert_eq!(made.findings(), [(None, FindingKind::Added)]);
    // A single one is what a server leaves that is stopped between the two.
    let made = Made::new(3);
    let noted = fs::read(head_path(&made.path)).unwrap();
    made.open().unwrap().append(STAMP, numbered(4)).unwrap();
    fs::write(head_path(&made.path), &noted).unwrap();
    assert!(made.check(None).0.ok);
    made.open().unwrap().append(STAMP, numbered(5)).unwrap();
    assert_eq!(made.check(None).0.lines, 5);
}

#[test]
fn several_servers_write_one_chain() {
    let made = Made::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut log = made.open().unwrap();
                (0..50).for_each(|n| log.append(STAMP, numbered(n)).unwrap());
            });
        }
    });
    let (report, seen) = made.check(None);
    assert!(report.ok, "{report:?}");
    assert_eq!(seen.len(), 200);
}

#[test]
fn what_could_not_be_written_is_counted_in_the_log_itself() {
    let made = Made::new(2);
    let mut log = made.open().unwrap();
    log.append(STAMP, numbered(3)).unwrap();
    made.add_bytes(b"nonsense\n");
    assert!(log.append(STAMP, numbered(4)).is_err());
    assert!(log.append(STAMP, numbered(5)).is_err());
    assert_eq!(log.lost(), 2);
    let lines = made.lines();
    made.write(&lines[..3]);
    log.append(STAMP, numbered(6)).unwrap();
    let (report, seen) = made.check(None);
    assert!(report.ok, "{report:?}");
    assert_eq!((report.lost, log.lost()), (2, 0));
    assert_eq!(seen[3].entry.event, AuditEvent::Lost { lines: 2 });
}

#[test]
fn files_that_others_can_write_or_reach_are_not_used() {
    let made = Made::new(1);
    fs::set_permissions(&made.path, fs::Permissions::from_mode(0o666)).unwrap();
    assert!(matches!(made.open(), Err(AuditError::Unsafe { .. })));
    fs::set_permissions(&made.path, fs::Permissions::from_mode(0o600)).unwrap();
    let second = made.path.with_extension("second");
    fs::hard_link(&made.path, &second).unwrap();
    assert!(matches!(made.open(), Err(AuditError::Unsafe { .. })));
    fs::remove_file(&second).unwrap();
    let real = made.path.with_extension("real");
    fs::rename(&made.path, &real).unwrap();
    std::os::unix::fs::symlink(&real, &made.path).unwrap();
    assert!(matches!(made.open(), Err(AuditError::File { .. })));
}

#[test]
fn new_files_are_for_their_user_alone() {
    let made = Made::new(1);
    for path in [made.path.clone(), head_path(&made.path)] {
        assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o7777, 0o600);
    }
}

//! What the settings of a git repository name besides: files they include, a folder of hooks, the
//! work tree.
//!
//! Read as git does (git-config(1)), without git, and forgiving: what git would stop at is skipped.

use nix::fcntl::OFlag;
use std::cell::{Cell, RefCell};
use std::collections::{HashSet, VecDeque};
use std::ffi::{OsStr, OsString};
use std::fs::{self, OpenOptions};
use std::io::Read;
use std::iter::{Copied, Peekable};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::slice::Iter;

/// Files that are read of one repository, and the most that is read of each.
const MOST_FILES: usize = 32;
const MOST_BYTES: u64 = 1 << 20;
/// Paths that count of one repository. Whoever names more has made the settings for that: commands
/// cannot add to those of a repository that counts.
const MOST_NAMES: usize = 256;
/// Bytes that are read of all repositories together. Commands can make repositories, so what lies
/// beyond is no reason to look at less.
const MOST_BYTES_OF_ALL: u64 = 16 << 20;
/// Links in folders of hooks, and paths that settings name, that are followed of all together. Each
/// can be a mount in every run. What lies beyond would be open to be changed, so it is an error too.
const MOST_WAYS_OF_ALL: usize = 1024;

/// What may still be read and followed.
#[derive(Debug)]
pub(crate) struct Budget {
    bytes: Cell<u64>,
    /// Those that were followed: one place counts once, however much leads there.
    ways: RefCell<HashSet<PathBuf>>,
}

impl Default for Budget {
    fn default() -> Self {
        Self { bytes: Cell::new(MOST_BYTES_OF_ALL), ways: RefCell::default() }
    }
}

impl Budget {
    /// Pays for following a link or a setting in `holder` to `way`. Whether that is new.
    ///
    /// # Errors
    /// A sentence, where that is one more than may be.
    pub(crate) fn follow(&self, holder: &Path, way: &Path) -> Result<bool, String> {
        let mut ways = self.ways.borrow_mut();
        if ways.contains(way) {
            return Ok(false);
        }
        if ways.len() >= MOST_WAYS_OF_ALL {
            return Err(format!(
                "hooks and settings of the repositories there lead to more than \
                 {MOST_WAYS_OF_ALL} places together, those in {} among them; remove what does not \
                 belong there",
                holder.display()
            ));
        }
        Ok(ways.insert(way.to_path_buf()))
    }

    fn read(&self, bytes: usize, on: &Path) -> Result<(), String> {
        let left = u64::try_from(bytes).ok().and_then(|b| self.bytes.get().checked_sub(b));
        let Some(left) = left else {
            return Err(format!(
                "the settings of the repositories there are longer than {} MiB together, {} among \
                 them; remove what does not belong there",
                MOST_BYTES_OF_ALL >> 20,
                on.display()
            ));
        };
        self.bytes.set(left);
        Ok(())
    }
}

/// What the settings of a repository name.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Named {
    /// Included files, and folders of hooks that are not relative to a work tree.
    pub(crate) paths: Vec<PathBuf>,
    /// Folders of hooks, relative to where hooks run: the top of a work tree.
    pub(crate) hooks: Vec<PathBuf>,
    /// The work tree, if it is not what holds the repository.
    pub(crate) work_trees: Vec<PathBuf>,
}

/// What `file` names, and the files it includes, whatever their conditions.
///
/// # Errors
/// A sentence, where more would have to be read than may be.
pub(crate) fn named(file: &Path, home: Option<&Path>, budget: &Budget) -> Result<Named, String> {
    let mut named = Named::default();
    let mut seen = HashSet::from([file.to_path_buf()]);
    let mut files = VecDeque::from([file.to_path_buf()]);
    let mut read = 0;
    while let Some(file) = files.pop_front().filter(|_| read < MOST_FILES) {
        read += 1;
        let folder = file.parent().unwrap_or(Path::new("/"));
        for (setting, value) in settings(&text(&file, budget)?) {
            let Some(path) = expanded(value, home) else { continue };
            let included = folder.join(&path);
            match setting {
                _ if named.count() >= MOST_NAMES => return Ok(named),
                Setting::Include if seen.insert(included.clone()) => {
                    named.paths.push(included.clone());
                    files.push_back(included);
                }
                Setting::Include => {}
                Setting::Hooks if path.is_absolute() => named.paths.push(path),
                Setting::Hooks => named.hooks.push(path),
                Setting::WorkTree => named.work_trees.push(included),
            }
        }
    }
    Ok(named)
}

impl Named {
    fn count(&self) -> usize {
        self.paths.len() + self.hooks.len() + self.work_trees.len()
    }
}

/// `~/x` is in the home. Other users' homes are nobody's to write.
fn expanded(value: Vec<u8>, home: Option<&Path>) -> Option<PathBuf> {
    match value.strip_prefix(b"~/") {
        Some(rest) => Some(home?.join(OsStr::from_bytes(rest))),
        None if value.is_empty() => None,
        None => Some(PathBuf::from(OsString::from_vec(value))),
    }
}

/// The start of a regular file; nothing of any other, which could keep whoever reads it waiting.
///
/// # Errors
/// A sentence, where it is more than may be read.
pub(crate) fn text(file: &Path, budget: &Budget) -> Result<Vec<u8>, String> {
    let mut text = Vec::new();
    if fs::metadata(file).is_ok_and(|found| found.is_file()) {
        let flags = (OFlag::O_NONBLOCK | OFlag::O_NOCTTY).bits();
        let opened = OpenOptions::new().read(true).custom_flags(flags).open(file);
        // What was read until an error counts.
        let _read = opened.and_then(|file| file.take(MOST_BYTES).read_to_end(&mut text));
    }
    budget.read(text.len(), file)?;
    Ok(text)
}

/// A setting that names a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Setting {
    /// `include.path`, `includeIf.*.path`
    Include,
    /// `core.hooksPath`
    Hooks,
    /// `core.worktree`
    WorkTree,
}

/// The section that a setting is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Section {
    Core,
    Include,
    Other,
}

fn settings(text: &[u8]) -> Vec<(Setting, Vec<u8>)> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let mut reader = Reader(text.iter().copied().peekable());
    let mut section = Section::Other;
    let mut all = Vec::new();
    while let Some(byte) = reader.next() {
        match byte {
            b'#' | b';' => reader.skip_line(),
            b'[' => section = reader.section(),
            byte if byte.is_ascii_whitespace() => {}
            byte => {
                let name = reader.name(byte);
                let setting = match (section, name.as_slice()) {
                    (Section::Include, b"path") => Some(Setting::Include),
                    (Section::Core, b"hookspath") => Some(Setting::Hooks),
                    (Section::Core, b"worktree") => Some(Setting::WorkTree),
                    _ => None,
                };
                let value = reader.value();
                all.extend(setting.zip(value));
            }
        }
    }
    all
}

struct Reader<'t>(Peekable<Copied<Iter<'t, u8>>>);

impl Reader<'_> {
    /// The next byte; the two that end lines elsewhere are one.
    fn next(&mut self) -> Option<u8> {
        let byte = self.0.next()?;
        if byte == b'\r' { Some(self.0.next_if_eq(&b'\n').unwrap_or(byte)) } else { Some(byte) }
    }

    fn skip_line(&mut self) {
        while self.next().is_some_and(|byte| byte != b'\n') {}
    }

    /// The rest of a section's head: `core]`, `includeIf "condition"]`, `includeif.condition]`.
    fn section(&mut self) -> Section {
        let (mut name, mut named, mut sub, mut quoted) = (Vec::new(), false, false, false);
        while let Some(byte) = self.next() {
            match byte {
                b'\n' => break,
                b'\\' if quoted => drop(self.next()),
                b'"' => (quoted, named, sub) = (!quoted, true, true),
                _ if quoted => {}
                b']' => break,
                b'.' if !named => (named, sub) = (true, true),
                byte if byte.is_ascii_whitespace() => named |= !name.is_empty(),
                byte if !named => name.push(byte.to_ascii_lowercase()),
                _ => {}
            }
        }
        match (name.as_slice(), sub) {
            (b"core", false) => Section::Core,
            (b"include", false) | (b"includeif", true) => Section::Include,
            _ => Section::Other,
        }
    }

    fn name(&mut self, first: u8) -> Vec<u8> {
        let mut name = vec![first.to_ascii_lowercase()];
        while let Some(byte) = self.0.next_if(|b| b.is_ascii_alphanumeric() || *b == b'-') {
            name.push(byte.to_ascii_lowercase());
        }
        name
    }

    /// What follows a name; `None` without a value. Ends behind its line.
    fn value(&mut self) -> Option<Vec<u8>> {
        self.skip_blanks();
        if self.0.next_if_eq(&b'=').is_none() {
            self.skip_line();
            return None;
        }
        self.skip_blanks();
        let (mut value, mut length, mut quoted) = (Vec::new(), 0, false);
        while let Some(byte) = self.next() {
            match byte {
                b'\n' => break,
                b'"' => quoted = !quoted,
                b'#' | b';' if !quoted => {
                    self.skip_line();
                    break;
                }
                b'\\' => {
                    match self.next() {
                        // The line goes on.
                        None | Some(b'\n') => continue,
                        Some(b'n') => value.push(b'\n'),
                        Some(b't') => value.push(b'\t'),
                        Some(b'b') => value.push(8),
                        Some(other) => value.push(other),
                    }
                    length = value.len();
                }
                byte => {
                    value.push(byte);
                    // Blanks at the end are none of it.
                    if quoted || !byte.is_ascii_whitespace() {
                        length = value.len();
                    }
                }
            }
        }
        value.truncate(length);
        Some(value)
    }

    fn skip_blanks(&mut self) {
        while self.0.next_if(|byte| matches!(byte, b' ' | b'\t')).is_some() {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn settings_are_read_as_git_reads_them() {
        use Setting::{Hooks, Include, WorkTree};
        let table: [(&str, &[(Setting, &str)]); 14] = [
            ("[include]\n\tpath = ../.gitconfig\n", &[(Include, "../.gitconfig")]),
            (
                "[include] path = a b  # c\n path=\"d # e\" ; f",
                &[(Include, "a b"), (Include, "d # e")],
            ),
            ("[includeIf \"gitdir:~/]x\\\"/\"]\r\n  PATH=y\r\n", &[(Include, "y")]),
            ("[includeif.onbranch:main]\npath = y", &[(Include, "y")]),
            ("[include \"x\"]\npath = y", &[]),
            (
                "\u{feff}[Core]\nhooksPath = .githooks\nworktree=\"../../../sub\"",
                &[(Hooks, ".githooks"), (WorkTree, "../../../sub")],
            ),
            ("[core \"x\"]\nhooksPath = a", &[]),
            ("[core.x]\nhooksPath = a", &[]),
            ("[core]\n# hooksPath = a\n; hooksPath = b\nhooksPathX = c\nbare\nhooksPath\n", &[]),
            ("[core]\nhooksPath = a\\\nb\\\\c\\td \"e \"\n", &[(Hooks, "ab\\c\td e ")]),
            ("[core]\neditor = \"x\n[core]\nhooksPath = a", &[(Hooks, "a")]),
            (
                "[core]\nhooksPath = a\n[user]\nhooksPath = b\n[ core ]\nhooksPath = c",
                &[(Hooks, "a"), (Hooks, "c")],
            ),
            ("[core]\n= x\nhooksPath = \"\"\nhooksPath = y", &[(Hooks, ""), (Hooks, "y")]),
            ("[core", &[]),
        ];
        for (text, expected) in table {
            let read = settings(text.as_bytes());
            let read: Vec<_> =
                read.iter().map(|(s, v)| (*s, std::str::from_utf8(v).unwrap())).collect();
            assert_eq!(read, expected, "{text:?}");
        }
    }

    #[test]
    fn included_files_count_and_circles_end() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let circle = "[include]\npath=b\npath=~/c\npath=missing\n[core]\nhooksPath=h\n";
        fs::write(at("a"), circle).unwrap();
        fs::write(at("b"), "[include]\npath=a\n[core]\nhooksPath=/h\nworktree=w\n").unwrap();
        let home = Some(Path::new("/home/u"));
        let named = named(&at("a"), home, &Budget::default()).unwrap();
        let paths = vec![at("b"), "/home/u/c".into(), at("missing"), "/h".into()];
        assert_eq!(named, Named { paths, hooks: vec!["h".into()], work_trees: vec![at("w")] });
    }

    #[test]
    fn what_is_read_and_named_is_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let lines = |setting: &str| -> String {
            (0..20_000).map(|n| format!("{setting}=x{n}\n")).collect()
        };
        for start in ["[include]\npath", "[core]\nhookspath", "[core]\nworktree"] {
            let (section, setting) = start.split_once('\n').unwrap();
            fs::write(at("long"), format!("{section}\n{}", lines(setting))).unwrap();
            let named = named(&at("long"), None, &Budget::default()).unwrap();
            assert_eq!(named.count(), MOST_NAMES, "{start}");
        }
        let budget = Budget::default();
        fs::write(at("large"), vec![b'#'; 2 << 20]).unwrap();
        let read = (0..=16).map(|_| named(&at("large"), None, &budget)).take_while(Result::is_ok);
        assert_eq!(read.count(), 16);
        let error = named(&at("large"), None, &budget).unwrap_err();
        assert!(error.contains("large") && error.contains("16 MiB"), "{error}");
    }

    proptest! {
        #[test]
        fn any_text_can_be_read(text in prop::collection::vec(any::<u8>(), 0..200)) {
            let _settings = settings(&text);
        }

        #[test]
        fn what_looks_like_settings_can_be_read(text in "[\\[\\]\"\\\\#;=. \r\n\ta-c]{0,60}") {
            let _settings = settings(text.as_bytes());
        }

        #[test]
        fn a_quoted_value_is_what_was_quoted(value in "[ -~]{1,40}") {
            let quoted = value.replace('\\', "\\\\").replace('"', "\\\"");
            let text = format!("[core]\n\thooksPath = \"{quoted}\"\n");
            let expected = vec![(Setting::Hooks, value.into_bytes())];
            prop_assert_eq!(settings(text.as_bytes()), expected);
        }
    }
}

//! What a line that quotes an error is about: the refusal it is held against, or something that
//! the sandbox had no part in.

use super::group::Group;
use crate::quoted;
use nono_sandbox::record::{Denial, Kind};

/// Shorter names are parts of too many others.
const SHORTEST_PART: usize = 3;
/// Words in the place of a name, besides calls: `tool: error: Permission denied`.
const NO_NAMES: &[&str] =
    &["error", "exception", "fatal", "failed", "failure", "warning", "denied"];
/// Calls that programs name instead of the file.
const CALLS: &[&str] = &[
    "open", "fopen", "read", "write", "stat", "access", "exec", "mkdir", "unlink", "rename",
    "chdir", "connect", "bind", "listen", "socket", "send", "kill", "mmap", "ioctl", "creat",
];

/// Whether a line that quotes an error says it of something else than this group. `words`: the
/// error, in small letters.
pub(super) fn is_another(line: &str, words: &str, group: &Group<'_>) -> bool {
    let Some(denial) = group.members.first() else { return false };
    let named = match denial.kind {
        Kind::Fs | Kind::Exec | Kind::UnixSocket => all_named(line, words),
        // Those name what they are called for: the host, the place of a mount.
        Kind::NetProxy | Kind::NestedSandbox => return false,
        // These have no name of their own; a path is a file's.
        Kind::Signal
        | Kind::NetConnect
        | Kind::NetBind
        | Kind::Dns
        | Kind::Socket
        | Kind::Syscall => quoted::path_like(line).into_iter().filter(|n| is_path(n)).collect(),
    };
    let speaker = |name: &str| group.members.iter().any(|d| last(name) == last_of(&d.exe));
    let mut named = named.into_iter().filter(|name| !speaker(name)).peekable();
    named.peek().is_some() && !named.any(|name| group.members.iter().any(|d| is_its(name, d)))
}

/// All that a line may name: what is written like a path, what is in quotes, what stands between
/// the program and the error.
fn all_named<'l>(line: &'l str, words: &str) -> Vec<&'l str> {
    let long = |part: &&str| part.len() > SHORTEST_PART || is_path(part);
    let paths = quoted::path_like(line).into_iter().filter(long);
    paths.chain(quoted::in_quotes(line)).chain(between(line, words)).collect()
}

/// `NAME` of `PROGRAM: NAME: Permission denied`.
fn between<'l>(line: &'l str, words: &str) -> Option<&'l str> {
    let before = line.get(..line.to_ascii_lowercase().find(words)?)?.strip_suffix(": ")?;
    let (_, name) = before.rsplit_once(": ")?;
    let small = name.to_ascii_lowercase();
    let call = |known: &&str| small == **known || small.strip_suffix("at") == Some(known);
    let means_nothing = name.is_empty()
        || name.contains(char::is_whitespace)
        || name.chars().all(|c| c.is_ascii_digit() || c.is_ascii_uppercase())
        || NO_NAMES.iter().any(|word| small.ends_with(word))
        || CALLS.iter().any(call);
    (!means_nothing).then_some(name)
}

fn is_path(name: &str) -> bool {
    name.starts_with(['/', '~']) || name.starts_with("./") || name.starts_with("../")
}

/// Whether a name may be that of a refused target: the same, part of it or around it. A lock or a
/// temporary file is told by the name of the file it stands for.
fn is_its(name: &str, denial: &Denial) -> bool {
    let paths = [Some(&denial.target), denial.resolved.as_ref()];
    paths.into_iter().flatten().filter_map(|path| std::str::from_utf8(path).ok()).any(|path| {
        let part = |whole: &str, part: &str| part.len() >= SHORTEST_PART && whole.contains(part);
        path == name || last(path) == last(name) || part(path, name) || part(name, path)
    })
}

fn last(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or_default()
}

fn last_of(path: &[u8]) -> &str {
    std::str::from_utf8(path).map(last).unwrap_or_default()
}

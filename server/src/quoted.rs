//! Paths that a program's words quote near words that say "permission denied". Pure. What is found
//! proves nothing: a supervisor asks the rules and the file system about each.

use crate::safe_text::clean;

/// Paths taken from one output, the last ones first.
const MOST: usize = 64;
/// Longest path looked at, in bytes.
const LONGEST: usize = 1024;
/// Longest line looked at, in bytes.
const LONGEST_LINE: usize = 2048;
/// A message that names no file itself may do so a few lines away from the error.
const NEAR: usize = 3;
/// What a path is quoted between.
const QUOTES: [(char, char); 5] =
    [('\'', '\''), ('"', '"'), ('`', '`'), ('\u{2018}', '\u{2019}'), ('`', '\'')];

/// The paths, each once.
pub(crate) fn paths(said: &[u8]) -> Vec<Vec<u8>> {
    let text = clean::output(said).text;
    let lines: Vec<&str> = text.lines().filter(|line| line.len() <= LONGEST_LINE).collect();
    let refused: Vec<usize> =
        (0..lines.len()).filter(|at| lines.get(*at).is_some_and(|l| says_refused(l))).collect();
    let mut found: Vec<Vec<u8>> = Vec::new();
    // The words of the refusal itself come first, then what stands around them.
    for distance in 0..=NEAR {
        for at in refused.iter().rev() {
            let says_where = lines.get(*at).is_some_and(|line| names_something(line));
            if distance > 0 && says_where {
                continue;
            }
            let around = [at.checked_sub(distance), at.checked_add(distance)];
            for line in around.iter().flatten().filter_map(|at| lines.get(*at)) {
                for path in in_line(line, distance > 0) {
                    if found.len() < MOST && !found.iter().any(|f| f == path.as_bytes()) {
                        found.push(path.as_bytes().to_vec());
                    }
                }
            }
        }
    }
    found
}

fn says_refused(line: &str) -> bool {
    line.contains("EACCES") || line.to_ascii_lowercase().contains("permission denied")
}

/// Whether the line of a refusal says what was refused: `cat: x: Permission denied`, or a path, or
/// something in quotes.
fn names_something(line: &str) -> bool {
    let quoted = |(open, close)| line.split_once(open).is_some_and(|(_, l)| l.contains(close));
    let before = line.to_ascii_lowercase().find("permission denied").unwrap_or(line.len());
    let parts = line.get(..before).unwrap_or(line).matches(": ").count();
    parts > 1 || QUOTES.into_iter().any(quoted) || !in_line(line, true).is_empty()
}

/// What in a line is written like a path.
pub(crate) fn path_like(line: &str) -> Vec<&str> {
    in_line(line, true)
}

/// What in a line is in quotes.
pub(crate) fn in_quotes(line: &str) -> Vec<&str> {
    let mut found = Vec::new();
    for (open, close) in QUOTES {
        let mut rest = line;
        while let Some((_, after)) = rest.split_once(open) {
            let Some((inside, behind)) = after.split_once(close) else { break };
            found.push(inside);
            rest = behind;
        }
    }
    found
}

/// What in a line may be a path: between quotes, between colons, or a word. Away from the refusal
/// only what is written like a path.
fn in_line(line: &str, strict: bool) -> Vec<&str> {
    let mut parts = in_quotes(line);
    parts.extend(line.split(": ").map(str::trim));
    let edge = |c: char| c.is_whitespace() || "()[]<>{}'\"`,;:\u{2018}\u{2019}".contains(c);
    parts.extend(line.split_whitespace().map(|word| word.trim_matches(edge)));
    let like_a_path = |part: &&str| part.starts_with(['/', '~', '.']) || part.contains('/');
    parts
        .into_iter()
        .filter(|part| !part.is_empty() && part.len() <= LONGEST && !part.contains("://"))
        .filter(|part| !strict || like_a_path(part))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_programs_name_what_they_could_not_open() {
        for (said, path) in [
            ("cat: /srv/a: Permission denied\n", "/srv/a"),
            ("grep: link: Permission denied", "link"),
            ("head: cannot open '/srv/a b' for reading: Permission denied", "/srv/a b"),
            ("PermissionError: [Errno 13] Permission denied: '/srv/a'", "/srv/a"),
            ("Error: EACCES: permission denied, open '/srv/a'", "/srv/a"),
            ("open /srv/a: permission denied", "/srv/a"),
            ("rg: /srv/a: Permission denied (os error 13)", "/srv/a"),
            ("\u{1b}[31merror\u{1b}[0m: could not read `/srv/a`: Permission denied", "/srv/a"),
            (
                "error: failed to open `/srv/a`\n\nCaused by:\n  Permission denied (os error 13)\n",
                "/srv/a",
            ),
            ("sh: 1: cannot open ../x: Permission denied", "../x"),
        ] {
            let found = paths(said.as_bytes());
            assert!(found.iter().any(|f| f == path.as_bytes()), "{said}: {found:?}");
        }
    }

    #[test]
    fn words_without_a_refusal_are_not_looked_at() {
        assert!(paths(b"cat: /srv/a: No such file or directory\n").is_empty());
        let far = format!("/srv/a\n{}Permission denied\n", "\n".repeat(NEAR + 1));
        assert!(!paths(far.as_bytes()).contains(&b"/srv/a".to_vec()));
        let near = paths(b"building /srv/a\nthing\nPermission denied\n");
        assert!(near.contains(&b"/srv/a".to_vec()) && !near.contains(&b"thing".to_vec()));
        // What is said beside a refusal that names its file is about something else.
        for refusal in
            ["ls: cannot open directory '/': Permission denied", "cat: x: Permission denied"]
        {
            let found = paths(format!("{refusal}\n/etc/ssh\n").as_bytes());
            assert!(!found.contains(&b"/etc/ssh".to_vec()), "{refusal}");
        }
        let flood = (0..9999).map(|n| format!("/srv/{n}: Permission denied\n")).collect::<String>();
        assert_eq!(paths(flood.as_bytes()).len(), MOST);
    }
}

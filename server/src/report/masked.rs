//! Whether the exit status of a command line says anything about all of its commands.

/// Why it does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Masked {
    /// `a | b`
    Pipe,
    /// `a || b`
    OrElse,
    /// `a; b`, or several lines
    Sequence,
    /// `a & b`
    Background,
    /// The command itself speaks of what was refused to it.
    Complaint,
    /// The proxy refused a host, and its answer may have been taken for the host's.
    Proxy,
}

impl Masked {
    /// In words, for a summary.
    pub(super) fn words(self) -> &'static str {
        match self {
            Masked::Pipe => "exit 0 is the last command's of a pipe (`|`)",
            Masked::OrElse => "exit 0 may be the alternative's after `||`",
            Masked::Sequence => "exit 0 is the last command's of several",
            Masked::Background => "exit 0 says nothing about what ran in the background (`&`)",
            Masked::Complaint => "exit 0, and the output speaks of a refusal all the same",
            Masked::Proxy => "exit 0, and what was fetched may be the proxy's refusal",
        }
    }
}

/// Looks at what a shell was given. `None`: the status is that of everything in it, or no shell
/// was asked.
pub(super) fn masked(argv: &[Vec<u8>]) -> Option<Masked> {
    let [shell, option, script, ..] = argv else { return None };
    let name = shell.rsplit(|b| *b == b'/').next().unwrap_or_default();
    let is_shell = matches!(name, b"bash" | b"sh" | b"dash" | b"zsh" | b"ksh");
    let is_script = option.starts_with(b"-") && option.ends_with(b"c");
    let strict_option = option.contains(&b'e');
    (is_shell && is_script)
        .then(|| script_masks(&String::from_utf8_lossy(script), strict_option))?
}

fn script_masks(script: &str, strict: bool) -> Option<Masked> {
    let bare = without_quotes(script);
    let set = |word: &str| {
        bare.lines().flat_map(|l| l.split([';', '&'])).any(|c| {
            let mut words = c.split_whitespace();
            words.next() == Some("set") && words.any(|w| w.contains(word))
        })
    };
    let strict = strict || set("-e") || set("errexit") || set("-ue") || set("-xe");
    let joined = bare.trim().trim_end_matches([';', '\n']).trim_end();
    let mut found: Vec<Masked> = Vec::new();
    let mut rest = joined.chars().peekable();
    let mut before = ' ';
    while let Some(c) = rest.next() {
        let twice = rest.next_if_eq(&c).is_some();
        match (c, twice) {
            ('|', true) => found.push(Masked::OrElse),
            ('|', false) => found.push(Masked::Pipe),
            // `2>&1` and `&>` are redirections.
            ('&', false) if before != '>' && before != '<' && rest.peek() != Some(&'>') => {
                found.push(Masked::Background);
            }
            (';' | '\n', _) => found.push(Masked::Sequence),
            _ => {}
        }
        before = c;
    }
    let pipefail = set("pipefail");
    found
        .into_iter()
        .filter(|m| match m {
            Masked::Pipe => !pipefail,
            Masked::Sequence => !strict,
            Masked::OrElse | Masked::Background | Masked::Complaint | Masked::Proxy => true,
        })
        .min_by_key(|m| *m as u8)
}

/// The script without what is quoted or a comment. What is in a here-document stays: it is rare,
/// and too much said is better here than too little.
fn without_quotes(script: &str) -> String {
    let mut bare = String::with_capacity(script.len());
    let mut rest = script.chars();
    let mut quote: Option<char> = None;
    let mut comment = false;
    while let Some(c) = rest.next() {
        match (quote, c) {
            (None, '\n') => {
                comment = false;
                bare.push('\n');
            }
            _ if comment => {}
            (None, '#') if bare.is_empty() || bare.ends_with([' ', '\n', ';', '\t']) => {
                comment = true;
            }
            (None, '\'' | '"') => quote = Some(c),
            (Some(q), _) if q == c => {
                quote = None;
                bare.push('_');
            }
            (None | Some('"'), '\\') => {
                let _escaped = rest.next();
            }
            (Some(_), _) => {}
            (None, _) => bare.push(c),
        }
    }
    bare
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Option<Masked> {
        masked(&["bash", "-c", script].map(|s| s.as_bytes().to_vec()))
    }

    #[test]
    fn what_hides_a_failure() {
        for (script, expected) in [
            ("cargo build", None),
            ("cargo build 2>&1 | tail -5", Some(Masked::Pipe)),
            ("set -o pipefail; cargo build | tail", Some(Masked::Sequence)),
            ("set -eo pipefail; cargo build | tail", None),
            ("npm i || true", Some(Masked::OrElse)),
            ("a; b", Some(Masked::Sequence)),
            ("a\nb\n", Some(Masked::Sequence)),
            ("a;\n", None),
            ("set -e; a; b", None),
            ("a && b", None),
            ("sleep 1 & echo x", Some(Masked::Background)),
            ("a > f 2>&1", None),
            ("a &> f", None),
            ("grep 'a|b;c' f", None),
            ("grep \"a\\\"|b\" f # then | that", None),
            ("echo a\\;b", None),
        ] {
            assert_eq!(shell(script), expected, "{script}");
        }
        assert_eq!(masked(&["cat", "a|b"].map(|s| s.as_bytes().to_vec())), None);
    }
}

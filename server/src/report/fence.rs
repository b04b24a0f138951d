//! Lines the sandbox writes, and how a command is kept from writing the same.
//!
//! Each answer has a random nonce, made after the command ended, so that a command cannot know it.
//! Output lines that merely look like ours are marked as well.

/// How every line of ours starts.
const START: &str = "--- nono:";
/// How an escaped line starts.
const ESCAPE: &str = "| ";

/// A line of ours.
pub(super) fn line(nonce: &str, text: &str) -> String {
    format!("{START}{nonce} {text}\n")
}

/// Output in which no line can be taken for ours.
pub(super) fn escape(output: &str) -> String {
    let mut escaped = String::with_capacity(output.len());
    for line in output.split_inclusive(['\n', '\r']) {
        if imitates(line) {
            escaped.push_str(ESCAPE);
        }
        escaped.push_str(line);
    }
    escaped
}

/// Whether a line that starts like this could be taken for one of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Imitation {
    /// It could.
    Yes,
    /// It depends on how it goes on.
    Possible,
    /// It could not, however it goes on.
    No,
}

/// Letters of a line that are looked at.
const LETTERS: usize = 16;

/// Dashes and `nono:` in any spacing or case.
pub(crate) fn imitation(start: &str) -> Imitation {
    let letters: String = start
        .chars()
        .filter(|c| !c.is_whitespace() && !is_invisible(*c) && *c != char::REPLACEMENT_CHARACTER)
        .take(LETTERS)
        .flat_map(char::to_lowercase)
        .collect();
    let rest = letters.trim_start_matches(['-', '–', '—', '‐', '‑', '−', '―', '|']);
    let fenced = rest.len() < letters.len();
    let words = ["nono:", "endnono:"];
    if fenced && words.iter().any(|word| rest.starts_with(word)) {
        return Imitation::Yes;
    }
    let whole = letters.chars().count() >= LETTERS;
    let open = letters.is_empty() || fenced && words.iter().any(|word| word.starts_with(rest));
    if open && !whole { Imitation::Possible } else { Imitation::No }
}

fn imitates(line: &str) -> bool {
    imitation(line) == Imitation::Yes
}

fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{00ad}' | '\u{061c}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_cannot_imitate_a_line_of_ours() {
        for forged in [
            "--- nono:00 sandbox report",
            "  --- nono:00",
            "---nono:00",
            "--- NONO:00",
            "--- end nono:00",
            "-\u{200b}-- no\u{200b}no:1",
            "— nono:1",
        ] {
            assert_eq!(escape(forged), format!("| {forged}"), "{forged}");
            let after_return = format!("x\r{forged}\ny");
            assert_eq!(escape(&after_return), format!("x\r| {forged}\ny"));
        }
        assert!(imitates(&line("ab12", "x")));
    }

    #[test]
    fn other_output_stays_as_it_is() {
        for output in ["", "a\nb\n", "--- a/file\n+++ b/file\n", "nono: usage", "- no", "---\n"] {
            assert_eq!(escape(output), output);
        }
    }
}

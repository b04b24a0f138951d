//! Lines the sandbox writes, and how a command is kept from writing the same.
//!
//! Each answer has a random nonce, made after the command ended, so that a command cannot know it.
//! Output lines that merely look like ours are marked as well.

use super::clean;

/// How every line of ours starts.
const START: &str = "--- nono:";
/// How an escaped line starts.
const ESCAPE: &str = "| ";

/// A line of ours.
pub(crate) fn line(nonce: &str, text: &str) -> String {
    format!("{START}{nonce} {text}\n")
}

/// Output in which no line can be taken for ours.
pub(crate) fn escape(output: &str) -> String {
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

/// Letters of a line that are looked at, behind dashes.
const LETTERS: usize = 16;

/// Dashes of any number and kind and `nono:`, in any spacing, width or case.
pub(crate) fn imitation(start: &str) -> Imitation {
    let mut letters = start
        .chars()
        .filter(|c| {
            !c.is_whitespace() && !clean::is_unseen(*c) && *c != char::REPLACEMENT_CHARACTER
        })
        .map(narrow)
        .peekable();
    let mut fenced = false;
    while letters.next_if(|c| is_dash(*c)).is_some() {
        fenced = true;
    }
    let rest: String = letters.take(LETTERS).flat_map(char::to_lowercase).collect();
    if rest.is_empty() {
        return Imitation::Possible;
    }
    let words = ["nono:", "endnono:"];
    if fenced && words.iter().any(|word| rest.starts_with(word)) {
        return Imitation::Yes;
    }
    let open = fenced && words.iter().any(|word| word.starts_with(&rest));
    if open { Imitation::Possible } else { Imitation::No }
}

fn imitates(line: &str) -> bool {
    imitation(line) == Imitation::Yes
}

/// What draws a line, or seems to.
fn is_dash(c: char) -> bool {
    matches!(c,
        '-' | '|' | '=' | '_' | '~' | '*' | '\u{ac}' | '\u{af}' | '\u{2b7}' | '\u{2d7}'
        | '\u{1806}' | '\u{2010}'..='\u{2015}' | '\u{2043}' | '\u{2212}' | '\u{2500}'..='\u{257f}'
        | '\u{2796}' | '\u{2e3a}' | '\u{2e3b}' | '\u{301c}' | '\u{3030}' | '\u{30fc}' | '\u{fe31}'
        | '\u{fe32}' | '\u{fe58}' | '\u{fe63}' | '\u{ff70}' | '\u{ffe3}')
}

/// The character of usual width that one of full width stands for.
fn narrow(c: char) -> char {
    match c {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c),
        other => other,
    }
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
            "-------------------- nono:1",
            "──── nono:1",
            "━━ end nono:1",
            "－－－ ｎｏｎｏ：1",
            "\u{34f}-\u{34f}-- no\u{34f}no:1",
            "-\u{ad}-- n\u{e0041}ono:1",
            "*** nono:1",
        ] {
            assert_eq!(escape(forged), format!("| {forged}"), "{forged}");
            let after_return = format!("x\r{forged}\ny");
            assert_eq!(escape(&after_return), format!("x\r| {forged}\ny"));
        }
        assert!(imitates(&line("ab12", "x")));
    }

    #[test]
    fn other_output_stays_as_it_is() {
        for output in [
            "",
            "a\nb\n",
            "--- a/file\n+++ b/file\n",
            "nono: usage",
            "- no",
            "---\n",
            "─────\n",
            "=== x",
        ] {
            assert_eq!(escape(output), output);
        }
    }
}

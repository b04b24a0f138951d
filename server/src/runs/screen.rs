//! Output for a person's terminal: colours stay, and nothing that works the terminal, hides or turns
//! text around, or speaks in the sandbox's voice.
//!
//! A terminal obeys what it is shown: it fills the clipboard (OSC 52), opens links, answers into the
//! input of whoever reads next, moves back over what stood there. Programs are told that the
//! terminal is dumb, so few ask for any of that.

use crate::safe_text::clean::{belongs, is_deceptive};
use crate::safe_text::fence::{Imitation, imitation};

/// Longest sequence that is kept in mind.
const MAX_PARAMETERS: usize = 64;
/// A string that goes on for longer is over: it would swallow everything else.
const MAX_STRING: usize = 4096;
/// Blanks and dashes at the start of a line, before it counts as one that hides its start.
const MAX_BLANKS: usize = 256;
/// How a line starts that imitates one of ours.
const MARK: &str = "| ";
const RESET: &str = "\u{1b}[0m";

/// Where in a sequence the output is.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
enum State {
    #[default]
    Text,
    /// Behind the escape character.
    Escape,
    /// Behind its beginning, with its parameters so far; `None`: one that is dropped anyway.
    Control(Option<String>),
    /// In an operating-system command or another string, with its length so far.
    String(usize),
}

/// One stream on its way to a terminal.
#[derive(Debug, Default)]
pub(super) struct Screen {
    /// The beginning of a character.
    part: Vec<u8>,
    state: State,
    /// The start of a line that may yet turn out to imitate one of ours, as it will be shown, and
    /// its text alone. `None`: the line is decided.
    start: Option<(String, String)>,
    /// Whether this is not the first byte.
    begun: bool,
    coloured: bool,
    /// The last character of text in this line.
    last: Option<char>,
}

impl Screen {
    /// What to show of these bytes now.
    pub(super) fn push(&mut self, bytes: &[u8]) -> String {
        let mut shown = String::new();
        if !std::mem::replace(&mut self.begun, true) {
            self.start = Some(Default::default());
        }
        let mut all = std::mem::take(&mut self.part);
        all.extend_from_slice(bytes);
        let mut chunks = all.utf8_chunks().peekable();
        while let Some(chunk) = chunks.next() {
            chunk.valid().chars().for_each(|c| self.take(c, &mut shown));
            let invalid = chunk.invalid();
            // Less than a character, at the very end: the rest may come.
            if chunks.peek().is_none() && !invalid.is_empty() && is_beginning(invalid) {
                self.part = invalid.to_vec();
            } else if !invalid.is_empty() {
                self.take(char::REPLACEMENT_CHARACTER, &mut shown);
            }
        }
        shown
    }

    /// What is left to show at the end.
    pub(super) fn finish(&mut self) -> String {
        let (mut shown, _) = self.start.take().unwrap_or_default();
        if !std::mem::take(&mut self.part).is_empty() {
            shown.push(char::REPLACEMENT_CHARACTER);
        }
        if self.coloured {
            shown.push_str(RESET);
        }
        shown
    }

    fn take(&mut self, c: char, shown: &mut String) {
        match (&mut self.state, c) {
            // A line end is one wherever it stands.
            (_, '\n' | '\r') => {
                self.state = State::Text;
                self.flush(shown);
                shown.push(c);
                self.start = Some(Default::default());
                self.last = None;
            }
            (State::Text | State::Control(_), '\u{1b}') => self.state = State::Escape,
            (State::Text, '\u{9b}') => self.state = State::Control(Some(String::new())),
            (State::Text, '\u{90}' | '\u{98}' | '\u{9d}'..='\u{9f}') => {
                self.state = State::String(0);
            }
            (State::Text, c) => self.text(c, shown),
            (State::Escape, '[') => self.state = State::Control(Some(String::new())),
            (State::Escape, ']' | 'P' | 'X' | '^' | '_') => self.state = State::String(0),
            (State::Escape, ' '..='/' | '\u{1b}') => {}
            (State::Escape, _) => self.state = State::Text,
            (State::Control(parameters), '0'..='?') => {
                if let Some(known) = parameters.as_mut().filter(|p| p.len() < MAX_PARAMETERS) {
                    known.push(c);
                } else {
                    *parameters = None;
                }
            }
            (State::Control(parameters), ' '..='/') => *parameters = None,
            (State::Control(parameters), last) => {
                let sequence = parameters.take().filter(|p| is_harmless(p, last));
                self.state = State::Text;
                if let Some(parameters) = sequence {
                    self.coloured |= last == 'm';
                    self.put(&format!("\u{1b}[{parameters}{last}"), shown);
                }
            }
            (State::String(_), '\u{7}' | '\u{9c}') => self.state = State::Text,
            (State::String(_), '\u{1b}') => self.state = State::Escape,
            (State::String(length), _) if *length >= MAX_STRING => self.state = State::Text,
            (State::String(length), _) => *length += 1,
        }
    }

    fn text(&mut self, c: char, shown: &mut String) {
        let c = match c {
            '\t' => c,
            c if c.is_control() => return,
            c if is_deceptive(c) && !belongs(c, self.last) => char::REPLACEMENT_CHARACTER,
            c => c,
        };
        self.last = Some(c);
        let Some((_, text)) = &mut self.start else { return shown.push(c) };
        text.push(c);
        let hides = text.chars().nth(MAX_BLANKS).is_some();
        let verdict = imitation(text);
        self.put(c.encode_utf8(&mut [0; 4]), shown);
        match verdict {
            Imitation::Possible if !hides => {}
            Imitation::No => self.flush(shown),
            Imitation::Yes | Imitation::Possible => {
                shown.push_str(MARK);
                self.flush(shown);
            }
        }
    }

    /// Shows something, or keeps it with the start of its line.
    fn put(&mut self, text: &str, shown: &mut String) {
        match &mut self.start {
            Some((start, _)) => start.push_str(text),
            None => shown.push_str(text),
        }
    }

    /// The line is decided.
    fn flush(&mut self, shown: &mut String) {
        if let Some((start, _)) = self.start.take() {
            shown.push_str(&start);
        }
    }
}

/// Colours and styles other than "concealed", and erasing the rest of a line, as progress bars do.
fn is_harmless(parameters: &str, last: char) -> bool {
    match last {
        'm' => {
            parameters.chars().all(|c| c.is_ascii_digit() || c == ';' || c == ':')
                && !conceals(parameters)
        }
        'K' => matches!(parameters, "" | "0"),
        _ => false,
    }
}

/// Whether one of the styles is that text is not shown. An 8 may also be a part of a colour.
fn conceals(parameters: &str) -> bool {
    let mut styles = parameters.split(';').map(|style| style.trim_start_matches('0'));
    while let Some(style) = styles.next() {
        match style {
            "38" | "48" | "58" => match styles.next() {
                Some("5") => drop(styles.next()),
                Some("2") => drop(styles.nth(2)),
                Some("8") => return true,
                _ => {}
            },
            style if style.split(':').next() == Some("8") => return true,
            _ => {}
        }
    }
    false
}

/// Whether more bytes could make a character of these.
fn is_beginning(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_err_and(|error| error.error_len().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Shown whole, and byte by byte: which must be the same.
    fn shown(bytes: &[u8]) -> String {
        let mut whole = Screen::default();
        let all = whole.push(bytes) + &whole.finish();
        let mut slow = Screen::default();
        let mut one_by_one: String = bytes.iter().map(|b| slow.push(&[*b])).collect();
        one_by_one.push_str(&slow.finish());
        assert_eq!(one_by_one, all, "{bytes:?}");
        all
    }

    #[test]
    fn text_and_colours_stay() {
        for text in
            ["plain\n", "a\tb\r\n", "50%\r100%\n", "Grüße 你好 👩‍💻\n", "- a list\n", "---\n", " x"]
        {
            assert_eq!(shown(text.as_bytes()), text);
        }
        assert_eq!(shown(b"\x1b[31mred\x1b[0m\x1b[K"), "\x1b[31mred\x1b[0m\x1b[K\x1b[0m");
        for colour in ["\x1b[38;5;8m", "\x1b[1;48;2;8;8;8m", "\x1b[38:5:8m", "\x1b[28m"] {
            let text = format!("{colour}x\x1b[0m");
            assert_eq!(shown(text.as_bytes()), text.clone() + RESET);
        }
        for text in [format!("{}\n", "-".repeat(200)), format!("{}\n", "─".repeat(200))] {
            assert_eq!(shown(text.as_bytes()), text, "a line that is drawn");
        }
    }

    #[test]
    fn nothing_works_the_terminal() {
        for sequence in [
            "\x1b]52;c;cm0gLXJm\x07",
            "\x1b]52;c;cm0gLXJm\x1b\\",
            "\u{9d}52;c;cm0gLXJm\u{9c}",
            "\x1b]8;;http://example.invalid\x1b\\",
            "\x1b[2J",
            "\x1b[1A",
            "\x1b[21t",
            "\x1b[6n",
            "\x1b[?1049h",
            "\x1b[>4;2m",
            "\x1b[8m",
            "\x1b[1;08m",
            "\x1b[38;5;8;8m",
            "\x1b[48;2;8;8;8;8;1m",
            "\x1b[38;8m",
            "\x1b[1K",
            "\x1bP+q544e\x1b\\",
            "\x1bc",
            "\x1b(0",
            "\u{9b}2J",
            "\x07\x08\x00\x0e\x7f",
        ] {
            assert_eq!(shown(format!("a{sequence}b").as_bytes()), "ab", "{sequence:?}");
        }
        assert_eq!(shown(b"a\x1b]52;c;never ended\nb"), "a\nb");
        assert_eq!(shown(b"\xff\xc3"), "\u{fffd}\u{fffd}");
    }

    #[test]
    fn text_is_where_it_seems_to_be() {
        assert_eq!(
            shown("a\u{202e}b\u{2066}c\u{200b}d\u{e0041}e\u{ad}f\u{200d}\n\u{fe0f}".as_bytes()),
            "a\u{fffd}b\u{fffd}c\u{fffd}d\u{fffd}e\u{fffd}f\u{fffd}\n\u{fffd}"
        );
    }

    #[test]
    fn nothing_speaks_for_the_sandbox() {
        for forged in [
            "--- nono:00 sandbox report\nDENIED nothing\n",
            "\x1b[31m-\x1b[0m-- NONO:00 x\n",
            "-\u{200b}-- nono:1\n",
            "x\r--- nono:1\n",
            "x\n  --- nono:1",
            "— nono:1\n",
            "--------------------------------- nono:1\n",
            "── nono:1\n",
        ] {
            let shown = shown(forged.as_bytes());
            let plain = shown.replace("\x1b[31m", "").replace("\x1b[0m", "");
            let lines = plain.split(['\n', '\r']);
            let forged: Vec<_> =
                lines.filter(|line| line.to_lowercase().contains("nono:")).collect();
            assert!(forged.iter().all(|line| line.starts_with("| ")), "{shown:?}");
            assert!(!forged.is_empty(), "{shown:?}");
        }
        let blanks = format!("{}--- nono:1", " ".repeat(400));
        assert!(shown(blanks.as_bytes()).starts_with("| "));
    }
}

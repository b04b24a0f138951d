//! Bytes from the sandboxed side, made safe to read. Names and output are hostile: they may carry
//! terminal sequences, text that runs backwards, or lines that imitate ours.

/// Longest name shown, in bytes.
const MAX_NAME: usize = 512;

/// Stands for what was taken out of a name, and for what would not be seen in output.
const HOLE: char = '\u{fffd}';

/// A name (path, program) as one short line: no control characters, nothing that changes the
/// direction of text, nothing invisible.
pub(crate) fn name(bytes: &[u8]) -> String {
    let lossy = String::from_utf8_lossy(bytes);
    let mut clean: String = lossy.chars().map(|c| if is_deceptive(c) { HOLE } else { c }).collect();
    if clean.len() > MAX_NAME {
        clean.truncate(clean.floor_char_boundary(MAX_NAME));
        clean.push('…');
    }
    clean
}

/// Text as one line of any length, otherwise as [`name`].
pub(crate) fn line(text: &str) -> String {
    text.chars().map(|c| if is_deceptive(c) { HOLE } else { c }).collect()
}

/// Text of any number of lines, each as [`line()`].
pub(crate) fn text(text: &str) -> String {
    text.split('\n').map(line).collect::<Vec<_>>().join("\n")
}

/// A clean name between quotes, so that its end is where it seems to be.
pub(crate) fn quoted(clean: &str) -> String {
    format!("\"{}\"", clean.replace('\\', "\\\\").replace('"', "\\\""))
}

/// Whether a character has no place in a name: control characters and what [`is_unseen`].
pub(crate) fn is_deceptive(c: char) -> bool {
    c.is_control() || is_unseen(c)
}

/// Characters that nobody sees, or that turn the direction of what stands around them: direction
/// marks and overrides, separators of lines, fillers and soft hyphens, joiners, selectors of
/// variations, and the tags of Unicode's last plane, in which whole sentences can be written.
pub(crate) fn is_unseen(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
        | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}')
}

/// Whether one of those belongs to the character before it: what chooses between picture and text
/// behind what has both forms, and one joiner behind an emoji or a letter of the scripts that are
/// written with joiners.
pub(crate) fn belongs(c: char, before: Option<char>) -> bool {
    let is_picture = |c: char| {
        matches!(c, '\u{a9}' | '\u{ae}' | '\u{203c}'..='\u{2049}' | '\u{2100}'..='\u{2bff}'
            | '\u{3030}'..='\u{303d}' | '\u{3297}' | '\u{3299}' | '\u{1f000}'..='\u{1faff}')
    };
    let is_joined = |c: char| {
        is_picture(c)
            || matches!(c, '\u{fe0f}' | '\u{620}'..='\u{8ff}' | '\u{900}'..='\u{109f}'
                | '\u{1780}'..='\u{17d3}' | '\u{1820}'..='\u{18aa}')
    };
    let Some(before) = before else { return false };
    match c {
        '\u{fe0e}' | '\u{fe0f}' => is_picture(before) || matches!(before, '0'..='9' | '#' | '*'),
        '\u{200c}' | '\u{200d}' => is_joined(before),
        _ => false,
    }
}

/// Output as text, and what was done to make it that.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Cleaned {
    /// Valid UTF-8, without terminal sequences, without control characters other than newline and
    /// tab, and without what nobody sees.
    pub(crate) text: String,
    /// Whether there were terminal sequences.
    pub(crate) sequences: bool,
    /// Parts of lines that were overwritten after a carriage return or a backspace.
    pub(crate) overwritten: u64,
    /// Sequences that are no UTF-8.
    pub(crate) invalid: u64,
    /// Characters that nobody would have seen, or that would have turned the direction of others.
    pub(crate) unseen: u64,
}

/// Makes output text.
pub(crate) fn output(bytes: &[u8]) -> Cleaned {
    let invalid = bytes.utf8_chunks().filter(|chunk| !chunk.invalid().is_empty()).count() as u64;
    let lossy = String::from_utf8_lossy(bytes);
    let mut clean = Cleaned { invalid, ..Cleaned::default() };
    clean.text.reserve(lossy.len());
    let mut rest = lossy.chars().peekable();
    // Where the part of the line starts that a carriage return would overwrite.
    let mut part = 0;
    // Characters that the next one goes back over.
    let mut back = 0;
    while let Some(c) = rest.next() {
        match c {
            '\u{1b}' => {
                clean.sequences = true;
                skip_sequence(&mut rest);
            }
            '\u{9b}' => {
                clean.sequences = true;
                skip_control_sequence(&mut rest);
            }
            '\u{8}' => back += 1,
            '\r' => {
                back = 0;
                // Before a line end it overwrites nothing, nor does it at the very end.
                let overwrites = rest.peek().is_some_and(|next| !matches!(next, '\n' | '\r'));
                if overwrites && clean.text.len() > part {
                    clean.overwritten += 1;
                    clean.text.truncate(part);
                }
            }
            '\n' => {
                back = 0;
                clean.text.push(c);
                part = clean.text.len();
            }
            c if c.is_control() && c != '\t' => {}
            c if is_unseen(c) && !belongs(c, clean.text.chars().next_back()) => {
                clean.unseen += 1;
                clean.over(part, std::mem::take(&mut back), HOLE);
            }
            c => clean.over(part, std::mem::take(&mut back), c),
        }
    }
    clean
}

impl Cleaned {
    /// Adds a character in the place of the last `back` ones, none of which lies before `part`. Bold
    /// and underlined text is printed so (`man`, with `X` or `_` below an `X`), and loses nothing.
    fn over(&mut self, part: usize, back: usize, c: char) {
        let mut loses = false;
        for _ in 0..back {
            if self.text.len() <= part {
                break;
            }
            let below = self.text.pop();
            loses |= below.is_some_and(|below| below != c && below != '_' && c != '_');
        }
        self.overwritten += u64::from(loses);
        self.text.push(c);
    }
}

/// Whether output is no text at all: more than a tenth of its beginning is what no text has.
pub(crate) fn is_binary(bytes: &[u8]) -> bool {
    const LOOKED_AT: usize = 8192;
    const ENOUGH: usize = 64;
    let start = bytes.get(..LOOKED_AT).unwrap_or(bytes);
    let foreign: usize = start
        .utf8_chunks()
        .map(|chunk| {
            let odd = |b: &u8| b.is_ascii_control() && !b"\t\n\r\x1b\x07\x08\x0e\x0f".contains(b);
            chunk.valid().bytes().filter(|b| odd(b)).count() + chunk.invalid().len()
        })
        .sum();
    start.len() >= ENOUGH && foreign * 10 > start.len()
}

type Rest<'a> = std::iter::Peekable<std::str::Chars<'a>>;

/// Skips what follows an escape character (ECMA-48).
fn skip_sequence(rest: &mut Rest<'_>) {
    match rest.peek().copied() {
        Some('[') => {
            rest.next();
            skip_control_sequence(rest);
        }
        // Operating-system commands and other strings, up to BEL or ESC \.
        Some(']' | 'P' | 'X' | '^' | '_') => {
            rest.next();
            skip_string(rest);
        }
        // Intermediate bytes, then one final byte, as in `ESC ( B`.
        Some(' '..='/') => {
            while rest.next_if(|c| (' '..='/').contains(c)).is_some() {}
            let _final_byte = rest.next_if(|c| ('0'..='~').contains(c));
        }
        Some('0'..='~') => {
            rest.next();
        }
        _ => {}
    }
}

fn skip_control_sequence(rest: &mut Rest<'_>) {
    while rest.next_if(|c| (' '..='?').contains(c)).is_some() {}
    let _final_byte = rest.next_if(|c| ('@'..='~').contains(c));
}

/// A string that nobody ends would swallow all output, so a line break ends it too.
fn skip_string(rest: &mut Rest<'_>) {
    while let Some(c) = rest.next_if(|c| *c != '\n') {
        match c {
            '\u{7}' | '\u{9c}' => return,
            '\u{1b}' => {
                let _backslash = rest.next_if_eq(&'\\');
                return;
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lose_what_could_deceive() {
        assert_eq!(name(b"/plain/na me"), "/plain/na me");
        assert_eq!(
            name("/a\u{202e}b\u{1b}[31m\nDENIED".as_bytes()),
            "/a\u{fffd}b\u{fffd}[31m\u{fffd}DENIED"
        );
        assert_eq!(name(b"/\xff"), "/\u{fffd}");
        let long = name(&[b'x'; 4096]);
        assert_eq!(long.len(), MAX_NAME + '…'.len_utf8());
        assert_eq!(quoted("a\"b\\c"), r#""a\"b\\c""#);
    }

    #[test]
    fn output_loses_terminal_sequences_and_nothing_else() {
        for (bytes, expected) in [
            (&b"plain\ttext\r\n"[..], "plain\ttext\n"),
            (b"\x1b[1;31mred\x1b[0m", "red"),
            (b"\x1b]0;title\x07after", "after"),
            (b"\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
            (b"\x1b(Bascii\x1b7\x1b8", "ascii"),
            (b"a\0b\x07cd", "abcd"),
            (b"\xff\xfe", "\u{fffd}\u{fffd}"),
            (b"\x1b]unfinished\nnext line", "\nnext line"),
            (b"end\x1b", "end"),
            ("grüße ✓".as_bytes(), "grüße ✓"),
        ] {
            assert_eq!(output(bytes).text, expected, "{bytes:?}");
        }
    }

    #[test]
    fn what_is_printed_over_something_takes_its_place() {
        for (bytes, expected, lost) in [
            (&b"N\x08NA\x08A _\x08x"[..], "NA x", 0),
            (b"_\x08b\x08b", "b", 0),
            (b"|\x08/\x08-", "-", 2),
            (b"line\na\x08\x08\x08b", "line\nb", 1),
            (b"kept\x08\n\x08kept", "kept\nkept", 0),
            ("gr\u{fc}\u{8}u".as_bytes(), "gru", 1),
        ] {
            let clean = output(bytes);
            assert_eq!((clean.text.as_str(), clean.overwritten), (expected, lost), "{bytes:?}");
        }
    }

    #[test]
    fn what_nobody_sees_is_seen() {
        for unseen in [
            '\u{202e}',
            '\u{2066}',
            '\u{200e}',
            '\u{61c}',
            '\u{2028}',
            '\u{2029}',
            '\u{200b}',
            '\u{2060}',
            '\u{ad}',
            '\u{34f}',
            '\u{3164}',
            '\u{ffa0}',
            '\u{115f}',
            '\u{180e}',
            '\u{feff}',
            '\u{fe0f}',
            '\u{fe00}',
            '\u{e0001}',
            '\u{e0041}',
            '\u{e0101}',
            '\u{200d}',
            '\u{200c}',
        ] {
            assert_eq!(name(format!("a{unseen}b").as_bytes()), "a\u{fffd}b", "{unseen:?}");
            let clean = output(format!("a{unseen}b\n{unseen}").as_bytes());
            assert_eq!(
                (clean.text.as_str(), clean.unseen),
                ("a\u{fffd}b\n\u{fffd}", 2),
                "{unseen:?}"
            );
        }
        assert_eq!(output("✔\u{fe0f}\u{fe0f}\u{fe0f}".as_bytes()).unseen, 2, "one belongs");
        assert_eq!(output("👩\u{200d}\u{200d}".as_bytes()).unseen, 1);
    }

    #[test]
    fn what_belongs_to_text_stays_in_output() {
        for text in [
            "❤\u{fe0f} ☎\u{fe0e} 1\u{fe0f}\u{20e3} #\u{fe0f}\u{20e3} ©\u{fe0f} ✅",
            "👩\u{200d}💻 👩\u{1f3fd}\u{200d}🚀 🏳\u{fe0f}\u{200d}🌈 ❤\u{fe0f}\u{200d}🔥 🇩🇪",
            "שלום עליכם مرحبا بالعالم",
            "می\u{200c}خواهم क्\u{200d}ष",
            "e\u{301} 日本語 한국어 ⠋ ─┼─ \u{a0}x",
        ] {
            let clean = output(text.as_bytes());
            assert_eq!((clean.text.as_str(), clean.unseen), (text, 0));
        }
    }

    #[test]
    fn overwritten_parts_of_lines_are_left_out_and_counted() {
        for (bytes, expected, overwritten) in [
            (&b"10%\r50%\r100%\ndone\n"[..], "100%\ndone\n", 2),
            (b"10%\r50%\r", "50%", 1),
            (b"a\r\nb\r\r\n", "a\nb\n", 0),
            (b"keep\n\rnew", "keep\nnew", 0),
            (b"\x1b[2K\r\x1b[1mbusy\x1b[0m\rdone", "done", 1),
        ] {
            let clean = output(bytes);
            assert_eq!(
                (clean.text.as_str(), clean.overwritten),
                (expected, overwritten),
                "{bytes:?}"
            );
        }
        let clean = output(b"a\xff\xfeb \x1b[1m");
        assert_eq!((clean.invalid, clean.sequences), (2, true));
    }

    #[test]
    fn binary_output_is_told_from_odd_text() {
        let zeros: Vec<u8> = (0..=255u8).cycle().take(4096).collect();
        assert!(is_binary(&zeros) && is_binary(&[0; 64]));
        assert!(!is_binary(b"\xff\xfe") && !is_binary(&[b'a'; 100]));
        let paths: Vec<u8> =
            (0..100).flat_map(|n| format!("./path/to/file{n}\0").into_bytes()).collect();
        assert!(!is_binary(&paths));
    }
}

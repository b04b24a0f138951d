//! Bytes from the sandboxed side, made safe to read. Names and output are hostile: they may carry
//! terminal sequences, text that runs backwards, or lines that imitate ours.

/// Longest name shown, in bytes.
const MAX_NAME: usize = 512;

/// Stands for what was taken out of a name.
const HOLE: char = '\u{fffd}';

/// A name (path, program) as one short line: no control characters, nothing that changes the
/// direction of text, nothing invisible.
pub(super) fn name(bytes: &[u8]) -> String {
    let lossy = String::from_utf8_lossy(bytes);
    let mut clean: String = lossy.chars().map(|c| if is_deceptive(c) { HOLE } else { c }).collect();
    if clean.len() > MAX_NAME {
        clean.truncate(clean.floor_char_boundary(MAX_NAME));
        clean.push('…');
    }
    clean
}

/// A clean name between quotes, so that its end is where it seems to be.
pub(super) fn quoted(clean: &str) -> String {
    format!("\"{}\"", clean.replace('\\', "\\\\").replace('"', "\\\""))
}

/// Control characters, direction marks and overrides, line separators, zero-width characters.
pub(super) fn is_deceptive(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{061c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// Output as text: valid UTF-8, without terminal sequences and without control characters other
/// than newline, tab and carriage return.
pub(super) fn output(bytes: &[u8]) -> String {
    let lossy = String::from_utf8_lossy(bytes);
    let mut clean = String::with_capacity(lossy.len());
    let mut rest = lossy.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\u{1b}' => skip_sequence(&mut rest),
            '\u{9b}' => skip_control_sequence(&mut rest),
            '\n' | '\t' | '\r' => clean.push(c),
            c if c.is_control() => {}
            c => clean.push(c),
        }
    }
    clean
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
            (&b"plain\ttext\r\n"[..], "plain\ttext\r\n"),
            (b"\x1b[1;31mred\x1b[0m", "red"),
            (b"\x1b]0;title\x07after", "after"),
            (b"\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
            (b"\x1b(Bascii\x1b7\x1b8", "ascii"),
            (b"a\0b\x07c\x08d", "abcd"),
            (b"\xff\xfe", "\u{fffd}\u{fffd}"),
            (b"\x1b]unfinished\nnext line", "\nnext line"),
            (b"end\x1b", "end"),
            ("grüße ✓".as_bytes(), "grüße ✓"),
        ] {
            assert_eq!(output(bytes), expected, "{bytes:?}");
        }
    }
}

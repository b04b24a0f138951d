//! Keys by name, as a terminal sends them (xterm's sequences, which `TERM` announces).

/// The bytes of a key; `None` if there is no such key.
pub(super) fn bytes_of(name: &str) -> Option<Vec<u8>> {
    let name = name.to_ascii_lowercase().replace('_', "-");
    if let Some(letter) = name.strip_prefix("ctrl-").or_else(|| name.strip_prefix("c-")) {
        return control(letter).map(|byte| vec![byte]);
    }
    let bytes: &[u8] = match name.as_str() {
        "enter" | "return" => b"\r",
        "tab" => b"\t",
        "esc" | "escape" => b"\x1b",
        "space" => b" ",
        "backspace" => b"\x7f",
        "delete" => b"\x1b[3~",
        "insert" => b"\x1b[2~",
        "up" => b"\x1b[A",
        "down" => b"\x1b[B",
        "right" => b"\x1b[C",
        "left" => b"\x1b[D",
        "home" => b"\x1b[H",
        "end" => b"\x1b[F",
        "page-up" | "pageup" => b"\x1b[5~",
        "page-down" | "pagedown" => b"\x1b[6~",
        "f1" => b"\x1bOP",
        "f2" => b"\x1bOQ",
        "f3" => b"\x1bOR",
        "f4" => b"\x1bOS",
        "f5" => b"\x1b[15~",
        "f6" => b"\x1b[17~",
        "f7" => b"\x1b[18~",
        "f8" => b"\x1b[19~",
        "f9" => b"\x1b[20~",
        "f10" => b"\x1b[21~",
        "f11" => b"\x1b[23~",
        "f12" => b"\x1b[24~",
        _ => return None,
    };
    Some(bytes.to_vec())
}

/// What a letter with the control key is.
fn control(letter: &str) -> Option<u8> {
    match letter.as_bytes() {
        [letter @ b'a'..=b'z'] => Some(letter - b'a' + 1),
        [b'\\'] => Some(0x1c),
        [b']'] => Some(0x1d),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_the_bytes_terminals_send() {
        for (name, bytes) in [
            ("enter", &b"\r"[..]),
            ("Ctrl-C", b"\x03"),
            ("ctrl-d", b"\x04"),
            ("c-z", b"\x1a"),
            ("ctrl-\\", b"\x1c"),
            ("page_up", b"\x1b[5~"),
            ("F12", b"\x1b[24~"),
        ] {
            assert_eq!(bytes_of(name).as_deref(), Some(bytes), "{name}");
        }
        for unknown in ["", "ctrl-", "ctrl-1", "ctrl-ab", "f13", "x"] {
            assert_eq!(bytes_of(unknown), None, "{unknown}");
        }
    }
}

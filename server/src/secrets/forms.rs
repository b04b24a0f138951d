//! The forms a secret commonly takes in output.

use crate::hex;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use std::fmt::Write;

/// Shortest form that is looked for, in bytes.
const MIN: usize = 8;
/// Shortest line of a secret of several lines that is looked for by itself.
const MIN_LINE: usize = 20;

/// The secret itself and its encodings, without repetitions.
pub(super) fn all(secret: &[u8]) -> Vec<Vec<u8>> {
    let mut forms = vec![secret.to_vec()];
    forms.extend(base64(secret));
    for case in [Case::Lower, Case::Upper] {
        forms.push(hexadecimal(secret, case));
        forms.push(percent(secret, b"%20", case));
        forms.push(percent(secret, b"+", case));
    }
    forms.extend(json(secret));
    forms.extend(lines(secret));
    forms.retain(|form| form.len() >= MIN);
    forms.sort_unstable();
    forms.dedup();
    forms
}

#[derive(Debug, Clone, Copy)]
enum Case {
    Lower,
    Upper,
}

fn hexadecimal(bytes: &[u8], case: Case) -> Vec<u8> {
    let digits = hex::encode(bytes);
    match case {
        Case::Lower => digits.into_bytes(),
        Case::Upper => digits.to_ascii_uppercase().into_bytes(),
    }
}

/// As in the query of an address (RFC 3986).
fn percent(secret: &[u8], space: &[u8], case: Case) -> Vec<u8> {
    let encode = |byte: &u8| match byte {
        b' ' => space.to_vec(),
        b if b.is_ascii_alphanumeric() || b"-._~".contains(b) => vec![*b],
        b => [b"%", hexadecimal(&[*b], case).as_slice()].concat(),
    };
    secret.iter().flat_map(encode).collect()
}

/// What base64 makes of the secret wherever it lies in what is encoded: only the digits that depend
/// on nothing else. In both alphabets.
fn base64(secret: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let at = |before: usize| {
        let padded = [&[0; 3][..before], secret].concat();
        let whole = padded.len() * 8 / 6;
        let first = (before * 8).div_ceil(6);
        [STANDARD_NO_PAD.encode(&padded), URL_SAFE_NO_PAD.encode(&padded)]
            .map(|text| text.into_bytes().get(first..whole).unwrap_or_default().to_vec())
    };
    [0, 1, 2].map(at).into_iter().flatten()
}

/// As in a string of JSON, if that is different.
fn json(secret: &[u8]) -> Option<Vec<u8>> {
    let text = serde_json::to_string(std::str::from_utf8(secret).ok()?).ok()?;
    let inner = text.strip_prefix('"')?.strip_suffix('"')?;
    Some(inner.as_bytes().to_vec())
}

/// Of a secret of several lines: its long lines, but not the ones that only say what it is, and the
/// whole as a terminal shows it.
fn lines(secret: &[u8]) -> Vec<Vec<u8>> {
    if !secret.contains(&b'\n') {
        return Vec::new();
    }
    let telling = |line: &&[u8]| line.len() >= MIN_LINE && !line.starts_with(b"-----");
    let lines = secret.split(|b| *b == b'\n').map(<[u8]>::trim_ascii_end).filter(telling);
    let mut forms: Vec<Vec<u8>> = lines.map(<[u8]>::to_vec).collect();
    let mut shown = String::new();
    let text = String::from_utf8_lossy(secret);
    for line in text.split('\n') {
        // Writing to a string cannot fail.
        let _infallible = write!(shown, "{line}\r\n");
    }
    shown.truncate(shown.len() - 2);
    forms.push(shown.into_bytes());
    forms
}

#[cfg(test)]
mod tests {
    use super::*;

    fn has(secret: &[u8], text: &str) -> bool {
        let found = |form: &Vec<u8>| text.as_bytes().windows(form.len()).any(|w| w == form);
        all(secret).iter().any(found)
    }

    #[test]
    fn encodings_are_known_wherever_the_secret_lies_in_them() {
        let secret = b"p+ss/w\xf6rd \"1?";
        for before in 0..6 {
            for after in 0..6 {
                let text = [&b"abcdef"[..before], secret, &b"uvwxyz"[..after]].concat();
                assert!(has(secret, &STANDARD_NO_PAD.encode(&text)), "{before} {after}");
                assert!(has(secret, &URL_SAFE_NO_PAD.encode(&text)), "{before} {after}");
            }
        }
        assert!(
            has(secret, "702b73732f77f672642022313f") && has(secret, "702B73732F77F672642022313F")
        );
        assert!(has(secret, "p%2Bss%2Fw%F6rd%20%221%3F") && has(secret, "p%2bss%2fw%f6rd+%221%3f"));
        assert!(has(b"quote\"and\\slash", r#"{"x": "quote\"and\\slash"}"#));
        assert!(!has(secret, "p+ss/word"));
    }

    #[test]
    fn long_lines_of_a_key_are_forms_of_their_own() {
        let key = b"-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0B\nshort\n-----END PRIVATE KEY-----";
        assert!(has(key, "x MIIEvQIBADANBgkqhkiG9w0B y"));
        assert!(!has(key, "-----BEGIN PRIVATE KEY-----\n") && !has(key, "short"));
        assert!(has(key, &String::from_utf8_lossy(key).replace('\n', "\r\n")));
    }

    #[test]
    fn no_form_is_so_short_that_it_is_found_everywhere() {
        assert!(all(b"12345678").iter().all(|form| form.len() >= MIN));
    }
}

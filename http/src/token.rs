//! Bearer tokens: what is presented, and what is kept of it.

use sha2::{Digest as _, Sha256};
use std::fmt;
use subtle::{Choice, ConstantTimeEq};

/// Fewer characters are no secret.
const SHORTEST: usize = 16;
/// More are no token but a mistake.
const LONGEST: usize = 4096;

/// A secret that stands for a principal. Shows itself to nobody.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

/// Why a text cannot be a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadToken {
    /// It is short.
    #[error("a token has at least {SHORTEST} characters, this one has {0}")]
    Short(usize),
    /// It is long.
    #[error("a token has at most {LONGEST} characters, this one has {0}")]
    Long(usize),
    /// It cannot be sent in a header.
    #[error("a token has letters, digits and -._~+/= only")]
    Character,
}

impl Token {
    /// A token as somebody wrote it down: white space around it is none of it.
    ///
    /// # Errors
    /// [`BadToken`] says why it cannot be one.
    pub fn parse(text: &str) -> Result<Self, BadToken> {
        let text = text.trim();
        if !text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~+/=".contains(&b)) {
            return Err(BadToken::Character);
        }
        match text.len() {
            short if short < SHORTEST => Err(BadToken::Short(short)),
            long if long > LONGEST => Err(BadToken::Long(long)),
            _ => Ok(Self(text.to_owned())),
        }
    }

    /// What the server keeps of it.
    #[must_use]
    pub fn digest(&self) -> TokenDigest {
        TokenDigest::of(self.0.as_bytes())
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

/// The SHA-256 of a token: enough to know it again.
#[derive(Debug, Clone, Copy)]
pub struct TokenDigest([u8; 32]);

impl TokenDigest {
    /// Of the bytes that were presented.
    #[must_use]
    pub fn of(token: &[u8]) -> Self {
        Self(Sha256::digest(token).into())
    }

    /// One that was written down.
    #[must_use]
    pub fn from_bytes(digest: [u8; 32]) -> Self {
        Self(digest)
    }

    /// Whether both are of the same token, for comparing what is configured.
    #[must_use]
    pub fn same(&self, other: &Self) -> bool {
        self.is(other).into()
    }

    /// Whether both are of the same token; takes as long for every pair.
    pub(crate) fn is(&self, other: &Self) -> Choice {
        self.0.ct_eq(&other.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_long_enough_and_fit_a_header() {
        assert!(Token::parse(" 0123456789abcdef\n").is_ok());
        assert_eq!(Token::parse("0123456789abcde"), Err(BadToken::Short(15)));
        assert_eq!(Token::parse(&"x".repeat(5000)), Err(BadToken::Long(5000)));
        for wrong in ["0123456789 abcdef", "0123456789\u{e9}abcdef", "0123456789\0abcdef"] {
            assert_eq!(Token::parse(wrong), Err(BadToken::Character), "{wrong:?}");
        }
    }

    #[test]
    fn a_digest_can_be_written_down() {
        // printf abc | sha256sum
        let digest = [
            0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea, 0x41, 0x41, 0x40, 0xde, 0x5d, 0xae,
            0x22, 0x23, 0xb0, 0x03, 0x61, 0xa3, 0x96, 0x17, 0x7a, 0x9c, 0xb4, 0x10, 0xff, 0x61,
            0xf2, 0x00, 0x15, 0xad,
        ];
        assert!(TokenDigest::from_bytes(digest).same(&TokenDigest::of(b"abc")));
        assert!(!TokenDigest::from_bytes(digest).same(&TokenDigest::of(b"abd")));
    }

    #[test]
    fn a_token_is_not_shown() {
        let token = Token::parse("0123456789abcdef").unwrap();
        assert_eq!(format!("{token:?}"), "Token(..)");
    }
}

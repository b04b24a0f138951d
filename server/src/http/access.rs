//! Who asks, by the `Authorization` header and by nothing else.

use crate::token::TokenDigest;
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use subtle::{Choice, ConditionallySelectable};

/// Who may ask, by token.
#[derive(Debug, Clone, Default)]
pub struct Access {
    /// With the place of the principal each stands for.
    tokens: Vec<(TokenDigest, u64)>,
}

/// Why a request is nobody's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// There is no `Authorization` header, or more than one.
    Missing,
    /// It is none with a bearer token.
    NotBearer,
    /// Nobody has this token.
    Unknown,
}

impl Access {
    /// From now on this token stands for the principal at that place.
    pub fn add(&mut self, token: TokenDigest, principal: usize) {
        self.tokens.push((token, principal as u64));
    }

    /// Whose request this is.
    pub(crate) fn judge(&self, headers: &HeaderMap) -> Result<usize, Refused> {
        let mut all = headers.get_all(AUTHORIZATION).iter();
        let (Some(header), None) = (all.next(), all.next()) else {
            return Err(Refused::Missing);
        };
        let (scheme, token) = split(header.as_bytes()).ok_or(Refused::NotBearer)?;
        if !scheme.eq_ignore_ascii_case(b"bearer") {
            return Err(Refused::NotBearer);
        }
        let presented = TokenDigest::of(token);
        // All are compared, so that time tells nothing about which one it was.
        let (mut found, mut place) = (Choice::from(0), 0);
        for (known, principal) in &self.tokens {
            let same = known.is(&presented);
            place = u64::conditional_select(&place, principal, same);
            found |= same;
        }
        match usize::try_from(place) {
            Ok(place) if bool::from(found) => Ok(place),
            _ => Err(Refused::Unknown),
        }
    }
}

/// A scheme and what follows it.
fn split(header: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = header.iter().position(|b| *b == b' ')?;
    let (scheme, rest) = header.split_at(at);
    Some((scheme, rest.trim_ascii()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn headers(values: &[&'static str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn a_token_stands_for_its_principal_and_nothing_else_does() {
        let mut access = Access::default();
        access.add(TokenDigest::of(b"token-of-the-first"), 0);
        access.add(TokenDigest::of(b"token-of-the-second"), 1);
        access.add(TokenDigest::of(b"another-of-the-second"), 1);
        let judge = |values: &[&'static str]| access.judge(&headers(values));
        assert_eq!(judge(&["Bearer token-of-the-first"]), Ok(0));
        assert_eq!(judge(&["bearer  token-of-the-second"]), Ok(1));
        assert_eq!(judge(&["Bearer another-of-the-second"]), Ok(1));
        assert_eq!(judge(&[]), Err(Refused::Missing));
        assert_eq!(
            judge(&["Bearer token-of-the-first", "Bearer token-of-the-first"]),
            Err(Refused::Missing)
        );
        for other in ["token-of-the-first", "Basic token-of-the-first", "Bearer"] {
            assert_eq!(judge(&[other]), Err(Refused::NotBearer), "{other}");
        }
        for wrong in ["Bearer ", "Bearer token-of-the-firs", "Bearer token-of-the-first2"] {
            assert_eq!(judge(&[wrong]), Err(Refused::Unknown), "{wrong}");
        }
        assert_eq!(Access::default().judge(&headers(&["Bearer x"])), Err(Refused::Unknown));
    }
}

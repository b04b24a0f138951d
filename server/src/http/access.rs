//! Who asks, by the `Authorization` header and by nothing else.

use crate::oauth::{NotOurs, Resource};
use crate::token::TokenDigest;
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use std::sync::Arc;
use subtle::{Choice, ConditionallySelectable};

/// Who may ask, by token.
#[derive(Debug, Clone, Default)]
pub struct Access {
    /// With the place of the principal each stands for.
    tokens: Vec<(TokenDigest, u64)>,
    /// Whom other tokens stand for, if an authorization server signs some.
    resource: Option<Arc<Resource>>,
}

/// Why a request is nobody's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoAccess {
    /// There is no `Authorization` header, or more than one.
    Missing,
    /// It is none with a bearer token.
    NotBearer,
    /// Nobody has this token.
    Unknown,
    /// It is none of those that were given here, and an authorization server's only stands for
    /// somebody if it is right.
    NotOurs(NotOurs),
}

impl Access {
    /// From now on this token stands for the principal at that place.
    pub fn add(&mut self, token: TokenDigest, principal: usize) {
        self.tokens.push((token, principal as u64));
    }

    /// From now on tokens that an authorization server signed are taken as well.
    pub fn trust(&mut self, resource: Resource) {
        self.resource = Some(Arc::new(resource));
    }

    /// What is asked of the tokens of an authorization server.
    pub(crate) fn resource(&self) -> Option<&Arc<Resource>> {
        self.resource.as_ref()
    }

    /// Whose request this is.
    pub(crate) async fn judge(&self, headers: &HeaderMap) -> Result<usize, NoAccess> {
        let mut all = headers.get_all(AUTHORIZATION).iter();
        let (Some(header), None) = (all.next(), all.next()) else {
            return Err(NoAccess::Missing);
        };
        let (scheme, token) = split(header.as_bytes()).ok_or(NoAccess::NotBearer)?;
        if !scheme.eq_ignore_ascii_case(b"bearer") {
            return Err(NoAccess::NotBearer);
        }
        match (self.given(token), &self.resource) {
            (Some(place), _) => Ok(place),
            (None, Some(resource)) => resource.judge(token).await.map_err(NoAccess::NotOurs),
            (None, None) => Err(NoAccess::Unknown),
        }
    }

    /// Whose token this is, if it is one of those that were given here.
    fn given(&self, token: &[u8]) -> Option<usize> {
        let presented = TokenDigest::of(token);
        // All are compared, so that time tells nothing about which one it was.
        let (mut found, mut place) = (Choice::from(0), 0);
        for (known, principal) in &self.tokens {
            let same = known.is(&presented);
            place = u64::conditional_select(&place, principal, same);
            found |= same;
        }
        usize::try_from(place).ok().filter(|_| bool::from(found))
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

    #[tokio::test]
    async fn a_token_stands_for_its_principal_and_nothing_else_does() {
        let mut access = Access::default();
        access.add(TokenDigest::of(b"token-of-the-first"), 0);
        access.add(TokenDigest::of(b"token-of-the-second"), 1);
        access.add(TokenDigest::of(b"another-of-the-second"), 1);
        let judge = async |values: &[&'static str]| access.judge(&headers(values)).await;
        assert_eq!(judge(&["Bearer token-of-the-first"]).await, Ok(0));
        assert_eq!(judge(&["bearer  token-of-the-second"]).await, Ok(1));
        assert_eq!(judge(&["Bearer another-of-the-second"]).await, Ok(1));
        assert_eq!(judge(&[]).await, Err(NoAccess::Missing));
        assert_eq!(
            judge(&["Bearer token-of-the-first", "Bearer token-of-the-first"]).await,
            Err(NoAccess::Missing)
        );
        for other in ["token-of-the-first", "Basic token-of-the-first", "Bearer"] {
            assert_eq!(judge(&[other]).await, Err(NoAccess::NotBearer), "{other}");
        }
        for wrong in ["Bearer ", "Bearer token-of-the-firs", "Bearer token-of-the-first2"] {
            assert_eq!(judge(&[wrong]).await, Err(NoAccess::Unknown), "{wrong}");
        }
        assert_eq!(Access::default().judge(&headers(&["Bearer x"])).await, Err(NoAccess::Unknown));
    }
}

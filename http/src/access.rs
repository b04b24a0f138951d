//! Who asks, by the `Authorization` header and by nothing else.

use crate::oauth::{NotOurs, Resource};
use crate::principals::PrincipalId;
use crate::token::TokenDigest;
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use std::sync::Arc;
use subtle::{Choice, ConditionallySelectable};

/// Who may ask, by token.
#[derive(Debug)]
pub(crate) struct Access {
    /// With the principal each stands for.
    tokens: Vec<(TokenDigest, PrincipalId)>,
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
    /// Tokens that were given here, and those that `resource` takes.
    pub(crate) fn new(tokens: Vec<(TokenDigest, PrincipalId)>, resource: Option<Resource>) -> Self {
        Self { tokens, resource: resource.map(Arc::new) }
    }

    /// What is asked of the tokens of an authorization server.
    pub(crate) fn resource(&self) -> Option<&Arc<Resource>> {
        self.resource.as_ref()
    }

    /// Whose request this is.
    pub(crate) async fn judge(&self, headers: &HeaderMap) -> Result<PrincipalId, NoAccess> {
        let mut all = headers.get_all(AUTHORIZATION).iter();
        let (Some(header), None) = (all.next(), all.next()) else {
            return Err(NoAccess::Missing);
        };
        let (scheme, token) = split(header.as_bytes()).ok_or(NoAccess::NotBearer)?;
        if !scheme.eq_ignore_ascii_case(b"bearer") {
            return Err(NoAccess::NotBearer);
        }
        match (self.given(token), &self.resource) {
            (Some(principal), _) => Ok(principal),
            (None, Some(resource)) => resource.judge(token).await.map_err(NoAccess::NotOurs),
            (None, None) => Err(NoAccess::Unknown),
        }
    }

    /// Whose token this is, if it is one of those that were given here.
    fn given(&self, token: &[u8]) -> Option<PrincipalId> {
        let presented = TokenDigest::of(token);
        // All are compared, so that time tells nothing about which one it was.
        let (_, mut whose) = *self.tokens.first()?;
        let mut found = Choice::from(0);
        for (known, principal) in &self.tokens {
            let same = known.is(&presented);
            whose = PrincipalId::conditional_select(&whose, principal, same);
            found |= same;
        }
        bool::from(found).then_some(whose)
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
        let (first, second) = (PrincipalId::of_test(0), PrincipalId::of_test(1));
        let tokens = [
            ("token-of-the-first", first),
            ("token-of-the-second", second),
            ("another-of-the-second", second),
        ];
        let tokens = tokens.map(|(token, id)| (TokenDigest::of(token.as_bytes()), id));
        let access = Access::new(tokens.into(), None);
        let judge = async |values: &[&'static str]| access.judge(&headers(values)).await;
        assert_eq!(judge(&["Bearer token-of-the-first"]).await, Ok(first));
        assert_eq!(judge(&["bearer  token-of-the-second"]).await, Ok(second));
        assert_eq!(judge(&["Bearer another-of-the-second"]).await, Ok(second));
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
        let nobody = Access::new(Vec::new(), None);
        assert_eq!(nobody.judge(&headers(&["Bearer x"])).await, Err(NoAccess::Unknown));
    }
}

//! Who may ask. Everything that is known of one principal is said at once, so that nothing of one
//! can be taken for another's.

use crate::access::Access;
use crate::config::Share;
use crate::oauth::{Resource, Rule};
use crate::token::TokenDigest;
use subtle::{Choice, ConditionallySelectable};

/// Somebody who may ask.
#[derive(Debug, Clone)]
pub struct Principal<H> {
    /// Answers what it asks; shared with nobody else.
    pub handler: H,
    /// What it may take of the server.
    pub share: Share,
    /// The token it was given here, if it was.
    pub token: Option<TokenDigest>,
    /// Which tokens of the authorization server are its; nobody's, if there is no such server.
    pub rules: Vec<Rule>,
}

/// One of the principals of one server. Made only where it is added ([`ByPrincipal::add`]), so no
/// place in any other list can be taken for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct PrincipalId(u64);

impl PrincipalId {
    /// For tests of what only tells principals apart.
    #[cfg(test)]
    pub(crate) fn of_test(number: u64) -> Self {
        Self(number)
    }
}

impl ConditionallySelectable for PrincipalId {
    fn conditional_select(a: &Self, b: &Self, choice: Choice) -> Self {
        Self(u64::conditional_select(&a.0, &b.0, choice))
    }
}

/// Something for each principal.
#[derive(Debug)]
pub(crate) struct ByPrincipal<T>(Vec<T>);

impl<T> ByPrincipal<T> {
    /// Another principal's; gives what it is asked for by.
    fn add(&mut self, item: T) -> PrincipalId {
        self.0.push(item);
        PrincipalId(self.0.len() as u64 - 1)
    }

    /// This principal's.
    pub(crate) fn get(&self, id: PrincipalId) -> Option<&T> {
        usize::try_from(id.0).ok().and_then(|at| self.0.get(at))
    }

    /// Something else for each of the same.
    pub(crate) fn map<U>(self, each: impl FnMut(T) -> U) -> ByPrincipal<U> {
        ByPrincipal(self.0.into_iter().map(each).collect())
    }
}

/// All who may ask, and how each is known.
#[derive(Debug)]
pub struct Principals<H> {
    tokens: Vec<(TokenDigest, PrincipalId)>,
    resource: Option<Resource>,
    handlers: ByPrincipal<(H, Share)>,
}

impl<H> Principals<H> {
    /// Nobody yet. With a `resource`, tokens that an authorization server signed are taken as well.
    #[must_use]
    pub fn new(resource: Option<Resource>) -> Self {
        Self { tokens: Vec::new(), resource, handlers: ByPrincipal(Vec::new()) }
    }

    /// From now on this one may ask. Of two with rules for the same token, the first is asked for.
    pub fn add(&mut self, principal: Principal<H>) {
        let Principal { handler, share, token, rules } = principal;
        let id = self.handlers.add((handler, share));
        self.tokens.extend(token.map(|token| (token, id)));
        if let Some(resource) = &mut self.resource {
            resource.add(rules, id);
        }
    }

    /// How they are known, and who answers them.
    pub(crate) fn into_parts(self) -> (Access, ByPrincipal<(H, Share)>) {
        (Access::new(self.tokens, self.resource), self.handlers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::header::AUTHORIZATION;
    use axum::http::{HeaderMap, HeaderValue};

    #[tokio::test]
    async fn each_token_leads_to_the_handler_it_was_added_with() {
        let mut principals = Principals::new(None);
        // One without a token here must not shift those behind it.
        for (handler, token) in [("ann", Some("of-ann")), ("bob", None), ("eve", Some("of-eve"))] {
            let token = token.map(|token| TokenDigest::of(token.as_bytes()));
            let (share, rules) = (Share::default(), Vec::new());
            principals.add(Principal { handler, share, token, rules });
        }
        let (access, handlers) = principals.into_parts();
        let rooms = handlers.map(|(handler, _)| handler.to_uppercase());
        for (token, room) in [("of-ann", "ANN"), ("of-eve", "EVE")] {
            let mut headers = HeaderMap::new();
            let bearer = HeaderValue::try_from(format!("Bearer {token}")).unwrap();
            headers.insert(AUTHORIZATION, bearer);
            let id = access.judge(&headers).await.unwrap();
            assert_eq!(rooms.get(id).map(String::as_str), Some(room));
        }
    }
}

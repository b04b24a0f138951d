//! Somebody who may use the server.

use nono_http::oauth::Rule;
use nono_http::{Share, TokenDigest};
use nono_profiles::ProfileRef;
use std::path::PathBuf;

/// Who it is, how it is known, and what it may have.
#[derive(Debug)]
pub(super) struct User {
    pub(super) name: String,
    /// The token it was given here, if it was.
    pub(super) token: Option<TokenDigest>,
    /// Which tokens of the authorization server are its.
    pub(super) rules: Vec<Rule>,
    pub(super) workspaces: Vec<PathBuf>,
    pub(super) profile: ProfileRef,
    /// Commands that may run at once.
    pub(super) live_runs: u32,
    pub(super) share: Share,
}

impl User {
    /// Whether this is its token.
    pub(super) fn has_token(&self, token: Option<TokenDigest>) -> bool {
        self.token.zip(token).is_some_and(|(own, token)| own.same(&token))
    }

    /// Whether one of these is among its rules.
    pub(super) fn has_one_of(&self, rules: &[Rule]) -> bool {
        self.rules.iter().any(|rule| rules.contains(rule))
    }
}

//! OAuth 2.1, the part of a resource server: which principal a token stands for that an
//! authorization server signed, and where clients learn which server that is (RFC 9728).
//!
//! Nothing here gives out tokens, and no token is passed on to anybody.

mod claims;
mod fault;
mod fetch;
mod keys;
mod named;
mod ring;
mod source;
mod uri;
mod verify;

pub use claims::{BadRule, Rule, is_scope};
pub use fetch::{BadUrl, FetchError, KeyUrl};
pub use keys::BadKeys;
pub use source::{FileError, KeySource, LoadError, PlaceCheck};
pub use uri::{BadUri, ResourceUri};

use crate::principals::PrincipalId;
use claims::Match;
use fault::Fault;
use named::Named;
use source::Keys;
use std::fmt::Write as _;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;
use verify::Expected;

/// What a resource server is told at its start.
#[derive(Debug, Clone)]
pub struct Setting {
    /// The address clients know this server by, which a token's audience has to hold.
    pub resource: ResourceUri,
    /// Who signs tokens, as their `iss` has it.
    pub issuer: String,
    /// Where clients get tokens: the issuer, if this is empty.
    pub servers: Vec<String>,
    /// Every token has to have all of these.
    pub scopes: Vec<String>,
}

/// A resource server: what it asks of tokens, and the keys they are signed with.
#[derive(Debug)]
pub struct Resource {
    setting: Setting,
    /// Which tokens stand for which principal; the first rule that fits decides.
    rules: Vec<(Rule, PrincipalId)>,
    expected: Expected,
    keys: Keys,
}

/// Why a token that looks signed stands for nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotOurs {
    /// It proves nothing.
    Invalid(Fault),
    /// It is genuine, and has less scope than is asked for: of everybody, and by this rule.
    Scope(Option<usize>),
    /// It is genuine, and its subject is no principal here.
    Stranger,
}

impl Resource {
    /// Reads the keys for the first time.
    ///
    /// # Errors
    /// [`LoadError`] if there are none to be had.
    pub async fn open(setting: Setting, source: KeySource) -> Result<Self, LoadError> {
        ring::install();
        let keys = Keys::open(source).await?;
        let expected = Expected::new(&setting.issuer, setting.resource.text());
        Ok(Self { setting, rules: Vec::new(), expected, keys })
    }

    /// From now on tokens that fit one of these rules, and none before, are this principal's.
    pub(crate) fn add(&mut self, rules: Vec<Rule>, principal: PrincipalId) {
        self.rules.extend(rules.into_iter().map(|rule| (rule, principal)));
    }

    /// Whose token this is.
    pub(crate) async fn judge(&self, token: &[u8]) -> Result<PrincipalId, NotOurs> {
        let named = Named::of(token).map_err(NotOurs::Invalid)?;
        let key = match self.keys.now().find(&named) {
            Some(key) => Some(key),
            // The authorization server may have changed its keys since they were read.
            None => self.keys.newer().await.and_then(|keys| keys.find(&named)),
        };
        let key = key.ok_or(NotOurs::Invalid(Fault::UnknownKey))?;
        let claims = self.expected.check(token, &named, &key).map_err(NotOurs::Invalid)?;
        if !self.setting.scopes.iter().all(|scope| claims.has_scope(scope)) {
            return Err(NotOurs::Scope(None));
        }
        let mut found = NotOurs::Stranger;
        for (at, (rule, principal)) in self.rules.iter().enumerate() {
            match (rule.fits(&claims), found) {
                (Match::Yes, _) => return Ok(*principal),
                (Match::WithMoreScope, NotOurs::Stranger) => found = NotOurs::Scope(Some(at)),
                (Match::WithMoreScope | Match::No, _) => {}
            }
        }
        Err(found)
    }

    /// Keeps the keys fresh until `stop` is cancelled.
    pub(crate) async fn keep_fresh(self: Arc<Self>, stop: CancellationToken) {
        stop.run_until_cancelled(self.keys.keep_fresh()).await;
    }

    /// The paths at which the metadata is.
    pub(crate) fn metadata_paths(&self) -> Vec<String> {
        self.setting.resource.metadata_paths()
    }

    /// The protected-resource metadata, as RFC 9728 has it.
    pub(crate) fn metadata(&self) -> serde_json::Value {
        let Setting { resource, issuer, servers, .. } = &self.setting;
        let servers = if servers.is_empty() { std::slice::from_ref(issuer) } else { servers };
        let mut document = serde_json::json!({
            "resource": resource.text(),
            "authorization_servers": servers,
            "bearer_methods_supported": ["header"],
            "resource_name": "nono-mcp",
        });
        let of_rules = self.rules.iter().filter_map(|(rule, _)| rule.scope());
        let scopes = self.scopes_and(of_rules);
        if !scopes.is_empty() {
            document["scopes_supported"] = scopes.into();
        }
        document
    }

    /// What is asked of every token, and these.
    fn scopes_and<'a>(&'a self, more: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
        let mut all: Vec<&str> = Vec::new();
        for scope in self.setting.scopes.iter().map(String::as_str).chain(more) {
            if !all.contains(&scope) {
                all.push(scope);
            }
        }
        all
    }

    /// What `WWW-Authenticate` says to who has shown this, or nothing.
    pub(crate) fn challenge(&self, shown: Option<NotOurs>) -> String {
        let metadata = self.setting.resource.metadata_url();
        let mut text = format!("Bearer realm=\"nono-mcp\", resource_metadata=\"{metadata}\"");
        let mut say = |name, value: &str| {
            // Writing to a string does not fail.
            let _never_fails = write!(text, ", {name}=\"{value}\"");
        };
        let rule = match shown {
            Some(NotOurs::Scope(Some(at))) => self.rules.get(at),
            _ => None,
        };
        let scopes = self.scopes_and(rule.and_then(|(rule, _)| rule.scope()).into_iter());
        if !scopes.is_empty() {
            say("scope", &scopes.join(" "));
        }
        match shown {
            Some(NotOurs::Invalid(fault)) => {
                say("error", "invalid_token");
                say("error_description", fault.sentence());
            }
            Some(NotOurs::Scope(_)) => {
                say("error", "insufficient_scope");
                say("error_description", "the token has less scope than is needed");
            }
            Some(NotOurs::Stranger) | None => {}
        }
        text
    }
}

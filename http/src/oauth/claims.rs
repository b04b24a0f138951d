//! What a token says of who shows it, and whom that is here.

use serde::Deserialize;

/// The claims that decide whose a token is. The rest has been checked before they are looked at.
#[derive(Debug, Deserialize)]
pub(super) struct Claims {
    /// Who made the token. One text, where the library takes a list as well; that there is one is
    /// for the library to say, which has a name for it.
    #[serde(rename = "iss")]
    _issuer: Option<String>,
    sub: Option<String>,
    client_id: Option<String>,
    /// What some servers call `client_id`.
    azp: Option<String>,
    /// Words between spaces (RFC 8693).
    scope: Option<String>,
    /// What some servers call `scope`.
    scp: Option<Words>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Words {
    Text(String),
    List(Vec<String>),
}

impl Claims {
    pub(super) fn has_scope(&self, scope: &str) -> bool {
        let in_text = |text: &String| text.split(' ').any(|word| word == scope);
        match (&self.scope, &self.scp) {
            (Some(text), _) | (None, Some(Words::Text(text))) => in_text(text),
            (None, Some(Words::List(list))) => list.iter().any(|word| word == scope),
            (None, None) => false,
        }
    }

    fn client(&self) -> Option<&str> {
        self.client_id.as_deref().or(self.azp.as_deref())
    }
}

/// Which tokens stand for a principal: those that fit all that is said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    subject: Option<String>,
    client: Option<String>,
    scope: Option<String>,
}

/// Why there can be no such rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadRule {
    /// It would fit everybody the authorization server knows.
    #[error("needs `sub` or `client_id`, or it would stand for everybody")]
    Anybody,
    /// A word is empty or no word.
    #[error("has an empty `sub`, `client_id` or `scope`, or a `scope` that is more than one word")]
    Word,
}

/// Whether a rule fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Match {
    Yes,
    /// It would if the token had the scope.
    WithMoreScope,
    No,
}

impl Rule {
    /// A rule for tokens of `subject` that `client` got and that have `scope`, as far as these are
    /// given.
    ///
    /// # Errors
    /// [`BadRule`] says what is wrong with it.
    pub fn new(
        subject: Option<String>,
        client: Option<String>,
        scope: Option<String>,
    ) -> Result<Self, BadRule> {
        let empty = |text: &Option<String>| text.as_ref().is_some_and(String::is_empty);
        if empty(&subject) || empty(&client) || scope.as_ref().is_some_and(|s| !is_scope(s)) {
            return Err(BadRule::Word);
        }
        if subject.is_none() && client.is_none() {
            return Err(BadRule::Anybody);
        }
        Ok(Self { subject, client, scope })
    }

    /// Whether it says nothing of the subject, so that everybody who uses the client is the same
    /// principal.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.subject.is_none()
    }

    pub(super) fn scope(&self) -> Option<&str> {
        self.scope.as_deref()
    }

    pub(super) fn fits(&self, claims: &Claims) -> Match {
        let same = |asked: &Option<String>, is: Option<&str>| {
            asked.as_ref().is_none_or(|asked| is == Some(asked))
        };
        if !same(&self.subject, claims.sub.as_deref()) || !same(&self.client, claims.client()) {
            return Match::No;
        }
        match &self.scope {
            Some(scope) if !claims.has_scope(scope) => Match::WithMoreScope,
            _ => Match::Yes,
        }
    }
}

/// Whether a text is one word of scope, which a header can hold between quotation marks (RFC 6749).
#[must_use]
pub fn is_scope(text: &str) -> bool {
    let fits = |b: u8| matches!(b, 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
    !text.is_empty() && text.bytes().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn claims(mut value: serde_json::Value) -> Claims {
        value["iss"] = json!("https://issuer.example");
        serde_json::from_value(value).unwrap()
    }

    fn rule(subject: Option<&str>, client: Option<&str>, scope: Option<&str>) -> Rule {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        Rule::new(owned(subject), owned(client), owned(scope)).unwrap()
    }

    #[test]
    fn all_that_is_said_has_to_fit() {
        let ann = claims(json!({"sub": "ann", "client_id": "ide", "scope": "run read"}));
        for (rule, fits) in [
            (rule(Some("ann"), None, None), Match::Yes),
            (rule(Some("ann"), Some("ide"), Some("run")), Match::Yes),
            (rule(Some("ann"), None, Some("admin")), Match::WithMoreScope),
            (rule(Some("ann"), None, Some("ru")), Match::WithMoreScope),
            (rule(Some("bob"), None, Some("admin")), Match::No),
            (rule(Some("ann"), Some("other"), None), Match::No),
            (rule(None, Some("ide"), None), Match::Yes),
        ] {
            assert_eq!(rule.fits(&ann), fits, "{rule:?}");
        }
        let nameless = claims(json!({}));
        assert_eq!(rule(Some("ann"), None, None).fits(&nameless), Match::No);
        assert_eq!(rule(None, Some("ide"), None).fits(&nameless), Match::No);
    }

    #[test]
    fn other_names_for_the_same() {
        let rule = rule(None, Some("ide"), Some("run"));
        assert_eq!(rule.fits(&claims(json!({"azp": "ide", "scp": "read run"}))), Match::Yes);
        assert_eq!(rule.fits(&claims(json!({"azp": "ide", "scp": ["read", "run"]}))), Match::Yes);
        // What the standard calls them comes first.
        let both = claims(json!({"azp": "ide", "client_id": "x", "scope": "run"}));
        assert_eq!(rule.fits(&both), Match::No);
        let both = claims(json!({"client_id": "ide", "scope": "", "scp": ["run"]}));
        assert_eq!(rule.fits(&both), Match::WithMoreScope);
    }

    #[test]
    fn a_rule_names_somebody() {
        let new = |s: Option<&str>, c: Option<&str>, scope: Option<&str>| {
            let owned = |text: Option<&str>| text.map(str::to_owned);
            Rule::new(owned(s), owned(c), owned(scope))
        };
        assert_eq!(new(None, None, Some("run")), Err(BadRule::Anybody));
        assert_eq!(new(Some(""), None, None), Err(BadRule::Word));
        for scope in ["", "a b", "a\"", "a\\", "ä"] {
            assert_eq!(new(Some("ann"), None, Some(scope)), Err(BadRule::Word), "{scope}");
        }
    }
}

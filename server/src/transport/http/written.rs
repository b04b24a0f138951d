//! The file with the principals, as it is written.

use serde::Deserialize;
use std::num::{NonZeroU16, NonZeroU32};
use std::path::PathBuf;

/// Principals in a file.
const MOST: usize = 256;
/// Characters in a name.
const LONGEST_NAME: usize = 64;

/// All of it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Written {
    /// The authorization server whose tokens are taken, if there is one.
    pub(super) oauth: Option<OauthEntry>,
    pub(super) principals: Vec<Entry>,
}

/// One of them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) token_file: Option<PathBuf>,
    pub(super) token_sha256: Option<String>,
    #[serde(default)]
    pub(super) oauth: Vec<RuleEntry>,
    pub(super) workspaces: Vec<PathBuf>,
    pub(super) profile: Option<String>,
    #[serde(default)]
    pub(super) limits: EntryLimits,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EntryLimits {
    pub(super) live_runs: Option<NonZeroU32>,
    pub(super) open_requests: Option<NonZeroU16>,
    pub(super) requests_per_second: Option<NonZeroU32>,
}

/// An authorization server.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OauthEntry {
    pub(super) resource: String,
    pub(super) issuer: String,
    pub(super) jwks_file: Option<PathBuf>,
    pub(super) jwks_url: Option<String>,
    #[serde(default)]
    pub(super) authorization_servers: Vec<String>,
    #[serde(default)]
    pub(super) scopes: Vec<String>,
}

/// Which of its tokens stand for a principal.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RuleEntry {
    pub(super) sub: Option<String>,
    pub(super) client_id: Option<String>,
    pub(super) scope: Option<String>,
}

/// Reads the file.
///
/// # Errors
/// What is wrong with it.
pub(super) fn parse(text: &str) -> Result<Written, String> {
    let written: Written = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let principals = &written.principals;
    if !(1..=MOST).contains(&principals.len()) {
        return Err(format!("there may be 1 to {MOST} principals"));
    }
    for (at, entry) in principals.iter().enumerate() {
        let plain = |c: char| c.is_ascii_alphanumeric() || "._-@".contains(c);
        let name = &entry.name;
        if !(1..=LONGEST_NAME).contains(&name.len()) || !name.chars().all(plain) {
            return Err(format!(
                "principal `{name}`: a name has 1 to {LONGEST_NAME} letters, digits and ._-@"
            ));
        }
        if principals.iter().take(at).any(|other| other.name == *name) {
            return Err(format!("there are two principals `{name}`"));
        }
        if entry.workspaces.is_empty() {
            return Err(format!("principal `{name}` needs a workspace"));
        }
    }
    Ok(written)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mistake_is_told() {
        let one = |fields: &str| {
            let start = r#"{"principals":[{"name":"a","workspaces":["w"],"token_sha256":"x""#;
            parse(&format!("{start}{fields}}}]}}"))
        };
        assert_eq!(one("").unwrap().principals.len(), 1);
        assert!(one(r#","limits":{"live_runs":2,"requests_per_second":9}"#).is_ok());
        for (wrong, said) in [
            (r#","limits":{"live_runs":0}"#, "nonzero"),
            (r#","limits":{"runs":1}"#, "unknown field"),
            (r#","porfile":"strict""#, "unknown field"),
            (r#"},{"name":"a","workspaces":["w"]"#, "two principals `a`"),
            (r#"},{"name":"b","workspaces":[]"#, "`b` needs a workspace"),
            (r#"},{"name":"b c","workspaces":["w"]"#, "`b c`"),
        ] {
            let error = one(wrong).unwrap_err();
            assert!(error.contains(said), "{wrong}: {error}");
        }
        assert!(parse(r#"{"principals":[]}"#).is_err());
    }
}

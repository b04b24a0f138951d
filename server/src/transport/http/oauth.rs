//! The authorization server that the principals' file names.

use super::closed::own_places;
use super::error::HttpError;
use super::guard::Guard;
use super::user::User;
use super::written::{OauthEntry, RuleEntry};
use nono_http::oauth::{KeySource, KeyUrl, Resource, ResourceUri, Rule, Setting, is_scope};
use nono_sandbox::AbsPath;
use nono_sandbox::policy::Access;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What the file says of it.
pub(super) struct Oauth {
    setting: Setting,
    source: KeySource,
    /// The field the keys are named in, and what it says.
    place: String,
}

/// Reads the entry; also gives the files no command may touch.
///
/// # Errors
/// Names the field and what to write there.
pub(super) fn read(
    entry: OauthEntry,
    folder: &Path,
    guard: &Guard,
) -> Result<(Oauth, Vec<AbsPath>), String> {
    let resource = ResourceUri::parse(&entry.resource)
        .map_err(|error| format!("oauth.resource `{}`: {error}", entry.resource))?;
    let servers = std::iter::once(("issuer", &entry.issuer))
        .chain(entry.authorization_servers.iter().map(|url| ("authorization_servers", url)));
    for (field, url) in servers {
        if !url.starts_with("https://") {
            return Err(format!(
                "oauth.{field} `{url}`: give the https:// address of the authorization server, \
                 exactly as its tokens have it in `iss`"
            ));
        }
    }
    if let Some(scope) = entry.scopes.iter().find(|scope| !is_scope(scope)) {
        return Err(format!("oauth.scopes `{scope}`: give each scope as a word of its own"));
    }
    let (source, place, closed) = match (entry.jwks_file, entry.jwks_url) {
        (Some(file), None) => {
            let path: PathBuf = folder.join(file);
            let place = format!("oauth.jwks_file {}", path.display());
            // Who could write to it could sign tokens for everybody.
            let (_, closed) = own_places(&path).map_err(|error| format!("{place}: {error}"))?;
            let guard = guard.clone();
            let check = Arc::new(move |path: &Path| guard.fault(path, Access::WRITE));
            (KeySource::File { path, check }, place, closed)
        }
        (None, Some(url)) => {
            let place = format!("oauth.jwks_url {url}");
            let url = KeyUrl::parse(&url).map_err(|error| format!("{place}: {error}"))?;
            (KeySource::Url(url), place, Vec::new())
        }
        _ => {
            return Err("oauth needs either jwks_url, which the authorization server's metadata \
                        names as jwks_uri, or jwks_file with the same content"
                .to_owned());
        }
    };
    let setting = Setting {
        resource,
        issuer: entry.issuer,
        servers: entry.authorization_servers,
        scopes: entry.scopes,
    };
    Ok((Oauth { setting, source, place }, closed))
}

/// Which tokens are one principal's.
///
/// # Errors
/// What is wrong with which.
pub(super) fn rules(entries: &[RuleEntry]) -> Result<Vec<Rule>, String> {
    let rule = |entry: &RuleEntry| {
        Rule::new(entry.sub.clone(), entry.client_id.clone(), entry.scope.clone())
    };
    entries.iter().map(rule).collect::<Result<_, _>>().map_err(|error| format!("oauth {error}"))
}

impl Oauth {
    /// Reads the keys that the tokens of these users are signed with.
    ///
    /// # Errors
    /// [`HttpError::Principals`] names the field with the keys.
    pub(super) async fn open(self, users: &[User], path: &Path) -> Result<Resource, HttpError> {
        let Self { setting, source, place } = self;
        for user in users {
            if user.rules.iter().any(Rule::is_shared) {
                tracing::warn!(
                    principal = user.name,
                    "a rule without `sub`: all subjects that use its client are this principal, \
                     and share its runs and its workspaces"
                );
            }
        }
        let opened = Resource::open(setting, source).await;
        opened.map_err(|error| HttpError::Principals {
            path: path.to_path_buf(),
            problem: format!("{place}: {error}"),
        })
    }
}

//! Who may use the server: one user with one token, or the principals of a file.

use super::closed::own_places;
use super::error::HttpError;
use super::guard::Guard;
use super::listen::Listen;
use super::oauth::{self, Oauth};
use super::token;
use super::user::User;
use super::written::{self, Entry, EntryLimits, Written};
use crate::hex;
use crate::session::{Setup, TOKEN_VARIABLE};
use nono_http::oauth::Rule;
use nono_http::{Share, TokenDigest};
use nono_profiles::ProfileRef;
use nono_sandbox::AbsPath;
use std::fs;
use std::num::NonZeroU32;
use std::path::Path;

/// What the one user of a server is called in the audit log.
const ALONE: &str = "default";

/// All of them.
pub(super) struct Users {
    pub(super) all: Vec<User>,
    /// Whose tokens are taken besides those that were given here.
    pub(super) oauth: Option<Oauth>,
    /// Files no command may touch.
    pub(super) closed: Vec<AbsPath>,
    /// Where tokens are, for the operator.
    pub(super) told: String,
}

impl Users {
    /// As the command line says it.
    ///
    /// # Errors
    /// [`HttpError`] names the file and what is wrong with it.
    pub(super) fn find(setup: &Setup, listen: &Listen, guard: &Guard) -> Result<Self, HttpError> {
        match &listen.principals {
            Some(path) => Self::in_file(path, setup, listen.connections.into(), guard),
            None => Self::alone(setup, listen),
        }
    }

    fn alone(setup: &Setup, listen: &Listen) -> Result<Self, HttpError> {
        let found = token::find(listen.token_file.as_deref())?;
        let told = match &found.file {
            Some(file) => format!("the token is in {}", file.display()),
            None => format!("the token is the one in {TOKEN_VARIABLE}"),
        };
        let user = User {
            name: ALONE.to_owned(),
            token: Some(found.token.digest()),
            rules: Vec::new(),
            workspaces: setup.workspaces.clone(),
            profile: setup.profile.clone(),
            live_runs: setup.max_runs,
            share: Share {
                requests: open_requests(listen.connections.into(), 1),
                ..Share::default()
            },
        };
        Ok(Self { all: vec![user], oauth: None, closed: found.closed, told })
    }

    fn in_file(
        path: &Path,
        setup: &Setup,
        connections: usize,
        guard: &Guard,
    ) -> Result<Self, HttpError> {
        let wrong = |problem: String| HttpError::Principals { path: path.to_path_buf(), problem };
        let (folder, mut closed) = own_places(path).map_err(wrong)?;
        let text = fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
        let Written { oauth, principals: entries } = written::parse(&text).map_err(wrong)?;
        let oauth = match oauth {
            Some(entry) => {
                let (oauth, places) = oauth::read(entry, &folder, guard).map_err(wrong)?;
                closed.extend(places);
                Some(oauth)
            }
            None => None,
        };
        // Who is promised no more than a part of the places never waits for another's runs.
        let part = Part {
            live_runs: u32::try_from(entries.len()).map_or(1, |n| (setup.max_runs / n).max(1)),
            requests: open_requests(connections, entries.len()),
        };
        let mut all: Vec<User> = Vec::new();
        for entry in entries {
            let named = |problem: String| wrong(format!("principal `{}` {problem}", entry.name));
            let token = match (&entry.token_file, &entry.token_sha256) {
                (Some(file), None) => {
                    let found = token::in_file(&folder.join(file))?;
                    closed.extend(found.closed);
                    Some(found.token.digest())
                }
                _ => entry.digest().map_err(named)?,
            };
            if let Some(other) = all.iter().find(|user| user.has_token(token)) {
                return Err(named(format!("has the token of `{}`", other.name)));
            }
            let rules = entry.rules(oauth.is_some()).map_err(named)?;
            if let Some(other) = all.iter().find(|user| user.has_one_of(&rules)) {
                return Err(named(format!("has the oauth of `{}`", other.name)));
            }
            all.push(entry.user(token, rules, &folder, setup, part));
        }
        if oauth.is_some() && all.iter().all(|user| user.rules.is_empty()) {
            return Err(wrong(
                "no principal has oauth, so nobody's token would be taken; add `\"oauth\": \
                 [{\"sub\": \"…\"}]` to one"
                    .to_owned(),
            ));
        }
        let told = format!("tokens of {} principals as {} says", all.len(), path.display());
        Ok(Self { all, oauth, closed, told })
    }
}

impl Entry {
    /// The token it writes down as a digest. None is needed beside rules for others' tokens.
    fn digest(&self) -> Result<Option<TokenDigest>, String> {
        match (&self.token_file, &self.token_sha256) {
            (None, Some(text)) => {
                digest(text).map(|digest| Some(TokenDigest::from_bytes(digest))).ok_or_else(|| {
                    "has a token_sha256 that is none; it has 64 hexadecimal digits".to_owned()
                })
            }
            (None, None) if !self.oauth.is_empty() => Ok(None),
            _ => Err("needs either token_file or token_sha256, or oauth".to_owned()),
        }
    }

    /// Which tokens of the authorization server are its; `known`: whether the file names one.
    fn rules(&self, known: bool) -> Result<Vec<Rule>, String> {
        if !self.oauth.is_empty() && !known {
            return Err(
                "has oauth, and the file does not say whose tokens those are; add `oauth` \
                        with `resource`, `issuer` and `jwks_url` beside `principals`"
                    .to_owned(),
            );
        }
        oauth::rules(&self.oauth)
    }

    fn user(
        self,
        token: Option<TokenDigest>,
        rules: Vec<Rule>,
        folder: &Path,
        setup: &Setup,
        part: Part,
    ) -> User {
        let EntryLimits { live_runs, open_requests, requests_per_second } = self.limits;
        User {
            name: self.name,
            token,
            rules,
            workspaces: self.workspaces.iter().map(|path| folder.join(path)).collect(),
            profile: self.profile.map_or_else(|| setup.profile.clone(), |p| profile(&p, folder)),
            live_runs: live_runs.map_or(part.live_runs, NonZeroU32::get),
            share: Share {
                requests: open_requests.map_or(part.requests, |n| n.get().into()),
                per_second: requests_per_second,
                ..Share::default()
            },
        }
    }
}

/// A digest as `sha256sum` prints it; `None` if it is no such digest.
fn digest(text: &str) -> Option<[u8; 32]> {
    hex::decode(text.as_bytes())?.try_into().ok()
}

/// What a principal may take of the server if its entry does not say.
#[derive(Debug, Clone, Copy)]
struct Part {
    live_runs: u32,
    requests: usize,
}

/// A connection with an answer on its way makes room for nobody: so many that all principals
/// together leave some to those who come.
fn open_requests(connections: usize, principals: usize) -> usize {
    /// Fewer would hold up a client with a few calls side by side.
    const FEWEST: usize = 8;
    (connections / (principals + 1)).max(FEWEST)
}

/// A profile by name, or a file beside the principals'.
fn profile(text: &str, folder: &Path) -> ProfileRef {
    match ProfileRef::from(text) {
        ProfileRef::File(path) => ProfileRef::File(folder.join(path)),
        named => named,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_what_sha256sum_prints() {
        // printf abc | sha256sum
        let text = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let known = TokenDigest::from_bytes(digest(text).unwrap());
        assert!(known.same(&TokenDigest::of(b"abc")));
        for wrong in ["", &text[1..], &text.replace('b', "g"), &text.replace("ba", "+a")] {
            assert!(digest(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn some_connections_are_left_whoever_asks() {
        assert_eq!(open_requests(512, 1), 256);
        assert_eq!(open_requests(512, 3), 128);
        assert_eq!(open_requests(8, 1), 8);
        for principals in 1..=60 {
            assert!(open_requests(512, principals) * principals < 512, "{principals}");
        }
    }
}

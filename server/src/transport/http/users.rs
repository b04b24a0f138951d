//! Who may use the server: one user with one token, or the principals of a file.

use super::token::{self, TOKEN_VARIABLE};
use super::{HttpError, Listen};
use crate::session::Setup;
use nono_http::{Share, TokenDigest};
use nono_profiles::ProfileRef;
use nono_sandbox::AbsPath;
use serde::Deserialize;
use std::fs;
use std::num::{NonZeroU16, NonZeroU32};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What the one user of a server is called in the audit log.
const ALONE: &str = "default";
/// Principals in a file.
const MOST: usize = 256;
/// Characters in a name.
const LONGEST_NAME: usize = 64;

/// Somebody who may use the server.
#[derive(Debug)]
pub(super) struct User {
    pub(super) name: String,
    pub(super) token: TokenDigest,
    pub(super) workspaces: Vec<PathBuf>,
    pub(super) profile: ProfileRef,
    /// Commands that may run at once.
    pub(super) live_runs: u32,
    pub(super) share: Share,
}

/// All of them.
#[derive(Debug)]
pub(super) struct Users {
    pub(super) all: Vec<User>,
    /// Files no command may touch.
    pub(super) closed: Vec<AbsPath>,
    /// Where tokens are, for the operator.
    pub(super) told: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    principals: Vec<Entry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    token_file: Option<PathBuf>,
    token_sha256: Option<String>,
    workspaces: Vec<PathBuf>,
    profile: Option<String>,
    #[serde(default)]
    limits: EntryLimits,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct EntryLimits {
    live_runs: Option<NonZeroU32>,
    open_requests: Option<NonZeroU16>,
    requests_per_second: Option<NonZeroU32>,
}

impl Users {
    /// As the command line says it.
    ///
    /// # Errors
    /// [`HttpError`] names the file and what is wrong with it.
    pub(super) fn find(setup: &Setup, listen: &Listen) -> Result<Self, HttpError> {
        match &listen.principals {
            Some(path) => Self::in_file(path, setup, listen.connections.into()),
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
            token: found.token.digest(),
            workspaces: setup.workspaces.clone(),
            profile: setup.profile.clone(),
            live_runs: setup.max_runs,
            share: Share {
                requests: open_requests(listen.connections.into(), 1),
                ..Share::default()
            },
        };
        Ok(Self { all: vec![user], closed: found.closed, told })
    }

    fn in_file(path: &Path, setup: &Setup, connections: usize) -> Result<Self, HttpError> {
        let wrong = |problem: String| HttpError::Principals { path: path.to_path_buf(), problem };
        let (folder, mut closed) = own_places(path).map_err(wrong)?;
        let text = fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
        let entries = parse(&text).map_err(wrong)?;
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
                    found.token.digest()
                }
                (None, Some(hex)) => TokenDigest::from_hex(hex)
                    .ok_or_else(|| named("has a token_sha256 that is none".to_owned()))?,
                _ => return Err(named("needs either token_file or token_sha256".to_owned())),
            };
            if let Some(other) = all.iter().find(|user| user.token.same(&token)) {
                return Err(named(format!("has the token of `{}`", other.name)));
            }
            all.push(entry.user(token, &folder, setup, part));
        }
        let told = format!("tokens of {} principals as {} says", all.len(), path.display());
        Ok(Self { all, closed, told })
    }
}

impl Entry {
    fn user(self, token: TokenDigest, folder: &Path, setup: &Setup, part: Part) -> User {
        let EntryLimits { live_runs, open_requests, requests_per_second } = self.limits;
        User {
            name: self.name,
            token,
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

/// The folder of the file, and what no command may touch: who could write to the file could let
/// itself in.
fn own_places(path: &Path) -> Result<(PathBuf, Vec<AbsPath>), String> {
    let about = fs::metadata(path).map_err(|error| error.to_string())?;
    let mode = about.mode() & 0o7777;
    if mode & 0o022 != 0 {
        return Err(format!("has mode {mode:04o}, so others can change it; `chmod go-w` it"));
    }
    let canonical = path.canonicalize().map_err(|error| error.to_string())?;
    let place = token::place(path).map_err(|error| error.to_string())?;
    let folder = place.parent().unwrap_or(Path::new("/")).to_path_buf();
    let closed = [canonical, place].into_iter().map(AbsPath::new).collect::<Result<_, _>>();
    Ok((folder, closed.map_err(|error| error.to_string())?))
}

fn parse(text: &str) -> Result<Vec<Entry>, String> {
    let Written { principals } = serde_json::from_str(text).map_err(|error| error.to_string())?;
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
    Ok(principals)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_connections_are_left_whoever_asks() {
        assert_eq!(open_requests(512, 1), 256);
        assert_eq!(open_requests(512, 3), 128);
        assert_eq!(open_requests(8, 1), 8);
        for principals in 1..=60 {
            assert!(open_requests(512, principals) * principals < 512, "{principals}");
        }
    }

    #[test]
    fn every_mistake_is_told() {
        let one = |fields: &str| {
            let start = r#"{"principals":[{"name":"a","workspaces":["w"],"token_sha256":"x""#;
            parse(&format!("{start}{fields}}}]}}"))
        };
        assert_eq!(one("").unwrap().len(), 1);
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

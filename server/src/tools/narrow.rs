//! The sandbox of one call: the operator's, or what the call leaves of it.

use super::bad_input::{BadInput, without_nul};
use super::place::{Way, follow};
use super::rights;
use crate::sandbox::Sandbox;
use crate::session::Ground;
use nono_profiles::{NarrowError, Narrowing, Writable};
use nono_sandbox::AbsPath;
use nono_sandbox::policy::{Access, Limits, Lookup, NetworkMode, Policy};
use nono_schemas::RunNetwork;
use std::io::ErrorKind;
use std::sync::Arc;

/// What a call asks to do without, as it came.
#[derive(Debug, Clone, Default, Hash)]
pub(crate) struct Less {
    /// A profile to stay within as well.
    pub(crate) profile: Option<String>,
    /// The most network it wants.
    pub(crate) network: Option<RunNetwork>,
    /// The only places it wants to write to.
    pub(crate) writable: Option<Vec<String>>,
}

/// The sandbox for a call that asks for `less` and for `limits`.
///
/// # Errors
/// [`BadInput`] if that would be more than the operator's.
pub(super) fn sandbox(
    ground: &Ground,
    less: &Less,
    limits: Limits,
) -> Result<Arc<Sandbox>, BadInput> {
    let narrowed = words(less, &limits);
    if narrowed.is_empty() {
        return Ok(Arc::clone(&ground.sandbox));
    }
    let wanted = Narrowing {
        profile: less.profile.clone(),
        network: less.network.map(network),
        writable: writable(ground, less.writable.as_deref())?,
        limits,
    };
    let policy = ground.offer.narrow(&wanted)?;
    let sandbox = Sandbox::narrower(&ground.sandbox, policy, &ground.host, narrowed);
    Ok(Arc::new(sandbox))
}

fn network(asked: RunNetwork) -> NetworkMode {
    match asked {
        RunNetwork::None => NetworkMode::None,
        RunNetwork::Loopback => NetworkMode::Loopback,
        RunNetwork::Proxy => NetworkMode::Proxy,
        RunNetwork::Open => NetworkMode::Open,
    }
}

/// What was asked, for answers to say that it was given.
fn words(less: &Less, limits: &Limits) -> Vec<String> {
    let mut words = Vec::new();
    if let Some(profile) = &less.profile {
        words.push(format!("profile {profile}"));
    }
    words.extend(less.network.map(|asked| format!("network {}", network(asked))));
    if let Some(writable) = &less.writable {
        let places = if writable.is_empty() { "nothing".to_owned() } else { writable.join(", ") };
        words.push(format!("writable {places}"));
    }
    let asked = nono_sandbox::policy::Limit::ALL
        .into_iter()
        .filter_map(|limit| Some(format!("{} {}", limit.field(), limits.get(limit)?)));
    words.extend(asked);
    words
}

fn writable(ground: &Ground, named: Option<&[String]>) -> Result<Option<Vec<Writable>>, BadInput> {
    let Some(named) = named else { return Ok(None) };
    let places = || named.iter().map(|path| place(ground, path)).collect::<Result<_, _>>();
    rights::look(ground.sandbox.workspace(), places).map(Some)
}

/// An existing place, after symbolic links. Says nothing about what is where commands do not write.
fn place(ground: &Ground, given: &str) -> Result<Writable, BadInput> {
    without_nul(|| "`writable`".to_owned(), given)?;
    let policy = &ground.sandbox.policy;
    let Way { nearest, error, .. } = follow(&policy.fs, &super::place::absolute(policy, given));
    let path = AbsPath::new(nearest)
        .map_err(|error| BadInput::CannotLook(format!("`writable` {given}: {error}")))?;
    if policy.fs.lookup(&path, Access::WRITE) != Lookup::Allowed {
        let path = AbsPath::new(super::place::absolute(policy, given)).unwrap_or(path);
        return Err(not_writable(policy, path));
    }
    match error {
        None => Ok(Writable { is_folder: path.as_path().is_dir(), path }),
        Some(ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Err(BadInput::NoSuchWritable { path: given.to_owned(), nearest: path.to_string() })
        }
        Some(_) => Err(not_writable(policy, path)),
    }
}

fn not_writable(policy: &Policy, path: AbsPath) -> BadInput {
    let roots = policy.fs.writable_roots().into_iter().cloned().collect();
    BadInput::Narrow(NarrowError::NotWritable { path, roots })
}

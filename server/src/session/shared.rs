//! What the sessions of a server share: places for runs, audit log, proxy.

use super::{Ground, Setup};
use crate::audit::Audit;
use crate::error::ServerError;
use crate::kernel_log::KernelLog;
use crate::proxy::Proxy;
use crate::runs::Pool;
use nono_sandbox::groups;
use nono_sandbox::namespaces::Namespaces;
use nono_sandbox::policy::{NetworkMode, Observe};
use std::sync::Arc;

/// What the sessions of a server share.
#[derive(Debug)]
pub(crate) struct Shared {
    /// Places for runs.
    pub(crate) pool: Arc<Pool>,
    pub(super) audit: Audit,
    pub(super) proxy: Option<Arc<Proxy>>,
    /// How many have a part of what the proxy can do.
    pub(super) principals: usize,
}

/// A ground, and whose it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Owned<'g> {
    /// Its principal's name, where there are several.
    pub(crate) name: Option<&'g str>,
    /// The ground.
    pub(crate) ground: &'g Ground,
}

impl Shared {
    /// Opens the audit log and prepares places for `setup.max_runs` runs on these grounds.
    ///
    /// # Errors
    /// [`ServerError`] if one of them cannot be used.
    pub(crate) fn open(setup: &Setup, owned: &[Owned<'_>]) -> Result<Self, ServerError> {
        let grounds: Vec<&Ground> = owned.iter().map(|owned| owned.ground).collect();
        for missing in grounds.iter().filter_map(|ground| ground.sandbox.missing.as_ref()) {
            tracing::warn!("every command will be refused: {missing}");
        }
        let cgroups = grounds.first().map(|g| g.host.cgroups.clone()).unwrap_or_default();
        groups::remove_abandoned(&cgroups);
        let audit = match (&setup.audit, grounds.first()) {
            (Some(audit), Some(first)) => {
                let named = owned.iter().filter_map(|owned| owned.name.zip(Some(owned.ground)));
                let principals: Vec<_> =
                    named.map(|(name, ground)| (name, &*ground.sandbox.policy)).collect();
                Audit::open(audit, &first.sandbox.policy, &principals)?
            }
            _ => Audit::default(),
        };
        let namespaces = agreed(grounds.iter().map(|ground| ground.namespaces()));
        let proxy = proxy_for(&grounds)?.map(Arc::new);
        let basis = grounds.first().map(|ground| {
            let policy = &ground.sandbox.policy;
            ground.basis(policy, policy.fs.protected.clone(), proxy.as_deref())
        });
        let folder = std::env::temp_dir();
        let kernel_log = kernel_log_for(&grounds)?;
        let pool = Pool::new(setup.max_runs, folder, cgroups, namespaces, basis, kernel_log)?;
        let principals = grounds.iter().filter(|ground| has_proxy(ground)).count();
        Ok(Self { pool, audit, proxy, principals })
    }
}

/// What all of them say, if they say the same.
fn agreed(mut all: impl Iterator<Item = Option<Namespaces>>) -> Option<Namespaces> {
    let first = all.next().flatten()?;
    all.all(|other| other == Some(first)).then_some(first)
}

/// The kernel's audit log, if one of the profiles wants refusals from there.
fn kernel_log_for(grounds: &[&Ground]) -> Result<Option<KernelLog>, ServerError> {
    let wants = |ground: &&&Ground| ground.sandbox.policy.observe == Observe::Audit;
    let Some(ground) = grounds.iter().find(wants) else { return Ok(None) };
    Ok(Some(KernelLog::open(ground.host.landlock_abi)?))
}

/// Whether runs on this ground may have a proxy: an open network can be narrowed to one that has.
fn has_proxy(ground: &Ground) -> bool {
    ground.sandbox.policy.network.mode >= NetworkMode::Proxy
}

/// The proxy of runs on these grounds. A call can narrow an open network to one that has a proxy.
fn proxy_for(grounds: &[&Ground]) -> Result<Option<Proxy>, ServerError> {
    match grounds.iter().map(|ground| ground.sandbox.policy.network.mode).max() {
        None | Some(NetworkMode::None | NetworkMode::Loopback) => Ok(None),
        Some(NetworkMode::Open) if grounds.iter().all(|ground| ground.is_open()) => {
            Ok(Proxy::start()
                .inspect_err(|error| tracing::warn!(%error, "runs cannot be given a proxy"))
                .ok())
        }
        Some(NetworkMode::Proxy | NetworkMode::Hosts | NetworkMode::Open) => {
            Proxy::start().map(Some)
        }
    }
}

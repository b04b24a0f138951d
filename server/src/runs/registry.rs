//! Which runs there are: the live ones, and those that ended not long ago.

use super::run::Run;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// Runs kept after their end.
pub(crate) const KEPT: usize = 128;
/// How long they are kept.
pub(crate) const KEPT_FOR: Duration = Duration::from_secs(3600);
/// How long a request key stands for the same run.
pub(super) const KEY_FOR: Duration = Duration::from_secs(600);
/// Request keys remembered.
const KEYS: usize = 1024;

/// What a request key stands for.
#[derive(Debug, Clone)]
struct Keyed {
    /// What was asked for under the key.
    request: u64,
    stands: Stands,
}

#[derive(Debug, Clone)]
enum Stands {
    /// For a run that a call is about to start, until this ends.
    Coming(watch::Receiver<()>),
    /// For a run since then.
    For { run_id: String, since: Instant },
}

impl Stands {
    /// Since when for a run, if for one.
    fn since(&self) -> Option<Instant> {
        match self {
            Self::Coming(_) => None,
            Self::For { since, .. } => Some(*since),
        }
    }
}

/// The runs of a server.
#[derive(Debug, Default)]
pub(super) struct Registry {
    runs: HashMap<String, Arc<Run>>,
    /// In the order they were started.
    order: VecDeque<String>,
    keys: HashMap<String, Keyed>,
}

/// What became of a request key.
#[derive(Debug)]
pub(super) enum Known {
    /// It was new. Until this is dropped, nobody else starts a run under it.
    No(watch::Sender<()>),
    /// It stands for this run.
    Yes(Arc<Run>),
    /// A call is about to start a run under it, until this ends.
    Starting(watch::Receiver<()>),
    /// It stands for another request.
    Other,
}

impl Registry {
    /// Adds a run that has just been started.
    pub(super) fn add(&mut self, run: &Arc<Run>) {
        self.order.push_back(run.identity.id.clone());
        self.runs.insert(run.identity.id.clone(), Arc::clone(run));
    }

    /// The run of that name.
    pub(super) fn get(&self, id: &str) -> Option<Arc<Run>> {
        self.runs.get(id).cloned()
    }

    /// All runs, the newest last.
    pub(super) fn all(&self) -> Vec<Arc<Run>> {
        self.order.iter().filter_map(|id| self.get(id)).collect()
    }

    /// What a request key stands for. One that stands for nothing is the caller's from now on,
    /// until it is [released](Self::release) or [remembered](Self::remember).
    pub(super) fn claim(&mut self, key: &str, request: u64, now: Instant) -> Known {
        let old = |since| now.duration_since(since) >= KEY_FOR;
        self.keys.retain(|_, keyed| !keyed.stands.since().is_some_and(old));
        if let Some(keyed) = self.keys.get(key) {
            if keyed.request != request {
                return Known::Other;
            }
            match &keyed.stands {
                Stands::Coming(ends) => return Known::Starting(ends.clone()),
                Stands::For { run_id, .. } => {
                    if let Some(run) = self.get(run_id) {
                        return Known::Yes(run);
                    }
                }
            }
        }
        let (told, ends) = watch::channel(());
        self.keys.insert(key.to_owned(), Keyed { request, stands: Stands::Coming(ends) });
        Known::No(told)
    }

    /// A request key that was claimed stands for nothing again.
    pub(super) fn release(&mut self, key: &str) {
        self.keys.remove(key);
    }

    /// From now on a request key that was claimed stands for this run. With too many keys the oldest
    /// goes.
    pub(super) fn remember(&mut self, key: &str, request: u64, run: &Run, now: Instant) {
        let stands = Stands::For { run_id: run.identity.id.clone(), since: now };
        self.keys.insert(key.to_owned(), Keyed { request, stands });
        if self.keys.len() > KEYS {
            let settled =
                self.keys.iter().filter_map(|(k, keyed)| Some((k, keyed.stands.since()?)));
            let oldest = settled.min_by_key(|(_, since)| *since).map(|(k, _)| k.clone());
            oldest.and_then(|oldest| self.keys.remove(&oldest));
        }
    }

    /// Forgets runs that ended long ago, or that are too many.
    pub(super) fn forget_old(&mut self, now: Instant) {
        let ended = |run: &Arc<Run>| Some((run.identity.id.clone(), run.ended_at()?));
        let over: Vec<_> = self.over().filter_map(ended).collect();
        let excess = over.len().saturating_sub(KEPT);
        for (at, (id, ended)) in over.into_iter().enumerate() {
            if at < excess || now.duration_since(ended) > KEPT_FOR {
                self.runs.remove(&id);
            }
        }
        let runs = &self.runs;
        self.order.retain(|id| runs.contains_key(id));
    }

    /// Lets the longest finished run that still has output go of it; `false` if there is none.
    pub(super) fn clear_oldest(&self) -> bool {
        let Some(run) = self.over().find(|run| run.output.has_blocks()) else { return false };
        tracing::warn!(run_id = run.identity.id, "its output is let go of: all spools are full");
        run.output.clear();
        true
    }

    fn over(&self) -> impl Iterator<Item = &Arc<Run>> {
        self.order.iter().filter_map(|id| self.runs.get(id)).filter(|run| run.is_over())
    }
}

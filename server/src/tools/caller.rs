//! Who calls, and how it hears of a run before the answer.

use crate::audit::By;
use crate::excerpt::message;
use crate::runs::Run;
use crate::safe_text::clean;
use nono_schemas::AuditWho;
use rmcp::RoleServer;
use rmcp::model::{ProgressNotificationParam, ProgressToken};
use rmcp::service::Peer;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

/// How long a client waits for an answer, unless it is known to wait longer.
const PATIENCE: Duration = Duration::from_secs(45);
/// The same for clients that wait for minutes.
const LONG_PATIENCE: Duration = Duration::from_secs(170);
/// How the names of those begin.
const PATIENT: [&str; 2] = ["claude-code", "gemini-cli"];

/// Who calls.
#[derive(Debug, Default)]
pub(crate) struct Caller {
    /// Whose token it has shown.
    pub(crate) principal: Option<String>,
    /// What the client calls itself.
    pub(crate) client: Option<String>,
    /// Its version, as it says.
    pub(crate) version: Option<String>,
    /// How to tell it about progress, if it asked for that.
    pub(crate) progress: Option<Progress>,
    /// Whether it takes a task for an answer.
    pub(crate) tasks: bool,
}

impl Caller {
    /// Who calls, and by which tool, for the record.
    pub(super) fn by(&self, tool: &'static str) -> By {
        let words = [self.client.as_deref(), self.version.as_deref()];
        let client = self.client.is_some().then(|| {
            let text = words.into_iter().flatten().collect::<Vec<_>>().join(" ");
            clean::name(text.as_bytes())
        });
        By { who: AuditWho { principal: self.principal.clone(), client }, tool }
    }

    /// How long a call may take before it answers with a run that goes on.
    pub(super) fn usual_patience(&self) -> Duration {
        let name = self.client.as_deref().unwrap_or_default().to_lowercase().replace(' ', "-");
        if PATIENT.iter().any(|known| name.starts_with(known)) { LONG_PATIENCE } else { PATIENCE }
    }
}

/// A client that asked for progress.
#[derive(Debug)]
pub(crate) struct Progress {
    peer: Peer<RoleServer>,
    token: ProgressToken,
}

/// Notifications on their way; they end when this is dropped.
#[derive(Debug)]
pub(crate) struct Ticking(JoinHandle<()>);

impl Drop for Ticking {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Progress {
    /// Between two notifications at least, and at most.
    const SHORTEST: Duration = Duration::from_secs(2);
    const LONGEST: Duration = Duration::from_secs(10);

    pub(crate) fn new(peer: Peer<RoleServer>, token: ProgressToken) -> Self {
        Self { peer, token }
    }

    /// Tells about a run, in a task of its own: a client that does not read must not hold up
    /// anything else.
    pub(crate) fn follow(self, run: Arc<Run>) -> Ticking {
        Ticking(tokio::spawn(async move {
            let mut said_total = None;
            let mut said_at = Instant::now();
            loop {
                let total = run.total();
                if said_total != Some(total) || said_at.elapsed() >= Self::LONGEST {
                    let elapsed = run.identity.started.elapsed();
                    let param =
                        ProgressNotificationParam::new(self.token.clone(), elapsed.as_secs_f64())
                            .with_message(message(&run, elapsed));
                    if self.peer.notify_progress(param).await.is_err() {
                        return;
                    }
                    said_total = Some(total);
                    said_at = Instant::now();
                }
                sleep(Self::SHORTEST).await;
            }
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_that_wait_longer_are_known() {
        let patience = |name: Option<&str>| {
            Caller { client: name.map(str::to_owned), ..Caller::default() }.usual_patience()
        };
        assert_eq!(patience(None), PATIENCE);
        assert_eq!(patience(Some("some-client")), PATIENCE);
        assert_eq!(patience(Some("claude-code")), LONG_PATIENCE);
        assert_eq!(patience(Some("Claude Code")), LONG_PATIENCE);
        assert_eq!(patience(Some("gemini-cli-mcp-client")), LONG_PATIENCE);
    }
}

//! The audit log: who ran what, under which rules, and what became of it. JSON lines, chained by
//! hashes, only ever added to. Never what a command was given or has written, unless the operator
//! asks for the former.

mod chain;
mod check;
mod convert;
mod error;
mod file;
#[cfg(test)]
mod tests;
mod verify;

pub(crate) use chain::{Hash, Head};
pub(crate) use check::Report;
pub(crate) use convert::{profile_hash, stream};
pub(crate) use error::AuditError;
pub(crate) use verify::verify;

use crate::error::ServerError;
use crate::runs::{Finished, Identity};
use chain::Stamp;
use chrono::{SecondsFormat, Utc};
use file::{Log, head_path};
use nono_sandbox::AbsPath;
use nono_sandbox::plan::Request;
use nono_sandbox::policy::Policy;
use nono_schemas::{AuditEvent, AuditPrincipal, AuditStream, AuditWho, NotStarted};
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

/// What the operator wants recorded.
#[derive(Debug, Clone)]
pub(crate) struct AuditSetup {
    /// Where.
    pub(crate) file: PathBuf,
    /// Whether nothing is run that cannot be recorded.
    pub(crate) required: bool,
    /// Whether command lines are recorded too.
    pub(crate) arguments: bool,
}

impl AuditSetup {
    /// The files, as the profile has to close them to commands. The folder must exist.
    ///
    /// # Errors
    /// [`ServerError::Audit`] if it does not.
    pub(crate) fn files(&self) -> Result<[AbsPath; 2], ServerError> {
        let failed = |source| AuditError::File { what: "place", path: self.file.clone(), source };
        let path = std::path::absolute(&self.file).map_err(failed)?;
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(failed(io::ErrorKind::InvalidFilename.into()).into());
        };
        let log = folder.canonicalize().map_err(failed)?.join(name);
        let head = head_path(&log);
        Ok([AbsPath::new(log)?, AbsPath::new(head)?])
    }
}

/// The audit log of a server; does nothing if the operator asked for none.
#[derive(Debug, Clone, Default)]
pub(crate) struct Audit(Option<Arc<Writer>>);

#[derive(Debug)]
struct Writer {
    log: Mutex<Log>,
    server: String,
    required: bool,
    arguments: bool,
}

/// Who wants something, and how it was asked for.
#[derive(Debug, Clone)]
pub(crate) struct By {
    /// Who.
    pub(crate) who: AuditWho,
    /// By which tool.
    pub(crate) tool: &'static str,
}

/// What a call wants to do.
#[derive(Debug)]
pub(crate) struct Act<'a> {
    /// Who wants it.
    pub(crate) by: &'a By,
    /// To which run.
    pub(crate) run_id: &'a str,
    /// Under which rules.
    pub(crate) policy: &'a Policy,
    /// What is to be run.
    pub(crate) request: Option<&'a Request>,
}

fn principal((name, policy): &(&str, &Policy)) -> AuditPrincipal {
    AuditPrincipal {
        name: (*name).to_owned(),
        profile: policy.name.clone(),
        profile_hash: profile_hash(policy),
    }
}

impl Audit {
    /// Opens the log and writes that a server has started.
    ///
    /// # Errors
    /// [`ServerError::Audit`] if the log cannot be used. A server that was told to keep one does
    /// not start without.
    pub(crate) fn open(
        setup: &AuditSetup,
        policy: &Policy,
        principals: &[(&str, &Policy)],
    ) -> Result<Self, ServerError> {
        let [path, _] = setup.files()?;
        let log = Log::open(path.as_path())?;
        let server =
            crate::random::hex::<8>().map_err(ServerError::doing("read random numbers"))?;
        let (required, arguments) = (setup.required, setup.arguments);
        let writer = Writer { log: Mutex::new(log), server, required, arguments };
        writer.write(AuditEvent::ServerStarted {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            uid: nix::unistd::geteuid().as_raw(),
            profile: policy.name.clone(),
            profile_hash: profile_hash(policy),
            principals: principals.iter().map(principal).collect(),
        })?;
        Ok(Self(Some(Arc::new(writer))))
    }

    /// Writes what is about to be done.
    ///
    /// # Errors
    /// [`AuditError`] if it could not be written and so must not be done.
    pub(crate) async fn call(&self, act: Act<'_>) -> Result<Trail, AuditError> {
        let Some(writer) = &self.0 else { return Ok(Trail::default()) };
        let event = AuditEvent::Call {
            who: act.by.who.clone(),
            tool: act.by.tool.to_owned(),
            run_id: act.run_id.to_owned(),
            profile: act.policy.name.clone(),
            profile_hash: profile_hash(act.policy),
            arguments: act.request.filter(|_| writer.arguments).map(convert::arguments),
        };
        let written = writer.write_apart(event).await;
        if writer.required {
            written?;
        }
        Ok(Trail(Some((Arc::clone(writer), act.run_id.to_owned()))))
    }

    /// Writes that the server ends as it should.
    pub(crate) async fn close(&self) {
        if let Some(writer) = &self.0 {
            // What failed was logged; there is nothing left to refuse.
            let _logged = writer.write_apart(AuditEvent::ServerEnded).await;
        }
    }
}

/// What is left to be written about one run.
#[derive(Debug, Clone, Default)]
pub(crate) struct Trail(Option<(Arc<Writer>, String)>);

impl Trail {
    /// Whether anything is written at all, so that output has to be hashed.
    pub(crate) fn is_kept(&self) -> bool {
        self.0.is_some()
    }

    /// Nothing was started.
    pub(crate) async fn not_started(self, why: NotStarted) {
        if let Some((writer, run_id)) = self.0 {
            let _logged = writer.write_apart(AuditEvent::NotStarted { run_id, why }).await;
        }
    }

    /// The run is over.
    pub(crate) async fn ended(
        self,
        identity: &Identity,
        finished: &Finished,
        streams: [AuditStream; 2],
    ) {
        if let Some((writer, _)) = self.0 {
            let event = AuditEvent::Ended(convert::ended(identity, finished, streams));
            let _logged = writer.write_apart(event).await;
        }
    }
}

impl Writer {
    /// As [`Writer::write`], where waiting for a disk or another server holds nothing up.
    async fn write_apart(self: &Arc<Self>, event: AuditEvent) -> Result<(), AuditError> {
        let writer = Arc::clone(self);
        let write = tokio::task::spawn_blocking(move || writer.write(event));
        // The only way to fail is a defect in the writer, and what it leaves is not a record.
        write.await.unwrap_or_else(|error| {
            let path = PathBuf::new();
            Err(AuditError::File { what: "write to", path, source: io::Error::other(error) })
        })
    }

    fn write(&self, event: AuditEvent) -> Result<(), AuditError> {
        let time = Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true);
        let stamp = Stamp { time: &time, server: &self.server };
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        let written = log.append(stamp, event);
        // The first of a row says it; the log itself will say how many there were.
        if let Err(error) = &written
            && log.lost() == 1
        {
            tracing::error!("{error}");
        }
        written
    }
}

//! The calls of one principal that go on as tasks, and the results of those that did.

use crate::excerpt::message;
use crate::runs::Run;
use chrono::{SecondsFormat, Utc};
use rmcp::ErrorData;
use rmcp::model::{CallToolResult, DetailedTask, JsonObject, Task, TaskPayload, TaskStatus};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// How long the result of a task is kept.
const KEPT: Duration = Duration::from_secs(300);
/// Tasks at once, finished ones included. A call beyond that answers as one of a client without
/// tasks does.
const MOST: usize = 64;
/// How often a client should ask.
const POLL: Duration = Duration::from_secs(1);

/// The tasks of one principal.
#[derive(Debug, Default)]
pub(crate) struct Tasks(Mutex<HashMap<String, Entry>>);

#[derive(Debug)]
struct Entry {
    created: Instant,
    created_at: String,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    Working {
        run: Arc<Run>,
        /// The client does not want the result any more.
        cancelled: bool,
    },
    Ended {
        payload: TaskPayload,
        at: Instant,
        ended_at: String,
    },
}

/// What became of a call that is to go on as a task.
#[derive(Debug)]
pub(crate) enum Begun {
    /// It does, and has to be seen through.
    New(Task),
    /// It is the repetition of one that does already.
    Known(Task),
    /// There are too many.
    Full,
}

fn now_text() -> String {
    Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true)
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

impl Entry {
    fn is_old(&self, now: Instant) -> bool {
        matches!(&self.stage, Stage::Ended { at, .. } if now.duration_since(*at) > KEPT)
    }

    fn detailed(&self, id: &str) -> DetailedTask {
        let (updated, lifetime, payload, said) = match &self.stage {
            Stage::Working { run, .. } => {
                let elapsed = run.identity.started.elapsed();
                let lifetime = run.identity.timeout + KEPT;
                (now_text(), lifetime, TaskPayload::Working, Some(message(run, elapsed)))
            }
            Stage::Ended { payload, at, ended_at } => {
                let lifetime = at.duration_since(self.created) + KEPT;
                (ended_at.clone(), lifetime, payload.clone(), None)
            }
        };
        let mut task = Task::new(id, TaskStatus::Working, self.created_at.clone(), updated)
            .with_ttl_ms(millis(lifetime))
            .with_poll_interval_ms(millis(POLL));
        task.status_message = said;
        DetailedTask::new(task, payload)
    }
}

impl Tasks {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Entry>> {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        entries.retain(|_, entry| !entry.is_old(now));
        entries
    }

    /// Takes the rest of a call in, if there is room for it.
    pub(crate) fn begin(&self, run: &Arc<Run>) -> Begun {
        let id = &run.identity.id;
        let mut entries = self.lock();
        match entries.get(id) {
            Some(entry) if matches!(entry.stage, Stage::Working { .. }) => {
                return Begun::Known(entry.detailed(id).task);
            }
            // A task that has ended does not go on again.
            Some(_) => return Begun::Full,
            None if entries.len() >= MOST => return Begun::Full,
            None => {}
        }
        let stage = Stage::Working { run: Arc::clone(run), cancelled: false };
        let entry = Entry { created: Instant::now(), created_at: now_text(), stage };
        let task = entry.detailed(id).task;
        entries.insert(id.clone(), entry);
        Begun::New(task)
    }

    /// Keeps the result of a call that has been seen through.
    pub(crate) fn end(&self, run: &Run, result: &CallToolResult) {
        let mut entries = self.lock();
        let Some(entry) = entries.get_mut(&run.identity.id) else { return };
        let Stage::Working { cancelled, .. } = &entry.stage else { return };
        let payload = match *cancelled && run.is_over() {
            true => TaskPayload::Cancelled,
            false => TaskPayload::Completed { result: object(result) },
        };
        entry.stage = Stage::Ended { payload, at: Instant::now(), ended_at: now_text() };
    }

    /// How far a task is.
    ///
    /// # Errors
    /// Invalid parameters, as the extension asks for, if there is none of that name.
    pub(crate) fn get(&self, id: &str) -> Result<DetailedTask, ErrorData> {
        let entries = self.lock();
        entries.get(id).map(|entry| entry.detailed(id)).ok_or_else(|| unknown(id))
    }

    /// The run of a task that is to end; `None` if it has ended.
    pub(crate) fn cancel(&self, id: &str) -> Result<Option<Arc<Run>>, ErrorData> {
        let mut entries = self.lock();
        let entry = entries.get_mut(id).ok_or_else(|| unknown(id))?;
        let Stage::Working { run, cancelled } = &mut entry.stage else { return Ok(None) };
        *cancelled = true;
        Ok(Some(Arc::clone(run)))
    }
}

fn unknown(id: &str) -> ErrorData {
    let id: String = id.chars().take(64).collect();
    ErrorData::invalid_params(format!("unknown task `{id}`"), None)
}

fn object(result: &CallToolResult) -> JsonObject {
    match serde_json::to_value(result) {
        Ok(serde_json::Value::Object(object)) => object,
        _ => JsonObject::new(),
    }
}

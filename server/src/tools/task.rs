//! Calls that go on as tasks, for clients that declare the extension `io.modelcontextprotocol/tasks`.
//!
//! A task is the rest of one call, not the run: it is completed when the call would have answered,
//! that is when the run is over or waits for input. Its id is the run's, so the tools about runs
//! know it as well. Nothing is asked of the client on the way.

use super::caller::Caller;
use super::present::result_of;
use super::wait;
use crate::runs::Run;
use crate::session::{Begun, Session};
use rmcp::ErrorData;
use rmcp::model::Task;
use std::sync::Arc;
use std::time::Duration;

/// How long a call is waited for before it goes on as a task.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
/// Lets a call go on as a task: `None` if there are too many.
pub(super) fn go_on(session: &Arc<Session>, run: &Arc<Run>, max_output: usize) -> Option<Task> {
    match session.tasks.begin(run) {
        Begun::Full => None,
        Begun::Known(task) => Some(task),
        Begun::New(task) => {
            let (session, run) = (Arc::clone(session), Arc::clone(run));
            tokio::spawn(async move {
                wait::answerable(&run).await;
                let result = result_of(&session, &run, max_output).await;
                session.tasks.end(&run, &result);
            });
            Some(task)
        }
    }
}

/// Ends the run of a task. To end a task that has ended is no error.
///
/// # Errors
/// There is no such task, or what the client wants cannot be recorded.
pub(crate) async fn cancel(session: &Session, caller: &Caller, id: &str) -> Result<(), ErrorData> {
    let Some(run) = session.tasks.cancel(id)? else { return Ok(()) };
    let recorded = session.record(&caller.by("tasks/cancel"), &run).await;
    recorded.map_err(|sentence| ErrorData::internal_error(sentence, None))?;
    run.stop(None);
    Ok(())
}

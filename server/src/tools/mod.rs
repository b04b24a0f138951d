//! The tools: one file each, `parse → do → present`. Which of them a call is for is seen here.

mod bad_input;
mod caller;
mod common;
mod define;
mod exec;
mod explain;
mod keys;
mod named;
mod narrow;
mod place;
mod policy_text;
mod present;
mod program;
mod rights;
mod run_list;
mod run_read;
mod run_signal;
mod run_write;
mod select;
mod shell;
mod task;
#[cfg(test)]
mod tests;
mod tool;
mod validate;
mod wait;

pub(crate) use bad_input::BY_SHELL;
pub(crate) use caller::{Caller, Progress};
pub(crate) use define::{definition, definitions, instructions};
pub(crate) use exec::prepare as prepare_exec;
pub(crate) use explain::answer as explain_answer;
pub(crate) use task::cancel as cancel_task;
pub(crate) use tool::Tool;

use crate::audit::By;
use crate::runs::Echo;
use crate::session::{Session, Wanted};
use present::{Reply, result_of};
use rmcp::model::{CallToolResult, JsonObject, Task};
use std::pin::pin;
use std::sync::Arc;
use wait::Settled;

/// What a call is answered with.
#[derive(Debug)]
pub(crate) enum Answered {
    /// A result.
    Result(CallToolResult),
    /// A task, whose result is to come.
    Task(Task),
}

/// Answers one call. `cancelled` is ready once the client does not want the answer any more.
pub(crate) async fn call(
    session: &Arc<Session>,
    tool: Tool,
    arguments: JsonObject,
    caller: Caller,
    cancelled: impl Future<Output = ()> + Send,
) -> Answered {
    let ground = &session.ground;
    let by = caller.by(tool.name());
    let reply = match tool {
        Tool::Shell => match looking(|| shell::parse(ground, arguments)) {
            Ok(wanted) => return start(session, &by, wanted, caller, cancelled).await,
            Err(bad) => Err(bad),
        },
        Tool::Exec => match looking(|| exec::parse(ground, arguments)) {
            Ok(wanted) => return start(session, &by, wanted, caller, cancelled).await,
            Err(bad) => Err(bad),
        },
        Tool::RunRead => run_read::call(session, arguments, caller, cancelled).await,
        Tool::RunWrite => run_write::call(session, &by, arguments, cancelled).await,
        Tool::RunSignal => run_signal::call(session, &by, arguments, cancelled).await,
        Tool::RunList => run_list::call(session, arguments).await,
        Tool::Explain => {
            let explained = looking(|| explain::call(session, arguments));
            return Answered::Result(session.ground.secrets.out_of(explained));
        }
    };
    let reply = reply.unwrap_or_else(|bad| Reply::run(session.refuse(&bad.to_string())));
    Answered::Result(session.ground.secrets.out_of(present::present(reply)))
}

/// Does what looks at paths that a client has named. What lies there may answer late or never, such
/// as a file system whose server is gone: that holds up this call and no other.
fn looking<T>(look: impl FnOnce() -> T) -> T {
    tokio::task::block_in_place(look)
}

/// Starts a run and answers when it is over, or when its time to answer has come.
async fn start(
    session: &Arc<Session>,
    by: &By,
    mut wanted: Wanted,
    caller: Caller,
    cancelled: impl Future<Output = ()> + Send,
) -> Answered {
    let input = std::mem::replace(&mut wanted.input, crate::runs::Input::Empty);
    let max_output = wanted.max_output;
    let usual = caller.usual_patience();
    // Who says when to answer wants an answer then.
    let as_task = caller.tasks && wanted.yield_after.is_none();
    let patience = wanted.yield_after.unwrap_or(if as_task { task::PATIENCE } else { usual });
    let run = match session.start(by, wanted, input, Echo::Off).await {
        Ok(run) => run,
        Err(sentence) => {
            let refused = present::present(Reply::run(session.refuse(&sentence)));
            return Answered::Result(session.ground.secrets.out_of(refused));
        }
    };
    let _ticking = caller.progress.map(|progress| progress.follow(Arc::clone(&run)));
    let mut cancelled = pin!(cancelled);
    let mut settled = wait::settle(&run, patience, &mut cancelled).await;
    if settled == Settled::TimeUp && as_task {
        if let Some(task) = task::go_on(session, &run, max_output) {
            return Answered::Task(task);
        }
        settled = wait::settle(&run, usual.saturating_sub(patience), &mut cancelled).await;
    }
    if settled == Settled::Cancelled {
        // Nobody reads the answer; the run stays readable.
        run.stop(None);
        run.over().await;
    }
    Answered::Result(result_of(session, &run, max_output).await)
}

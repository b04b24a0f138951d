//! The tools: one file each, `parse → do → present`. What they share is here.

mod bad_input;
mod caller;
mod common;
mod define;
mod exec;
mod explain;
mod keys;
mod narrow;
mod place;
mod policy_text;
mod present;
mod program;
mod run_list;
mod run_read;
mod run_signal;
mod run_write;
mod select;
mod shell;
mod task;
#[cfg(test)]
mod tests;
mod validate;
mod wait;

pub(crate) use bad_input::{BY_SHELL, BadInput};
pub(crate) use caller::{Caller, Progress};
pub(crate) use common::Wanted;
pub(crate) use define::{definition, definitions, instructions};
pub(crate) use exec::prepare as prepare_exec;
pub(crate) use explain::answer as explain_answer;
pub(crate) use task::{Tasks, cancel as cancel_task};

use crate::audit::By;
use crate::runs::{Echo, Run};
use crate::session::{Session, Wish};
use present::Reply;
use rmcp::model::{CallToolResult, JsonObject, Task};
use std::pin::pin;
use std::sync::Arc;
use wait::Settled;

/// A tool of this server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tool {
    /// A program and its arguments.
    Exec,
    /// What the sandbox would say.
    Explain,
    /// Which runs there are.
    RunList,
    /// The output of a run.
    RunRead,
    /// A signal to a run.
    RunSignal,
    /// Input for a run.
    RunWrite,
    /// A command line, run by a shell.
    Shell,
}

impl Tool {
    /// All tools, in the order they are listed.
    pub(crate) const ALL: [Tool; 7] = [
        Tool::Exec,
        Tool::RunList,
        Tool::RunRead,
        Tool::RunSignal,
        Tool::RunWrite,
        Tool::Explain,
        Tool::Shell,
    ];

    /// The tool's name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Tool::Exec => "exec",
            Tool::Explain => "sandbox_explain",
            Tool::RunList => "run_list",
            Tool::RunRead => "run_read",
            Tool::RunSignal => "run_signal",
            Tool::RunWrite => "run_write",
            Tool::Shell => "shell",
        }
    }

    /// The tool of that name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|t| t.name() == name)
    }
}

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
        Tool::Shell => match shell::parse(ground, arguments) {
            Ok(wanted) => return start(session, &by, wanted, caller, cancelled).await,
            Err(bad) => Err(bad),
        },
        Tool::Exec => match exec::parse(ground, arguments) {
            Ok(wanted) => return start(session, &by, wanted, caller, cancelled).await,
            Err(bad) => Err(bad),
        },
        Tool::RunRead => run_read::call(session, arguments, caller, cancelled).await,
        Tool::RunWrite => run_write::call(session, &by, arguments, cancelled).await,
        Tool::RunSignal => run_signal::call(session, &by, arguments, cancelled).await,
        Tool::RunList => run_list::call(session, arguments).await,
        Tool::Explain => {
            let explained = explain::call(session, arguments);
            return Answered::Result(session.ground.secrets.out_of(explained));
        }
    };
    let reply = reply.unwrap_or_else(|bad| Reply::run(session.refuse(&bad.to_string())));
    Answered::Result(session.ground.secrets.out_of(present::present(reply)))
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

/// What a call that started a run is answered with, as the run is now.
async fn result_of(session: &Session, run: &Run, max_output: usize) -> CallToolResult {
    let wish = Wish { after: 0, stream: None, max_output };
    let reply = Reply::run(session.answer(run, &wish).await);
    session.ground.secrets.out_of(present::present(reply))
}

/// The run a call names.
fn named(session: &Session, id: &str) -> Result<Arc<Run>, BadInput> {
    session.runs.get(id).ok_or_else(|| BadInput::UnknownRun {
        id: id.chars().take(64).collect(),
        live: session.runs.live_list(),
        age: session.age(),
    })
}

//! `run_list`: which runs there are.

use super::bad_input::BadInput;
use super::present::Reply;
use super::validate::arguments_as;
use crate::report::{Listed, list};
use crate::session::Session;
use nono_schemas::{RunListParams, run_list_schema};
use rmcp::model::JsonObject;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Runs in a list, the newest of them.
const MAX_LISTED: usize = 40;

/// Answers a call.
///
/// # Errors
/// [`BadInput`] if there are arguments.
pub(super) async fn call(session: &Session, arguments: JsonObject) -> Result<Reply, BadInput> {
    let RunListParams {} = arguments_as(run_list_schema(), arguments)?;
    let mut runs = session.runs.all();
    let older = runs.len().saturating_sub(MAX_LISTED);
    // Live runs are listed however old they are.
    let mut at = 0;
    runs.retain(|run| {
        at += 1;
        at > older || !run.is_over()
    });
    // All at once: one that is busy does not hold up the others.
    let mut looks = JoinSet::new();
    for (at, run) in runs.iter().cloned().enumerate() {
        looks.spawn(async move {
            let snapshot = if run.is_over() { None } else { run.look().await };
            (at, snapshot)
        });
    }
    let mut snapshots = looks.join_all().await;
    snapshots.sort_by_key(|(at, _)| *at);
    let listed: Vec<Listed> = runs
        .iter()
        .zip(snapshots)
        .map(|(run, (_, snapshot))| Listed {
            identity: run.identity.clone(),
            state: run.state(),
            output_bytes: run.total(),
            snapshot,
        })
        .collect();
    let (list, text) = list(&listed, session.age(), Instant::now());
    Ok(Reply::List { list, text })
}

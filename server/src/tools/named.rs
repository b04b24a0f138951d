//! The run a call names.

use super::bad_input::BadInput;
use crate::runs::Run;
use crate::session::Session;
use std::sync::Arc;

/// Finds it among those of the session.
///
/// # Errors
/// [`BadInput`] says which there are.
pub(super) fn named(session: &Session, id: &str) -> Result<Arc<Run>, BadInput> {
    session.runs.get(id).ok_or_else(|| BadInput::UnknownRun {
        id: id.chars().take(64).collect(),
        live: session.runs.live_list(),
        age: session.age(),
    })
}

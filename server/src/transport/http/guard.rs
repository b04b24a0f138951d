//! Files of the operator's that may be replaced while the server runs: what no command may do with
//! them was settled at the start, for the files that were there then.

use crate::session::Session;
use nono_sandbox::AbsPath;
use nono_sandbox::policy::{Access, Lookup};
use std::path::Path;
use std::sync::{Arc, OnceLock};

/// Asks all policies of a server, once there are any.
#[derive(Debug, Clone, Default)]
pub(super) struct Guard(Arc<OnceLock<Vec<Arc<Session>>>>);

impl Guard {
    /// From now on these are asked.
    pub(super) fn watch(&self, sessions: &[Arc<Session>]) {
        // There is one start.
        let _was_set = self.0.set(sessions.to_vec());
    }

    /// What is wrong if commands of this server may do this with the file that is there now. Calls
    /// can narrow a policy and not widen it, so the operator's tells.
    pub(super) fn fault(&self, path: &Path, access: Access) -> Option<String> {
        let sessions = self.0.get()?;
        let real = path.canonicalize().and_then(|real| {
            AbsPath::new(real).map_err(|error| std::io::Error::other(error.to_string()))
        });
        let real = match real {
            Ok(real) => real,
            Err(error) => return Some(format!("cannot be found: {error}")),
        };
        let open = |session: &&Arc<Session>| {
            let policy = &session.ground.sandbox.policy;
            policy.fs.lookup(&real, access) == Lookup::Allowed
        };
        sessions.iter().find(open).map(|session| {
            let profile = &session.ground.sandbox.policy.name;
            format!(
                "is {real} now, which commands with the profile `{profile}` may use; place it \
                 elsewhere, or restart the server to have it closed"
            )
        })
    }
}

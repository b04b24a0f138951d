//! What the server knows, as the log writes it. Pure.

use super::chain::Hash;
use crate::report;
use crate::runs::{Finished, Identity, State};
use nono_sandbox::plan::Request;
use nono_sandbox::policy::Policy;
use nono_schemas::{AuditArguments, AuditEnd, AuditStream};
use std::sync::Arc;

/// Bytes of arguments in a line.
const MAX_ARGUMENTS: usize = 32 << 10;
/// What the private temporary folder is called in what is hashed: its name is new with each start.
const TMPDIR: &str = "$TMPDIR";

/// A digest of everything a policy says: each fact of `nono-mcp profile show --resolved` on a line
/// of its own. Two runs with the same digest ran under the same rules.
pub(crate) fn profile_hash(policy: &Policy) -> String {
    let tmpdir = policy.fs.tmpdir.to_string();
    let mut text = String::new();
    for fact in nono_profiles::facts(policy) {
        text.push_str(fact.about);
        text.push_str(": ");
        text.push_str(&fact.text.replace(&tmpdir, TMPDIR));
        text.push('\n');
    }
    Hash::of(text.as_bytes()).to_string()
}

/// What a call asked to run.
pub(super) fn arguments(request: &Request) -> AuditArguments {
    let mut room = MAX_ARGUMENTS;
    let mut argv = Vec::new();
    for argument in &request.argv {
        let Some(left) = room.checked_sub(argument.len()) else { break };
        room = left;
        argv.push(String::from_utf8_lossy(argument).into_owned());
    }
    let left_out = (request.argv.len() - argv.len()) as u64;
    AuditArguments { argv, cwd: request.cwd.to_string(), left_out }
}

/// How a run ended.
pub(super) fn ended(
    identity: &Identity,
    finished: &Finished,
    streams: [AuditStream; 2],
) -> AuditEnd {
    let standing = report::standing(&State::Over(Arc::new(finished.clone())));
    let [stdout, stderr] = streams;
    AuditEnd {
        run_id: identity.id.clone(),
        status: standing.status,
        exit_code: standing.exit_code,
        signal: standing.signal,
        duration_ms: u64::try_from(finished.wall.as_millis()).unwrap_or(u64::MAX),
        denials: finished.outcome().map(|o| report::audited(&o.denials)).unwrap_or_default(),
        stdout,
        stderr,
    }
}

/// A stream, as the log writes it.
pub(crate) fn stream(bytes: u64, hash: Hash) -> AuditStream {
    AuditStream { bytes, sha256: hash.to_string() }
}

//! The audit log: what it keeps of denials (all that is counted, and the first of them by name),
//! and its lines for people.

use super::text::word;
use super::wire;
use crate::safe_text::clean;
use nono_sandbox::record::DenialLog;
use nono_schemas::{AuditDenial, AuditDenials, AuditEnd, AuditEvent, AuditLine};

/// Denials named in a line.
const MAX_NAMED: usize = 32;

/// The denials of a run, those that profiles keep out of reports included.
pub(crate) fn audited(log: &DenialLog) -> AuditDenials {
    let named = log.items.iter().take(MAX_NAMED).map(|denial| AuditDenial {
        kind: wire::kind(denial.kind),
        operation: wire::operation(denial.operation),
        target: clean::name(&denial.target),
        count: denial.count,
    });
    AuditDenials { total: log.total, items: named.collect() }
}

/// A line of the log for people: one line of text, whatever is in it.
pub(crate) fn audit_line(line: &AuditLine) -> String {
    let entry = &line.entry;
    let what = match &entry.event {
        AuditEvent::ServerStarted { version, pid, uid, profile, profile_hash, principals } => {
            let rules = match principals.as_slice() {
                [] => format!("profile {profile} {}", short(profile_hash)),
                several => several
                    .iter()
                    .map(|p| format!("{} under {} {}", p.name, p.profile, short(&p.profile_hash)))
                    .collect::<Vec<_>>()
                    .join(", "),
            };
            format!(
                "server {} started: nono-mcp {version}, pid {pid}, uid {uid}, {rules}",
                entry.server
            )
        }
        AuditEvent::ServerEnded => format!("server {} ended", entry.server),
        AuditEvent::Call { who, tool, run_id, profile, profile_hash, arguments } => {
            let by = who.principal.as_deref().unwrap_or("local");
            let client = who.client.as_deref().map(|c| format!(" ({c})")).unwrap_or_default();
            let words = arguments.as_ref().map(|a| format!(": {:?} in {}", a.argv, a.cwd));
            format!(
                "{run_id} {tool} by {by}{client}, profile {profile} {}{}",
                short(profile_hash),
                words.unwrap_or_default()
            )
        }
        AuditEvent::NotStarted { run_id, why } => format!("{run_id} not started: {}", word(why)),
        AuditEvent::Ended(end) => ended(end),
        AuditEvent::Recovered { bytes, .. } => {
            format!("{bytes} bytes of an unfinished line stand before this one")
        }
        AuditEvent::Lost { lines } => format!("{lines} lines could not be written before this one"),
    };
    clean::line(&format!("{:>6} {} {what}", entry.seq, entry.time))
}

fn ended(end: &AuditEnd) -> String {
    let how = match (end.exit_code, &end.signal) {
        (Some(code), _) => format!("{} {code}", word(&end.status)),
        (None, Some(signal)) => format!("{} by {signal}", word(&end.status)),
        (None, None) => word(&end.status),
    };
    let streams = [("stdout", &end.stdout), ("stderr", &end.stderr)];
    let [out, err] = streams.map(|(name, stream)| match stream.bytes {
        0 => String::new(),
        bytes => format!(", {name} {bytes} bytes {}", short(&stream.sha256)),
    });
    let denied = match end.denials.total {
        0 => String::new(),
        total => {
            let items = end.denials.items.iter();
            let named: Vec<String> = items
                .map(|d| format!("{} {}", word(&d.operation), clean::quoted(&d.target)))
                .collect();
            format!("; refused {total}: {}", named.join(", "))
        }
    };
    format!("{} {how} after {} ms{out}{err}{denied}", end.run_id, end.duration_ms)
}

/// The first characters of a hash, as people compare them.
fn short(hash: &str) -> &str {
    hash.get(..12).unwrap_or(hash)
}

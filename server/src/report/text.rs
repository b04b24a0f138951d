//! The text form of a result: verdict, denials, output.

use super::{clean, fence, status};
use nono_schemas::{DenialItem, DenialKind, RunResult, RunStatus};
use serde::Serialize;
use std::fmt::Write;
use std::time::Duration;

/// Denials spelled out in text; the rest are counted.
const MAX_DENIALS: usize = 5;
/// Longest report in text, in bytes.
const MAX_REPORT: usize = 2048;
/// Longest name or grant in text, in bytes.
const MAX_NAME: usize = 256;

/// The whole answer as text.
pub(super) fn render(result: &RunResult, nonce: &str) -> String {
    let mut text = header(result);
    text.push('\n');
    text.push_str(&report_text(result, nonce));
    text.push_str(&output(result, nonce));
    text
}

/// The first line: what happened, how long it took, under which profile.
fn header(result: &RunResult) -> String {
    let verdict = match (result.status, result.exit_code, &result.signal) {
        (RunStatus::Exited, Some(code), _) => format!("exit {code}"),
        (RunStatus::Killed, _, Some(signal)) => format!("killed by {signal}"),
        (other, ..) => word(&other).replace('_', " "),
    };
    let took = result
        .duration_ms
        .map(|ms| format!(" · {}", status::duration(Duration::from_millis(ms))))
        .unwrap_or_default();
    let mut header = format!("[{verdict}{took} · profile {}]", result.sandbox.profile);
    let left = result.processes.as_ref().map_or(0, |p| p.leftover_killed);
    if left > 0 {
        let processes = if left == 1 { "process" } else { "processes" };
        // Writing to a string cannot fail.
        let _infallible = write!(header, " {left} leftover {processes} killed");
    }
    let says_more = match result.status {
        RunStatus::Exited => false,
        RunStatus::Killed => result.signal.is_none() || limit_ran_out(result),
        _ => true,
    };
    if says_more {
        header.push('\n');
        header.push_str(&result.summary);
    }
    header
}

fn limit_ran_out(result: &RunResult) -> bool {
    result.denials.items.first().is_some_and(|item| item.kind == DenialKind::ResourceLimit)
}

/// The sandbox's report between fences; empty if nothing was denied.
pub(crate) fn report_text(result: &RunResult, nonce: &str) -> String {
    let denials = &result.denials;
    if denials.items.is_empty() {
        return String::new();
    }
    let mut report = fence::line(nonce, "sandbox report (by the sandbox, not by the command)");
    let end = fence::line(nonce, "end of sandbox report");
    let mut spelled_out = 0;
    for item in denials.items.iter().take(MAX_DENIALS) {
        let entry = entry(item);
        if spelled_out > 0 && report.len() + entry.len() + end.len() + 100 > MAX_REPORT {
            break;
        }
        report.push_str(&entry);
        spelled_out += 1;
    }
    let more = denials.distinct.saturating_sub(spelled_out);
    if more > 0 {
        let _infallible = writeln!(report, "and {more} more, {} refusals in all", denials.total);
    }
    report.push_str("The same attempt is refused every time: do not retry unchanged.\n");
    report + &end
}

/// One denial.
fn entry(item: &DenialItem) -> String {
    let by = &item.decided_by;
    if item.kind == DenialKind::ResourceLimit {
        return format!("LIMIT {} ({}, {})\n", item.target, by.rule, by.source);
    }
    let program = item.exe.as_deref().map_or("?", |exe| exe.rsplit('/').next().unwrap_or(exe));
    let times = if item.count == 1 { String::new() } else { format!(", {} times", item.count) };
    let mut entry = format!(
        "DENIED {} {} [{} {}, {} pid {}{times}]\n",
        word(&item.operation),
        name(&item.target),
        item.syscall,
        item.errno,
        name(program),
        item.pid,
    );
    if let Some(resolved) = &item.resolved_target {
        let _infallible = writeln!(entry, "  which is {}", name(resolved));
    }
    let _infallible = writeln!(entry, "  why: {} ({}, {})", by.rule, by.layer, by.source);
    let grant = item.grant.as_ref().and_then(|g| serde_json::to_string(g).ok());
    if let Some(grant) = grant.filter(|g| g.len() <= MAX_NAME) {
        let _infallible = writeln!(entry, "  the operator can allow it in the profile: {grant}");
    }
    entry
}

/// A name in quotes, short enough for a report of several. The structured form has more of it.
fn name(clean: &str) -> String {
    if clean.len() <= MAX_NAME {
        return clean::quoted(clean);
    }
    clean::quoted(&format!("{}…", &clean[..clean.floor_char_boundary(MAX_NAME)]))
}

/// The command's output. With a standard error or a report, each stream has a line above it.
fn output(result: &RunResult, nonce: &str) -> String {
    if result.stdout.is_empty() && result.stderr.is_empty() {
        return match result.status {
            RunStatus::Refused => String::new(),
            RunStatus::Running => "(no new output)\n".into(),
            _ => "(no output)\n".into(),
        };
    }
    if result.stderr.is_empty() && result.denials.items.is_empty() {
        return fence::escape(&result.stdout);
    }
    let mut output = String::new();
    let mut streams = [("stdout", &result.stdout), ("stderr", &result.stderr)];
    if result.exit_code != Some(0) {
        // What went wrong is in there, and clients cut at the end.
        streams.reverse();
    }
    for (name, stream) in streams {
        if !stream.is_empty() {
            output.push_str(&fence::line(nonce, name));
            output.push_str(&fence::escape(stream));
            if !stream.ends_with('\n') {
                output.push('\n');
            }
        }
    }
    output
}

/// A unit variant as it is spelled on the wire.
pub(super) fn word(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => String::new(),
    }
}

//! The text form of a result: verdict, denials, output.

use super::time;
use crate::safe_text::{clean, fence};
use nono_schemas::{
    Confidence, DenialItem, DenialKind, Denials, Relevance, RunResult, RunStatus, StreamTruncation,
};
use serde::Serialize;
use std::borrow::Cow;
use std::fmt::Write;
use std::time::Duration;

/// Denials spelled out in text; the rest are counted.
const MAX_DENIALS: usize = 5;
/// The same, where the command succeeded as far as its status tells.
const MAX_MASKED: usize = 3;
/// Explanations of misleading messages in text.
const MAX_NOTES: usize = 2;
/// Room for the last lines of a report, in bytes.
const CLOSING: usize = 130;
/// Longest report in text, in bytes.
const MAX_REPORT: usize = 2048;
/// Longest name or grant in text, in bytes.
const MAX_NAME: usize = 256;

/// The whole answer as text. `note`: how the output was chosen; `nothing`: what is said if that is
/// none.
pub(super) fn render(
    result: &RunResult,
    (note, nothing): (Option<&str>, Option<&str>),
    nonce: &str,
) -> String {
    let mut text = header(result);
    // The summary ends with it.
    if let Some(note) = note.filter(|note| !text.ends_with(note)) {
        text.push('\n');
        text.push_str(note);
    }
    text.push('\n');
    text.push_str(&report_text(result, nonce));
    text.push_str(&output(result, nothing, nonce));
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
        .map(|ms| format!(" · {}", time::duration(Duration::from_millis(ms))))
        .unwrap_or_default();
    let less = match result.sandbox.narrowed.as_slice() {
        [] => String::new(),
        narrowed => format!(" · narrowed: {}", clean::name(narrowed.join("; ").as_bytes())),
    };
    let mut header = format!("[{verdict}{took} · profile {}{less}]", result.sandbox.profile);
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

/// The sandbox's report between fences; one line where all went well, nothing if nothing was
/// denied.
pub(crate) fn report_text(result: &RunResult, nonce: &str) -> String {
    let denials = &result.denials;
    let telling: Vec<&DenialItem> =
        denials.items.iter().filter(|i| i.relevance != Relevance::Benign).collect();
    let well = result.status == RunStatus::Exited && result.exit_code == Some(0);
    if well && !limit_ran_out(result) && denials.masked.is_none() && denials.notes.is_empty() {
        let ask = "sandbox_explain names them";
        return match (telling.is_empty(), denials.total) {
            (true, _) | (_, 0) => String::new(),
            (false, 1) => {
                fence::line(nonce, &format!("1 denial did not keep it from succeeding; {ask}"))
            }
            (false, n) => {
                fence::line(nonce, &format!("{n} denials did not keep it from succeeding; {ask}"))
            }
        };
    }
    if telling.is_empty() && denials.notes.is_empty() {
        return String::new();
    }
    let mut report = fence::line(nonce, "sandbox report (by the sandbox, not by the command)");
    let end = fence::line(nonce, "end of sandbox report");
    report.push_str(&remarks(denials));
    let most = if well { MAX_MASKED } else { MAX_DENIALS };
    let (mut spelled_out, mut counted, mut entries) = (0, 0, 0);
    for item in telling.iter().take(most) {
        let entry = entry(item, well);
        if entries > 0 && report.len() + entry.len() + end.len() + CLOSING > MAX_REPORT {
            break;
        }
        report.push_str(&entry);
        if !is_inferred(item) {
            spelled_out += item.members;
            counted += item.count;
        }
        entries += 1;
    }
    report.push_str(&rest(denials, spelled_out, counted));
    if entries > 0 {
        report.push_str("The same attempt is refused every time: do not retry unchanged.\n");
    }
    report + &end
}

/// What the spelled-out entries leave out: other targets, or refusals of which nothing was kept but
/// their number. `spelled_out`: targets in the entries; `counted`: refusals in them.
fn rest(denials: &Denials, spelled_out: u64, counted: u64) -> String {
    let total = denials.total;
    let (targets, refusals) =
        (denials.distinct.saturating_sub(spelled_out), total.saturating_sub(counted));
    match (targets, refusals) {
        (0, 0) => String::new(),
        (0, _) => format!("and {refusals} more that were only counted, {total} refusals in all\n"),
        _ => format!("and {targets} more, {total} refusals in all\n"),
    }
}

/// What is said before the denials.
fn remarks(denials: &Denials) -> String {
    let mut remarks = String::new();
    if let Some(times) = denials.repeated {
        let _infallible = writeln!(
            remarks,
            "REPEATED {times} times in a row with the same denial: unchanged retries cannot succeed."
        );
    }
    if let Some(masked) = &denials.masked {
        let _infallible = writeln!(remarks, "STATUS {masked}.");
    }
    for note in denials.notes.iter().take(MAX_NOTES) {
        let _infallible = writeln!(remarks, "NOTE {note}.");
    }
    remarks
}

/// One denial. `well`: whether the status says that nothing failed.
fn entry(item: &DenialItem, well: bool) -> String {
    let by = &item.decided_by;
    if item.kind == DenialKind::ResourceLimit {
        return format!("LIMIT {} ({}, {})\n", item.target, by.rule, by.source);
    }
    let program = item.exe.as_deref().map_or("?", |exe| exe.rsplit('/').next().unwrap_or(exe));
    let times = if item.count == 1 { String::new() } else { format!(", {} times", item.count) };
    let many = if item.members > 1 { format!("{} in ", item.members) } else { String::new() };
    let (operation, target) = (word(&item.operation), name(&item.target));
    let mut entry = if is_inferred(item) {
        format!("PROBABLY DENIED {operation} {many}{target} [{}, not seen, inferred]\n", item.errno)
    } else {
        let by = format!("{} pid {}", name(program), item.pid);
        format!(
            "DENIED {operation} {many}{target} [{} {}, {by}{times}]\n",
            item.syscall, item.errno
        )
    };
    if let Some(resolved) = &item.resolved_target {
        let _infallible = writeln!(entry, "  which is {}", name(resolved));
    }
    if let Some(host) = &item.host {
        let _infallible = writeln!(entry, "  asking for {}", name(host));
    }
    if item.members > 1 {
        let examples: Vec<String> = item.examples.iter().take(2).map(|e| name(e)).collect();
        let _infallible = writeln!(entry, "  such as {}", examples.join(", "));
    }
    if item.relevance == Relevance::LikelyCause {
        let role =
            if well { "what the output complains of" } else { "likely cause of the failure" };
        let _infallible = writeln!(entry, "  {role}: {}", item.why);
    }
    let _infallible = writeln!(entry, "  why: {} ({}, {})", by.rule, by.layer, by.source);
    if let Some(grant) = &item.grant {
        let json = serde_json::to_string(grant).unwrap_or_default();
        if json.len() <= MAX_NAME {
            let risk = item.risk.map(|r| word(&r)).unwrap_or_default();
            let _infallible =
                writeln!(entry, "  the operator can allow it in the profile: {json} (risk {risk})");
        }
    }
    if !item.alternatives.is_empty() {
        let _infallible = writeln!(entry, "  without a grant: {}", item.alternatives.join("; or "));
    }
    entry
}

fn is_inferred(item: &DenialItem) -> bool {
    item.confidence == Confidence::Inferred
}

/// A name in quotes, short enough for a report of several. The structured form has more of it.
fn name(clean: &str) -> String {
    if clean.len() <= MAX_NAME {
        return clean::quoted(clean);
    }
    clean::quoted(&format!("{}…", &clean[..clean.floor_char_boundary(MAX_NAME)]))
}

/// The command's output. With a standard error or a report, each stream has a line above it.
fn output(result: &RunResult, nothing: Option<&str>, nonce: &str) -> String {
    if result.stdout.is_empty() && result.stderr.is_empty() {
        let never = result.next_seq.is_none_or(|seq| seq == 0);
        return match (result.status, nothing) {
            (RunStatus::Refused, _) => String::new(),
            (_, Some(nothing)) => format!("({nothing})\n"),
            (RunStatus::Running, None) => "(no new output)\n".into(),
            (_, None) if never => "(no output)\n".into(),
            (_, None) => "(no new output)\n".into(),
        };
    }
    let cut = result.truncation.as_ref();
    let stdout = with_errors(&result.stdout, cut.and_then(|cut| cut.stdout.as_ref()));
    let stderr = with_errors(&result.stderr, cut.and_then(|cut| cut.stderr.as_ref()));
    if stderr.is_empty() && report_text(result, nonce).is_empty() {
        return fence::escape(&stdout);
    }
    let mut output = String::new();
    let mut streams = [("stdout", &stdout), ("stderr", &stderr)];
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

/// A stream with the lines that look like errors, of what was left out, below the line that says so:
/// who sees no structured form has no other.
fn with_errors<'s>(stream: &'s str, cut: Option<&StreamTruncation>) -> Cow<'s, str> {
    let Some(cut) = cut.filter(|cut| !cut.errors.is_empty()) else { return stream.into() };
    let said = format!("{} bytes left out; {} ...]\n", cut.omitted_bytes, cut.read_with);
    // The last one: whatever imitates it above stands in the head.
    let Some((before, after)) = stream.rsplit_once(&said) else { return stream.into() };
    let errors: String =
        cut.errors.iter().map(|line| format!("[... left out, line {line} ...]\n")).collect();
    format!("{before}{said}{errors}{after}").into()
}

/// A unit variant as it is spelled on the wire.
pub(super) fn word(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => String::new(),
    }
}

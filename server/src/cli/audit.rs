//! `nono-mcp audit …`: the audit log for people.
//!
//! Exit codes: 0 the log is as the servers wrote it; 1 it is not; 2 it cannot be read.

use crate::audit::{Head, Report, verify};
use crate::error::ServerError;
use crate::report::audit_line;
use crate::safe_text::clean;
use clap::Subcommand;
use nono_schemas::{AuditEvent, AuditLine};
use std::collections::VecDeque;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// What to do with a log.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Check that no line was changed, removed, added or moved since it was written.
    Verify {
        /// The log.
        file: PathBuf,
        /// The `SEQ:HASH` that an earlier check printed: also check that it is still in the log.
        #[arg(long, value_name = "SEQ:HASH")]
        head: Option<Head>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Print the log, and check it as `verify` does.
    Show {
        /// The log.
        file: PathBuf,
        /// Only lines about this run.
        #[arg(long, value_name = "ID")]
        run: Option<String>,
        /// Only the last lines.
        #[arg(long, value_name = "N")]
        last: Option<usize>,
        /// Print the lines as they are in the log.
        #[arg(long)]
        json: bool,
    },
}

/// Does what `command` says.
///
/// # Errors
/// [`ServerError::Audit`] if the log cannot be read.
pub(super) fn run(command: Command) -> Result<ExitCode, ServerError> {
    match command {
        Command::Verify { file, head, json } => {
            let report = verify(&file, head, |_| {})?;
            let text = if json {
                format!("{:#}\n", serde_json::to_value(&report).unwrap_or_default())
            } else {
                words(&file, &report)
            };
            super::print::show(std::io::stdout(), &text);
            Ok(code(&report))
        }
        Command::Show { file, run, last, json } => show(&file, run.as_deref(), last, json),
    }
}

fn show(
    file: &Path,
    run: Option<&str>,
    last: Option<usize>,
    json: bool,
) -> Result<ExitCode, ServerError> {
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let mut kept = VecDeque::new();
    let print = |line: &AuditLine| {
        if json { serde_json::to_string(line).unwrap_or_default() } else { audit_line(line) }
    };
    let report = verify(file, None, |line| {
        if run.is_some_and(|run| run_of(line) != Some(run)) {
            return;
        }
        match last {
            None => drop(writeln!(out, "{}", print(line))),
            Some(most) => {
                kept.push_back(print(line));
                if kept.len() > most {
                    kept.pop_front();
                }
            }
        }
    })?;
    for line in kept {
        let _nobody_listens = writeln!(out, "{line}");
    }
    let _nobody_listens = out.flush();
    if !report.ok {
        super::print::show(std::io::stderr(), &words(file, &report));
    }
    Ok(code(&report))
}

fn code(report: &Report) -> ExitCode {
    if report.ok { ExitCode::SUCCESS } else { ExitCode::from(1) }
}

/// The run a line is about.
fn run_of(line: &AuditLine) -> Option<&str> {
    match &line.entry.event {
        AuditEvent::Call { run_id, .. } | AuditEvent::NotStarted { run_id, .. } => Some(run_id),
        AuditEvent::Ended(end) => Some(&end.run_id),
        AuditEvent::ServerStarted { .. }
        | AuditEvent::ServerEnded
        | AuditEvent::Recovered { .. }
        | AuditEvent::Lost { .. } => None,
    }
}

/// A report in words.
fn words(file: &Path, report: &Report) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let verdict = if report.ok { "as the servers wrote it" } else { "NOT as the servers wrote it" };
    let _infallible = writeln!(text, "{}: {verdict}", file.display());
    let _infallible = writeln!(
        text,
        "  {} lines, {} calls, {} runs ended",
        report.lines, report.calls, report.ended
    );
    if let (Some(first), Some(last)) = (&report.first, &report.last) {
        let span = clean::name(format!("{first} to {last}").as_bytes());
        let _infallible = writeln!(text, "  from {span}");
    }
    for finding in &report.findings {
        let place = finding.line.map_or(String::new(), |line| format!("line {line} "));
        let said = clean::name(finding.text.as_bytes());
        let _infallible = writeln!(text, "  {place}{said}");
    }
    if report.more_findings > 0 {
        let _infallible = writeln!(text, "  and {} more", report.more_findings);
    }
    if report.lost > 0 {
        let _infallible =
            writeln!(text, "  {} lines could not be written, as the log itself says", report.lost);
    }
    if report.torn_bytes > 0 {
        let _infallible = writeln!(
            text,
            "  {} bytes of an unfinished line at the end: its server was stopped while writing it",
            report.torn_bytes
        );
    }
    let _infallible = writeln!(text, "  head {}", report.head);
    text
}

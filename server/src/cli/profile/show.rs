//! Lists, texts, what a profile comes to, and what two differ in.

use super::context::{looking, reference, unusable};
use crate::cli::print::{print, print_exactly, print_json};
use crate::error::ServerError;
use nono_profiles::{Fact, Kind, ProjectFile, Resolved, available, facts, resolve, text_of};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::process::ExitCode;

pub(super) fn list(as_json: bool) -> Result<ExitCode, ServerError> {
    let looking = looking(ProjectFile::Ignore)?;
    let all = available(&looking.context);
    if as_json {
        let entries = all.iter().map(|entry| {
            let file = match &entry.kind {
                Kind::User(file) => Some(file.display().to_string()),
                Kind::BuiltIn | Kind::Group => None,
            };
            json!({
                "name": entry.name, "kind": kind(&entry.kind), "file": file,
                "description": entry.description, "problem": entry.problem,
            })
        });
        print_json(&Value::Array(entries.collect()));
        return Ok(ExitCode::SUCCESS);
    }
    let mut text = String::new();
    let of = |wanted: &str| all.iter().filter(|e| kind(&e.kind) == wanted).collect::<Vec<_>>();
    let sections = [
        ("profiles that come with the program", of("built-in")),
        ("\nyour profiles", of("user")),
        ("\ngroups, for `groups.include` and `groups.exclude`", of("group")),
    ];
    for (title, entries) in sections {
        if entries.is_empty() {
            continue;
        }
        let _infallible = writeln!(text, "{title}");
        for entry in entries {
            let about = match (&entry.problem, &entry.description) {
                (Some(problem), _) => format!("CANNOT BE USED: {problem}"),
                (None, Some(description)) => description.clone(),
                (None, None) => String::new(),
            };
            let line = format!("  {:<20} {about}", entry.name);
            let _infallible = writeln!(text, "{}", line.trim_end());
        }
    }
    if let Some(folder) = looking.context.profile_folder() {
        let _infallible =
            writeln!(text, "\nprofiles of your own are read from {}", folder.display());
    }
    print(&text);
    Ok(ExitCode::SUCCESS)
}

fn kind(kind: &Kind) -> &'static str {
    match kind {
        Kind::BuiltIn => "built-in",
        Kind::User(_) => "user",
        Kind::Group => "group",
    }
}

pub(super) fn text(profile: &str, as_json: bool) -> Result<ExitCode, ServerError> {
    let looking = looking(ProjectFile::Ignore)?;
    let context = &looking.context;
    let text = text_of(&reference(profile), context).map_err(unusable)?;
    if as_json {
        print_json(&json!({"profile": profile, "text": text}));
    } else {
        print_exactly(&text);
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) fn resolved(profile: &str, as_json: bool) -> Result<ExitCode, ServerError> {
    let looking = looking(ProjectFile::Apply)?;
    let context = &looking.context;
    let Resolved { policy, notes, .. } = resolve(&reference(profile), context).map_err(unusable)?;
    let facts = facts(&policy);
    if as_json {
        let notes = notes.iter().map(|note| {
            json!({
                "kind": format!("{:?}", note.kind), "warning": note.is_warning(),
                "entry": note.source.rule, "profile": note.source.profile,
                "line": note.source.line, "message": note.message,
            })
        });
        print_json(&json!({
            "profile": policy.name,
            "facts": facts.iter().map(fact_json).collect::<Vec<_>>(),
            "notes": notes.collect::<Vec<_>>(),
        }));
        return Ok(ExitCode::SUCCESS);
    }
    let mut text = format!("profile {}\n", policy.name);
    let mut about = "";
    for fact in &facts {
        if fact.about != about {
            about = fact.about;
            let _infallible = writeln!(text, "\n{about}");
        }
        let line = match &fact.source {
            Some(source) => format!("  {:<60} {source}", fact.text),
            None => format!("  {}", fact.text),
        };
        let _infallible = writeln!(text, "{line}");
    }
    let warnings: Vec<_> = notes.iter().filter(|note| note.is_warning()).collect();
    if !warnings.is_empty() {
        text.push_str("\nwarnings\n");
        for note in warnings {
            let _infallible = writeln!(text, "  {note}");
        }
    }
    print(&text);
    Ok(ExitCode::SUCCESS)
}

fn fact_json(fact: &Fact) -> Value {
    let source = fact.source.as_ref();
    json!({
        "about": fact.about, "text": fact.text, "profile": source.map(|s| &s.profile),
        "entry": source.map(|s| &s.rule), "line": source.and_then(|s| s.line),
    })
}

pub(super) fn diff(a: &str, b: &str, as_json: bool) -> Result<ExitCode, ServerError> {
    let looking = looking(ProjectFile::Ignore)?;
    let context = &looking.context;
    let all =
        |name: &str| resolve(&reference(name), context).map(|r| facts(&r.policy)).map_err(unusable);
    let (facts_a, facts_b) = (all(a)?, all(b)?);
    let missing_in = |other: &[Fact], fact: &&Fact| {
        !other.iter().any(|known| (known.about, &known.text) == (fact.about, &fact.text))
    };
    let only_a: Vec<&Fact> = facts_a.iter().filter(|fact| missing_in(&facts_b, fact)).collect();
    let only_b: Vec<&Fact> = facts_b.iter().filter(|fact| missing_in(&facts_a, fact)).collect();
    if as_json {
        let list = |facts: &[&Fact]| facts.iter().map(|f| fact_json(f)).collect::<Vec<_>>();
        print_json(&json!({"only_a": list(&only_a), "only_b": list(&only_b)}));
    } else {
        let mut text = String::new();
        for (sign, facts) in [("-", &only_a), ("+", &only_b)] {
            for fact in facts {
                let _infallible = writeln!(text, "{sign} {}: {}", fact.about, fact.text);
            }
        }
        print(&text);
    }
    let same = only_a.is_empty() && only_b.is_empty();
    Ok(if same { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

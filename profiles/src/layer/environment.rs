//! The `environment` object of a file: names, values, and where secrets are.

use super::field::{Entries, conditions, list};
use super::{CredentialEntry, From, List, SetVar, Sourced};
use crate::environment::loads_code;
use crate::error::ProfileError;
use crate::load::Document;
use crate::template::{PathTemplate, ValueTemplate};
use globset::Glob;
use nono_schemas::profile_file as wire;

/// Globs over variable names, and those to take out.
pub(super) fn patterns(
    document: &Document,
    name: &str,
    (added, removed): (&[String], &[String]),
) -> Result<List<Glob>, ProfileError> {
    let field = format!("environment.{name}");
    Ok(list(document, &field, globs(document, &field, added)?, removed))
}

/// A bad glob is an error: a deny that means nothing must not pass unnoticed.
fn globs(document: &Document, field: &str, list: &[String]) -> Entries<Glob> {
    let read = |(index, text): (usize, &String)| {
        let value = Glob::new(text).map_err(|e| {
            document.refuse_entry(field, index, text, format!("not a glob: {}", e.kind()))
        })?;
        let source = document.entry(field, index, text);
        Ok(Sourced { value, source, built_in: document.is_built_in() })
    };
    let all = list.iter().enumerate().map(read).collect::<Entries<Glob>>()?;
    Ok(List::adding(all).added)
}

pub(super) fn set_vars(document: &Document) -> Result<List<SetVar>, ProfileError> {
    let mut set_vars = Vec::new();
    for (name, variable) in &document.file.environment.set_vars {
        let (text, when_unset, when) = match variable {
            wire::SetVar::Value(value) => (value, false, None),
            wire::SetVar::Detailed(more) => (&more.value, more.when_unset, more.when.as_ref()),
        };
        let field = format!("environment.set_vars.{name}");
        let refuse = |message: String| document.refuse_field(&field, text, message);
        check_name(name, document).map_err(refuse)?;
        let value = SetVar {
            name: name.clone(),
            value: ValueTemplate::parse(text).map_err(refuse)?,
            when_unset,
            when: conditions(when).map_err(refuse)?,
        };
        let source = document.field(&field, text);
        set_vars.push(Sourced { value, source, built_in: document.is_built_in() });
    }
    let removed = &document.file.remove.environment.set_vars;
    Ok(list(document, "environment.set_vars", set_vars, removed))
}

/// Whether a profile may set a variable of that name; the error is a sentence.
fn check_name(name: &str, document: &Document) -> Result<(), String> {
    if name.is_empty() || name.contains(['=', '\0']) {
        return Err("a variable's name cannot be empty or contain `=` or a NUL byte".into());
    }
    if name.starts_with("NONO_") && !document.is_built_in() {
        return Err("names that start with `NONO_` belong to the sandbox".into());
    }
    Ok(())
}

pub(super) fn credentials(document: &Document) -> Result<List<CredentialEntry>, ProfileError> {
    let mut credentials = Vec::new();
    for (name, credential) in &document.file.environment.credentials {
        let field = format!("environment.credentials.{name}");
        let (text, from) = from(credential);
        let refuse = |message: String| document.refuse_field(&field, &text, message);
        check_name(name, document).map_err(refuse)?;
        if loads_code(name) {
            return Err(refuse("this variable makes programs load code; it is no secret".into()));
        }
        let value = CredentialEntry {
            name: name.clone(),
            from: from.map_err(refuse)?,
            when: conditions(credential.when.as_ref()).map_err(refuse)?,
        };
        let source = document.field(&field, &text);
        credentials.push(Sourced { value, source, built_in: document.is_built_in() });
    }
    let removed = &document.file.remove.environment.credentials;
    Ok(list(document, "environment.credentials", credentials, removed))
}

/// Where a secret is, in a few words and read; the error is a sentence.
fn from(credential: &wire::Credential) -> (String, Result<From, String>) {
    match (&credential.file, &credential.command) {
        (Some(file), None) => (format!("file {file}"), file_of(file)),
        (None, Some(words)) => (format!("command {}", words.join(" ")), command_of(words)),
        _ => ("?".to_owned(), Err("give either `file` or `command`".to_owned())),
    }
}

fn file_of(text: &str) -> Result<From, String> {
    match <[PathTemplate; 1]>::try_from(PathTemplate::parse(text)?) {
        Ok([only]) if !only.has_globs() => Ok(From::File(only)),
        _ => Err("a credential's file is one file; write its path".to_owned()),
    }
}

fn command_of(words: &[String]) -> Result<From, String> {
    if words.is_empty() {
        return Err("the command is empty; give a program and its arguments".to_owned());
    }
    words.iter().map(|word| ValueTemplate::parse(word)).collect::<Result<_, _>>().map(From::Command)
}

//! Text with variables: `~`, `$NAME`, `${NAME}`; `$$` is a dollar sign.
//!
//! A tokenizer, not a search-and-replace: `$HOMES` is an unknown variable, never `$HOME` and an
//! `S`.

#[cfg(test)]
mod tests;

use crate::context::Context;
use crate::glob::{glob, is_glob};
use crate::nearest::nearest;
use crate::variables::{Origin, Variable};
use std::ffi::OsString;
use std::path::PathBuf;

/// Paths one entry may stand for through braces; the rest would be a typing error.
const MAX_ALTERNATIVES: usize = 256;

/// A piece of text.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    Text(String),
    Variable(&'static Variable),
}

/// Splits `text`; the error is a sentence.
fn tokenize(text: &str) -> Result<Vec<Segment>, String> {
    let mut segments: Vec<Segment> = Vec::new();
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        plain.push_str(before);
        if let Some(after) = after.strip_prefix('$') {
            plain.push('$');
            rest = after;
            continue;
        }
        let (name, tail) = variable_name(after)?;
        if !plain.is_empty() {
            segments.push(Segment::Text(std::mem::take(&mut plain)));
        }
        segments.push(Segment::Variable(known(name)?));
        rest = tail;
    }
    plain.push_str(rest);
    if !plain.is_empty() {
        segments.push(Segment::Text(plain));
    }
    Ok(segments)
}

/// The name after a dollar sign, and what follows it.
fn variable_name(after: &str) -> Result<(&str, &str), String> {
    if let Some(braced) = after.strip_prefix('{') {
        return braced.split_once('}').ok_or_else(|| "`${` without `}`".to_owned());
    }
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let end = after.find(|c| !is_name(c)).unwrap_or(after.len());
    let (name, tail) = after.split_at(end);
    if name.is_empty() {
        return Err("`$` without a name; write `$$` for a dollar sign".to_owned());
    }
    Ok((name, tail))
}

fn known(name: &str) -> Result<&'static Variable, String> {
    Variable::named(name).ok_or_else(|| match nearest(name, Variable::names()) {
        Some(near) => format!("unknown variable `${name}`; did you mean `${near}`?"),
        None => format!(
            "unknown variable `${name}`; known: {}",
            Variable::names().collect::<Vec<_>>().join(", ")
        ),
    })
}

/// The path of an entry: a root, and below it names, globs and alternatives in braces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PathTemplate {
    root: Option<&'static Variable>,
    tail: Vec<Segment>,
}

/// What a path template stands for in one context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Expanded {
    /// Absolute, not canonical.
    pub(crate) base: PathBuf,
    /// Names below `base`, each a plain name or a glob.
    pub(crate) components: Vec<String>,
    /// Where `base` came from.
    pub(crate) origin: Origin,
}

impl PathTemplate {
    /// Reads the path of an entry, which is as many paths as its braces have alternatives; the
    /// error is a sentence.
    pub(crate) fn parse(text: &str) -> Result<Vec<Self>, String> {
        if text.contains('\0') {
            return Err("a path cannot contain a NUL byte".to_owned());
        }
        alternatives(text)?.iter().map(|text| Self::parse_one(text)).collect()
    }

    fn parse_one(text: &str) -> Result<Self, String> {
        let (root, tail) = match text.strip_prefix('~') {
            Some(rest) => (Some(known("HOME")?), tokenize(rest)?),
            None => {
                let mut segments = tokenize(text)?;
                match segments.first() {
                    Some(Segment::Variable(variable)) if variable.is_path() => {
                        let root = *variable;
                        segments.remove(0);
                        (Some(root), segments)
                    }
                    _ => (None, segments),
                }
            }
        };
        match (tail.first(), root) {
            (None, Some(_)) => {}
            (Some(Segment::Text(text)), _) if text.starts_with('/') => {}
            (_, Some(root)) => {
                return Err(format!("`{}` must be followed by `/` or nothing", root.name));
            }
            (_, None) => {
                return Err("a path starts with `/`, `~` or a variable such as `$WORKSPACE`".into());
            }
        }
        let template = Self { root, tail };
        template.check_tail()?;
        Ok(template)
    }

    /// Reads a path that is relative to something that may be written; it becomes one below the
    /// workspaces. The error is a sentence.
    pub(crate) fn parse_below_workspace(text: &str) -> Result<Vec<Self>, String> {
        if text.is_empty() || text.starts_with(['/', '~', '$']) {
            return Err(
                "the path is relative to each tree that may be written, so it starts with \
                        a name such as `.envrc`"
                    .to_owned(),
            );
        }
        Self::parse(&format!("$WORKSPACE/{text}"))
    }

    fn check_tail(&self) -> Result<(), String> {
        for segment in &self.tail {
            if let Segment::Variable(variable) = segment
                && variable.is_path()
            {
                return Err(format!("`${}` can only stand at the start", variable.name));
            }
        }
        // What a variable in the tail stands for cannot change what is checked here.
        let tail = self.tail_with(|_| Ok("0".to_owned()))?;
        if components(&tail).any(|component| component == "..") {
            return Err("`..` cannot be used; write the folder that is meant".to_owned());
        }
        if tail.contains("**") {
            return Err("`**` cannot be used; a folder's grant covers all below it".to_owned());
        }
        for component in components(&tail).filter(|component| is_glob(component)) {
            glob(component)?;
        }
        Ok(())
    }

    /// Whether it may stand for several names of a folder.
    pub(crate) fn has_globs(&self) -> bool {
        let text = |segment: &Segment| match segment {
            Segment::Text(text) => is_glob(text),
            Segment::Variable(_) => false,
        };
        self.tail.iter().any(text)
    }

    /// What the template stands for; the error is a sentence saying which value is missing.
    pub(crate) fn expand(&self, context: &Context) -> Result<Vec<Expanded>, String> {
        let tail = self.tail_with(|variable| {
            variable.text(context).ok_or_else(|| format!("`${}` has no value", variable.name))
        })?;
        let (bases, origin) = match self.root {
            None => (vec![PathBuf::from("/")], Origin::Written),
            Some(variable) => {
                let values = variable.paths(context)?;
                (values.paths, values.origin)
            }
        };
        let components: Vec<String> = components(&tail).map(str::to_owned).collect();
        let expanded =
            bases.into_iter().map(|base| Expanded { base, components: components.clone(), origin });
        Ok(expanded.collect())
    }

    fn tail_with(
        &self,
        value: impl Fn(&Variable) -> Result<String, String>,
    ) -> Result<String, String> {
        let pieces = self.tail.iter().map(|segment| match segment {
            Segment::Text(text) => Ok(text.clone()),
            Segment::Variable(variable) => value(variable),
        });
        pieces.collect()
    }
}

/// The names in a path, empty ones and `.` left out.
fn components(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|component| !component.is_empty() && *component != ".")
}

/// `a{b,c/d}e` is `abe` and `ac/de`, as in a shell; the braces of `${NAME}` are none. The error is
/// a sentence.
pub(crate) fn alternatives(text: &str) -> Result<Vec<String>, String> {
    let Some((before, rest)) = opening_brace(text)? else { return Ok(vec![text.to_owned()]) };
    let (inside, after) = rest.split_once('}').ok_or_else(|| "`{` without `}`".to_owned())?;
    if inside.contains('{') {
        return Err("braces cannot be nested".to_owned());
    }
    let tails = alternatives(after)?;
    let all: Vec<String> = inside
        .split(',')
        .flat_map(|choice| tails.iter().map(move |tail| format!("{before}{choice}{tail}")))
        .collect();
    if all.len() > MAX_ALTERNATIVES {
        return Err(format!("more than {MAX_ALTERNATIVES} alternatives; write fewer braces"));
    }
    Ok(all)
}

/// Splits at the first brace that starts alternatives.
fn opening_brace(text: &str) -> Result<Option<(&str, &str)>, String> {
    let mut from = 0;
    while let Some(found) = text.get(from..).and_then(|rest| rest.find(['$', '{', '}'])) {
        let at = from + found;
        let (before, rest) = text.split_at(at);
        if let Some(after) = rest.strip_prefix('{') {
            return Ok(Some((before, after)));
        }
        if rest.starts_with('}') {
            return Err("`}` without `{`".to_owned());
        }
        from = if rest.starts_with("$$") {
            at + 2
        } else if rest.starts_with("${") {
            let end = rest.find('}').ok_or_else(|| "`${` without `}`".to_owned())?;
            at + end + 1
        } else {
            at + 1
        };
    }
    Ok(None)
}

/// The value of an environment variable set by a profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ValueTemplate(Vec<Segment>);

impl ValueTemplate {
    /// Reads a value; the error is a sentence.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if text.contains('\0') {
            return Err("a value cannot contain a NUL byte".to_owned());
        }
        let segments = tokenize(text)?;
        for segment in &segments {
            if let Segment::Variable(variable) = segment
                && variable.is_list()
            {
                return Err(format!("`${}` may be several folders, a value is one", variable.name));
            }
        }
        Ok(Self(segments))
    }

    /// The value; the error is a sentence saying what is missing.
    pub(crate) fn expand(&self, context: &Context) -> Result<OsString, String> {
        let mut value = OsString::new();
        for segment in &self.0 {
            match segment {
                Segment::Text(text) => value.push(text),
                Segment::Variable(variable) => match variable.text(context) {
                    Some(text) => value.push(text),
                    None => variable.paths(context)?.paths.iter().for_each(|p| value.push(p)),
                },
            }
        }
        Ok(value)
    }
}

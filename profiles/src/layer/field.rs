//! What a field of a file becomes, whatever object it stands in: values and entries that know their
//! line.

use super::{List, Listed, Removal, Sourced};
use crate::condition::Condition;
use crate::error::ProfileError;
use crate::load::Document;
use nono_schemas::profile_file as wire;

/// What a list adds, or what is wrong with it.
pub(super) type Entries<T> = Result<Vec<Sourced<T>>, ProfileError>;

/// A single value, and what it is as text.
pub(super) fn value<T>(document: &Document, field: &str, text: &str, value: T) -> Sourced<T> {
    Sourced { value, source: document.field(field, text), built_in: document.is_built_in() }
}

/// Under which an entry counts; the error is a sentence.
pub(super) fn conditions(when: Option<&wire::When>) -> Result<Vec<Condition>, String> {
    let texts = when.map_or(&[][..], wire::When::conditions);
    texts.iter().map(|text| Condition::parse(text)).collect()
}

/// What a field adds, and what the field of the same name below `remove` takes out.
pub(super) fn list<T: Listed<Name = String>>(
    document: &Document,
    field: &str,
    added: Vec<Sourced<T>>,
    removed: &[String],
) -> List<T> {
    List { added, removed: named(document, &format!("remove.{field}"), removed) }
}

/// Names to take out.
pub(super) fn named(document: &Document, field: &str, list: &[String]) -> Vec<Removal<String>> {
    let removal = |(index, text): (usize, &String)| Removal {
        name: text.clone(),
        source: document.entry(field, index, text),
        used: false,
    };
    list.iter().enumerate().map(removal).collect()
}

/// What a list of plain texts adds, without repetitions.
pub(super) fn texts<T>(document: &Document, field: &str, list: &[String]) -> Vec<Sourced<T>>
where
    T: Listed + std::convert::From<String>,
{
    let read = |(index, text): (usize, &String)| Sourced {
        value: T::from(text.clone()),
        source: document.entry(field, index, text),
        built_in: document.is_built_in(),
    };
    List::adding(list.iter().enumerate().map(read).collect()).added
}

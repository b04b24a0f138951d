//! Profiles in files, each content checked once per process: a server with many principals, and
//! every call that chooses a profile, meet the same few files again.
//!
//! The file is read each time, so a change counts at once; what is saved is everything after that.

use crate::error::ProfileError;
use crate::load::{Document, Links};
use crate::part::Part;
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Contents remembered. A profile is made of a hundred at most.
const MOST: usize = 100;

/// A content and what it says. The path is part of it: relative bases start from there, and errors
/// and rules name it.
struct Known {
    path: PathBuf,
    text: String,
    part: Arc<Part>,
}

/// The latest last.
static KNOWN: Mutex<VecDeque<Known>> = Mutex::new(VecDeque::new());

/// The profile in a file.
///
/// # Errors
/// Those of [`Document::read`] and [`Part::of`]; nothing is remembered then.
pub(crate) fn file(path: &Path) -> Result<Arc<Part>, ProfileError> {
    let text = Document::text(path, Links::Followed)?;
    if let Some(part) = remembered(path, &text) {
        return Ok(part);
    }
    let part = Arc::new(Part::of(&Document::of_file(path, &text)?)?);
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if known.len() == MOST {
        known.pop_front();
    }
    known.push_back(Known { path: path.to_path_buf(), text, part: Arc::clone(&part) });
    Ok(part)
}

fn remembered(path: &Path, text: &str) -> Option<Arc<Part>> {
    let known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let same = |known: &&Known| known.path == path && known.text == text;
    known.iter().rev().find(same).map(|known| Arc::clone(&known.part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_content_is_checked_once_and_a_change_counts_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("p.json");
        let write = |text: &str| std::fs::write(&path, text).unwrap();
        write(r#"{"extends": "coding", "meta": {"name": "one"}}"#);
        let first = file(&path).unwrap();
        assert!(Arc::ptr_eq(&first, &file(&path).unwrap()));
        write(r#"{"extends": "coding", "meta": {"name": "two"}}"#);
        let second = file(&path).unwrap();
        assert_eq!((first.name.as_str(), second.name.as_str()), ("one", "two"));
        write("{");
        assert!(file(&path).is_err() && file(&path).is_err());
    }

    #[test]
    fn the_same_text_in_another_folder_is_another_profile() {
        let folder = tempfile::tempdir().unwrap();
        let [a, b] = ["a", "b"].map(|name| folder.path().join(name));
        for place in [&a, &b] {
            std::fs::create_dir(place).unwrap();
            std::fs::write(place.join("p.json"), r#"{"extends": "./base.json"}"#).unwrap();
        }
        let (a, b) = (file(&a.join("p.json")).unwrap(), file(&b.join("p.json")).unwrap());
        assert_ne!(a.bases.first().map(|(base, _)| base), b.bases.first().map(|(base, _)| base));
    }
}

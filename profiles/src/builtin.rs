//! The profiles and groups that come with the program. Each is read once per process.

use crate::error::ProfileError;
use crate::load::Document;
use crate::part::Part;
use std::sync::{Arc, OnceLock};

/// A text that comes with the program.
#[derive(Debug)]
pub(crate) struct BuiltIn {
    pub(crate) name: &'static str,
    pub(crate) text: &'static str,
    part: OnceLock<Arc<Part>>,
}

macro_rules! built_in {
    ($folder:literal: $($name:literal),* $(,)?) => {
        [$(BuiltIn {
            name: $name,
            text: include_str!(concat!("../builtin/", $folder, $name, ".json")),
            part: OnceLock::new(),
        }),*]
    };
}

/// The built-in profiles in the order they are listed.
static PROFILES: [BuiltIn; 4] = built_in!("": "coding", "offline", "readonly", "strict");

/// The groups in the order they are listed.
static GROUPS: [BuiltIn; 17] = built_in!("groups/":
    "system", "user_programs", "git", "native", "rust", "node", "python", "go", "java", "dotnet",
    "ruby", "other_languages", "credentials_denied", "docker_denied", "agents_denied",
    "personal_denied", "run_later_protected",
);

/// The names of the built-in profiles; the first is the default.
pub fn builtin_names() -> impl Iterator<Item = &'static str> {
    PROFILES.iter().map(|profile| profile.name)
}

/// The names of the groups, for `groups.include`.
pub fn group_names() -> impl Iterator<Item = &'static str> {
    GROUPS.iter().map(|group| group.name)
}

/// The built-in profile `name`.
pub(crate) fn profile(name: &str) -> Option<&'static BuiltIn> {
    PROFILES.iter().find(|known| known.name == name)
}

/// The group `name`.
pub(crate) fn group(name: &str) -> Option<&'static BuiltIn> {
    GROUPS.iter().find(|known| known.name == name)
}

impl BuiltIn {
    /// What the text says.
    pub(crate) fn part(&self) -> Result<Arc<Part>, ProfileError> {
        if let Some(part) = self.part.get() {
            return Ok(Arc::clone(part));
        }
        let part = Arc::new(Part::of(&Document::built_in(self.name, self.text)?)?);
        Ok(Arc::clone(self.part.get_or_init(|| part)))
    }
}

//! The profiles that come with the program.

use crate::ProfileError;
use crate::nearest::nearest;

/// Name and text of each built-in profile, in the order they are listed.
const BUILT_IN: &[(&str, &str)] = &[("coding", include_str!("../builtin/coding.json"))];

/// The names of the built-in profiles; the first is the default.
pub fn builtin_names() -> impl Iterator<Item = &'static str> {
    BUILT_IN.iter().map(|(name, _)| *name)
}

/// The text of the built-in profile `name`.
pub(crate) fn builtin_text(name: &str) -> Result<&'static str, ProfileError> {
    if let Some((_, text)) = BUILT_IN.iter().find(|(known, _)| *known == name) {
        return Ok(text);
    }
    let names = builtin_names().collect::<Vec<_>>().join(", ");
    let suggestion = match nearest(name, builtin_names()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => {
            format!("built-in profiles: {names}; for a file write its path, such as ./{name}.json")
        }
    };
    Err(ProfileError::UnknownName { name: name.to_owned(), suggestion })
}

//! Finds profiles and follows `extends` and `groups`.

use crate::builtin;
use crate::cache;
use crate::context::Context;
use crate::error::ProfileError;
use crate::layer::Layer;
use crate::nearest::nearest;
use crate::note::{Note, NoteKind};
use crate::part::Part;
use crate::reference::ProfileRef;
use nono_sandbox::policy::Source;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Levels of `extends`, the profile itself not counted.
const MAX_LEVELS: usize = 10;
/// Profiles one profile may be made of; with several bases each, levels alone are no bound.
const MAX_PROFILES: usize = 100;

/// A profile with everything it starts from.
#[derive(Debug, Clone)]
pub(crate) struct Loaded {
    pub(crate) name: String,
    pub(crate) layer: Layer,
    pub(crate) notes: Vec<Note>,
    /// What it was read from, built-in profiles aside.
    pub(crate) files: Vec<PathBuf>,
}

/// Where profiles are found by name.
#[derive(Debug, Clone)]
pub(crate) struct Library {
    /// The user's profile folder.
    pub(crate) user: Option<PathBuf>,
}

impl Library {
    /// `$XDG_CONFIG_HOME/nono-mcp/profiles`, or the same below `~/.config`.
    pub(crate) fn of(context: &Context) -> Self {
        Self { user: context.profile_folder() }
    }

    /// Loads the profile `reference` names with everything it starts from.
    pub(crate) fn load(&self, reference: &ProfileRef) -> Result<Loaded, ProfileError> {
        let mut search = Search { library: self, notes: Vec::new(), loaded: 0, files: Vec::new() };
        let part = search.part(reference)?;
        let name = part.name.clone();
        let layer = search.with_bases(&part, &mut vec![identity(reference)])?;
        let Search { mut notes, files, .. } = search;
        let layer = with_groups(layer)?;
        notes.extend(layer.unused_removals());
        Ok(Loaded { name, layer, notes, files })
    }

    /// Names of the profiles in the user's folder, sorted.
    pub(crate) fn user_names(&self) -> Vec<String> {
        let entries = self.user.iter().filter_map(|folder| std::fs::read_dir(folder).ok());
        let mut names: Vec<String> = entries
            .flatten()
            .flatten()
            .filter_map(|entry| {
                let name = entry.file_name().into_string().ok()?;
                let stem = name.strip_suffix(".json").or_else(|| name.strip_suffix(".jsonc"))?;
                Some(stem.to_owned())
            })
            .collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The file of the profile `name` in the user's folder.
    pub(crate) fn user_file(&self, name: &str) -> Option<PathBuf> {
        let folder = self.user.as_ref()?;
        let plain = !name.is_empty() && Path::new(name).file_name().is_some_and(|n| n == name);
        let candidates = ["json", "jsonc"].map(|ending| folder.join(format!("{name}.{ending}")));
        candidates.into_iter().find(|file| plain && file.is_file())
    }

    fn unknown(&self, name: &str) -> ProfileError {
        let mut names: Vec<String> = builtin::builtin_names().map(str::to_owned).collect();
        names.extend(self.user_names());
        let near = nearest(name, names.iter().map(String::as_str));
        let suggestion = match near {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!(
                "known: {}; for a file write its path, such as ./{name}.json",
                names.join(", ")
            ),
        };
        ProfileError::UnknownName { name: name.to_owned(), suggestion }
    }
}

/// One search through what profiles start from.
struct Search<'l> {
    library: &'l Library,
    notes: Vec<Note>,
    loaded: usize,
    files: Vec<PathBuf>,
}

impl Search<'_> {
    fn part(&mut self, reference: &ProfileRef) -> Result<Arc<Part>, ProfileError> {
        match reference {
            ProfileRef::File(path) => self.file(path),
            ProfileRef::Name(name) => {
                let user = self.library.user_file(name);
                match (builtin::profile(name), user) {
                    (Some(built_in), user) => {
                        self.notes.extend(user.map(|file| shadowed(name, &file)));
                        built_in.part()
                    }
                    (None, Some(file)) => self.file(&file),
                    (None, None) => Err(self.library.unknown(name)),
                }
            }
        }
    }

    fn file(&mut self, path: &Path) -> Result<Arc<Part>, ProfileError> {
        self.files.push(path.to_path_buf());
        cache::file(path)
    }

    /// Lays `part` over its bases. `path` leads from the first profile to this one.
    fn with_bases(
        &mut self,
        part: &Part,
        path: &mut Vec<ProfileRef>,
    ) -> Result<Layer, ProfileError> {
        self.loaded += 1;
        if path.len() > MAX_LEVELS + 1 {
            return Err(ProfileError::TooDeep { profile: part.label.clone(), limit: MAX_LEVELS });
        }
        if self.loaded > MAX_PROFILES {
            let profile = part.label.clone();
            return Err(ProfileError::TooMany { profile, limit: MAX_PROFILES });
        }
        let mut base = Layer::default();
        for (reference, source) in &part.bases {
            let identity = identity(reference);
            if let Some(start) = path.iter().position(|earlier| *earlier == identity) {
                let circle = path.iter().skip(start).chain([&identity]);
                let chain = circle.map(ToString::to_string).collect();
                return Err(ProfileError::Cycle { chain });
            }
            let found = self.part(reference).map_err(|error| match error {
                ProfileError::UnknownName { .. } | ProfileError::Read { .. } => {
                    ProfileError::entry(source, error.to_string())
                }
                other => other,
            })?;
            path.push(identity);
            base = self.with_bases(&found, path)?.over(base);
            path.pop();
        }
        Ok(part.layer.clone().over(base))
    }
}

/// Lays a complete layer over the groups it includes.
fn with_groups(layer: Layer) -> Result<Layer, ProfileError> {
    let mut groups = Layer::default();
    for entry in &layer.groups.added {
        let name = &entry.value;
        let group = builtin::group(name).ok_or_else(|| unknown_group(name, &entry.source))?;
        groups = group.part()?.layer.clone().over(groups);
    }
    let unknown = layer.groups.removed.iter().find(|r| builtin::group(&r.name).is_none());
    match unknown {
        Some(removal) => Err(unknown_group(&removal.name, &removal.source)),
        None => Ok(layer.over(groups)),
    }
}

fn unknown_group(name: &str, entry: &Source) -> ProfileError {
    let suggestion = match nearest(name, builtin::group_names()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("groups: {}", builtin::group_names().collect::<Vec<_>>().join(", ")),
    };
    ProfileError::UnknownGroup { entry: Box::new(entry.clone()), name: name.to_owned(), suggestion }
}

fn shadowed(name: &str, file: &Path) -> Note {
    let label = file.display().to_string();
    Note {
        kind: NoteKind::Shadowed,
        source: Source { profile: label, rule: format!("profile {name}"), line: None },
        message: "not used, because a built-in profile has this name; give the file another"
            .to_owned(),
        built_in: false,
    }
}

/// What makes two references the same profile: a file counts by where it really is.
fn identity(reference: &ProfileRef) -> ProfileRef {
    match reference {
        ProfileRef::Name(name) => ProfileRef::Name(name.clone()),
        ProfileRef::File(path) => {
            ProfileRef::File(std::fs::canonicalize(path).unwrap_or_else(|_| path.clone()))
        }
    }
}

//! Grants for files and sockets, as far as they mean something on this machine.

use crate::context::{Context, MissingFolders};
use crate::error::ProfileError;
use crate::glob::is_glob;
use crate::layer::{Grant, Layer, SocketGrant, Sourced};
use crate::note::{Note, NoteKind};
use crate::place::{self, DotNames, Existing, Make, Places, link_of_commands};
use crate::template::Expanded;
use crate::variables::Origin;
use nono_sandbox::AbsPath;
use nono_sandbox::policy::{Access, FsRule, Reach, Scope, Source, UnixGrant};
use std::io;
use std::path::{Path, PathBuf};

/// A rule that has yet to be judged against what must stay closed.
#[derive(Debug, Clone)]
pub(crate) struct Candidate<R> {
    pub(crate) rule: R,
    pub(crate) origin: Origin,
    pub(crate) built_in: bool,
    /// Where the symbolic links lie that it was found over.
    pub(crate) links: Vec<AbsPath>,
}

/// All grants of a profile, canonical.
#[derive(Debug, Default)]
pub(crate) struct Grants {
    pub(crate) files: Vec<Candidate<FsRule>>,
    pub(crate) sockets: Vec<Candidate<UnixGrant>>,
    /// Of files that are not there: what would be granted if they were.
    pub(crate) absent: Vec<FsRule>,
}

/// Works out the grants of `layer`; what does not exist is left out and noted.
pub(crate) fn resolve(
    layer: &Layer,
    context: &Context,
    places: &mut Places,
    notes: &mut Vec<Note>,
) -> Result<Grants, ProfileError> {
    let mut resolution = Resolution { context, places, notes, grants: Grants::default() };
    if let Some(workdir) = &layer.single.workdir {
        resolution.workdir(workdir);
    }
    for grant in &layer.grants.added {
        resolution.files(grant)?;
    }
    for grant in &layer.sockets.added {
        resolution.sockets(grant)?;
    }
    Ok(resolution.grants)
}

struct Resolution<'r> {
    context: &'r Context,
    places: &'r mut Places,
    notes: &'r mut Vec<Note>,
    grants: Grants,
}

impl Resolution<'_> {
    fn note<T>(&mut self, entry: &Sourced<T>, kind: NoteKind, message: impl Into<String>) {
        let (source, built_in) = (entry.source.clone(), entry.built_in);
        self.notes.push(Note { kind, source, message: message.into(), built_in });
    }

    fn workdir(&mut self, workdir: &Sourced<Access>) {
        if workdir.value.is_empty() {
            return;
        }
        for path in &self.context.workspaces {
            self.grants.files.push(Candidate {
                rule: FsRule {
                    path: path.clone(),
                    scope: Scope::Tree,
                    access: workdir.value,
                    source: workdir.source.clone(),
                },
                origin: Origin::Workspace,
                built_in: workdir.built_in,
                links: Vec::new(),
            });
        }
    }

    fn files(&mut self, grant: &Sourced<Grant>) -> Result<(), ProfileError> {
        for expanded in self.expand(grant, grant.value.template.expand(self.context)) {
            let found = self
                .places
                .paths(&expanded, DotNames::Skip)
                .map_err(|message| ProfileError::entry(&grant.source, message))?;
            for path in found {
                if let Some(rule) = self.file_rule(grant, &path) {
                    let (origin, built_in) = (expanded.origin, grant.built_in);
                    let links = place::links(&path);
                    self.grants.files.push(Candidate { rule, origin, built_in, links });
                }
            }
        }
        Ok(())
    }

    /// The expansions of an entry; none, with a note, if a variable of it has no value.
    fn expand<T>(
        &mut self,
        entry: &Sourced<T>,
        expanded: Result<Vec<Expanded>, String>,
    ) -> Vec<Expanded> {
        expanded.unwrap_or_else(|message| {
            self.note(entry, NoteKind::Unset, message);
            Vec::new()
        })
    }

    fn file_rule(&mut self, grant: &Sourced<Grant>, path: &Path) -> Option<FsRule> {
        if names_one_process(path) {
            self.note(grant, NoteKind::OneProcess, ONE_PROCESS);
            return None;
        }
        let make = match grant.value.list.takes_files_only() {
            true => Make::File,
            false => Make::Folder,
        };
        let found = self.existing(grant, path, grant.value.create.then_some(make));
        if found.is_none() {
            self.absent(grant, path);
        }
        let Existing { path, is_folder } = found?;
        if is_folder && grant.value.list.takes_files_only() {
            let message = format!("{path} is a folder; grant it in the field without `_file`");
            self.note(grant, NoteKind::WrongKind, message);
            return None;
        }
        Some(FsRule {
            path,
            scope: if is_folder { Scope::Tree } else { Scope::File },
            access: grant.value.access(),
            source: grant.source.clone(),
        })
    }

    /// Remembers what an entry does not give because nothing is there yet.
    fn absent(&mut self, grant: &Sourced<Grant>, path: &Path) {
        if !self.places.existing(path).is_err_and(|error| is_missing(&error)) {
            return;
        }
        let Ok(path) = self.places.as_far_as_possible(path) else { return };
        let files_only = grant.value.list.takes_files_only();
        self.grants.absent.push(FsRule {
            path,
            scope: if files_only { Scope::File } else { Scope::Tree },
            access: grant.value.access(),
            source: grant.source.clone(),
        });
    }

    /// The object `path` leads to. Makes it first if asked to.
    fn existing<T>(
        &mut self,
        entry: &Sourced<T>,
        path: &Path,
        make: Option<Make>,
    ) -> Option<Existing> {
        let found = self.places.existing(path).or_else(|error| {
            // Nor is a home made: nobody lives where there is none.
            let homeless = self
                .context
                .home
                .as_ref()
                .is_some_and(|home| path.starts_with(home) && !home.is_dir());
            let may = !homeless && self.context.missing_folders == MissingFolders::Create;
            let Some(make) = make.filter(|_| may && error.kind() == io::ErrorKind::NotFound) else {
                return Err(error);
            };
            // Else a command would choose where it is made.
            if link_of_commands(path, self.context.all_workspaces()).is_some() {
                return Err(error);
            }
            if self.places.make(make, path, self.context.uid)? {
                self.note(entry, NoteKind::Created, format!("{} was made", path.display()));
            }
            self.places.existing(path)
        });
        match found {
            Ok(found) => Some(found),
            Err(error) => {
                let missing = is_missing(&error);
                let kind = if missing { NoteKind::Missing } else { NoteKind::Unreachable };
                let message = if missing {
                    format!("{} does not exist", path.display())
                } else {
                    format!("{}: {error}", path.display())
                };
                self.note(entry, kind, message);
                None
            }
        }
    }

    fn sockets(&mut self, grant: &Sourced<SocketGrant>) -> Result<(), ProfileError> {
        for expanded in self.expand(grant, grant.value.template.expand(self.context)) {
            if expanded.components.iter().any(|component| is_glob(component)) {
                let message = "globs cannot be used here; grant the folder with `unix_socket_dir`";
                return Err(ProfileError::entry(&grant.source, message));
            }
            let mut path = expanded.base.clone();
            expanded.components.iter().for_each(|component| path.push(component));
            self.socket(grant, &path, expanded.origin)?;
        }
        Ok(())
    }

    fn socket(
        &mut self,
        grant: &Sourced<SocketGrant>,
        path: &Path,
        origin: Origin,
    ) -> Result<(), ProfileError> {
        let SocketGrant { reach, bind, create, .. } = grant.value;
        if path == Path::new("/") && reach != Reach::Subtree {
            return Err(ProfileError::entry(&grant.source, "`/` holds no sockets; name a folder"));
        }
        if create {
            let _found = self.existing(grant, path, Some(Make::Folder));
        }
        let canonical = match self.places.as_far_as_possible(path) {
            Ok(canonical) => canonical,
            Err(error) => {
                let message = format!("{}: {error}", path.display());
                self.note(grant, NoteKind::Unreachable, message);
                return Ok(());
            }
        };
        let (source, links) = (grant.source.clone(), place::links(path));
        if bind {
            self.make_socket_rule(grant, &canonical, origin, &links);
        }
        self.grants.sockets.push(Candidate {
            rule: UnixGrant { path: canonical, reach, bind, source },
            origin,
            built_in: grant.built_in,
            links,
        });
        Ok(())
    }

    /// The file-system right `bind` needs: making sockets in the folder that will hold them.
    fn make_socket_rule(
        &mut self,
        grant: &Sourced<SocketGrant>,
        path: &AbsPath,
        origin: Origin,
        links: &[AbsPath],
    ) {
        let folder = match grant.value.reach {
            Reach::Exact => path.parent().unwrap_or_else(AbsPath::root),
            Reach::Children | Reach::Subtree => path.clone(),
        };
        let folder = PathBuf::from(folder.as_path());
        let Some(Existing { path, is_folder }) = self.existing(grant, &folder, None) else {
            return;
        };
        if !is_folder {
            self.note(grant, NoteKind::WrongKind, format!("{path} is not a folder"));
            return;
        }
        let source: Source = grant.source.clone();
        self.grants.files.push(Candidate {
            rule: FsRule { path, scope: Scope::Tree, access: Access::MAKE_SOCKET, source },
            origin,
            built_in: grant.built_in,
            links: links.to_vec(),
        });
    }
}

fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// Why a grant for a path of one process is left out.
const ONE_PROCESS: &str = "left out: it names one process, here the server or one that has this \
    number now, and every command is another; grant `/proc` for reading, as the group `system` \
    does: commands find themselves there";

/// Whether this is in `/proc/self` or `/proc/NUMBER`: a grant for it is left out.
#[must_use]
pub fn names_one_process(path: &Path) -> bool {
    let Ok(below) = path.strip_prefix("/proc") else { return false };
    let name = below.components().next().map(|name| name.as_os_str().as_encoded_bytes());
    name.is_some_and(|name| {
        [&b"self"[..], b"thread-self"].contains(&name) || name.iter().all(u8::is_ascii_digit)
    })
}

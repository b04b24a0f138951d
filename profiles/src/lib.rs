//! Profiles of `nono-mcp`: names and files, resolved to the core's [`Policy`].
//!
//! ```text
//! ProfileRef ── load ──► Document ── layer ──► Layer ── extends ──► one Layer
//! Layer, Context ── grants, deny, conflict, environment ──► Resolved { Policy, notes }
//! ```
//!
//! * **load**: JSON with comments, checked against the published schema, line of each entry kept;
//! * **layer**: texts become templates and globs; layers are laid over each other;
//! * **grants**: templates become canonical paths that exist, with the rest noted;
//! * **deny**: what `deny` closes, and the server's own;
//! * **protect**: what `protect` lists, in trees that may be written;
//! * **conflict**: no grant opens that;
//! * **environment**: which variables a command sees.
//!
//! # What holds for every policy made here
//! No rule covers a denied path. Every rule's path is canonical, existed, and remembers the line
//! it was written on. Nothing is read from the running process: its environment comes in as a
//! value.
//!
//! [`Policy`]: nono_sandbox::policy::Policy

mod builtin;
mod cache;
mod collect;
mod condition;
mod conflict;
mod context;
mod credentials;
mod deny;
mod environment;
mod error;
mod extends;
mod file_list;
mod git_dir;
mod git_settings;
mod glob;
mod grants;
mod import;
mod inspect;
mod layer;
mod limits;
mod links;
mod load;
mod machine;
mod narrow;
mod nearest;
mod note;
mod obeyed;
mod part;
mod place;
mod project;
mod protect;
mod reference;
mod repository;
mod resolve;
mod template;
#[cfg(test)]
mod tests;
mod variables;

pub use builtin::{builtin_names, group_names};
pub use context::{Context, MissingFolders, OwnFiles, ProjectFile};
pub use credentials::{Credential, CredentialFrom, OwnProgram};
pub use error::{Location, Opening, ProfileError, Relation};
pub use file_list::FileList;
pub use git_dir::git_dir_of;
pub use grants::names_one_process;
pub use import::{Imported, import_nono};
pub use inspect::{
    Available, Fact, Kind, available, facts, opened_credentials, project_file, text_of,
    variable_names,
};
pub use machine::Machine;
pub use narrow::{NarrowError, Narrowing, Offer, Writable};
pub use note::{Note, NoteKind};
pub use place::link_of_commands;
pub use protect::protected_now;
pub use reference::ProfileRef;
pub use resolve::{Resolved, resolve};

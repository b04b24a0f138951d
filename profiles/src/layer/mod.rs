//! One profile file with its texts read, and how files are laid over each other.

mod entry;
mod environment;
mod field;
mod filesystem;
mod list;
mod network;
mod read;
mod single;
#[cfg(test)]
mod tests;

pub(crate) use entry::{
    CredentialEntry, Deny, From, Grant, HostEntry, Protect, SetVar, SocketGrant,
};
pub(crate) use list::{List, Listed, Removal};
pub(crate) use single::Single;

use crate::condition::Condition;
use crate::machine::Machine;
use crate::note::{Note, NoteKind};
use globset::Glob;
use nono_sandbox::policy::Source;

/// A value and the line it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sourced<T> {
    pub(crate) value: T,
    pub(crate) source: Source,
    /// Whether the line belongs to a built-in profile.
    pub(crate) built_in: bool,
}

/// One profile file, or several laid over each other.
#[derive(Debug, Clone, Default)]
pub(crate) struct Layer {
    pub(crate) groups: List<String>,
    pub(crate) grants: List<Grant>,
    pub(crate) denies: List<Deny>,
    pub(crate) protects: List<Protect>,
    pub(crate) sockets: List<SocketGrant>,
    pub(crate) hosts: List<HostEntry>,
    pub(crate) denied_hosts: List<HostEntry>,
    pub(crate) allow_vars: List<Glob>,
    pub(crate) deny_vars: List<Glob>,
    /// The last that counts decides.
    pub(crate) set_vars: List<SetVar>,
    /// The last that counts decides.
    pub(crate) credentials: List<CredentialEntry>,
    pub(crate) suppress_unix_sockets: List<String>,
    pub(crate) suppress_paths: List<String>,
    pub(crate) single: Single,
}

impl Layer {
    /// Lays `self` over `base`: entries are taken out, then added without repetitions; single
    /// values replace.
    pub(crate) fn over(self, base: Layer) -> Layer {
        Layer {
            groups: self.groups.over(base.groups),
            grants: self.grants.over(base.grants),
            denies: self.denies.over(base.denies),
            protects: self.protects.over(base.protects),
            sockets: self.sockets.over(base.sockets),
            hosts: self.hosts.over(base.hosts),
            denied_hosts: self.denied_hosts.over(base.denied_hosts),
            allow_vars: self.allow_vars.over(base.allow_vars),
            deny_vars: self.deny_vars.over(base.deny_vars),
            set_vars: self.set_vars.over(base.set_vars),
            credentials: self.credentials.over(base.credentials),
            suppress_unix_sockets: self.suppress_unix_sockets.over(base.suppress_unix_sockets),
            suppress_paths: self.suppress_paths.over(base.suppress_paths),
            single: self.single.over(base.single),
        }
    }

    /// Notes about entries to take out that nothing below has.
    pub(crate) fn unused_removals(&self) -> Vec<Note> {
        let sources = self
            .groups
            .unused()
            .chain(self.grants.unused())
            .chain(self.denies.unused())
            .chain(self.protects.unused())
            .chain(self.sockets.unused())
            .chain(self.hosts.unused())
            .chain(self.denied_hosts.unused())
            .chain(self.allow_vars.unused())
            .chain(self.deny_vars.unused())
            .chain(self.set_vars.unused())
            .chain(self.credentials.unused())
            .chain(self.suppress_unix_sockets.unused())
            .chain(self.suppress_paths.unused());
        let message = "there is no such entry to take out; write it as the profile that has it \
                       does (`nono-mcp profile show`)";
        sources
            .map(|source| Note {
                kind: NoteKind::NothingToRemove,
                source: source.clone(),
                message: message.to_owned(),
                built_in: false,
            })
            .collect()
    }

    /// Leaves out the entries whose conditions do not hold on `machine`, with a note each.
    pub(crate) fn on(mut self, machine: &Machine, notes: &mut Vec<Note>) -> Layer {
        self.grants.added.retain(|e| counts(e, &e.value.when, machine, notes));
        self.denies.added.retain(|e| counts(e, &e.value.when, machine, notes));
        self.protects.added.retain(|e| counts(e, &e.value.when, machine, notes));
        self.sockets.added.retain(|e| counts(e, &e.value.when, machine, notes));
        self.hosts.added.retain(|e| counts(e, &e.value.when, machine, notes));
        self.denied_hosts.added.retain(|e| counts(e, &e.value.when, machine, notes));
        self.set_vars.added.retain(|e| counts(e, &e.value.when, machine, notes));
        self.credentials.added.retain(|e| counts(e, &e.value.when, machine, notes));
        self
    }
}

fn counts<T>(
    entry: &Sourced<T>,
    conditions: &[Condition],
    machine: &Machine,
    notes: &mut Vec<Note>,
) -> bool {
    let Some(failed) = conditions.iter().find(|condition| !condition.holds(machine)) else {
        return true;
    };
    notes.push(Note {
        kind: NoteKind::Elsewhere,
        source: entry.source.clone(),
        message: format!("`{failed}` does not hold here; the entry does not count"),
        built_in: entry.built_in,
    });
    false
}

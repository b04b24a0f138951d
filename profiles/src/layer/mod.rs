//! One profile file with its texts read, and how files are laid over each other.

mod list;
mod network;
mod read;
#[cfg(test)]
mod tests;

pub(crate) use list::{List, Listed, Removal};

use crate::condition::Condition;
use crate::machine::Machine;
use crate::note::{Note, NoteKind};
use crate::template::{PathTemplate, ValueTemplate};
use globset::Glob;
use nono_sandbox::policy::{
    Access, HostRule, Isolation, Limit, Limits, Mediation, NetworkMode, Observe, Origin, Origins,
    PortRange, Reach, Source,
};
use std::collections::BTreeMap;
use std::num::NonZeroU32;

/// A value and the line it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sourced<T> {
    pub(crate) value: T,
    pub(crate) source: Source,
    /// Whether the line belongs to a built-in profile.
    pub(crate) built_in: bool,
}

/// The lists of grants for files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileList {
    Read,
    Write,
    Allow,
    ReadFile,
    WriteFile,
    AllowFile,
}

impl FileList {
    /// The access a grant in this list gives.
    fn access(self) -> Access {
        let read = Access::READ | Access::EXECUTE;
        match self {
            Self::Read | Self::ReadFile => read,
            Self::Write | Self::WriteFile => Access::WRITE,
            Self::Allow | Self::AllowFile => read | Access::WRITE,
        }
    }

    /// Whether its grants are for single files.
    pub(crate) fn takes_files_only(self) -> bool {
        matches!(self, Self::ReadFile | Self::WriteFile | Self::AllowFile)
    }
}

/// A grant for files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Grant {
    pub(crate) list: FileList,
    pub(crate) template: PathTemplate,
    pub(crate) execute: bool,
    pub(crate) create: bool,
    pub(crate) when: Vec<Condition>,
}

impl Grant {
    /// What it allows.
    pub(crate) fn access(&self) -> Access {
        let access = self.list.access();
        if self.execute { access } else { access - Access::EXECUTE }
    }
}

impl Listed for Grant {
    type Name = (FileList, PathTemplate);

    fn is_called(&self, name: &Self::Name) -> bool {
        (self.list, &self.template) == (name.0, &name.1)
    }
}

/// What stays closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Deny {
    pub(crate) template: PathTemplate,
    pub(crate) when: Vec<Condition>,
}

impl Listed for Deny {
    type Name = PathTemplate;

    fn is_called(&self, name: &Self::Name) -> bool {
        self.template == *name
    }
}

/// What stays as it is in trees that may be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Protect {
    /// The path below a tree, as one below the workspaces.
    pub(crate) template: PathTemplate,
    /// Whether it counts only where its first name exists.
    pub(crate) existing: bool,
    pub(crate) when: Vec<Condition>,
}

impl Listed for Protect {
    type Name = PathTemplate;

    fn is_called(&self, name: &Self::Name) -> bool {
        self.template == *name
    }
}

/// A grant for sockets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SocketGrant {
    pub(crate) template: PathTemplate,
    pub(crate) reach: Reach,
    pub(crate) bind: bool,
    pub(crate) create: bool,
    pub(crate) when: Vec<Condition>,
}

impl Listed for SocketGrant {
    type Name = (Reach, bool, PathTemplate);

    fn is_called(&self, name: &Self::Name) -> bool {
        (self.reach, self.bind, &self.template) == (name.0, name.1, &name.2)
    }
}

/// An entry of `network.allow` or `network.deny`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HostEntry {
    pub(crate) rule: HostRule,
    pub(crate) when: Vec<Condition>,
}

impl Listed for HostEntry {
    type Name = HostRule;

    fn is_called(&self, name: &HostRule) -> bool {
        self.rule == *name
    }
}

/// A glob over names of variables.
impl Listed for Glob {
    type Name = String;

    fn is_called(&self, name: &String) -> bool {
        self.glob() == name
    }
}

/// Text that is taken as it is.
impl Listed for String {
    type Name = String;

    fn is_called(&self, name: &String) -> bool {
        self == name
    }
}

/// A variable to set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SetVar {
    pub(crate) name: String,
    pub(crate) value: ValueTemplate,
    pub(crate) when_unset: bool,
    pub(crate) when: Vec<Condition>,
}

impl Listed for SetVar {
    type Name = String;

    fn is_called(&self, name: &String) -> bool {
        self.name == *name
    }
}

/// A variable that holds a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CredentialEntry {
    pub(crate) name: String,
    pub(crate) from: From,
    pub(crate) when: Vec<Condition>,
}

/// Where a secret is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum From {
    File(PathTemplate),
    Command(Vec<ValueTemplate>),
}

impl Listed for CredentialEntry {
    type Name = String;

    fn is_called(&self, name: &String) -> bool {
        self.name == *name
    }
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

/// The single values of a profile.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Single {
    pub(crate) workdir: Option<Sourced<Access>>,
    pub(crate) read_only: Option<Sourced<bool>>,
    pub(crate) private_tmp: Option<Sourced<bool>>,
    pub(crate) hide_denied: Option<Sourced<bool>>,
    pub(crate) network: Option<Sourced<NetworkMode>>,
    pub(crate) listen: Option<Sourced<Vec<PortRange>>>,
    pub(crate) expose: Option<Sourced<Vec<PortRange>>>,
    pub(crate) mediation: Option<Sourced<Mediation>>,
    pub(crate) datagrams: Option<Sourced<bool>>,
    pub(crate) isolation: Option<Sourced<Isolation>>,
    pub(crate) isolate: Option<Sourced<Isolation>>,
    pub(crate) observe: Option<Sourced<Observe>>,
    pub(crate) per_second: Option<Sourced<NonZeroU32>>,
    pub(crate) burst: Option<Sourced<NonZeroU32>>,
    pub(crate) limits: BTreeMap<Limit, Sourced<u64>>,
}

impl Single {
    fn over(self, base: Self) -> Self {
        Self {
            workdir: self.workdir.or(base.workdir),
            read_only: self.read_only.or(base.read_only),
            private_tmp: self.private_tmp.or(base.private_tmp),
            hide_denied: self.hide_denied.or(base.hide_denied),
            network: self.network.or(base.network),
            listen: self.listen.or(base.listen),
            expose: self.expose.or(base.expose),
            mediation: self.mediation.or(base.mediation),
            datagrams: self.datagrams.or(base.datagrams),
            isolation: self.isolation.or(base.isolation),
            isolate: self.isolate.or(base.isolate),
            observe: self.observe.or(base.observe),
            per_second: self.per_second.or(base.per_second),
            burst: self.burst.or(base.burst),
            limits: {
                let mut limits = base.limits;
                limits.extend(self.limits);
                limits
            },
        }
    }

    /// The limits alone.
    pub(crate) fn limits(&self) -> Limits {
        let mut limits = Limits::default();
        self.limits.iter().for_each(|(limit, most)| limits.set(*limit, most.value));
        limits
    }

    /// Where the values are written.
    pub(crate) fn origins(&self) -> Origins {
        fn of<T>(value: &Option<Sourced<T>>) -> Option<&Source> {
            value.as_ref().map(|value| &value.source)
        }
        let named = [
            ("filesystem.read_only", of(&self.read_only)),
            ("filesystem.private_tmp", of(&self.private_tmp)),
            ("filesystem.hide_denied", of(&self.hide_denied)),
            ("network.mode", of(&self.network)),
            ("linux.af_unix_mediation", of(&self.mediation)),
            ("linux.af_unix_datagram", of(&self.datagrams)),
            ("isolation", of(&self.isolation)),
            ("network.isolate", of(&self.isolate)),
            ("diagnostics.filesystem", of(&self.observe)),
            ("rate.per_second", of(&self.per_second)),
            ("rate.burst", of(&self.burst)),
        ];
        let written = named.into_iter().filter_map(|(field, source)| Some((field, source?)));
        let limits = self.limits.iter().map(|(limit, most)| (limit.field(), &most.source));
        let mut origins = Origins::default();
        for (field, source) in written.chain(limits) {
            origins.set(field, Origin::Written(source.clone()));
        }
        origins
    }
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

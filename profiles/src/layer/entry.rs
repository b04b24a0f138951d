//! What stands in the lists of a profile.

use super::Listed;
use crate::condition::Condition;
use crate::file_list::FileList;
use crate::template::{PathTemplate, ValueTemplate};
use globset::Glob;
use nono_sandbox::policy::{Access, HostRule, Reach};

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

//! What a supervisor is started with, before it is told anything: the arguments of its process.

use crate::groups::GroupsAt;
use crate::namespaces::Namespaces;
use std::ffi::OsString;

/// What a supervisor makes before it waits for work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Startup {
    /// The namespaces it goes into.
    pub namespaces: Option<Namespaces>,
    /// Where it makes groups for its run.
    pub groups: Option<GroupsAt>,
}

/// In the place of a name of namespaces: there are none.
const NONE: &str = "none";

impl Startup {
    /// The first argument that makes the server's binary a supervisor; the others follow it.
    pub const MODE: &str = "__supervise";

    /// All arguments of the process.
    #[must_use]
    pub fn to_arguments(&self) -> Vec<OsString> {
        let namespaces = self.namespaces.map_or(NONE, Namespaces::name);
        let groups = self.groups.iter().flat_map(GroupsAt::to_arguments);
        [Self::MODE, namespaces].map(OsString::from).into_iter().chain(groups).collect()
    }

    /// What [`Self::to_arguments`] made, without the first one; `None` for anything else.
    #[must_use]
    pub fn from_arguments(arguments: impl IntoIterator<Item = OsString>) -> Option<Self> {
        let mut arguments = arguments.into_iter().peekable();
        let namespaces = match arguments.next()?.to_str()? {
            NONE => None,
            name => Some(Namespaces::named(name)?),
        };
        let groups = match arguments.peek() {
            Some(_) => Some(GroupsAt::from_arguments(arguments.by_ref())?),
            None => None,
        };
        arguments.next().is_none().then_some(Self { namespaces, groups })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Cgroups;

    #[test]
    fn arguments_come_back() {
        let parents = Cgroups { memory: Some("/a b".into()), ..Cgroups::default() };
        for namespaces in [None, Some(Namespaces::Privileged), Some(Namespaces::ByUser)] {
            for groups in [None, Some(GroupsAt { server: 7, parents: parents.clone() })] {
                let startup = Startup { namespaces, groups };
                let arguments = startup.to_arguments();
                let (mode, rest) = arguments.split_first().unwrap();
                assert_eq!(mode, Startup::MODE);
                assert_eq!(Startup::from_arguments(rest.to_vec()), Some(startup));
            }
        }
    }

    #[test]
    fn anything_else_is_refused() {
        let refused = |words: &[&str]| {
            let words = words.iter().map(OsString::from);
            assert_eq!(Startup::from_arguments(words), None);
        };
        refused(&[]);
        refused(&[""]);
        refused(&["sh", "-c", "echo"]);
        refused(&["none", "sh", "-c", "echo"]);
        refused(&["user", "1"]);
        refused(&["none", "1", "", "", "", "more"]);
    }
}

//! What a command may do. Pure data and pure questions; nothing here touches the system.
//!
//! One resolved [`Policy`] is passed by reference to everything that needs an answer: the Landlock
//! compiler, the mediator and the diagnostics ask the same object, so two layers cannot disagree.

mod denied;
mod environment;
mod fs;
mod fs_index;
mod limits;
mod network;
mod origin;
mod own_view;
mod protected;
mod read_only;
mod settled;
mod unix_socket;
mod view;

pub use denied::Denied;
pub use environment::Environment;
pub use fs::{Access, FsPolicy, FsRule, Lookup, Scope};
pub use fs_index::FsIndex;
pub use limits::{Exceeded, Limit, Limits, Resource};
pub use network::{
    BadHost, Binding, Closed, DNS_PORT, DomainName, Host, HostGrant, HostPattern, HostRule,
    NameVerdict, NetworkMode, NetworkPolicy, NetworkReach, PortRange, Ports, Special, is_global,
    meant,
};
pub use origin::{Origin, Origins};
pub use own_view::{OwnView, PrivateTmp};
pub use protected::{Protected, ProtectedPattern, any_spelling};
pub use read_only::ReadOnly;
pub use settled::SettledPolicy;
pub use unix_socket::{Mediation, Reach, UnixGrant, UnixPolicy};
pub use view::{Hiding, Tmp};

use crate::IpcScope;
use crate::rate::Quota;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Everything one profile allows, resolved: no names, no variables, no inheritance left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// The profile's name, as results show it.
    pub name: String,
    /// Files and folders.
    pub fs: FsPolicy,
    /// AF_UNIX sockets.
    pub unix: UnixPolicy,
    /// Everything that is not AF_UNIX.
    pub network: NetworkPolicy,
    /// Which variables the command sees.
    pub environment: Environment,
    /// How fast charged calls ([`crate::rate::charge`]) may come before they are slowed down.
    pub rate: Quota,
    /// Which file-system calls are watched, so that denials can be reported.
    pub observe: Observe,
    /// How much of the machine a run may use.
    pub limits: Limits,
    /// Whether runs are in namespaces of their own.
    pub isolation: Isolation,
    /// Where the single values come from.
    pub origins: Origins,
}

impl Policy {
    /// Whether sends that may carry an address are performed by the supervisor: where addresses of
    /// IP are judged, and where there may be UNIX datagrams whose paths or names are.
    #[must_use]
    pub fn sends_are_mediated(&self, ipc: IpcScope) -> bool {
        let datagrams = match self.unix.mediation {
            Mediation::Pathname => self.unix.datagrams,
            Mediation::Off => ipc == IpcScope::Mediated,
        };
        datagrams || self.network.mode.is_closed()
    }
}

/// Whether a run is in namespaces of its own, the least first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Isolation {
    /// It is not.
    Off,
    /// It is where the system allows that.
    #[default]
    Auto,
    /// It is, and nothing runs where the system does not allow that.
    Required,
}

impl Isolation {
    /// What it is called in profiles.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Auto => "auto",
            Self::Required => "required",
        }
    }
}

/// Which file-system calls are watched for denials. Watching decides nothing: Landlock does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Observe {
    /// Calls that open, create, change or execute.
    All,
    /// As `All`, without most opens that only read (see the filter for which).
    Writes,
    /// None; what Landlock refuses is read from the kernel's audit log instead (ABI 7, and a
    /// server that may read that log).
    Audit,
    /// None.
    Off,
}

impl Observe {
    /// Whether any call is trapped to be looked at.
    #[must_use]
    pub fn watches(self) -> bool {
        matches!(self, Self::All | Self::Writes)
    }
}

/// Where a rule was written, for diagnostics.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Source {
    /// The profile's name.
    pub profile: String,
    /// The field and entry, such as `filesystem.read: /usr`.
    pub rule: String,
    /// The line in the profile's file, counted from 1.
    pub line: Option<u32>,
}

impl Source {
    /// In the place of a profile's name: the operator said it when the server was started.
    pub const COMMAND_LINE: &'static str = "command line";

    /// Whether the operator said it beside the profile, which then has no say.
    #[must_use]
    pub fn is_of_command_line(&self) -> bool {
        self.profile == Self::COMMAND_LINE
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            _ if self.is_of_command_line() => f.write_str("the command line"),
            Some(line) => write!(f, "profile {}:{line}", self.profile),
            None => write!(f, "profile {}", self.profile),
        }
    }
}

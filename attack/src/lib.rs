//! Ways out of the sandbox, tried one by one.
//!
//! A *probe* is one system call or one trick. It says `ok` where it got out, with a detail, or the
//! errno that stopped it. The same probe runs twice: in the sandbox, and outside of it as its own
//! control, because what does not work anywhere shows nothing. What is expected of each is data
//! ([`Expect`]), and whatever stays open says why.
//!
//! The [`Scene`] is the host side: files, a process, sockets and objects of the same user, which
//! nothing grants.

mod probes;
mod scene;
mod sys;
mod targets;
mod verdict;

pub use scene::{Scene, SceneError};
pub use targets::Targets;
pub use verdict::{Layers, Said, Verdict, judge};

use nix::errno::Errno;

/// What a probe found: a detail, or what stopped it.
pub type Outcome = Result<String, Errno>;

/// One way out.
#[derive(Debug, Clone, Copy)]
pub struct Probe {
    /// Stable name.
    pub name: &'static str,
    /// What it tries, in a few words.
    pub what: &'static str,
    /// What the sandbox is expected to make of it.
    pub expect: Expect,
    /// What it does where there is no sandbox.
    pub control: Control,
    /// Where it shows that it got out.
    pub evidence: Evidence,
    run: fn(&Targets) -> Outcome,
}

/// What the sandbox makes of a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// Refused, in every profile and every tier.
    Closed,
    /// Refused where runs have namespaces of their own; elsewhere open, and this is why.
    ByNamespaces(&'static str),
    /// Refused unless the profile's network has the services of this machine, as all but `none` do.
    ByLoopback,
    /// Refused unless the profile's network is open.
    ByNetwork,
    /// Refused unless datagrams from other machines reach a socket that has sent, as in the network
    /// modes `hosts` and `open`.
    ByDatagrams,
    /// Refused unless other machines reach what listens: with an open network, or exposed ports.
    ByExposure,
    /// Open, and why that is accepted.
    Open(&'static str),
    /// Meant to work: a sandbox that refuses it breaks programs.
    Works,
}

/// What a probe does where there is no sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Control {
    /// It gets through, whoever tries.
    Through,
    /// It takes rights that only root has.
    ThroughForRoot,
    /// The call reaches the kernel, which answers this.
    Answers(Errno),
    /// It gets through if the kernel was built with it.
    ThroughIfBuilt,
}

/// Where a probe shows that it got out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Evidence {
    /// In what it says.
    Answer,
    /// In a file it leaves in the workspace when it should be gone.
    Marker,
}

impl Probe {
    const fn new(name: &'static str, what: &'static str, run: fn(&Targets) -> Outcome) -> Self {
        let (expect, control) = (Expect::Closed, Control::Through);
        Self { name, what, expect, control, evidence: Evidence::Answer, run }
    }

    const fn expect(self, expect: Expect) -> Self {
        Self { expect, ..self }
    }

    const fn open(self, why: &'static str) -> Self {
        self.expect(Expect::Open(why))
    }

    const fn root(self) -> Self {
        Self { control: Control::ThroughForRoot, ..self }
    }

    const fn answers(self, errno: Errno) -> Self {
        Self { control: Control::Answers(errno), ..self }
    }

    const fn if_built(self) -> Self {
        Self { control: Control::ThroughIfBuilt, ..self }
    }

    const fn marker(self) -> Self {
        Self { evidence: Evidence::Marker, ..self }
    }
}

/// All probes, by area.
pub const AREAS: &[(&str, &[Probe])] = &[
    ("lifetimes", probes::lifetimes::PROBES),
    ("files", probes::files::PROBES),
    ("links and renames", probes::links::PROBES),
    ("run later", probes::later::PROBES),
    ("devices", probes::devices::PROBES),
    ("metadata", probes::metadata::PROBES),
    ("procfs", probes::procfs::PROBES),
    ("inherited", probes::inherited::PROBES),
    ("AF_UNIX", probes::unix::PROBES),
    ("IP and other sockets", probes::inet::PROBES),
    ("socket options", probes::options::PROBES),
    ("foreign doors", probes::doors::PROBES),
    ("namespaces and mounts", probes::namespaces::PROBES),
    ("other processes", probes::processes::PROBES),
    ("keyrings and IPC", probes::ipc::PROBES),
    ("terminals", probes::terminals::PROBES),
    ("resources", probes::resources::PROBES),
];

/// Every probe, in the order they are tried.
pub fn all() -> impl Iterator<Item = &'static Probe> {
    AREAS.iter().flat_map(|(_, probes)| probes.iter())
}

/// Runs one probe of this name; `None` if there is none.
#[must_use]
pub fn run(name: &str, targets: &Targets) -> Option<Outcome> {
    all().find(|probe| probe.name == name).map(|probe| (probe.run)(targets))
}

/// The process that is attacked: says where its things are, and waits for its input to end.
///
/// # Errors
/// The errno of what it could not make.
pub fn victim() -> Outcome {
    scene::victim()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn there_are_enough_and_each_has_a_name_of_its_own() {
        let names: HashSet<&str> = all().map(|p| p.name).collect();
        assert_eq!(names.len(), all().count());
        assert!(names.len() >= 270, "{}", names.len());
    }

    #[test]
    fn whatever_stays_open_says_why() {
        for probe in all() {
            if let Expect::Open(why) | Expect::ByNamespaces(why) = probe.expect {
                assert!(why.len() > 20, "{}", probe.name);
            }
        }
    }

    #[test]
    fn few_stay_open() {
        let open = all().filter(|p| matches!(p.expect, Expect::Open(_))).count();
        assert!(open <= 11, "{open}");
        let unix = AREAS.iter().find(|(area, _)| *area == "AF_UNIX").map(|(_, probes)| *probes);
        for probe in unix.into_iter().flatten() {
            assert!(matches!(probe.expect, Expect::Closed | Expect::Works), "{}", probe.name);
        }
    }
}

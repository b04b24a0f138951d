//! What two answers to the same probe show. Pure.

use crate::{Control, Expect, Probe};
use nix::errno::Errno;

/// What a probe said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// It got out.
    Out(String),
    /// The errno that stopped it.
    Stopped(String),
    /// It ended without a word, or never began.
    Nothing(String),
}

impl Said {
    /// From its standard output and how it ended.
    #[must_use]
    pub fn parse(output: &str, ended: &str) -> Self {
        match output.trim_end().lines().last() {
            Some("ok") => Self::Out(String::new()),
            Some(line) if line.starts_with("ok ") => Self::Out(line[3..].to_owned()),
            Some(line) if line.starts_with('E') => Self::Stopped(line.to_owned()),
            _ => Self::Nothing(ended.to_owned()),
        }
    }

    /// In one or two words.
    #[must_use]
    pub fn words(&self) -> &str {
        match self {
            Self::Out(_) => "ok",
            Self::Stopped(errno) => errno,
            Self::Nothing(ended) => ended,
        }
    }

    fn reaches(&self, control: Control) -> bool {
        match (self, control) {
            (Self::Out(_), _) => true,
            (Self::Stopped(errno), Control::Answers(expected)) => *errno == name(expected),
            _ => false,
        }
    }
}

fn name(errno: Errno) -> String {
    format!("{errno:?}")
}

/// What is in force while the battery runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layers {
    /// Whether runs have namespaces of their own.
    pub namespaces: bool,
    /// Whether the profile's network has the services of this machine.
    pub loopback: bool,
    /// Whether it is open.
    pub open_network: bool,
    /// Whether datagrams from other machines reach a socket that has sent.
    pub datagrams: bool,
    /// Whether other machines reach what listens, on any port.
    pub exposed: bool,
}

/// What came of a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Got out without the sandbox and not with it.
    Closed,
    /// As `Closed`, but nobody of this user's rights gets out here without the sandbox either.
    ClosedAnyway,
    /// Got out, and that is accepted.
    Accepted(&'static str),
    /// Got out, and should not have.
    Escaped,
    /// A legitimate thing works.
    Works,
    /// A legitimate thing does not work.
    Broken,
}

impl Verdict {
    /// Whether this is as expected.
    #[must_use]
    pub fn is_good(self) -> bool {
        !matches!(self, Self::Escaped | Self::Broken)
    }
}

/// Compares the answer in the sandbox with the one outside.
#[must_use]
pub fn judge(probe: &Probe, inside: &Said, outside: &Said, layers: Layers) -> Verdict {
    let out = inside.reaches(probe.control);
    match probe.expect {
        Expect::Works if out => return Verdict::Works,
        Expect::Works => return Verdict::Broken,
        _ if !out && outside.reaches(probe.control) => return Verdict::Closed,
        _ if !out => return Verdict::ClosedAnyway,
        _ => {}
    }
    match probe.expect {
        Expect::Open(why) => Verdict::Accepted(why),
        Expect::ByNamespaces(why) if !layers.namespaces => Verdict::Accepted(why),
        Expect::ByLoopback if layers.loopback => {
            Verdict::Accepted("the profile's network has the services of this machine")
        }
        Expect::ByNetwork if layers.open_network => {
            Verdict::Accepted("the profile's network is open")
        }
        Expect::ByDatagrams if layers.datagrams => {
            Verdict::Accepted("the profile's network has datagrams from other machines")
        }
        Expect::ByExposure if layers.exposed => {
            Verdict::Accepted("the profile's network lets other machines in")
        }
        _ => Verdict::Escaped,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Layers {
        fn with_network(namespaces: bool, on: bool) -> Self {
            let (loopback, open_network, datagrams, exposed) = (on, on, on, on);
            Self { namespaces, loopback, open_network, datagrams, exposed }
        }
    }

    fn probe(expect: Expect, control: Control) -> Probe {
        Probe { control, ..Probe::new("x", "x", |_| Err(Errno::EPERM)).expect(expect) }
    }

    #[test]
    fn answers_are_read() {
        assert_eq!(Said::parse("ok\n", ""), Said::Out(String::new()));
        assert_eq!(Said::parse("ok 7 bytes\n", ""), Said::Out("7 bytes".into()));
        assert_eq!(Said::parse("EACCES\n", ""), Said::Stopped("EACCES".into()));
        assert_eq!(Said::parse("", "SIGSYS"), Said::Nothing("SIGSYS".into()));
    }

    #[test]
    fn verdicts() {
        let (ok, no) = (Said::Out(String::new()), Said::Stopped("EACCES".into()));
        let (bare, full) = (Layers::with_network(false, true), Layers::with_network(true, false));
        let closed = probe(Expect::Closed, Control::Through);
        assert_eq!(judge(&closed, &no, &ok, full), Verdict::Closed);
        assert_eq!(judge(&closed, &ok, &ok, full), Verdict::Escaped);
        assert_eq!(judge(&closed, &no, &no, full), Verdict::ClosedAnyway);
        let answered = probe(Expect::Closed, Control::Answers(Errno::EACCES));
        assert_eq!(judge(&answered, &no, &no, full), Verdict::Escaped);
        let loopback = probe(Expect::ByLoopback, Control::Through);
        assert_eq!(judge(&loopback, &ok, &ok, full), Verdict::Escaped);
        assert!(judge(&loopback, &ok, &ok, Layers { open_network: false, ..bare }).is_good());
        let network = probe(Expect::ByNetwork, Control::Through);
        let proxied = Layers { open_network: false, ..bare };
        assert_eq!(judge(&network, &ok, &ok, proxied), Verdict::Escaped);
        assert_eq!(judge(&network, &ok, &ok, full), Verdict::Escaped);
        assert!(judge(&network, &ok, &ok, bare).is_good());
        for expect in [Expect::ByDatagrams, Expect::ByExposure] {
            let reached = probe(expect, Control::Through);
            assert!(judge(&reached, &ok, &ok, bare).is_good());
            assert_eq!(judge(&reached, &ok, &ok, full), Verdict::Escaped);
        }
        let layered = probe(Expect::ByNamespaces("why"), Control::Through);
        assert_eq!(judge(&layered, &ok, &ok, bare), Verdict::Accepted("why"));
        assert_eq!(judge(&layered, &ok, &ok, full), Verdict::Escaped);
        let works = probe(Expect::Works, Control::Through);
        assert_eq!(judge(&works, &no, &ok, full), Verdict::Broken);
    }
}

//! Conditions of entries: `linux:ubuntu:>=24.04`, `arch:x86_64`, `landlock:>=6`, `program:go`, `!…`.

use crate::machine::Machine;
use std::cmp::Ordering;
use std::fmt;

/// One condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Condition {
    negated: bool,
    fact: Fact,
    text: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Fact {
    Linux,
    OtherSystem,
    Distribution(String, Option<Version>),
    Architecture(String),
    Landlock(Version),
    Program(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Version {
    operator: Operator,
    parts: Vec<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    AtLeast,
    AtMost,
    More,
    Less,
    Is,
}

const KNOWN: &str = "known: linux, linux:NAME, linux:NAME:>=VERSION, arch:NAME, landlock:>=ABI, \
                     program:NAME, each with `!` in front or without";

impl Condition {
    /// Reads a condition; the error is a sentence.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let (negated, rest) = match text.strip_prefix('!') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let parts: Vec<&str> = rest.split(':').collect();
        let fact = match parts.as_slice() {
            ["linux"] => Fact::Linux,
            ["macos" | "windows"] => Fact::OtherSystem,
            ["linux", name] if !name.is_empty() => Fact::Distribution(name.to_lowercase(), None),
            ["linux", name, version] if !name.is_empty() => {
                Fact::Distribution(name.to_lowercase(), Some(Version::parse(version)?))
            }
            ["arch", name] if !name.is_empty() => Fact::Architecture((*name).to_owned()),
            ["landlock", version] => Fact::Landlock(Version::parse(version)?),
            ["program", name] if !name.is_empty() && !name.contains('/') => {
                Fact::Program((*name).to_owned())
            }
            _ => return Err(format!("unknown condition `{text}`; {KNOWN}")),
        };
        Ok(Self { negated, fact, text: text.to_owned() })
    }

    /// Whether it holds on `machine`.
    pub(crate) fn holds(&self, machine: &Machine) -> bool {
        let fact = match &self.fact {
            Fact::Linux => true,
            Fact::OtherSystem => false,
            Fact::Distribution(name, version) => {
                machine.distributions.contains(name)
                    && version.as_ref().is_none_or(|v| v.holds(&numbers(&machine.version)))
            }
            Fact::Architecture(name) => name == std::env::consts::ARCH,
            Fact::Landlock(version) => version.holds(&[machine.landlock_abi]),
            Fact::Program(name) => machine.has_program(name),
        };
        fact != self.negated
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Version {
    fn parse(text: &str) -> Result<Self, String> {
        const OPERATORS: [(&str, Operator); 5] = [
            (">=", Operator::AtLeast),
            ("<=", Operator::AtMost),
            (">", Operator::More),
            ("<", Operator::Less),
            ("=", Operator::Is),
        ];
        let found = OPERATORS.iter().find_map(|(sign, op)| Some((*op, text.strip_prefix(sign)?)));
        let Some((operator, number)) = found else {
            return Err(format!("`{text}` is not a version; write `>=6`, `<24.04` or `=12`"));
        };
        let parts = number.split('.').map(str::parse).collect::<Result<Vec<u32>, _>>();
        match parts {
            Ok(parts) => Ok(Self { operator, parts }),
            Err(_) => Err(format!("`{number}` is not a version number such as 24.04")),
        }
    }

    fn holds(&self, found: &[u32]) -> bool {
        if found.is_empty() {
            return false;
        }
        let length = found.len().max(self.parts.len());
        let padded = |parts: &[u32]| {
            parts.iter().copied().chain(std::iter::repeat(0)).take(length).collect::<Vec<_>>()
        };
        let order = padded(found).cmp(&padded(&self.parts));
        match self.operator {
            Operator::AtLeast => order != Ordering::Less,
            Operator::AtMost => order != Ordering::Greater,
            Operator::More => order == Ordering::Greater,
            Operator::Less => order == Ordering::Less,
            Operator::Is => order == Ordering::Equal,
        }
    }
}

/// The numbers of a version; none if it has anything else in it.
fn numbers(version: &str) -> Vec<u32> {
    version.split('.').map(str::parse).collect::<Result<_, _>>().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_hold_or_not() {
        let machine = Machine {
            distributions: vec!["ubuntu".into(), "debian".into()],
            version: "24.04".into(),
            landlock_abi: 6,
            path: vec!["/nowhere".into(), "/bin".into()],
        };
        for (text, expected) in [
            ("linux", true),
            ("!linux", false),
            ("macos", false),
            ("!macos", true),
            ("linux:ubuntu", true),
            ("linux:Debian", true),
            ("linux:fedora", false),
            ("!linux:nixos", true),
            ("linux:ubuntu:>=24.04", true),
            ("linux:ubuntu:>=24.10", false),
            ("linux:ubuntu:<24.4.1", true),
            ("linux:ubuntu:=24.4.0", true),
            ("linux:ubuntu:>24.04", false),
            ("landlock:>=6", true),
            ("landlock:>=9", false),
            ("!landlock:>=9", true),
            ("landlock:<=6", true),
            (concat!("arch:", "none"), false),
            ("program:sh", true),
            ("program:no-such-program", false),
            ("!program:no-such-program", true),
        ] {
            assert_eq!(Condition::parse(text).unwrap().holds(&machine), expected, "{text}");
        }
        let here = format!("arch:{}", std::env::consts::ARCH);
        assert!(Condition::parse(&here).unwrap().holds(&machine));
        let rolling = Machine { version: String::new(), ..machine };
        assert!(!Condition::parse("linux:ubuntu:<99").unwrap().holds(&rolling));
    }

    #[test]
    fn unknown_conditions_are_errors() {
        for text in [
            "",
            "!",
            "linus",
            "linux:",
            "linux:a:1",
            "landlock",
            "landlock:6",
            "landlock:>=x",
            "arch:",
            "program:",
            "program:/bin/sh",
        ] {
            assert!(Condition::parse(text).is_err(), "{text}");
        }
    }
}

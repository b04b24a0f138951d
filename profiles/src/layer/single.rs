//! The single values of a profile: those that are not lists of entries.

use super::field::value;
use super::{Sourced, network};
use crate::error::ProfileError;
use crate::load::Document;
use nono_sandbox::policy::{
    Access, Hiding, Isolation, Limit, Limits, Mediation, NetworkMode, Observe, Origin, Origins,
    PortRange, Source,
};
use nono_schemas::profile_file as wire;
use std::collections::BTreeMap;
use std::num::{NonZeroU32, NonZeroU64};

/// Network of a profile that says nothing about it: what it lists, and loopback.
const DEFAULT_MODE: NetworkMode = NetworkMode::Proxy;

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
    /// Reads them from a file.
    pub(super) fn of(document: &Document) -> Result<Self, ProfileError> {
        let file = &document.file;
        Ok(Self {
            workdir: file.workdir.as_ref().map(|workdir| workspace_access(document, workdir)),
            read_only: plain(document, "filesystem.read_only", file.filesystem.read_only),
            private_tmp: plain(document, "filesystem.private_tmp", file.filesystem.private_tmp),
            hide_denied: plain(document, "filesystem.hide_denied", file.filesystem.hide_denied),
            network: file.network.mode.map(|mode| network::mode(document, mode)),
            listen: match &file.network.listen {
                Some(list) => Some(network::ports(document, "listen", list)?),
                None => None,
            },
            expose: match file.network.expose.as_slice() {
                [] => None,
                list => Some(network::ports(document, "expose", list)?),
            },
            mediation: file.linux.af_unix_mediation.map(|mode| {
                let (name, mediation) = match mode {
                    wire::AfUnixMediation::Pathname => ("pathname", Mediation::Pathname),
                    wire::AfUnixMediation::Off => ("off", Mediation::Off),
                };
                value(document, "linux.af_unix_mediation", name, mediation)
            }),
            datagrams: plain(document, "linux.af_unix_datagram", file.linux.af_unix_datagram),
            isolation: file.isolation.map(|wanted| isolation(document, "isolation", wanted)),
            isolate: file
                .network
                .isolate
                .map(|wanted| isolation(document, "network.isolate", wanted)),
            observe: file.diagnostics.filesystem.map(|mode| {
                let (name, observe) = match mode {
                    wire::FilesystemDiagnostics::Observe => ("observe", Observe::All),
                    wire::FilesystemDiagnostics::Writes => ("writes", Observe::Writes),
                    wire::FilesystemDiagnostics::Audit => ("audit", Observe::Audit),
                    wire::FilesystemDiagnostics::Off => ("off", Observe::Off),
                };
                value(document, "diagnostics.filesystem", name, observe)
            }),
            per_second: plain(document, "rate.per_second", file.rate.per_second),
            burst: plain(document, "rate.burst", file.rate.burst),
            limits: limits(document),
        })
    }

    pub(super) fn over(self, base: Self) -> Self {
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

    /// Which network there is, said or not.
    pub(crate) fn mode(&self) -> NetworkMode {
        self.network.as_ref().map_or(DEFAULT_MODE, |mode| mode.value)
    }

    /// What commands see of what is denied.
    pub(crate) fn hiding(&self) -> Hiding {
        let hide = self.hide_denied.as_ref().is_some_and(|on| on.value);
        if hide { Hiding::Wanted } else { Hiding::Off }
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

/// A value that is written as it is read.
fn plain<T: Copy + ToString>(
    document: &Document,
    field: &str,
    written: Option<T>,
) -> Option<Sourced<T>> {
    written.map(|it| value(document, field, &it.to_string(), it))
}

fn limits(document: &Document) -> BTreeMap<Limit, Sourced<u64>> {
    let limits = &document.file.limits;
    let written = [
        (Limit::Cpu, limits.cpu_ms.map(NonZeroU64::get)),
        (Limit::Memory, limits.memory_bytes.map(NonZeroU64::get)),
        (Limit::Tasks, limits.processes.map(|n| u64::from(n.get()))),
        (Limit::OpenFiles, limits.open_files.map(NonZeroU64::get)),
        (Limit::FileSize, limits.file_size_bytes.map(NonZeroU64::get)),
        (Limit::Output, limits.output_bytes.map(NonZeroU64::get)),
    ];
    let sourced =
        |(limit, most): (Limit, Option<u64>)| Some((limit, plain(document, limit.field(), most)?));
    written.into_iter().filter_map(sourced).collect()
}

fn workspace_access(document: &Document, workdir: &wire::Workdir) -> Sourced<Access> {
    let read = Access::READ | Access::EXECUTE;
    let (name, access) = match workdir.access {
        wire::WorkdirAccess::None => ("none", Access::empty()),
        wire::WorkdirAccess::Read => ("read", read),
        wire::WorkdirAccess::Write => ("write", Access::WRITE),
        wire::WorkdirAccess::ReadWrite => ("readwrite", read | Access::WRITE),
    };
    value(document, "workdir.access", name, access)
}

fn isolation(document: &Document, field: &str, wanted: wire::Isolation) -> Sourced<Isolation> {
    let isolation = match wanted {
        wire::Isolation::Auto => Isolation::Auto,
        wire::Isolation::Required => Isolation::Required,
        wire::Isolation::Off => Isolation::Off,
    };
    value(document, field, isolation.name(), isolation)
}

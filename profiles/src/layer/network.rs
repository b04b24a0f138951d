//! The `network` object of a file: texts become rules for hosts and ports.

use super::field::{Entries, conditions, value};
use super::{HostEntry, List, Removal, Sourced};
use crate::error::ProfileError;
use crate::load::Document;
use nono_sandbox::policy::{HostRule, NetworkMode, PortRange};
use nono_schemas::profile_file as wire;

/// Entries of a list of hosts, and those to take out of it.
pub(super) fn hosts(
    document: &Document,
    name: &str,
    (added, removed): (&[wire::HostEntry], &[String]),
) -> Result<List<HostEntry>, ProfileError> {
    let field = format!("network.{name}");
    let entry = |(index, entry): (usize, &wire::HostEntry)| {
        let text = entry.host();
        let refuse = |message: String| document.refuse_entry(&field, index, text, message);
        let rule: HostRule = text.parse().map_err(|e| refuse(format!("{e}")))?;
        let when = conditions(entry.when()).map_err(refuse)?;
        let source = document.entry(&field, index, text);
        let value = HostEntry { rule, when };
        Ok(Sourced { value, source, built_in: document.is_built_in() })
    };
    let added = added.iter().enumerate().map(entry).collect::<Entries<HostEntry>>()?;
    let field = format!("remove.network.{name}");
    let removal = |(index, text): (usize, &String)| {
        let refuse = |message: String| document.refuse_entry(&field, index, text, message);
        let name: HostRule = text.parse().map_err(|e| refuse(format!("{e}")))?;
        Ok(Removal { name, source: document.entry(&field, index, text), used: false })
    };
    let removed = removed.iter().enumerate().map(removal).collect::<Result<_, ProfileError>>()?;
    Ok(List { added: List::adding(added).added, removed })
}

/// A list of ports, as a whole.
pub(super) fn ports(
    document: &Document,
    name: &str,
    list: &[wire::PortEntry],
) -> Result<Sourced<Vec<PortRange>>, ProfileError> {
    let field = format!("network.{name}");
    let texts: Vec<String> = list.iter().map(text).collect();
    let port = |(index, text): (usize, &String)| {
        let wrong = |e| document.refuse_entry(&field, index, text, format!("{e}"));
        text.parse::<PortRange>().map_err(wrong)
    };
    let ports = texts.iter().enumerate().map(port).collect::<Result<_, _>>()?;
    Ok(value(document, &field, &texts.join(", "), ports))
}

fn text(entry: &wire::PortEntry) -> String {
    match entry {
        wire::PortEntry::One(port) => port.to_string(),
        wire::PortEntry::Range(text) => text.clone(),
    }
}

/// The mode.
pub(super) fn mode(document: &Document, mode: wire::NetworkMode) -> Sourced<NetworkMode> {
    let mode = match mode {
        wire::NetworkMode::None => NetworkMode::None,
        wire::NetworkMode::Loopback => NetworkMode::Loopback,
        wire::NetworkMode::Proxy => NetworkMode::Proxy,
        wire::NetworkMode::Hosts => NetworkMode::Hosts,
        wire::NetworkMode::Open => NetworkMode::Open,
    };
    value(document, "network.mode", mode.name(), mode)
}

//! The smallest addition to a profile that a run's denials ask for.

use super::text::word;
use crate::safe_text::clean;
use nono_schemas::{
    DenialItem, Denials, FilesystemGrant, Grant, Grantable, NetworkGrant, Relevance, Risk,
};
use serde_json::Value;
use std::fmt::Write;

/// A draft for the operator, with what was left out of it and why. Nothing denied can be in it:
/// such denials have no grant.
pub(crate) fn addition(profile: &str, denials: &Denials) -> String {
    let mut text = String::new();
    let mut drafted = Grant::default();
    let mut left = String::new();
    let mut granted = 0_u32;
    for item in &denials.items {
        match left_out(item) {
            None => {
                if let Some(grant) = &item.grant {
                    merge(&mut drafted.filesystem, &grant.filesystem);
                    merge_network(&mut drafted.network, &grant.network);
                    let linux = &mut drafted.linux;
                    linux.af_unix_datagram =
                        linux.af_unix_datagram.or(grant.linux.af_unix_datagram);
                    granted += 1;
                }
            }
            // Writing to a string cannot fail.
            Some(why) => {
                let operation = word(&item.operation);
                let target = clean::quoted(&item.target);
                let _infallible = writeln!(left, "# left out: {operation} {target}: {why}");
            }
        }
    }
    let _infallible = writeln!(
        text,
        "# observed: {} denials of {} things; granted by the draft: {granted} of {}",
        denials.total,
        denials.distinct,
        denials.items.len(),
    );
    text.push_str(&left);
    if denials.dropped > 0 {
        text.push_str("# there were more than fit: add the draft, then learn again\n");
    }
    if granted == 0 {
        text.push_str("# nothing to add\n");
        return text;
    }
    let mut draft = serde_json::json!({ "meta": {"name": "learned"}, "extends": profile });
    if let (Some(all), Ok(Value::Object(parts))) =
        (draft.as_object_mut(), serde_json::to_value(&drafted))
    {
        all.extend(parts);
    }
    text.push_str(&serde_json::to_string_pretty(&draft).unwrap_or_default());
    text.push('\n');
    text
}

/// Why a denial gets no entry.
fn left_out(item: &DenialItem) -> Option<String> {
    let risky = item.risk_why.as_ref().filter(|_| item.risk == Some(Risk::High));
    match (item.relevance, item.grantable, risky) {
        (Relevance::Benign, ..) => Some(format!("not needed: {}", item.why)),
        (_, Grantable::Never, _) => Some("protected".to_owned()),
        (_, Grantable::NotByGrant | Grantable::ByCall, _) => Some(item.decided_by.rule.clone()),
        (.., Some(why)) => Some(format!("high risk: {why}")),
        (_, Grantable::OperatorOnly, None) if item.grant.is_none() => {
            Some("nothing narrow would allow it".to_owned())
        }
        (_, Grantable::OperatorOnly, None) => None,
    }
}

/// Adds entries that are not there yet.
fn merge(into: &mut FilesystemGrant, from: &FilesystemGrant) {
    let lists = [
        (&mut into.allow, &from.allow),
        (&mut into.read, &from.read),
        (&mut into.write, &from.write),
        (&mut into.allow_file, &from.allow_file),
        (&mut into.read_file, &from.read_file),
        (&mut into.write_file, &from.write_file),
        (&mut into.unix_socket, &from.unix_socket),
        (&mut into.unix_socket_bind, &from.unix_socket_bind),
    ];
    lists.into_iter().for_each(|(list, more)| append(list, more));
    into.read_only = into.read_only.or(from.read_only);
}

fn merge_network(into: &mut NetworkGrant, from: &NetworkGrant) {
    // The wider mode has all that the narrower has.
    into.mode = into.mode.max(from.mode);
    append(&mut into.allow, &from.allow);
    append(&mut into.listen, &from.listen);
    append(&mut into.expose, &from.expose);
}

fn append(list: &mut Vec<String>, more: &[String]) {
    for entry in more {
        if !list.contains(entry) {
            list.push(entry.clone());
        }
    }
}

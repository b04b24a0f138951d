//! What a profile allows, for somebody who asks about nothing in particular.

use super::view::View;
use crate::safe_text::clean;
use nono_sandbox::AbsPath;
use nono_sandbox::policy::{Access, FsRule, Mediation, NetworkMode, Observe};

/// The profile in a few lines.
pub(super) fn in_short(view: View<'_>) -> Vec<String> {
    /// Entries of a list that are named.
    const MOST: usize = 12;
    let policy = view.policy;
    let list = |mut names: Vec<String>| {
        let more = names.len().saturating_sub(MOST);
        names.truncate(MOST);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        if names.is_empty() { "none".to_owned() } else { names.join(", ") + &more }
    };
    let name = |path: &AbsPath| clean::name(path.as_bytes());
    let read = |r: &&FsRule| r.access.contains(Access::READ) && !r.access.contains(Access::WRITE);
    let unix = &policy.unix;
    let hosts = || list(policy.network.allow.iter().map(|a| a.rule.to_string()).collect());
    let network = match policy.network.mode {
        NetworkMode::Open => "TCP and UDP open".to_owned(),
        NetworkMode::Hosts => format!("loopback, and listed hosts: {}", hosts()),
        NetworkMode::Proxy => format!("loopback, and through a proxy: {}", hosts()),
        NetworkMode::Loopback => "loopback only".to_owned(),
        NetworkMode::None => "none, loopback included".to_owned(),
    };
    let sockets = match unix.mediation {
        Mediation::Off => "not restricted".to_owned(),
        Mediation::Pathname => list(unix.grants.iter().map(|g| name(&g.path)).collect()),
    };
    let watched = match policy.observe {
        Observe::All => "all calls that open, create, change or execute",
        Observe::Writes => "calls that change something or execute, reading where that is cheap",
        Observe::Audit => "none; the kernel's audit log says what it refuses",
        Observe::Off => "none; file-system denials are not reported",
    };
    let layers = view.layers.iter().filter(|l| l.is_active()).map(|l| l.name.to_owned());
    let narrowed = list(view.narrowed.iter().map(|words| clean::name(words.as_bytes())).collect());
    vec![
        format!("profile: {}", policy.name),
        format!("narrowed by the call: {narrowed}"),
        format!("writable: {}", list(policy.fs.writable_roots().into_iter().map(name).collect())),
        format!(
            "readable: {}",
            list(policy.fs.rules.iter().filter(read).map(|r| name(&r.path)).collect())
        ),
        format!(
            "closed, whatever is granted: {}",
            list(policy.fs.denied.iter().map(|closed| name(&closed.path)).collect())
        ),
        format!(
            "protected against writing: {}",
            list(policy.fs.protected.iter().map(|protected| name(&protected.path)).collect())
        ),
        format!("network: {network}"),
        format!("UNIX sockets outside: {sockets}"),
        format!("watched for denials: {watched}"),
        format!("enforced by: {}", list(layers.collect())),
        "ask with path and access, socket, host, command or denial_id for one verdict".to_owned(),
    ]
}

//! The policy in a few sentences, for descriptions of tools.

use nono_sandbox::policy::{Mediation, NetworkMode, Policy, Tmp};

/// Writable folders named.
const MAX_ROOTS: usize = 8;

/// The policy in a few sentences.
pub(super) fn policy_text(policy: &Policy) -> String {
    let roots = policy.fs.writable_roots();
    let named: Vec<String> = roots
        .iter()
        .take(MAX_ROOTS)
        .map(|r| if **r == policy.fs.tmpdir { "$TMPDIR".to_owned() } else { r.to_string() })
        .collect();
    let more = if roots.len() > MAX_ROOTS { " and more" } else { "" };
    let network = match policy.network.mode {
        NetworkMode::None => "none (sockets for IP cannot be made)",
        NetworkMode::Loopback => "loopback only",
        NetworkMode::Proxy => "loopback, proxied hosts",
        NetworkMode::Hosts => "loopback, listed addresses, proxied hosts",
        NetworkMode::Open => "open",
    };
    let sockets = match policy.unix.mediation {
        Mediation::Pathname => "UNIX sockets outside of those need a grant",
        Mediation::Off => "UNIX sockets are not restricted",
    };
    let temporary = match policy.fs.tmp {
        Tmp::Private { .. } => {
            "/tmp is $TMPDIR, which outside of runs has the path in that variable"
        }
        _ => "Use $TMPDIR for temporary files, not /tmp",
    };
    format!(
        "Sandbox: profile {}; writable: {}{more}; network: {network}; {sockets}; files \
         the profile does not grant cannot be read. {temporary}. Denials are \
         listed in the result; do not retry unchanged: only the operator can add a grant.",
        policy.name,
        named.join(", "),
    )
}

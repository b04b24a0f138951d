//! `nono-mcp doctor`: this machine, layer by layer.

use crate::error::ServerError;
use crate::session::{Ground, Setup};
use nono_sandbox::host::{LayerState, OuterCall, Standing};
use std::fmt::Write as _;
use std::process::ExitCode;

/// Prints what the kernel offers and what will be enforced; fails if nothing could run.
///
/// # Errors
/// [`ServerError`] if the setup cannot be used.
pub(super) fn doctor(setup: &Setup) -> Result<ExitCode, ServerError> {
    let ground = Ground::prepare(setup)?;
    super::print::show(std::io::stdout(), &report(&ground));
    Ok(if ground.sandbox.missing.is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn report(ground: &Ground) -> String {
    let host = &ground.host;
    let mut text = format!("kernel {}, user {}\n\n", host.kernel, host.uid);
    text.push_str("offered by this kernel\n");
    let offered = [
        ("Landlock", offered(host.landlock_abi > 0, &format!("ABI {}", host.landlock_abi))),
        ("seccomp notify", offered(host.seccomp_notify, "yes")),
        (
            "Yama",
            host.yama_scope.map_or("not there".into(), |scope| format!("ptrace_scope {scope}")),
        ),
        (
            "cgroup v2",
            host.cgroups.unified.as_ref().map_or_else(
                || "none delegated; see the layer tree for what ends a run's processes".into(),
                |path| format!("delegated at {}", path.display()),
            ),
        ),
        (
            "audit records",
            if host.audit {
                "readable".into()
            } else {
                "not readable (needs CAP_AUDIT_READ); denials are reported by watching calls".into()
            },
        ),
    ];
    for (name, state) in offered {
        // Writing to a string cannot fail.
        let _infallible = writeln!(text, "  {name:<18} {state}");
    }
    for call in OuterCall::try_all() {
        let _infallible = writeln!(text, "  {:<18} {}", call.name, outer(&call));
    }
    let _infallible = writeln!(text, "\nenforced for profile {}", ground.sandbox.policy.name);
    for layer in &ground.sandbox.layers {
        let _infallible = writeln!(text, "  {:<18} {}", layer.name, state(layer));
    }
    text.push_str(&verdict(ground));
    text
}

/// Whether a call works, and what to do if it does not.
fn outer(call: &OuterCall) -> String {
    match call.tried {
        Ok(()) => "works".to_owned(),
        Err(errno) => format!(
            "REFUSED ({errno:?}): {} will be refused to every command. Something around this \
             server refuses the call, most likely a container's seccomp profile; allow {} in it \
             (deploy/seccomp-additions.json, docs/deployment.md)",
            call.for_what, call.name
        ),
    }
}

fn offered(there: bool, what: &str) -> String {
    if there { what.to_owned() } else { "missing".to_owned() }
}

fn state(layer: &LayerState) -> String {
    let word = match layer.standing {
        Standing::Active => "on",
        Standing::NotAsked => "off",
        Standing::Missing if layer.required => "MISSING",
        Standing::Missing => "missing",
    };
    format!("{word:<8} {}", layer.detail)
}

fn verdict(ground: &Ground) -> String {
    match &ground.sandbox.missing {
        None => format!(
            "\nall required layers are there; commands may write in {}\n",
            ground
                .sandbox
                .policy
                .fs
                .writable_roots()
                .into_iter()
                .filter(|root| **root != ground.sandbox.policy.fs.tmpdir)
                .map(ToString::to_string)
                .chain(["a private $TMPDIR of each server".to_owned()])
                .collect::<Vec<_>>()
                .join(", ")
        ),
        Some(missing) => {
            format!("\nevery command will be refused until this is there: {missing}\n")
        }
    }
}

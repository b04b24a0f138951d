//! `nono-mcp profile validate`.

use super::context::{looking, reference, unusable};
use crate::cli::exit::UNUSABLE;
use crate::cli::print::{print, print_json};
use crate::error::ServerError;
use crate::sandbox::settled;
use nono_profiles::{Credential, CredentialFrom, ProjectFile, opened_credentials, resolve};
use nono_sandbox::host::{Host, LayerState};
use nono_sandbox::policy::Access;
use serde_json::json;
use std::os::unix::fs::MetadataExt;
use std::process::ExitCode;

/// Checks a profile. Mistakes are errors and end here; what will not do what it says is printed.
///
/// # Errors
/// [`ServerError`] names file, line, field and fix.
pub(super) fn validate(
    profile: &str,
    strict: bool,
    as_json: bool,
) -> Result<ExitCode, ServerError> {
    let looking = looking(ProjectFile::Ignore)?;
    let context = &looking.context;
    let resolved = match resolve(&reference(profile), context) {
        Ok(resolved) => resolved,
        Err(error) if as_json => {
            print_json(&json!({"valid": false, "error": error.to_string(), "warnings": []}));
            return Ok(ExitCode::from(UNUSABLE));
        }
        Err(error) => return Err(unusable(error)),
    };
    let mut warnings: Vec<String> =
        resolved.notes.iter().filter(|note| note.is_warning()).map(ToString::to_string).collect();
    for (path, entry) in opened_credentials(&resolved.policy, context).map_err(unusable)? {
        warnings.push(format!(
            "{path} can be reached, which the group credentials_denied closes ({})",
            entry.rule
        ));
    }
    warnings.extend(resolved.credentials.iter().filter_map(unusable_credential));
    if !resolved.policy.fs.rules.iter().any(|rule| rule.access.contains(Access::EXECUTE)) {
        warnings.push(
            "nothing can be executed: start from another profile, such as \"extends\": \"coding\""
                .to_owned(),
        );
    }
    let host = Host::probe().with_namespaces(crate::runs::namespaces());
    let policy = settled(resolved.policy, &host);
    let missing = host.layers(&policy).into_iter().filter(LayerState::is_lacking);
    warnings.extend(
        missing
            .map(|layer| format!("it cannot be enforced here: {}: {}", layer.name, layer.detail)),
    );
    if as_json {
        print_json(&json!({"valid": true, "error": null, "warnings": warnings}));
    } else {
        let lines: String = warnings.iter().map(|w| format!("warning: {w}\n")).collect();
        let count = match warnings.len() {
            1 => "1 warning".to_owned(),
            n => format!("{n} warnings"),
        };
        print(&format!("{lines}{profile}: valid, {count}\n"));
    }
    let failed = strict && !warnings.is_empty();
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Why a secret could not be had, as far as that can be known without reading it.
fn unusable_credential(credential: &Credential) -> Option<String> {
    let (path, what) = match &credential.from {
        CredentialFrom::File(path) => (path, "file"),
        CredentialFrom::Command(own) => (&own.program, "program"),
    };
    let Credential { name, source, .. } = credential;
    let problem = match std::fs::metadata(path) {
        Err(error) => format!("its {what} {}: {error}", path.display()),
        Ok(found) if !found.is_file() => format!("its {what} {} is no file", path.display()),
        Ok(found) if what == "file" && found.mode() & 0o077 != 0 => {
            format!("others may read {}; chmod 600", path.display())
        }
        Ok(_) => return None,
    };
    Some(format!("{source}: credential {name}: {problem}"))
}

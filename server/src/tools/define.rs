//! What clients are told about the tools. The text is stable for one server, so that prompt
//! caches stay valid, and it carries the policy in short, because most clients show it.

use super::Tool;
use crate::session::Ground;
use nono_sandbox::policy::{Mediation, Network, Policy};
use nono_schemas::{exec_schema, result_schema, shell_schema};
use rmcp::model::{JsonObject, MetaObject, Tool as Definition, ToolAnnotations};
use std::sync::Arc;

/// Writable folders named in descriptions and results.
pub(crate) const MAX_ROOTS: usize = 8;

/// All tools, in a fixed order.
pub(crate) fn definitions(ground: &Ground) -> Vec<Definition> {
    Tool::ALL.into_iter().map(|tool| definition(ground, tool)).collect()
}

/// One tool.
pub(crate) fn definition(ground: &Ground, tool: Tool) -> Definition {
    let (title, lead, schema) = match tool {
        Tool::Shell => (
            "Run a shell command in the sandbox",
            "Run a command line with bash in a fresh sandbox. Every call starts anew: no working \
             directory or variables are kept.",
            shell_schema().clone(),
        ),
        Tool::Exec => (
            "Run a program in the sandbox",
            "Run a program with exact arguments, without a shell, in a fresh sandbox. Every call \
             starts anew.",
            exec_schema().clone(),
        ),
    };
    Definition::new(tool.name(), format!("{lead} {}", policy_text(&ground.policy)), schema)
        .with_title(title)
        .with_raw_output_schema(Arc::new(without_descriptions(result_schema().clone())))
        .with_annotations(
            ToolAnnotations::with_title(title)
                .read_only(false)
                .destructive(true)
                .idempotent(false)
                .open_world(ground.policy.network == Network::Open),
        )
        .with_meta(client_hints())
}

/// For one client: keep the tool in front of the model instead of behind a search, and show
/// answers of the size that was asked for.
fn client_hints() -> MetaObject {
    let mut meta = MetaObject::new();
    meta.0.insert("anthropic/alwaysLoad".to_owned(), true.into());
    meta.0.insert("anthropic/maxResultSizeChars".to_owned(), MAX_RESULT_CHARS.into());
    meta
}

/// The longest answer: twice the most output that can be asked for, because of JSON's escapes.
const MAX_RESULT_CHARS: u64 = 500_000;

/// Field names speak for themselves; the words cost every client a thousand tokens a tool.
fn without_descriptions(mut schema: JsonObject) -> JsonObject {
    fn strip(value: &mut serde_json::Value) {
        match value {
            serde_json::Value::Object(object) => {
                if object.get("description").is_some_and(serde_json::Value::is_string) {
                    object.remove("description");
                }
                object.values_mut().for_each(strip);
            }
            serde_json::Value::Array(items) => items.iter_mut().for_each(strip),
            _ => {}
        }
    }
    schema.values_mut().for_each(strip);
    schema
}

/// The policy in a few sentences.
fn policy_text(policy: &Policy) -> String {
    let roots = policy.fs.writable_roots();
    let named: Vec<String> = roots
        .iter()
        .take(MAX_ROOTS)
        .map(|r| if **r == policy.fs.tmpdir { "$TMPDIR".to_owned() } else { r.to_string() })
        .collect();
    let more = if roots.len() > MAX_ROOTS { " and more" } else { "" };
    let network = match policy.network {
        Network::None => "none (sockets for IP cannot be made)",
        Network::Open => "open",
    };
    let sockets = match policy.unix.mediation {
        Mediation::Pathname => "UNIX sockets outside of those need a grant",
        Mediation::Off => "UNIX sockets are not restricted",
    };
    format!(
        "Sandbox: profile {}; writable: {}{more}; network: {network}; {sockets}; files \
         the profile does not grant cannot be read. Use $TMPDIR for temporary files, not /tmp. Denials are \
         listed in the result; do not retry unchanged: only the operator can add a grant.",
        policy.name,
        named.join(", "),
    )
}

/// What clients are told about the server as a whole. Shown in system prompts, so short.
pub(crate) fn instructions(ground: &Ground) -> String {
    let text = format!(
        "Commands run by `shell` (bash) and `exec` (argv, no shell) are confined by a kernel \
         sandbox. {} A nonzero exit code, a timeout and a denial are ordinary results: read \
         `status`, `exit_code` and `denials`. Processes left in the background end with the \
         call. Paths are relative to {}.",
        policy_text(&ground.policy),
        ground.workspace(),
    );
    cut(text)
}

/// Longest instructions, in bytes: some clients drop longer ones.
const MAX_INSTRUCTIONS: usize = 2000;

fn cut(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(MAX_INSTRUCTIONS));
    text
}

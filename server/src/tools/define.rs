//! What clients are told about the tools. The text is stable for one server, so that prompt
//! caches stay valid, and it carries the policy in short, because most clients show it.

use super::policy_text::policy_text;
use super::tool::Tool;
use crate::session::Ground;
use nono_sandbox::policy::NetworkMode;
use nono_schemas::{
    Outline, exec_schema, explain_schema, outline, result_schema, run_list_schema,
    run_listed_schema, run_read_schema, run_signal_schema, run_write_schema, shallow, shell_schema,
    terse,
};
use rmcp::model::{JsonObject, MetaObject, Tool as Definition, ToolAnnotations};
use serde_json::Value;
use std::sync::Arc;

/// All tools, in a fixed order.
pub(crate) fn definitions(ground: &Ground) -> Vec<Definition> {
    Tool::ALL.into_iter().map(|tool| definition(ground, tool)).collect()
}

/// One tool.
pub(crate) fn definition(ground: &Ground, tool: Tool) -> Definition {
    let open_world = ground.sandbox.policy.network.mode > NetworkMode::Loopback;
    let (title, lead, input) = words(tool);
    let runs_something = matches!(tool, Tool::Shell | Tool::Exec);
    let description = match tool {
        Tool::Shell => format!("{lead} {}", policy_text(&ground.sandbox.policy)),
        _ => lead.to_owned(),
    };
    let output = match tool {
        Tool::Explain => None,
        Tool::RunList => Some(outline(run_listed_schema(), Outline::Required)),
        _ if runs_something => Some(outline(result_schema(), Outline::Fields)),
        _ => Some(outline(result_schema(), Outline::Required)),
    };
    let input = match tool {
        // The rest means what it means in `shell`, as the description says.
        Tool::Exec => terse(input, &["argv"]),
        _ => shallow(input),
    };
    let input = with_profiles(input, ground);
    let reads_only = matches!(tool, Tool::RunRead | Tool::RunList | Tool::Explain);
    let definition = Definition::new(tool.name(), description, input);
    let definition = match output {
        Some(output) => definition.with_raw_output_schema(Arc::new(output)),
        None => definition,
    };
    definition
        .with_title(title)
        .with_annotations(
            ToolAnnotations::new()
                .read_only(reads_only)
                .destructive(!reads_only)
                .idempotent(reads_only || tool == Tool::RunSignal)
                .open_world(open_world && runs_something),
        )
        .with_meta(client_hints())
}

/// An input whose `profile` lists what the operator allows to be chosen; without it if that is
/// nothing.
fn with_profiles(mut input: JsonObject, ground: &Ground) -> JsonObject {
    let Some(Value::Object(properties)) = input.get_mut("properties") else { return input };
    let names: Vec<Value> = ground.offer.names().map(Value::from).collect();
    if names.is_empty() {
        properties.shift_remove("profile");
    } else if let Some(Value::Object(profile)) = properties.get_mut("profile") {
        profile.insert("enum".to_owned(), names.into());
    }
    input
}

/// Title, description and input of a tool.
fn words(tool: Tool) -> (&'static str, &'static str, &'static JsonObject) {
    match tool {
        Tool::Shell => (
            "Run a shell command in the sandbox",
            "Run a command line with bash in a fresh sandbox. Every call starts anew: no working \
             directory or variables are kept. A command that takes long is answered with \
             `status: running` and goes on: see run_read.",
            shell_schema(),
        ),
        Tool::Explain => (
            "Ask what the sandbox allows",
            "Whether the sandbox would allow something, by which rule, and what to do if not. Give \
             one of path, socket, host, command or denial_id; nothing for the profile in short. \
             profile, network and writable as in `shell`.",
            explain_schema(),
        ),
        Tool::Exec => (
            "Run a program in the sandbox",
            "Run a program with exact arguments, without a shell; otherwise as `shell`, in the \
             same sandbox.",
            exec_schema(),
        ),
        Tool::RunRead => (
            "Read the output of a run",
            "Output and state of a run by its run_id, while it goes on and up to an hour after.",
            run_read_schema(),
        ),
        Tool::RunWrite => (
            "Write to a run",
            "Input for a run with keep_stdin or tty; answers with what came of it.",
            run_write_schema(),
        ),
        Tool::RunSignal => {
            ("Send a signal to a run", "End a run, or send it another signal.", run_signal_schema())
        }
        Tool::RunList => {
            ("List the runs", "Live runs and those that ended not long ago.", run_list_schema())
        }
    }
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

/// What clients are told about the server as a whole. Shown in system prompts, so short.
pub(crate) fn instructions(ground: &Ground) -> String {
    let text = format!(
        "Commands run by `shell` (bash) and `exec` (argv, no shell) are confined by a kernel \
         sandbox. {} A nonzero exit code, a timeout and a denial are ordinary results: read \
         `status`, `exit_code` and `denials`. `status: running` means that the command goes on: \
         run_read waits for more of it, run_write answers its prompts, run_signal ends it. What a \
         command leaves in the background ends with it unless `background` is set. Paths are \
         relative to {}.",
        policy_text(&ground.sandbox.policy),
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

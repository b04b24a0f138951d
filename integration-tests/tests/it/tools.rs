//! What a client finds when it lists the tools.

use nono_integration_tests::{Site, User};
use serde_json::Value;

const LISTED: [&str; 2] = ["exec", "shell"];

fn listed() -> Vec<Value> {
    let server = Site::new(User::Same).serve();
    server.tools().iter().map(|t| serde_json::to_value(t).expect("plain data")).collect()
}

#[test]
fn shell_and_exec_are_there_in_a_stable_order() {
    let tools = listed();
    let names: Vec<&str> = tools.iter().filter_map(|t| t["name"].as_str()).collect();
    for wanted in LISTED {
        assert!(names.contains(&wanted), "{names:?}");
    }
    assert!(names.is_sorted(), "{names:?}");
}

#[test]
fn every_tool_says_what_it_may_do() {
    for tool in listed().iter().filter(|t| LISTED.contains(&t["name"].as_str().unwrap_or(""))) {
        let hints = &tool["annotations"];
        assert_eq!(hints["readOnlyHint"], false, "{tool}");
        assert_eq!(hints["destructiveHint"], true, "{tool}");
        assert_eq!(hints["idempotentHint"], false, "{tool}");
        assert!(hints["openWorldHint"].is_boolean(), "{tool}");
        assert!(tool["description"].as_str().is_some_and(|d| d.len() > 40), "{tool}");
    }
}

#[test]
fn input_schemas_are_plain_objects() {
    for tool in listed() {
        let schema = &tool["inputSchema"];
        assert_eq!(schema["type"], "object", "{schema}");
        for word in ["oneOf", "anyOf", "allOf"] {
            assert!(!schema.to_string().contains(&format!("\"{word}\"")), "{word} in {schema}");
        }
    }
    let tools = listed();
    let fields = |name: &str| {
        let tool = tools.iter().find(|t| t["name"] == name).expect("listed");
        tool["inputSchema"]["properties"].clone()
    };
    for name in LISTED {
        for field in ["cwd", "env", "stdin", "timeout_ms", "max_output_bytes"] {
            assert!(fields(name).get(field).is_some(), "{name} without {field}");
        }
    }
    assert_eq!(fields("shell")["command"]["type"], "string");
    assert_eq!(fields("exec")["argv"]["type"], "array");
}

#[test]
fn output_schemas_name_every_field_of_a_result() {
    for tool in listed().iter().filter(|t| LISTED.contains(&t["name"].as_str().unwrap_or(""))) {
        let properties = tool["outputSchema"]["properties"].as_object().expect("an object");
        for field in [
            "status",
            "exit_code",
            "signal",
            "run_id",
            "summary",
            "denials",
            "sandbox",
            "stdout",
            "stderr",
            "truncation",
            "duration_ms",
            "cpu_ms",
            "peak_rss_bytes",
            "processes",
        ] {
            assert!(properties.contains_key(field), "no {field} in {properties:?}");
        }
    }
}

#[test]
fn the_list_is_small() {
    let size: usize = listed().iter().map(|t| t.to_string().len()).sum();
    assert!(size < 12 * 1024, "{size} bytes: every conversation pays for them");
}

#[test]
fn schemas_have_nothing_that_clients_warn_about() {
    for tool in listed() {
        for part in ["inputSchema", "outputSchema"] {
            let schema = tool[part].to_string();
            for word in ["\"format\"", "\"$schema\"", "\"nullable\""] {
                assert!(!schema.contains(word), "{word} in {schema}");
            }
        }
    }
}

#[test]
fn every_tool_has_all_hints_and_is_kept_loaded() {
    for tool in listed() {
        for hint in ["readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint"] {
            assert!(tool["annotations"][hint].is_boolean(), "{hint}: {tool}");
        }
        assert_eq!(tool["_meta"]["anthropic/alwaysLoad"], true, "{tool}");
        let most = &tool["_meta"]["anthropic/maxResultSizeChars"];
        assert!(most.as_u64().is_some_and(|n| n <= 500_000), "{tool}");
    }
}

#[test]
fn instructions_are_short() {
    let info = Site::new(User::Same).serve().info();
    let length = info["instructions"].as_str().expect("instructions").len();
    assert!((1..2048).contains(&length), "{length} bytes: {info}");
}

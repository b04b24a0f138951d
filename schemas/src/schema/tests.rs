use super::*;
use crate::*;

fn checked_in(name: &str, schema: &Schema) {
    let path = format!("{}/json/{name}.schema.json", env!("CARGO_MANIFEST_DIR"));
    let generated = serde_json::to_string_pretty(schema).unwrap() + "\n";
    if std::env::var_os("UPDATE_SCHEMAS").is_some() {
        std::fs::write(&path, &generated).unwrap();
    }
    let present = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        present == generated,
        "{path} is out of date; run `UPDATE_SCHEMAS=1 cargo test -p nono-schemas`"
    );
}

#[test]
fn checked_in_schemas_are_the_generated_ones() {
    checked_in("shell", shell_schema());
    checked_in("exec", exec_schema());
    checked_in("explain", explain_schema());
    checked_in("result", result_schema());
    checked_in("run_read", run_read_schema());
    checked_in("run_write", run_write_schema());
    checked_in("run_signal", run_signal_schema());
    checked_in("run_list", run_list_schema());
    checked_in("run_listed", run_listed_schema());
    checked_in("audit", audit_schema());
}

fn keys(value: &Value, seen: &mut Vec<String>) {
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                seen.push(key.clone());
                keys(value, seen);
            }
        }
        Value::Array(items) => items.iter().for_each(|v| keys(v, seen)),
        _ => {}
    }
}

#[test]
fn schemas_use_the_part_every_client_knows() {
    for schema in [
        shell_schema(),
        exec_schema(),
        result_schema(),
        run_read_schema(),
        run_write_schema(),
        run_signal_schema(),
        run_list_schema(),
        run_listed_schema(),
    ] {
        let mut seen = Vec::new();
        keys(&Value::Object(schema.clone()), &mut seen);
        for banned in ["$schema", "$ref", "$defs", "format", "oneOf", "anyOf", "allOf"] {
            assert!(!seen.iter().any(|k| k == banned), "{banned} in {schema:?}");
        }
        assert_eq!(schema["type"], "object");
    }
}

#[test]
fn names_that_no_part_of_an_input_has_are_refused() {
    let read = |text: &str| serde_json::from_str::<ShellParams>(text);
    let call = read(r#"{"command": "x", "cwd": "y", "limits": {"open_files": 9}}"#).unwrap();
    assert_eq!((call.command.as_str(), call.options.cwd.as_deref()), ("x", Some("y")));
    for unknown in
        [r#"{"command": "x", "cdw": "y"}"#, r#"{"command": "x", "limits": {"files": 9}}"#]
    {
        let error = read(unknown).unwrap_err().to_string();
        assert!(error.contains("unknown field"), "{error}");
    }
}

#[test]
fn inputs_are_closed_and_bounded() {
    for schema in [shell_schema(), exec_schema()] {
        assert_eq!(schema["additionalProperties"], false);
        let limit = &schema["properties"]["timeout_ms"];
        assert_eq!(limit["type"], "integer");
        assert_eq!(limit["minimum"], MIN_TIMEOUT_MS);
        assert_eq!(limit["maximum"], MAX_TIMEOUT_MS);
        let bytes = &schema["properties"]["max_output_bytes"];
        assert_eq!(bytes["minimum"], MIN_OUTPUT_BYTES);
        assert_eq!(bytes["maximum"], MAX_OUTPUT_BYTES);
    }
    assert_eq!(shell_schema()["required"], serde_json::json!(["command"]));
    assert_eq!(exec_schema()["required"], serde_json::json!(["argv"]));
}

#[test]
fn result_fields_keep_their_order_and_nulls_are_left_out() {
    let fields: Vec<String> =
        result_schema()["properties"].as_object().unwrap().keys().cloned().collect();
    let expected = "status exit_code signal run_id summary denials sandbox stdout stderr \
                    truncation next_seq text_flags waiting time_left_ms rate_limited duration_ms cpu_ms peak_rss_bytes processes";
    assert_eq!(fields.join(" "), expected);
    let item = &result_schema()["properties"]["denials"]["properties"]["items"]["items"];
    let fields: Vec<String> = item["properties"].as_object().unwrap().keys().cloned().collect();
    let expected = "id kind operation access target resolved_target host members examples syscall errno \
                    pid exe count decided_by reason confidence relevance why grantable grant \
                    risk risk_why alternatives retry";
    assert_eq!(fields.join(" "), expected);

    let refused = RunResult {
        status: RunStatus::Refused,
        exit_code: None,
        signal: None,
        run_id: None,
        summary: "nothing was run".into(),
        denials: Denials::default(),
        sandbox: SandboxItem {
            profile: "coding".into(),
            narrowed: vec![],
            enforced: Enforced::Full,
            layers: vec![LayerItem { name: "landlock".into(), active: true, detail: None }],
            writable_roots: vec!["/w".into()],
            network: Network::Open,
        },
        stdout: String::new(),
        stderr: String::new(),
        truncation: None,
        next_seq: None,
        text_flags: None,
        waiting: None,
        time_left_ms: None,
        rate_limited: None,
        duration_ms: None,
        cpu_ms: None,
        peak_rss_bytes: None,
        processes: None,
    };
    let value = serde_json::to_value(&refused).unwrap();
    let fields: Vec<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(fields, ["status", "summary", "denials", "sandbox", "stdout", "stderr"]);
    let required = result_schema()["required"].clone();
    assert_eq!(required, serde_json::json!(fields));
}

/// Every string a schema allows.
fn words(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(object) => {
            if let Some(Value::Array(allowed)) = object.get("enum") {
                found.extend(allowed.iter().filter_map(Value::as_str).map(str::to_owned));
            }
            object.values().for_each(|v| words(v, found));
        }
        Value::Array(items) => items.iter().for_each(|v| words(v, found)),
        _ => {}
    }
}

#[test]
fn every_word_and_field_of_a_denial_is_documented() {
    let text = include_str!("../../../docs/diagnostics.md");
    let denials = &result_schema()["properties"]["denials"];
    let (mut found, item) = (Vec::new(), &denials["properties"]["items"]["items"]["properties"]);
    words(denials, &mut found);
    assert!(found.len() > 35, "{found:?}");
    for word in found {
        assert!(text.contains(&format!("`{word}`")), "`{word}` is not in docs/diagnostics.md");
    }
    for fields in [&denials["properties"], item] {
        for field in fields.as_object().unwrap().keys() {
            let named = [format!("`{field}`"), format!("\"{field}\"")];
            assert!(named.iter().any(|n| text.contains(n)), "no {field} in docs/diagnostics.md");
        }
    }
}

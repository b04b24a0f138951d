//! Arguments against the schema the client was shown.
//!
//! serde says what is wrong, but not in which argument. The schema already names every argument,
//! its type and its bounds, so the check that words errors reads it from there.

use super::bad_input::BadInput;
use rmcp::model::JsonObject;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Checks `arguments` against `schema` and reads them.
///
/// # Errors
/// [`BadInput::Schema`] names the argument and what it should be.
pub(super) fn arguments_as<T: DeserializeOwned>(
    schema: &JsonObject,
    mut arguments: JsonObject,
) -> Result<T, BadInput> {
    arguments.values_mut().for_each(whole);
    check(schema, &arguments).map_err(BadInput::Schema)?;
    serde_json::from_value(Value::Object(arguments)).map_err(|e| BadInput::Schema(e.to_string()))
}

/// `5000.0` is an integer to JSON Schema, and what some clients make of one.
fn whole(value: &mut Value) {
    /// Up to here every integer is a float of its own.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    match value {
        Value::Number(number) => {
            let float = number.as_f64().filter(|n| number.is_f64() && n.fract() == 0.0);
            if let Some(float) = float.filter(|n| n.abs() <= EXACT)
                && let Ok(integer) = format!("{float:.0}").parse::<i64>()
            {
                *number = integer.into();
            }
        }
        Value::Array(items) => items.iter_mut().for_each(whole),
        Value::Object(entries) => entries.values_mut().for_each(whole),
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

fn check(schema: &JsonObject, arguments: &JsonObject) -> Result<(), String> {
    let empty = JsonObject::new();
    let properties = schema.get("properties").and_then(Value::as_object).unwrap_or(&empty);
    let known = || match properties.keys().map(|k| format!("`{k}`")).collect::<Vec<_>>() {
        names if names.is_empty() => "there are none".to_owned(),
        names => format!("there are {}", names.join(", ")),
    };
    for (name, value) in arguments {
        let Some(property) = properties.get(name) else {
            return Err(format!("there is no argument `{name}`; {}", known()));
        };
        // Some clients send null for what they leave out.
        if !value.is_null() {
            check_value(&format!("`{name}`"), property, value)?;
        }
    }
    let required = schema.get("required").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    for name in required.iter().filter_map(Value::as_str) {
        if arguments.get(name).is_none_or(Value::is_null) {
            return Err(format!("the argument `{name}` is missing"));
        }
    }
    Ok(())
}

fn check_value(name: &str, schema: &Value, value: &Value) -> Result<(), String> {
    let wanted = schema.get("type").and_then(Value::as_str).unwrap_or("any");
    let fits = match wanted {
        "string" => value.is_string(),
        "integer" => value.is_u64() || value.is_i64(),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => true,
    };
    if !fits {
        return Err(format!("{name} must be {}, not {}", with_article(wanted), kind(value)));
    }
    let bound = |key: &str| schema.get(key).and_then(Value::as_i64);
    match (bound("minimum"), bound("maximum")) {
        (Some(min), Some(max)) if value.as_i64().is_none_or(|n| n < min || n > max) => {
            return Err(format!("{name} must be between {min} and {max}, not {value}"));
        }
        (Some(min), None) if value.as_i64().is_some_and(|n| n < min) => {
            return Err(format!("{name} must be at least {min}, not {value}"));
        }
        _ => {}
    }
    if bound("minLength").is_some_and(|min| min > 0) && value.as_str() == Some("") {
        return Err(format!("{name} is empty"));
    }
    if let Some(words) = schema.get("enum").and_then(Value::as_array)
        && !words.contains(value)
    {
        let known: Vec<&str> = words.iter().filter_map(Value::as_str).collect();
        return Err(format!("{name} must be one of {}, not {value}", known.join(", ")));
    }
    match value {
        Value::Array(items) => items.iter().enumerate().try_for_each(|(at, item)| {
            check_value(&format!("{name}[{at}]"), schema.get("items").unwrap_or(&Value::Null), item)
        }),
        Value::Object(entries) if schema.get("properties").is_some() => {
            let schema = schema.as_object().unwrap_or(entries);
            check(schema, entries).map_err(|error| format!("in {name}: {error}"))
        }
        Value::Object(entries) => entries.iter().try_for_each(|(key, item)| {
            let inner = schema.get("additionalProperties").unwrap_or(&Value::Null);
            check_value(&format!("{name}.{key}"), inner, item)
        }),
        _ => Ok(()),
    }
}

fn with_article(kind: &str) -> String {
    let article = if kind.starts_with(['a', 'i', 'o']) { "an" } else { "a" };
    format!("{article} {kind}")
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(n) if n.is_f64() => "a fraction",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nono_schemas::{
        ExecParams, RunListParams, ShellParams, exec_schema, run_list_schema, shell_schema,
    };
    use serde_json::json;

    fn shell(arguments: Value) -> Result<ShellParams, String> {
        let object = arguments.as_object().unwrap().clone();
        arguments_as(shell_schema(), object).map_err(|e| e.to_string())
    }

    fn exec(arguments: Value) -> Result<ExecParams, String> {
        let object = arguments.as_object().unwrap().clone();
        arguments_as(exec_schema(), object).map_err(|e| e.to_string())
    }

    #[test]
    fn errors_name_the_argument_and_what_it_should_be() {
        for (arguments, expected) in [
            (json!({}), "the argument `command` is missing"),
            (json!({"command": null}), "the argument `command` is missing"),
            (json!({"command": ""}), "`command` is empty"),
            (json!({"command": ["ls"]}), "`command` must be a string, not an array"),
            (
                json!({"command": "x", "timeout_ms": "5"}),
                "`timeout_ms` must be an integer, not a string",
            ),
            (
                json!({"command": "x", "timeout_ms": 0}),
                "`timeout_ms` must be between 1 and 3600000, not 0",
            ),
            (
                json!({"command": "x", "timeout_ms": -1}),
                "`timeout_ms` must be between 1 and 3600000, not -1",
            ),
            (
                json!({"command": "x", "timeout_ms": u64::MAX}),
                "`timeout_ms` must be between 1 and 3600000, not 18446744073709551615",
            ),
            (
                json!({"command": "x", "timeout_ms": 1.5}),
                "`timeout_ms` must be an integer, not a fraction",
            ),
            (json!({"command": "x", "env": {"A": 1}}), "`env`.A must be a string, not a number"),
        ] {
            assert_eq!(shell(arguments.clone()).unwrap_err(), expected, "{arguments}");
        }
        let unknown = shell(json!({"command": "x", "timeout": 5})).unwrap_err();
        assert!(unknown.starts_with("there is no argument `timeout`; there are `command`, `cwd`"));
        let none = json!({"x": 1}).as_object().unwrap().clone();
        let none = arguments_as::<RunListParams>(run_list_schema(), none).unwrap_err().to_string();
        assert_eq!(none, "there is no argument `x`; there are none");
        let item = exec(json!({"argv": ["a", 1]})).unwrap_err();
        assert_eq!(item, "`argv`[1] must be a string, not a number");
    }

    #[test]
    fn a_whole_number_is_an_integer_however_it_is_written() {
        for written in ["5000", "5000.0", "5e3"] {
            let call = format!(r#"{{"command": "x", "timeout_ms": {written}}}"#);
            let params = shell(serde_json::from_str(&call).unwrap()).unwrap();
            assert_eq!(params.options.timeout_ms, Some(5000), "{written}");
        }
    }

    #[test]
    fn null_means_left_out() {
        let params = shell(json!({"command": "x", "cwd": null, "timeout_ms": null})).unwrap();
        assert_eq!((params.options.cwd, params.options.timeout_ms), (None, None));
    }
}

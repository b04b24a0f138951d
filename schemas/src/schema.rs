//! JSON Schemas that clients accept.
//!
//! Several clients hand a tool's schema to a model provider or to a validator that knows a small
//! part of JSON Schema, so the generated schemas are reduced to that part: no references, no
//! `$schema`, no `format`, no `null` alternatives, no `oneOf`.

use crate::{
    AuditLine, ExecParams, ExplainParams, RunList, RunListParams, RunReadParams, RunResult,
    RunSignalParams, RunWriteParams, ShellParams,
};
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value};
use std::sync::LazyLock;

/// A JSON Schema of an object.
pub type Schema = Map<String, Value>;

/// Input schema of `shell`.
#[must_use]
pub fn shell_schema() -> &'static Schema {
    static SCHEMA: LazyLock<Schema> = LazyLock::new(generate::<ShellParams>);
    &SCHEMA
}

/// Input schema of `exec`.
#[must_use]
pub fn exec_schema() -> &'static Schema {
    static SCHEMA: LazyLock<Schema> = LazyLock::new(generate::<ExecParams>);
    &SCHEMA
}

/// Input schema of `run_read`.
#[must_use]
pub fn run_read_schema() -> &'static Schema {
    static SCHEMA: LazyLock<Schema> = LazyLock::new(generate::<RunReadParams>);
    &SCHEMA
}

/// Input schema of `run_write`.
#[must_use]
pub fn run_write_schema() -> &'static Schema {
    static SCHEMA: LazyLock<Schema> = LazyLock::new(generate::<RunWriteParams>);
    &SCHEMA
}

/// Input schema of `run_signal`.
#[must_use]
pub fn run_signal_schema() -> &'static Schema {
    static SCHEMA: LazyLock<Schema> = LazyLock::new(generate::<RunSignalParams>);
    &SCHEMA
}

/// Input schema of `run_list`.
#[must_use]
pub fn run_list_schema() -> &'static Schema {
    static SCHEMA: LazyLock<Schema> = LazyLock::new(generate::<RunListParams>);
    &SCHEMA
}

/// Output schema of `run_list`.
#[must_use]
pub fn run_listed_schema() -> &'static Schema {
    static SCHEMA: LazyLock<Schema> = LazyLock::new(generate::<RunList>);
    &SCHEMA
}

/// Input schema of `sandbox_explain`.
#[must_use]
pub fn explain_schema() -> &'static Schema {
    static SCHEMA: LazyLock<Schema> = LazyLock::new(generate::<ExplainParams>);
    &SCHEMA
}

/// Output schema of every tool about one run.
#[must_use]
pub fn result_schema() -> &'static Schema {
    static SCHEMA: LazyLock<Schema> = LazyLock::new(generate::<RunResult>);
    &SCHEMA
}

/// Schema of one line of the audit log.
#[must_use]
pub fn audit_schema() -> &'static Schema {
    static SCHEMA: LazyLock<Schema> = LazyLock::new(generate::<AuditLine>);
    &SCHEMA
}

/// How much of a result's schema a tool's definition shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outline {
    /// Every field.
    Fields,
    /// The fields every result has.
    Required,
}

/// A schema's first level: names and types of the fields, without words. True for everything the
/// whole schema is true for, and short enough to be sent with every tool.
#[must_use]
pub fn outline(schema: &Schema, outline: Outline) -> Schema {
    let required = schema.get("required").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let shown =
        |name: &str| outline == Outline::Fields || required.iter().any(|field| field == name);
    let shape = |value: &Value| {
        let kept = ["type", "enum"].into_iter().filter_map(|key| {
            // A list of words says the type as well.
            let wanted = key == "enum" || value.get("enum").is_none();
            value.get(key).filter(|_| wanted).map(|value| (key.to_owned(), value.clone()))
        });
        Value::Object(kept.collect())
    };
    let properties = schema.get("properties").and_then(Value::as_object);
    let fields = properties
        .into_iter()
        .flatten()
        .filter(|(name, _)| shown(name))
        .map(|(name, field)| (name.clone(), shape(field)));
    Map::from_iter([
        ("type".to_owned(), "object".into()),
        ("properties".to_owned(), Value::Object(fields.collect())),
        ("required".to_owned(), required.into()),
    ])
}

/// A schema whose fields say nothing but their names and types, except for those named. Fields of
/// fields are left out.
#[must_use]
pub fn terse(schema: &Schema, except: &[&str]) -> Schema {
    let mut schema = schema.clone();
    let fields = schema.get_mut("properties").and_then(Value::as_object_mut);
    for (name, field) in fields.into_iter().flatten() {
        if let Value::Object(field) = field
            && !except.contains(&name.as_str())
        {
            field.remove("description");
            if field.remove("properties").is_some() {
                field.remove("additionalProperties");
            }
        }
    }
    schema
}

/// A schema in which fields of fields say nothing but their names and types.
#[must_use]
pub fn shallow(schema: &Schema) -> Schema {
    let mut schema = schema.clone();
    let fields = schema.get_mut("properties").and_then(Value::as_object_mut);
    for field in fields.into_iter().flatten().map(|(_, field)| field) {
        let inner = field.get_mut("properties").and_then(Value::as_object_mut);
        for inner in inner.into_iter().flatten().filter_map(|(_, inner)| inner.as_object_mut()) {
            inner.remove("description");
        }
    }
    schema
}

fn generate<T: JsonSchema>() -> Schema {
    let settings = SchemaSettings::draft2020_12().with(|s| {
        s.meta_schema = None;
        s.inline_subschemas = true;
    });
    let mut schema = settings.into_generator().into_root_schema_for::<T>().to_value();
    reduce(&mut schema);
    match schema {
        Value::Object(mut object) => {
            object.remove("title");
            object.remove("description");
            object
        }
        other => Map::from_iter([("const".to_owned(), other)]),
    }
}

/// Reduces a schema and everything in it.
fn reduce(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(reduce),
        Value::Object(object) => {
            if object.get("format").is_some_and(Value::is_string) {
                object.remove("format");
            }
            drop_null_type(object);
            drop_null_alternative(object);
            enumerate(object);
            object.values_mut().for_each(reduce);
            unwrap_text(object);
        }
        _ => {}
    }
}

/// `"type": ["string", "null"]` becomes `"type": "string"`: an optional field is left out.
fn drop_null_type(object: &mut Map<String, Value>) {
    if let Some(Value::Array(types)) = object.get_mut("type") {
        types.retain(|t| t != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            object.insert("type".into(), only);
        }
    }
}

/// `"anyOf": [X, {"type": "null"}]` becomes X, with the outer description.
fn drop_null_alternative(object: &mut Map<String, Value>) {
    let null = serde_json::json!({"type": "null"});
    let Some(Value::Array(alternatives)) = object.get("anyOf") else { return };
    let kept: Vec<&Value> = alternatives.iter().filter(|a| **a != null).collect();
    if let [Value::Object(only)] = kept.as_slice() {
        let mut merged = only.clone();
        object.remove("anyOf");
        merged.append(object);
        *object = merged;
    }
}

/// A `oneOf` of string constants becomes an `enum`.
fn enumerate(object: &mut Map<String, Value>) {
    let Some(Value::Array(variants)) = object.get("oneOf") else { return };
    let constants: Option<Vec<Value>> =
        variants.iter().map(|v| v.get("const").filter(|c| c.is_string()).cloned()).collect();
    if let Some(constants) = constants {
        object.remove("oneOf");
        object.insert("type".into(), "string".into());
        object.insert("enum".into(), constants.into());
    }
}

/// Descriptions are paragraphs of wrapped source text; models read them as one line.
fn unwrap_text(object: &mut Map<String, Value>) {
    if let Some(Value::String(text)) = object.get_mut("description") {
        *text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    }
}

#[cfg(test)]
mod tests;

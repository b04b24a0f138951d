//! Checks a parsed file against the published schema, so that every mistake is reported with its
//! line, its field and the name that was probably meant.

use super::text::{Newlines, Position};
use crate::nearest::nearest;
use jsonc_parser::ast::{Array, Object, Value};
use jsonc_parser::common::Ranged;
use nono_schemas::profile_file::profile_schema;
use serde_json::{Map, Number};
use std::collections::BTreeMap;
use std::sync::LazyLock;

type Json = serde_json::Value;

static SCHEMA: LazyLock<Json> = LazyLock::new(profile_schema);

/// A value that does not fit the schema.
#[derive(Debug)]
pub(super) struct FieldError {
    /// Where in the text.
    pub(super) offset: usize,
    /// Path of the field, such as `filesystem.read[2]`.
    pub(super) field: String,
    /// What is wrong, and what would be right.
    pub(super) message: String,
}

/// Turns the parsed file into plain JSON that fits the schema, and records the line of each field.
pub(super) fn convert(
    root: &Value<'_>,
    newlines: &Newlines<'_>,
    lines: &mut BTreeMap<String, Position>,
) -> Result<Json, FieldError> {
    Walk { newlines, lines }.value(root, &SCHEMA, "")
}

struct Walk<'w> {
    newlines: &'w Newlines<'w>,
    lines: &'w mut BTreeMap<String, Position>,
}

impl Walk<'_> {
    fn value(&mut self, value: &Value<'_>, schema: &Json, path: &str) -> Result<Json, FieldError> {
        self.lines.insert(path.to_owned(), self.newlines.position(value.start()));
        let schema = follow(schema);
        let fits = |branch: &&Json| branch["type"].as_str().is_some_and(|t| is_of(value, t));
        let branches = branches(schema);
        let Some(schema) = branches.iter().find(|b| fits(b)) else {
            let wanted = branches.iter().filter_map(|b| b["type"].as_str()).map(kind_name);
            return Err(wrong(
                value,
                path,
                &format!("expected {}, found {}", alternatives(wanted), found(value)),
            ));
        };
        match value {
            Value::Object(object) => self.object(object, schema, path),
            Value::Array(array) => self.array(array, schema, path),
            Value::StringLit(text) => one_of(value, &text.value, &branches, path),
            Value::NumberLit(number) => in_range(value, number.value, schema, path),
            Value::BooleanLit(flag) => Ok(Json::Bool(flag.value)),
            Value::NullKeyword(_) => Ok(Json::Null),
        }
    }

    fn array(&mut self, array: &Array<'_>, schema: &Json, path: &str) -> Result<Json, FieldError> {
        let elements = array.elements.iter().enumerate();
        elements
            .map(|(at, element)| self.value(element, &schema["items"], &format!("{path}[{at}]")))
            .collect::<Result<Vec<_>, _>>()
            .map(Json::Array)
    }

    fn object(
        &mut self,
        object: &Object<'_>,
        schema: &Json,
        path: &str,
    ) -> Result<Json, FieldError> {
        let mut fields = Map::new();
        for property in &object.properties {
            let name = property.name.as_str();
            let below = if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
            let error =
                |message| FieldError { offset: property.start(), field: below.clone(), message };
            let Some(expected) = field_schema(schema, name) else {
                return Err(error(unknown_field(schema, name)));
            };
            if fields.contains_key(name) {
                return Err(error("this field is there twice; keep one".to_owned()));
            }
            let value = self.value(&property.value, expected, &below)?;
            fields.insert(name.to_owned(), value);
        }
        let required = schema["required"].as_array().into_iter().flatten();
        if let Some(name) = required.filter_map(Json::as_str).find(|n| !fields.contains_key(*n)) {
            let message = format!("field `{name}` is missing");
            return Err(FieldError { offset: object.start(), field: path.to_owned(), message });
        }
        Ok(Json::Object(fields))
    }
}

/// The schema behind a `$ref`, or the schema itself.
fn follow(schema: &Json) -> &Json {
    let pointer = schema["$ref"].as_str().and_then(|reference| reference.strip_prefix('#'));
    pointer.and_then(|pointer| SCHEMA.pointer(pointer)).unwrap_or(schema)
}

/// The alternatives of a schema; itself if it has none.
fn branches(schema: &Json) -> Vec<&Json> {
    let alternatives = schema["anyOf"].as_array().or_else(|| schema["oneOf"].as_array());
    alternatives.map_or_else(|| vec![schema], |all| all.iter().map(follow).collect())
}

fn field_schema<'s>(schema: &'s Json, name: &str) -> Option<&'s Json> {
    let named = schema["properties"].get(name);
    named.or_else(|| Some(&schema["additionalProperties"]).filter(|s| s.is_object()))
}

fn unknown_field(schema: &Json, name: &str) -> String {
    let known: Vec<&str> = schema["properties"]
        .as_object()
        .into_iter()
        .flat_map(Map::keys)
        .map(String::as_str)
        .collect();
    match nearest(name, known.iter().copied()) {
        Some(near) => format!("unknown field; did you mean `{near}`?"),
        None => format!("unknown field; known here: {}", known.join(", ")),
    }
}

fn is_of(value: &Value<'_>, kind: &str) -> bool {
    match value {
        Value::Object(_) => kind == "object",
        Value::Array(_) => kind == "array",
        Value::StringLit(_) => kind == "string",
        Value::NumberLit(_) => kind == "integer",
        Value::BooleanLit(_) => kind == "boolean",
        Value::NullKeyword(_) => false,
    }
}

/// Checks a string against the constants among `branches`, if there are any.
fn one_of(
    value: &Value<'_>,
    text: &str,
    branches: &[&Json],
    path: &str,
) -> Result<Json, FieldError> {
    let constants: Vec<&str> = branches.iter().filter_map(|b| b["const"].as_str()).collect();
    if constants.is_empty() || constants.contains(&text) {
        return Ok(Json::String(text.to_owned()));
    }
    let message = match nearest(text, constants.iter().copied()) {
        Some(near) => format!("unknown value `{text}`; did you mean `{near}`?"),
        None => format!("unknown value `{text}`; known here: {}", constants.join(", ")),
    };
    Err(wrong(value, path, &message))
}

fn in_range(value: &Value<'_>, text: &str, schema: &Json, path: &str) -> Result<Json, FieldError> {
    let low = schema["minimum"].as_i64().unwrap_or(i64::MIN);
    let high = schema["maximum"].as_i64().unwrap_or(i64::MAX);
    match text.parse::<i64>() {
        Ok(number) if (low..=high).contains(&number) => Ok(Json::Number(Number::from(number))),
        _ => Err(wrong(
            value,
            path,
            &format!("expected a whole number from {low} to {high}, found {text}"),
        )),
    }
}

fn wrong(value: &Value<'_>, path: &str, message: &str) -> FieldError {
    let field = if path.is_empty() { "profile" } else { path };
    FieldError { offset: value.start(), field: field.to_owned(), message: message.to_owned() }
}

fn kind_name(kind: &str) -> &str {
    match kind {
        "object" => "an object",
        "array" => "a list",
        "string" => "a string",
        "integer" => "a whole number",
        "boolean" => "true or false",
        other => other,
    }
}

fn found(value: &Value<'_>) -> &'static str {
    match value {
        Value::Object(_) => "an object",
        Value::Array(_) => "a list",
        Value::StringLit(_) => "a string",
        Value::NumberLit(_) => "a number",
        Value::BooleanLit(_) => "true or false",
        Value::NullKeyword(_) => "null; leave the field out instead",
    }
}

/// `a`, `a or b`, without repetitions.
fn alternatives<'k>(kinds: impl Iterator<Item = &'k str>) -> String {
    let mut names: Vec<&str> = Vec::new();
    for kind in kinds {
        if !names.contains(&kind) {
            names.push(kind);
        }
    }
    names.join(" or ")
}

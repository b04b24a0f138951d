//! The operator's secrets: read once at the start, put into the environment of runs, and taken out
//! of everything that leaves the server.
//!
//! That the value is known here is what makes redaction possible; it finds the secret and its
//! common encodings. A command that means to hide what it has can always encode it some other way:
//! what a command is given, it can use.

mod fetch;
mod forms;
mod redact;

pub(crate) use redact::{Patterns, Redactor};

use crate::error::ServerError;
use nono_profiles::Credential;
use nono_sandbox::policy::Policy;
use rmcp::model::{CallToolResult, ContentBlock};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// The value of a secret; never shown.
struct Secret(Vec<u8>);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// All secrets of a server.
#[derive(Debug, Default)]
pub(crate) struct Secrets {
    values: BTreeMap<String, Secret>,
    patterns: Option<Arc<Patterns>>,
}

impl Secrets {
    /// Reads the files and runs the commands.
    ///
    /// # Errors
    /// [`ServerError::Credential`] names the variable, where it is written, and what is wrong. The
    /// message never has any of the secret in it.
    pub(crate) fn fetch(credentials: &[Credential]) -> Result<Self, ServerError> {
        let mut values = BTreeMap::new();
        for credential in credentials {
            let value = fetch::value(&credential.from).map_err(|problem| {
                let (name, at) = (credential.name.clone(), credential.source.to_string());
                ServerError::Credential { name, at, problem }
            })?;
            values.insert(credential.name.clone(), Secret(value));
        }
        let named = values.iter().map(|(name, value)| (name.as_str(), value.0.as_slice()));
        let patterns =
            Patterns::of(named).map_err(|error| ServerError::Redaction(error.to_string()))?;
        Ok(Self { values, patterns })
    }

    /// What to look for in output; `None` if there are no secrets.
    pub(crate) fn patterns(&self) -> Option<&Arc<Patterns>> {
        self.patterns.as_ref()
    }

    /// Adds the secrets that `policy` gives its commands. What the call itself set stays.
    pub(crate) fn inject(&self, policy: &Policy, env: &mut BTreeMap<String, Vec<u8>>) {
        for (name, value) in &self.values {
            if policy.environment.credentials.contains_key(name) {
                env.entry(name.clone()).or_insert_with(|| value.0.clone());
            }
        }
    }

    /// Text without secrets.
    pub(crate) fn without(&self, text: &str) -> Option<String> {
        let patterns = self.patterns.as_ref()?;
        let (clean, count) = patterns.replace(text.as_bytes());
        (count > 0).then(|| String::from_utf8_lossy(&clean).into_owned())
    }

    /// An answer without secrets. Output has none any more; names of files and processes may.
    pub(crate) fn out_of(&self, mut answer: CallToolResult) -> CallToolResult {
        if self.patterns.is_none() {
            return answer;
        }
        for block in &mut answer.content {
            let clean = block.as_text().and_then(|text| self.without(&text.text));
            if let Some(clean) = clean {
                *block = ContentBlock::text(clean);
            }
        }
        if let Some(structured) = &mut answer.structured_content {
            self.out_of_value(structured);
        }
        answer
    }

    fn out_of_value(&self, value: &mut Value) {
        match value {
            Value::String(text) => {
                if let Some(clean) = self.without(text) {
                    *text = clean;
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.out_of_value(item)),
            Value::Object(fields) => fields.values_mut().for_each(|item| self.out_of_value(item)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
}

//! Profiles of nono, read into ours. What cannot be carried over is said, never guessed.

use crate::builtin;
use crate::condition::Condition;
use crate::error::{Location, ProfileError};
use crate::load;
use crate::template::{PathTemplate, ValueTemplate};
use nono_sandbox::policy::HostRule;
use serde_json::{Map, Value, json};

/// A profile made from one of nono.
#[derive(Debug, Clone, PartialEq)]
pub struct Imported {
    /// The profile, as JSON.
    pub profile: Value,
    /// Fields that mean the same here.
    pub carried: Vec<String>,
    /// Fields that mean something else or nothing here, and why or what to do.
    pub left: Vec<(String, String)>,
}

/// Fields of `filesystem` with the same meaning.
const PATH_LISTS: &[&str] = &[
    "allow",
    "read",
    "write",
    "allow_file",
    "read_file",
    "write_file",
    "deny",
    "unix_socket",
    "unix_socket_bind",
    "unix_socket_dir",
    "unix_socket_dir_bind",
    "unix_socket_subtree",
    "unix_socket_subtree_bind",
];

/// nono's groups and ours. Groups that are part of `coding` need nothing.
const GROUPS: &[(&str, &str)] = &[
    ("rust_runtime", "rust"),
    ("node_runtime", "node"),
    ("bun_runtime", "node"),
    ("python_runtime", "python"),
    ("go_runtime", "go"),
    ("java_runtime", "java"),
    ("nix_runtime", "user_programs"),
    ("git_config", "git"),
    ("user_tools", "user_programs"),
    ("system_read_linux", "system"),
    ("system_read_linux_core", "system"),
    ("deny_credentials", "credentials_denied"),
    ("deny_keychains_linux", "credentials_denied"),
    ("deny_browser_data_linux", "personal_denied"),
    ("deny_shell_history", "personal_denied"),
    ("deny_shell_configs", "personal_denied"),
];

/// nono's built-in profiles and what is nearest here.
const BASES: &[(&str, &str)] = &[
    ("default", "coding"),
    ("linux-host-compat", "coding"),
    ("mise-dev", "coding"),
    ("python-dev", "coding"),
    ("node-dev", "coding"),
    ("bun-dev", "coding"),
    ("go-dev", "coding"),
    ("java-dev", "coding"),
    ("rust-dev", "coding"),
];

/// Reads the text of a nono profile. `label` is what errors call the file.
///
/// # Errors
/// [`ProfileError::Syntax`] if the text is not JSON with comments, or not an object.
pub fn import_nono(text: &str, label: &str) -> Result<Imported, ProfileError> {
    let value = load::plain_json(text, label)?;
    let Value::Object(fields) = value else {
        let at = Location { file: label.to_owned(), line: Some(1), column: Some(1) };
        return Err(ProfileError::Syntax { at, message: "a profile is an object".to_owned() });
    };
    let mut import = Import::default();
    for (name, value) in &fields {
        import.field(name, value);
    }
    Ok(import.finish(fields.contains_key("extends")))
}

#[derive(Default)]
struct Import {
    profile: Map<String, Value>,
    carried: Vec<String>,
    left: Vec<(String, String)>,
}

impl Import {
    fn field(&mut self, name: &str, value: &Value) {
        match name {
            "$schema" => {}
            "meta" => self.object(name, value, |import, key, value| match key {
                "name" | "version" | "description" | "author" if value.is_string() => {
                    Some(value.clone())
                }
                _ => import.leave(&format!("meta.{key}"), "there is no such field here"),
            }),
            "extends" => self.extends(value),
            "groups" => self.groups(value),
            "filesystem" => self.object(name, value, Self::filesystem),
            "network" => self.network(value),
            "linux" => self.object(name, value, |import, key, value| match (key, value.as_str()) {
                ("af_unix_mediation", Some("pathname" | "off")) => Some(value.clone()),
                _ => import.leave(
                    &format!("linux.{key}"),
                    "the sandbox is the same everywhere; there is nothing to choose",
                ),
            }),
            "diagnostics" => self.object(name, value, |import, key, value| match key {
                "suppress_unix_sockets" => Some(value.clone()),
                _ => import.leave(
                    &format!("diagnostics.{key}"),
                    "reports are bounded and folded without it",
                ),
            }),
            "environment" => self.object(name, value, Self::environment),
            "env_credentials" => self.credentials(value),
            "workdir" => self.object(name, value, |import, key, value| match key {
                "access" => Some(value.clone()),
                _ => import.leave(&format!("workdir.{key}"), "there is no such field here"),
            }),
            _ => {
                self.leave::<()>(name, "nothing here corresponds to it");
            }
        }
    }

    /// Notes a field that was not carried over; always `None`.
    fn leave<T>(&mut self, field: &str, why: &str) -> Option<T> {
        self.left.push((field.to_owned(), why.to_owned()));
        None
    }

    fn keep(&mut self, name: &str, key: &str, value: Value) {
        let section = self.profile.entry(name).or_insert_with(|| json!({}));
        if let Value::Object(section) = section {
            section.insert(key.to_owned(), value);
        }
        self.carried.push(format!("{name}.{key}"));
    }

    fn object(
        &mut self,
        name: &str,
        value: &Value,
        read: impl Fn(&mut Self, &str, &Value) -> Option<Value>,
    ) {
        let Value::Object(fields) = value else {
            self.leave::<()>(name, "not an object");
            return;
        };
        for (key, value) in fields {
            if let Some(value) = read(self, key, value) {
                self.keep(name, key, value);
            }
        }
    }

    fn extends(&mut self, value: &Value) {
        let names: Vec<&str> = match value {
            Value::String(name) => vec![name],
            Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        let mut bases: Vec<&str> = Vec::new();
        for name in names {
            match BASES.iter().find(|(theirs, _)| *theirs == name) {
                Some((_, ours)) => {
                    if *ours != name {
                        let why =
                            format!("`{ours}` is nearest; compare with `profile show {ours}`");
                        self.leave::<()>(&format!("extends: {name}"), &why);
                    }
                    if !bases.contains(ours) {
                        bases.push(ours);
                    }
                }
                None => {
                    let why = "import that profile too, and name it here";
                    self.leave::<()>(&format!("extends: {name}"), why);
                }
            }
        }
        if !bases.is_empty() {
            self.profile.insert("extends".to_owned(), json!(bases));
        }
    }

    fn groups(&mut self, value: &Value) {
        let lists = match value {
            Value::Array(_) => vec![("include", value)],
            Value::Object(object) => object.iter().map(|(k, v)| (k.as_str(), v)).collect(),
            _ => Vec::new(),
        };
        for (list, names) in lists {
            let names = names.as_array().into_iter().flatten().filter_map(Value::as_str);
            let mut ours: Vec<&str> = Vec::new();
            for name in names {
                let known = GROUPS.iter().find(|(theirs, _)| *theirs == name).map(|(_, g)| *g);
                match known.or_else(|| builtin::group(name).map(|group| group.name)) {
                    // Ours hold more than theirs, so leaving one out could open what stays closed.
                    Some(group) if list == "exclude" && group.ends_with("_denied") => {
                        let why = format!("`{group}` closes more; leave it out by hand if meant");
                        self.leave::<()>(&format!("groups.exclude: {name}"), &why);
                    }
                    Some(group) if ours.contains(&group) => {}
                    Some(group) => ours.push(group),
                    None => {
                        let why = "there is no such group; `profile list` names those there are";
                        self.leave::<()>(&format!("groups.{list}: {name}"), why);
                    }
                }
            }
            if !ours.is_empty() && matches!(list, "include" | "exclude") {
                self.keep("groups", list, json!(ours));
            }
        }
    }

    fn network(&mut self, value: &Value) {
        let Value::Object(fields) = value else {
            self.leave::<()>("network", "not an object");
            return;
        };
        let block = fields.get("block") == Some(&Value::Bool(true));
        let domains = fields.get("allow_domain").and_then(Value::as_array).filter(|_| !block);
        let others: Vec<_> =
            fields.keys().filter(|key| *key != "block" && *key != "allow_domain").collect();
        for key in &others {
            let why = "there is no such rule here; see network.mode, allow, deny, listen, expose";
            self.leave::<()>(&format!("network.{key}"), why);
        }
        if let Some(domains) = domains {
            self.domains(domains);
        } else if !block && others.is_empty() && fields.contains_key("block") {
            self.keep("network", "mode", json!("open"));
        } else if block || !others.is_empty() {
            // Leaving a restriction out would widen; so nothing is left open.
            self.keep("network", "mode", json!("none"));
        }
    }

    /// Names that their proxy lets through, and so does ours.
    fn domains(&mut self, domains: &[Value]) {
        let mut allow = Vec::new();
        for domain in domains {
            let text = domain.as_str().or_else(|| domain["domain"].as_str()).unwrap_or_default();
            match text.parse::<HostRule>() {
                Ok(_) => allow.push(text),
                Err(error) => {
                    self.leave::<()>(&format!("network.allow_domain: {text}"), &error.to_string());
                }
            }
        }
        self.keep("network", "mode", json!("proxy"));
        self.keep("network", "allow", json!(allow));
    }

    fn filesystem(&mut self, key: &str, value: &Value) -> Option<Value> {
        let field = format!("filesystem.{key}");
        if !PATH_LISTS.contains(&key) {
            return self.leave(&field, "nothing here corresponds to it");
        }
        let mut kept = Vec::new();
        for entry in value.as_array().into_iter().flatten() {
            let (text, when) = match entry {
                Value::String(text) => (text.as_str(), None),
                Value::Object(object) => {
                    (object.get("path").and_then(Value::as_str).unwrap_or(""), object.get("when"))
                }
                _ => ("", None),
            };
            match path(text).and_then(|path| Ok((path, conditions(when)?))) {
                Ok((path, None)) => kept.push(json!(path)),
                Ok((path, Some(when))) => kept.push(json!({"path": path, "when": when})),
                Err(why) => {
                    self.leave::<()>(&format!("{field}: {text}"), &why);
                }
            }
        }
        (!kept.is_empty()).then_some(Value::Array(kept))
    }

    fn environment(&mut self, key: &str, value: &Value) -> Option<Value> {
        match (key, value) {
            ("allow_vars" | "deny_vars", Value::Array(_)) => Some(value.clone()),
            ("set_vars", Value::Object(values)) => {
                let mut kept = Map::new();
                for (name, value) in values {
                    let text = renamed(value.as_str().unwrap_or_default());
                    match ValueTemplate::parse(&text) {
                        Ok(_) => {
                            kept.insert(name.clone(), json!(text));
                        }
                        Err(why) => {
                            self.leave::<()>(&format!("environment.set_vars.{name}"), &why);
                        }
                    }
                }
                (!kept.is_empty()).then_some(Value::Object(kept))
            }
            ("case_insensitive_vars", Value::Bool(false)) => None,
            _ => self.leave(&format!("environment.{key}"), "nothing here corresponds to it"),
        }
    }

    /// Secrets: theirs are named by where they are, ours by their variable.
    fn credentials(&mut self, value: &Value) {
        let mut kept = Map::new();
        for (place, variable) in value.as_object().into_iter().flatten() {
            let field = format!("env_credentials: {place}");
            let Some(variable) = variable.as_str() else {
                self.leave::<()>(&field, "not the name of a variable");
                continue;
            };
            match place.strip_prefix("file://").map(path) {
                Some(Ok(file)) => {
                    kept.insert(variable.to_owned(), json!({"file": file}));
                }
                Some(Err(why)) => {
                    self.leave::<()>(&field, &why);
                }
                None => {
                    let why = "name a command that prints it, in environment.credentials";
                    self.leave::<()>(&field, why);
                }
            }
        }
        if !kept.is_empty() {
            self.keep("environment", "credentials", Value::Object(kept));
        }
    }

    fn finish(mut self, extends: bool) -> Imported {
        if !extends {
            self.profile.insert("extends".to_owned(), json!(["coding"]));
            self.left.push((
                "(no extends)".to_owned(),
                "nono starts every profile from `default`; `coding` is nearest here".to_owned(),
            ));
        }
        let order = ["meta", "extends", "groups"];
        let mut profile = Map::new();
        for name in order {
            if let Some(value) = self.profile.remove(name) {
                profile.insert(name.to_owned(), value);
            }
        }
        profile.append(&mut self.profile);
        Imported { profile: Value::Object(profile), carried: self.carried, left: self.left }
    }
}

/// A path with our names of variables; the error says why it cannot be used.
fn path(text: &str) -> Result<String, String> {
    let path = renamed(text);
    // A tree is what a grant of its folder covers.
    let path = path.strip_suffix("/**").map(str::to_owned).unwrap_or(path);
    PathTemplate::parse(&path)?;
    Ok(path)
}

fn renamed(text: &str) -> String {
    text.replace("$WORKDIR", "$WORKSPACE").replace("${WORKDIR}", "$WORKSPACE")
}

fn conditions(when: Option<&Value>) -> Result<Option<Value>, String> {
    let texts: Vec<&str> = match when {
        None => return Ok(None),
        Some(Value::String(text)) => vec![text],
        Some(Value::Array(texts)) => texts.iter().filter_map(Value::as_str).collect(),
        Some(_) => return Err("`when` is not text".to_owned()),
    };
    for text in &texts {
        Condition::parse(text)?;
    }
    Ok(Some(json!(texts)))
}

#[cfg(test)]
mod tests;

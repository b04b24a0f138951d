//! `docs/profiles.md`: its reference is made from the types, it names every group, profile and
//! variable there is, and its worked examples do what it says.

use super::World;
use crate::{ProfileRef, builtin_names, group_names, variable_names};
use nono_sandbox::policy::{Access, Lookup, NetworkMode};
use nono_schemas::profile_file::profile_schema;
use serde_json::Value;

const DOCS: &str = include_str!("../../../docs/profiles.md");

/// Every field of the schema, by path, with what its type says of it.
fn fields(schema: &Value, root: &Value, path: &str, found: &mut Vec<(String, String)>) {
    let pointer = schema["$ref"].as_str().and_then(|r| r.strip_prefix('#'));
    let schema = pointer.and_then(|pointer| root.pointer(pointer)).unwrap_or(schema);
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let below = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        let meaning = field["description"].as_str().unwrap_or_default();
        assert!(!meaning.is_empty(), "{below} has no description");
        found.push((below.clone(), meaning.split_whitespace().collect::<Vec<_>>().join(" ")));
        fields(field, root, &below, found);
    }
}

/// The table of fields, made from the types' own documentation. `remove` has the lists again.
fn reference() -> String {
    let schema = profile_schema();
    let mut all = Vec::new();
    fields(&schema, &schema, "", &mut all);
    assert!(all.len() > 40, "{all:?}");
    let rows = all.iter().filter(|(field, _)| !field.starts_with("remove."));
    let rows: String =
        rows.map(|(field, meaning)| format!("| `{field}` | {meaning} |\n")).collect();
    format!("\n\n| field | meaning |\n|---|---|\n{rows}\n")
}

#[test]
fn the_reference_is_what_the_types_say() {
    const BEGIN: &str = "<!-- fields: written by `UPDATE_DOCS=1 cargo test -p nono-profiles` -->";
    const END: &str = "<!-- end of fields -->";
    let (before, rest) = DOCS.split_once(BEGIN).expect("the beginning of the reference");
    let (inside, after) = rest.split_once(END).expect("its end");
    let reference = reference();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/profiles.md");
        std::fs::write(path, format!("{before}{BEGIN}{reference}{END}{after}")).unwrap();
    } else {
        assert_eq!(inside, reference, "UPDATE_DOCS=1 writes it anew");
    }
}

#[test]
fn every_profile_group_and_variable_is_named() {
    let names = builtin_names().chain(group_names()).map(|name| format!("`{name}`"));
    for name in names.chain(variable_names().map(|name| format!("`${name}`"))) {
        assert!(DOCS.contains(&name), "docs/profiles.md lacks {name}");
    }
}

fn example(name: &str) -> &'static str {
    let all = [
        ("data-science", include_str!("../../examples/data-science.json")),
        ("database", include_str!("../../examples/database.json")),
        ("review", include_str!("../../examples/review.json")),
    ];
    let (_, text) = all.iter().find(|(known, _)| *known == name).unwrap();
    assert!(DOCS.contains(text.trim()), "docs/profiles.md shows another {name}");
    text
}

#[test]
fn data_science() {
    let world = World::new();
    world.make(&["home/datasets/public/x.csv", "home/datasets/personal/x.csv"]);
    let policy = world.resolved(example("data-science")).policy;
    let lookup = |path: &str, access| policy.fs.lookup(&world.path(path), access);
    assert_eq!(lookup("home/datasets/public/x.csv", Access::READ), Lookup::Allowed);
    assert_ne!(lookup("home/datasets/public/x.csv", Access::WRITE), Lookup::Allowed);
    assert!(matches!(lookup("home/datasets/personal/x.csv", Access::READ), Lookup::Denied(_)));
    assert_eq!(lookup("work/x", Access::WRITE), Lookup::Allowed);
    assert_eq!(policy.network.mode, NetworkMode::Loopback);
}

#[test]
fn database() {
    let mut world = World::new();
    world.make(&["home/.m2/repository/x"]);
    world.set("PGUSER", "me");
    world.set("PGPASSWORD", "secret");
    let policy = world.resolved(example("database")).policy;
    let socket = nono_sandbox::AbsPath::new("/run/postgresql/.s.PGSQL.5432").unwrap();
    let grant = policy.unix.connect_grant(&socket).unwrap();
    assert!(!grant.bind && grant.source.line.is_some());
    let variables = &policy.environment.variables;
    assert_eq!(variables["PGHOST"], b"/run/postgresql");
    assert_eq!(variables["PGUSER"], b"me");
    assert!(!variables.contains_key("PGPASSWORD"));
    let java = policy.fs.lookup(&world.path("home/.m2/repository/x"), Access::READ);
    assert_eq!(java, Lookup::NoGrant);
}

#[test]
fn review() {
    let world = World::new();
    world.make(&["work/src/x", "work/secrets/key", "work/.nono/"]);
    std::fs::write(world.root.join("work/.nono/profile.json"), example("review")).unwrap();
    let policy = world.resolve(&ProfileRef::default()).unwrap().policy;
    let lookup = |path: &str, access| policy.fs.lookup(&world.path(path), access);
    assert_eq!(lookup("work/src/x", Access::READ), Lookup::Allowed);
    assert_ne!(lookup("work/src/x", Access::WRITE), Lookup::Allowed);
    assert!(matches!(lookup("work/secrets/key", Access::READ), Lookup::Denied(_)));
    assert_eq!(lookup("tmp/x", Access::WRITE), Lookup::Allowed);
    assert_eq!(policy.network.mode, NetworkMode::None);
}

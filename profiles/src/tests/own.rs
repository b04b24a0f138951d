//! What the server depends on, the user's profile folder, conditions.

use super::World;
use crate::{Context, Machine, NoteKind, OwnFiles, ProfileRef, resolve};
use nono_sandbox::policy::{Access, Lookup};

#[test]
fn the_servers_own_files_stay_closed_whatever_the_profile_says() {
    let world = World::new();
    world.make(&["home/.config/nono-mcp/profiles/x.json", "state/audit/log", "state/other"]);
    let state = world.path("state");
    let own = OwnFiles { closed: vec![world.path("state/audit")], ..OwnFiles::default() };
    let context = Context { own, ..world.context() };
    let resolved = |list: &str| {
        let text = format!(r#"{{"filesystem": {{"{list}": ["{state}", "~"]}}}}"#);
        resolve(&world.profile("p.json", &text), &context)
    };
    let policy = resolved("read").unwrap().policy;
    let lookup = |path: &str| policy.fs.lookup(&world.path(path), Access::READ);
    assert_eq!(lookup("state/other"), Lookup::Allowed);
    assert!(matches!(lookup("state/audit/log"), Lookup::Denied(_)));
    assert!(matches!(lookup("home/.config/nono-mcp/profiles/x.json"), Lookup::Denied(_)));
    let message = resolved("allow").unwrap_err().to_string();
    assert!(message.contains("state contains") && message.contains("stays closed"), "{message}");
}

#[test]
fn no_profile_makes_the_servers_program_writable() {
    let world = World::new();
    world.make(&["bin/nono-mcp", "bin/other", "work/target/nono-mcp"]);
    let with = |program: &str, text: &str| {
        let own = OwnFiles { program: Some(world.path(program)), ..OwnFiles::default() };
        resolve(&world.profile("p.json", text), &Context { own, ..world.context() })
    };
    let bin = world.path("bin");
    let text = |list: &str| format!(r#"{{"filesystem": {{"{list}": ["{bin}"]}}}}"#);
    let policy = with("bin/nono-mcp", &text("read")).unwrap().policy;
    let read = policy.fs.lookup(&world.path("bin/nono-mcp"), Access::READ);
    assert_eq!(read, Lookup::Allowed);
    let message = with("bin/nono-mcp", &text("write")).unwrap_err().to_string();
    assert!(message.contains("the program of the sandbox itself"), "{message}");
    // The folder the program is built in can be worked in, and that is said.
    let open = r#"{"workdir": {"access": "readwrite"}}"#;
    let resolved = with("work/target/nono-mcp", open).unwrap();
    let note = resolved.notes.iter().find(|n| n.kind == NoteKind::OwnProgram).unwrap();
    assert!(note.is_warning());
}

#[test]
fn profiles_are_found_in_the_users_folder() {
    let mut world = World::new();
    world.make(&["config/nono-mcp/profiles/", "a/"]);
    world.set("XDG_CONFIG_HOME", world.path("config").as_path());
    let a = world.path("a");
    let write = |name: &str, text: &str| {
        std::fs::write(world.root.join("config/nono-mcp/profiles").join(name), text).unwrap();
    };
    write("mine.json", &format!(r#"{{"extends": "base", "filesystem": {{"read": ["{a}"]}}}}"#));
    write("base.jsonc", r#"{"extends": "strict" /* why not */}"#);
    write("coding.json", "{}");
    let policy = world.resolve(&ProfileRef::from("mine")).unwrap().policy;
    assert_eq!(policy.name, "mine");
    assert_eq!(policy.fs.lookup(&world.path("a/x"), Access::READ), Lookup::Allowed);
    let message = world.resolve(&ProfileRef::from("mime")).unwrap_err().to_string();
    assert_eq!(message, "unknown profile `mime`; did you mean `mine`?");
    for outside in ["..", ".", "x/../mine"] {
        assert!(world.resolve(&ProfileRef::from(outside)).is_err(), "{outside}");
    }
    // A built-in name means the built-in profile, and the file that hides behind it is named.
    let resolved = world.resolve(&ProfileRef::default()).unwrap();
    assert!(!resolved.policy.fs.rules.is_empty());
    let note = resolved.notes.iter().find(|n| n.kind == NoteKind::Shadowed).unwrap();
    assert!(note.source.profile.ends_with("coding.json") && note.is_warning());
    let names: Vec<_> = crate::available(&world.context()).into_iter().map(|a| a.name).collect();
    assert!(names.contains(&"mine".to_owned()) && names.contains(&"rust".to_owned()));
}

#[test]
fn entries_count_where_their_conditions_hold() {
    let world = World::new();
    world.make(&["old/", "new/"]);
    let (old, new) = (world.path("old"), world.path("new"));
    let profile = world.profile(
        "p.json",
        &format!(
            r#"{{"filesystem": {{"read": [
                {{"path": "{old}", "when": "!landlock:>=6"}},
                {{"path": "{new}", "when": ["linux", "landlock:>=6"]}}]}},
                "environment": {{"set_vars": {{
                    "A": {{"value": "1", "when": "macos"}}, "B": {{"value": "2", "when": "linux"}}}}}}}}"#
        ),
    );
    let rules = |landlock_abi| {
        let machine = Machine { landlock_abi, ..Machine::default() };
        let policy = resolve(&profile, &Context { machine, ..world.context() }).unwrap().policy;
        assert_eq!(policy.environment.variables.keys().collect::<Vec<_>>(), ["B"]);
        policy.fs.rules.iter().map(|rule| world.show(&rule.path)).collect::<Vec<_>>()
    };
    assert_eq!(rules(5), ["old"]);
    assert_eq!(rules(6), ["new"]);
}

#[test]
fn nothing_shows_values_of_variables() {
    let mut world = World::new();
    world.set("LANG", "value-of-lang");
    let policy = world.resolve(&ProfileRef::default()).unwrap().policy;
    let facts = crate::facts(&policy);
    assert!(facts.iter().any(|fact| fact.about == "environment" && fact.text == "LANG"));
    assert!(facts.iter().all(|fact| !fact.text.contains("value-of-lang")));
}

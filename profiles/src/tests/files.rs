//! Profiles written by an operator.

use super::World;
use crate::{Context, MissingFolders, NoteKind, ProfileRef, resolve};
use nono_sandbox::AbsPath;
use nono_sandbox::policy::{Access, Lookup, Mediation, Observe, Reach, Scope};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

const READ: Access = Access::READ.union(Access::EXECUTE);

#[test]
fn an_empty_profile_grants_nothing() {
    let world = World::new();
    let policy = world.resolved("{}").policy;
    assert!(policy.fs.rules.is_empty() && policy.unix.grants.is_empty());
    assert!(policy.environment.variables.is_empty());
    assert_eq!(policy.name, "p");
    assert_eq!(policy.unix.mediation, Mediation::Pathname);
    assert_eq!(policy.observe, Observe::Writes);
    assert_eq!((policy.rate.per_second.get(), policy.rate.burst.get()), (20_000, 5_000));
    assert_eq!(policy.fs.workspaces, [world.path("work")]);
}

#[test]
fn fields_become_access_and_scope() {
    let world = World::new();
    world.make(&["d/r/", "d/w/", "d/a/", "d/x/", "d/rf", "d/wf", "d/af", "d/plain"]);
    let d = world.path("d");
    let policy = world
        .resolved(&format!(
            r#"{{"filesystem": {{
                "read": ["{d}/r", {{"path": "{d}/x", "execute": false}}, "{d}/plain"],
                "write": ["{d}/w"],
                "allow": ["{d}/a"],
                "read_file": ["{d}/rf", "{d}/r"],
                "write_file": ["{d}/wf"],
                "allow_file": ["{d}/af"]
            }}}}"#
        ))
        .policy;
    let found: Vec<_> =
        policy.fs.rules.iter().map(|r| (world.show(&r.path), r.scope, r.access)).collect();
    let expected = [
        ("d/r", Scope::Tree, READ),
        ("d/x", Scope::Tree, Access::READ),
        ("d/plain", Scope::File, READ),
        ("d/w", Scope::Tree, Access::WRITE),
        ("d/a", Scope::Tree, READ | Access::WRITE),
        ("d/rf", Scope::File, READ),
        ("d/wf", Scope::File, Access::WRITE),
        ("d/af", Scope::File, READ | Access::WRITE),
    ];
    assert_eq!(found, expected.map(|(path, scope, access)| (path.to_owned(), scope, access)));
}

#[test]
fn missing_things_are_noted_with_their_line() {
    let world = World::new();
    world.make(&["d/"]);
    let resolved = world.resolved(
        "{\"filesystem\": {\"read\": [\"/no/such\",\n\"$GOROOT\"],\n\"read_file\": [\"/usr\"]}}",
    );
    let notes: Vec<_> = resolved.notes.iter().map(|n| (n.kind, n.source.line)).collect();
    let expected = [(NoteKind::Missing, 1), (NoteKind::Unset, 2), (NoteKind::WrongKind, 3)];
    assert_eq!(notes, expected.map(|(kind, line)| (kind, Some(line))));
    assert!(resolved.notes.iter().all(crate::Note::is_warning));
    assert!(
        resolved.notes[0]
            .to_string()
            .ends_with("p.json:1: filesystem.read: /no/such: /no/such does not exist")
    );
}

#[test]
fn sockets_get_grants_and_the_right_to_be_made() {
    let world = World::new();
    world.make(&["s/real/"]);
    symlink(world.path("s/real"), world.path("s/link")).unwrap();
    let s = world.path("s");
    let resolved = world.resolved(&format!(
        r#"{{"filesystem": {{
            "unix_socket": ["{s}/link/later.sock"],
            "unix_socket_bind": ["{s}/link/mine.sock", "{s}/gone/mine.sock"],
            "unix_socket_dir": ["{s}/real"],
            "unix_socket_subtree_bind": [{{"path": "{s}/new/dir", "create": true}}]
        }}}}"#
    ));
    let grants: Vec<_> = resolved
        .policy
        .unix
        .grants
        .iter()
        .map(|g| (world.show(&g.path), g.reach, g.bind))
        .collect();
    let expected = [
        ("s/real/later.sock", Reach::Exact, false),
        ("s/real/mine.sock", Reach::Exact, true),
        ("s/gone/mine.sock", Reach::Exact, true),
        ("s/real", Reach::Children, false),
        ("s/new/dir", Reach::Subtree, true),
    ];
    assert_eq!(grants, expected.map(|(path, reach, bind)| (path.to_owned(), reach, bind)));
    let rules: Vec<_> =
        resolved.policy.fs.rules.iter().map(|r| (world.show(&r.path), r.access)).collect();
    let expected = [("s/real", Access::MAKE_SOCKET), ("s/new/dir", Access::MAKE_SOCKET)];
    assert_eq!(rules, expected.map(|(path, access)| (path.to_owned(), access)));
    let kinds: Vec<_> = resolved.notes.iter().map(|n| n.kind).collect();
    assert_eq!(kinds, [NoteKind::Missing, NoteKind::Created]);
    let mode = std::fs::metadata(world.path("s/new/dir")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}

/// Programs that lock a file beside what they may not write need it to be there.
#[test]
fn files_are_made_as_well_and_what_is_there_stays() {
    let world = World::new();
    world.make(&["home/there"]);
    std::fs::write(world.path("home/there"), "text").unwrap();
    let resolved = world.resolved(
        r#"{"filesystem": {"allow_file": [{"path": "~/new/{lock,state}", "create": true}],
                           "write_file": [{"path": "~/there", "create": true}]}}"#,
    );
    let rules: Vec<_> =
        resolved.policy.fs.rules.iter().map(|r| (world.show(&r.path), r.scope)).collect();
    let expected = ["home/there", "home/new/lock", "home/new/state"];
    assert_eq!(rules, expected.map(|path| (path.to_owned(), Scope::File)));
    let kinds: Vec<_> = resolved.notes.iter().map(|n| n.kind).collect();
    assert_eq!(kinds, [NoteKind::Created; 2]);
    let made = std::fs::metadata(world.path("home/new/lock")).unwrap();
    assert_eq!((made.len(), made.permissions().mode() & 0o777), (0, 0o600));
    assert_eq!(std::fs::read_to_string(world.path("home/there")).unwrap(), "text");
}

#[test]
fn nothing_is_made_for_those_who_only_look() {
    let world = World::new();
    let text = r#"{"filesystem": {"allow": [{"path": "~/.npm", "create": true}]}}"#;
    let profile = world.profile("p.json", text);
    let context = Context { missing_folders: MissingFolders::Leave, ..world.context() };
    let resolved = resolve(&profile, &context).unwrap();
    assert_eq!(resolved.notes[0].kind, NoteKind::Missing);
    assert!(!world.path("home/.npm").as_path().exists());
}

#[test]
fn extends_appends_lists_and_replaces_values() {
    let world = World::new();
    world.make(&["a/", "b/", "c/"]);
    let (a, b, c) = (world.path("a"), world.path("b"), world.path("c"));
    world.profile(
        "base.json",
        &format!(
            r#"{{"filesystem": {{"read": ["{a}", "{b}"]}}, "rate": {{"burst": 1, "per_second": 2}},
                "diagnostics": {{"suppress_unix_sockets": ["/x", "/y"], "filesystem": "off"}},
                "environment": {{"set_vars": {{"A": "base", "B": "base"}}}},
                "workdir": {{"access": "readwrite"}}}}"#
        ),
    );
    world.profile("second.json", r#"{"linux": {"af_unix_datagram": true}}"#);
    let resolved = world.resolved(&format!(
        r#"{{"meta": {{"name": "child"}}, "extends": ["./base.json", "second.json", "base.json"],
            "filesystem": {{"read": ["{c}", "{a}"]}}, "rate": {{"burst": 9}},
            "diagnostics": {{"suppress_unix_sockets": ["/y", "/z"]}},
            "environment": {{"set_vars": {{"B": "child"}}}},
            "workdir": {{"access": "read"}}}}"#
    ));
    let policy = resolved.policy;
    assert_eq!(policy.name, "child");
    let rules: Vec<_> = policy.fs.rules.iter().map(|r| world.show(&r.path)).collect();
    assert_eq!(rules, ["work", "a", "b", "c"]);
    assert!(policy.fs.rules[1].source.profile.ends_with("base.json"));
    assert!(policy.fs.rules[3].source.profile.ends_with("p.json"));
    assert_eq!((policy.rate.burst.get(), policy.rate.per_second.get()), (9, 2));
    assert_eq!(policy.observe, Observe::Off);
    assert!(policy.unix.datagrams);
    assert_eq!(policy.fs.lookup(&world.path("work"), READ), Lookup::Allowed);
    assert_ne!(policy.fs.lookup(&world.path("work"), Access::WRITE), Lookup::Allowed);
    assert_eq!(policy.environment.variables["A"], b"base");
    assert_eq!(policy.environment.variables["B"], b"child");
    assert_eq!(resolved.suppress_unix_sockets.len(), 3);
}

#[test]
fn circles_depth_and_unknown_bases_are_named() {
    let world = World::new();
    world.profile("a.json", r#"{"extends": "b.json"}"#);
    world.profile("b.json", r#"{"extends": ["./../profiles/a.json"]}"#);
    let circle = world.error(r#"{"extends": "a.json"}"#);
    assert!(circle.starts_with("profiles extend each other in a circle: "), "{circle}");
    assert!(circle.ends_with("a.json") && circle.contains("b.json -> "), "{circle}");
    let own = world.error(r#"{"extends": "p.json"}"#);
    assert!(own.contains("in a circle"), "{own}");

    for level in 0..20 {
        let text = format!(r#"{{"extends": "l{}.json"}}"#, level + 1);
        world.profile(&format!("l{level}.json"), &text);
    }
    world.profile("l20.json", "{}");
    let deep = world.error(r#"{"extends": "l0.json"}"#);
    assert!(deep.contains("more than 10 levels"), "{deep}");
    assert!(world.resolve(&world.profile("p.json", r#"{"extends": "l12.json"}"#)).is_ok());

    let unknown = world.error("{\n\"extends\": [\"codding\"]}");
    assert!(unknown.contains("p.json:2: extends: codding: unknown profile `codding`"), "{unknown}");
    assert!(unknown.contains("did you mean `coding`?"), "{unknown}");
    let missing = world.error(r#"{"extends": "none.json"}"#);
    assert!(missing.contains("p.json:1: extends: none.json: cannot read profile"), "{missing}");
    let name = world.resolve(&ProfileRef::from("qqqqqq")).unwrap_err().to_string();
    assert!(name.contains("known: coding") && name.contains("./qqqqqq.json"), "{name}");
}

#[test]
fn bad_entries_are_named() {
    let world = World::new();
    for (text, part) in [
        (
            r#"{"filesystem": {"read": ["$HOMES"]}}"#,
            "p.json:1:26: filesystem.read: $HOMES: unknown variable",
        ),
        (r#"{"filesystem": {"read": ["usr"]}}"#, "a path starts with"),
        (
            r#"{"filesystem": {"read_file": [{"path": "/a", "create": true}]}}"#,
            "`create` is for folders",
        ),
        (r#"{"filesystem": {"deny": [{"path": "/a", "execute": true}]}}"#, "`execute` belongs to"),
        (r#"{"filesystem": {"unix_socket": ["/tmp/*.sock"]}}"#, "globs cannot be used here"),
        (r#"{"filesystem": {"unix_socket_dir": ["/"]}}"#, "`/` holds no sockets"),
        (r#"{"filesystem": {"read": ["/etc/[a"]}}"#, "not a glob"),
        (r#"{"environment": {"deny_vars": ["[A"]}}"#, "environment.deny_vars: [A: not a glob"),
        (r#"{"environment": {"set_vars": {"NONO_X": "1"}}}"#, "belong to the sandbox"),
        (r#"{"environment": {"set_vars": {"A=B": "1"}}}"#, "cannot be empty or contain `=`"),
        (r#"{"environment": {"set_vars": {"A": "$WORKSPACE"}}}"#, "may be several folders"),
    ] {
        let message = world.error(text);
        assert!(message.contains(part), "{text}: {message}");
    }
}

#[test]
fn invalid_globs_hide_nothing_and_valid_ones_stay_within_names() {
    let world = World::new();
    let resolved = world.resolved(
        r#"{"diagnostics": {"suppress_unix_sockets":
            ["[a", "/tmp/tmux-*/default", "/var/run/nscd/socket", "/deep/**"]}}"#,
    );
    let hides = |path: &str| resolved.suppress_unix_sockets.is_match(path);
    assert!(hides("/tmp/tmux-1000/default") && hides("/var/run/nscd/socket") && hides("/deep/a/b"));
    assert!(!hides("/tmp/tmux-1/x/default") && !hides("/tmp/other") && !hides("[a"));
    assert_eq!(resolved.notes.len(), 1);
    assert_eq!(resolved.notes[0].kind, NoteKind::InvalidGlob);
}

#[test]
fn denied_paths_stay_closed() {
    let world = World::new();
    world.make(&["opt/app/.ssh/id", "opt/app/bin/tool", "opt/other/x"]);
    let opt = world.path("opt");
    let deny = format!(r#""deny": ["{opt}/app/.ssh"]"#);
    let policy =
        world.resolved(&format!(r#"{{"filesystem": {{"read": ["{opt}"], {deny}}}}}"#)).policy;
    let lookup = |path: &str| policy.fs.lookup(&world.path(path), Access::READ);
    assert_eq!(lookup("opt/app/bin/tool"), Lookup::Allowed);
    assert_eq!(lookup("opt/other/x"), Lookup::Allowed);
    assert!(matches!(lookup("opt/app/.ssh/id"), Lookup::Denied(_)));
    let message = world.error(&format!(r#"{{"filesystem": {{"allow": ["{opt}"], {deny}}}}}"#));
    assert!(
        message.contains("/opt contains") && message.contains("/.ssh, which stays"),
        "{message}"
    );
}

#[test]
fn unusable_folders_are_named() {
    let world = World::new();
    world.make(&["file"]);
    let profile = world.profile("p.json", "{}");
    let refused = |workspaces: Vec<AbsPath>| {
        let context = Context { workspaces, ..world.context() };
        resolve(&profile, &context).unwrap_err().to_string()
    };
    assert!(refused(vec![]).starts_with("no workspace"));
    assert!(refused(vec![world.path("none")]).contains("/none cannot be used"));
    assert!(refused(vec![world.path("file")]).contains("/file cannot be used"));
    let context = Context { tmpdir: world.path("none"), ..world.context() };
    let message = resolve(&profile, &context).unwrap_err().to_string();
    assert!(message.starts_with("temporary folder "), "{message}");
}

#[test]
fn workspaces_are_canonical_and_named_once() {
    let world = World::new();
    world.make(&["second/"]);
    symlink(world.path("work"), world.path("link")).unwrap();
    let workspaces = vec![world.path("link"), world.path("work"), world.path("second")];
    let context = Context { workspaces, ..world.context() };
    let profile = world.profile("p.json", r#"{"filesystem": {"allow": ["$WORKSPACE"]}}"#);
    let policy = resolve(&profile, &context).unwrap().policy;
    assert_eq!(policy.fs.workspaces, [world.path("work"), world.path("second")]);
    let rules: Vec<_> = policy.fs.rules.iter().map(|r| world.show(&r.path)).collect();
    assert_eq!(rules, ["work", "second"]);
}

#[test]
fn covered_rules_are_left_out() {
    let world = World::new();
    world.make(&["a/b/c", "a2/"]);
    let a = world.path("a");
    let policy = world
        .resolved(&format!(
            r#"{{"filesystem": {{
                "read": ["{a}/b", "{a}", "{a}2"], "read_file": ["{a}/b/c"], "write": ["{a}/b"]
            }}}}"#
        ))
        .policy;
    let rules: Vec<_> = policy.fs.rules.iter().map(|r| (world.show(&r.path), r.access)).collect();
    let expected = [("a", READ), ("a2", READ), ("a/b", Access::WRITE)];
    assert_eq!(rules, expected.map(|(path, access)| (path.to_owned(), access)));
    assert_eq!(policy.fs.lookup(&AbsPath::new(Path::new("/")).unwrap(), READ), Lookup::NoGrant);
}

#[test]
fn what_is_not_there_is_remembered_with_what_it_would_have() {
    let world = World::new();
    world.make(&["home/.cache/"]);
    let absent = |rest: &str| {
        let text = format!(
            r#"{{ "workdir": {{ "access": "readwrite" }}, "filesystem": {{
                "allow": ["~/.cache/x", "~/.cache", "$WORKSPACE/y"],
                "read_file": ["~/.xrc", "~/.closed"], "deny": ["~/.closed"]{rest} }} }}"#
        );
        let found = world.resolved(&text).absent;
        found
            .into_iter()
            .map(|rule| (world.show(&rule.path), rule.scope, rule.access))
            .collect::<Vec<_>>()
    };
    let (read, all) =
        (Access::READ | Access::EXECUTE, Access::READ | Access::EXECUTE | Access::WRITE);
    let cache = "home/.cache/x".to_owned();
    let file = ("home/.xrc".to_owned(), Scope::File, read);
    assert_eq!(absent(""), [(cache.clone(), Scope::Tree, all), file.clone()]);
    assert_eq!(absent(", \"read_only\": true"), [(cache, Scope::Tree, read), file]);
}

#[test]
fn a_path_of_one_process_is_left_out_with_the_next_step() {
    let world = World::new();
    let text = r#"{ "filesystem": {
        "read": ["/proc/self/task", "/proc/1", "/proc/4000000/fd", "/proc/sys/kernel"],
        "write_file": ["/proc/self/comm"] } }"#;
    let resolved = world.resolved(text);
    let granted: Vec<String> =
        resolved.policy.fs.rules.iter().map(|r| r.path.to_string()).collect();
    assert_eq!(granted, ["/proc/sys/kernel"]);
    assert_eq!(resolved.notes.len(), 4, "{:?}", resolved.notes);
    for note in &resolved.notes {
        assert_eq!((note.kind, note.is_warning()), (NoteKind::OneProcess, true));
        assert!(note.message.contains("grant `/proc` for reading"), "{note}");
    }
    assert!(resolved.absent.is_empty(), "{:?}", resolved.absent);
    let all = world.resolved(r#"{ "filesystem": { "read": ["/proc"] } }"#);
    assert!(all.notes.is_empty(), "{:?}", all.notes);
    // Links that lead there.
    let net = world.resolved(r#"{ "filesystem": { "read": ["/proc/net"] } }"#);
    assert!(net.policy.fs.rules.is_empty() && net.notes[0].is_warning(), "{:?}", net.notes);
    assert!(net.notes[0].message.contains("grant /proc instead"), "{:?}", net.notes);
}

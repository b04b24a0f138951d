//! Good and bad files: the loader and a validator of JSON Schema agree about all of them, and each
//! message of the loader names line, field and fix.

use super::World;
use crate::load::plain_json;
use nono_schemas::profile_file::profile_schema;

/// Files that are right.
const GOOD: &[&str] = &[
    "{}",
    r#"{"$schema": "x", "meta": {"name": "a", "version": "1", "description": "d", "author": "w"}}"#,
    r#"{"extends": "coding"}"#,
    r#"{"extends": ["coding", "strict"]}"#,
    r#"{"groups": {"include": ["rust"], "exclude": ["java"]}}"#,
    r#"{"filesystem": {"read": ["/usr", {"path": "~/x", "why": "w", "create": true, "execute": false, "when": "linux"}]}}"#,
    r#"{"filesystem": {"unix_socket": ["/run/s"], "unix_socket_dir_bind": ["$TMPDIR"], "read_only": true}}"#,
    r#"{"remove": {"filesystem": {"read": ["/opt"]}, "environment": {"set_vars": ["A"]}, "diagnostics": {"suppress_unix_sockets": ["/x"]}}}"#,
    r#"{"network": {"mode": "none"}, "linux": {"af_unix_mediation": "off", "af_unix_datagram": true}}"#,
    r#"{"environment": {"allow_vars": ["A*"], "deny_vars": ["B"], "set_vars": {"A": "1", "B": {"value": "2", "when_unset": true, "when": ["linux"], "why": "w"}}}}"#,
    r#"{"environment": {"credentials": {"A": {"file": "~/a", "why": "w", "when": "linux"}, "B": {"command": ["/bin/echo", "$HOME"]}}}, "remove": {"environment": {"credentials": ["A"]}}}"#,
    r#"{"diagnostics": {"filesystem": "writes", "suppress_unix_sockets": ["/a/*"]}}"#,
    r#"{"rate": {"per_second": 1, "burst": 4294967295}, "workdir": {"access": "readwrite", "why": "w"}}"#,
];

/// Files the schema forbids: what is wrong, and a part of the message that says where and what.
const BAD_SHAPE: &[(&str, &str)] = &[
    ("[]", ":1:1: profile: expected an object, found a list"),
    ("7", ":1:1: profile: expected an object, found a number"),
    (r#""coding""#, ":1:1: profile: expected an object, found a string"),
    ("null", ":1:1: profile: expected an object, found null"),
    ("{\n\"filesytem\": {}}", ":2:1: filesytem: unknown field; did you mean `filesystem`?"),
    ("{\n\n \"extend\": \"a\"}", ":3:2: extend: unknown field; did you mean `extends`?"),
    (r#"{"group": {}}"#, "group: unknown field; did you mean `groups`?"),
    (r#"{"removes": {}}"#, "removes: unknown field; did you mean `remove`?"),
    (r#"{"env": {}}"#, "env: unknown field; known here: $schema, meta, extends"),
    (r#"{"Network": {}}"#, "Network: unknown field; did you mean `network`?"),
    (r#"{"workspace": {}}"#, "workspace: unknown field; known here"),
    (r#"{"meta": "x"}"#, "meta: expected an object, found a string"),
    (r#"{"meta": {"nam": "x"}}"#, "meta.nam: unknown field; did you mean `name`?"),
    (r#"{"meta": {"name": 1}}"#, "meta.name: expected a string, found a number"),
    (r#"{"extends": {}}"#, "extends: expected a string or a list, found an object"),
    (r#"{"extends": [1]}"#, "extends[0]: expected a string, found a number"),
    (r#"{"groups": ["rust"]}"#, "groups: expected an object, found a list"),
    (r#"{"groups": {"includes": []}}"#, "groups.includes: unknown field; did you mean `include`?"),
    (r#"{"groups": {"include": "rust"}}"#, "groups.include: expected a list, found a string"),
    (
        r#"{"remove": {"filesystem": ["/a"]}}"#,
        "remove.filesystem: expected an object, found a list",
    ),
    (
        r#"{"remove": {"filesystem": {"read": [{"path": "/a"}]}}}"#,
        "remove.filesystem.read[0]: expected a string",
    ),
    (r#"{"remove": {"linux": {}}}"#, "remove.linux: unknown field; known here: filesystem"),
    (r#"{"filesystem": []}"#, "filesystem: expected an object, found a list"),
    (r#"{"filesystem": {"reads": []}}"#, "filesystem.reads: unknown field; did you mean `read`?"),
    (
        r#"{"filesystem": {"allows": []}}"#,
        "filesystem.allows: unknown field; did you mean `allow`?",
    ),
    (r#"{"filesystem": {"unix_sockets": []}}"#, "did you mean `unix_socket`?"),
    (r#"{"filesystem": {"read": "/usr"}}"#, "filesystem.read: expected a list, found a string"),
    (
        "{\"filesystem\": {\"read\": [\"/a\",\n 7]}}",
        ":2:2: filesystem.read[1]: expected a string or an object",
    ),
    (r#"{"filesystem": {"read": [{"why": "x"}]}}"#, "filesystem.read[0]: field `path` is missing"),
    (
        r#"{"filesystem": {"read": [{"path": "/a", "mkdir": true}]}}"#,
        "filesystem.read[0].mkdir: unknown field",
    ),
    (
        r#"{"filesystem": {"read": [{"path": "/a", "create": "yes"}]}}"#,
        "create: expected true or false, found a string",
    ),
    (
        r#"{"filesystem": {"read": [{"path": "/a", "when": true}]}}"#,
        "when: expected a string or a list",
    ),
    (
        r#"{"filesystem": {"read_only": 1}}"#,
        "filesystem.read_only: expected true or false, found a number",
    ),
    (r#"{"network": "open"}"#, "network: expected an object, found a string"),
    (
        r#"{"network": {"mode": "closed"}}"#,
        "network.mode: unknown value `closed`; known here: none, loopback, proxy, hosts, open",
    ),
    (r#"{"network": {"mode": "opn"}}"#, "network.mode: unknown value `opn`; did you mean `open`?"),
    (r#"{"network": {"block": true}}"#, "network.block: unknown field; known here: mode"),
    (
        r#"{"linux": {"af_unix_mediation": "path"}}"#,
        "unknown value `path`; known here: pathname, off",
    ),
    (r#"{"linux": {"af_unix_datagram": "yes"}}"#, "af_unix_datagram: expected true or false"),
    (r#"{"environment": {"allow": []}}"#, "environment.allow: unknown field"),
    (
        r#"{"environment": {"set_vars": ["A"]}}"#,
        "environment.set_vars: expected an object, found a list",
    ),
    (
        r#"{"environment": {"set_vars": {"A": 1}}}"#,
        "environment.set_vars.A: expected a string or an object",
    ),
    (r#"{"environment": {"set_vars": {"A": {}}}}"#, "field `value` is missing"),
    (
        r#"{"environment": {"credentials": {"A": "~/token"}}}"#,
        "environment.credentials.A: expected an object, found a string",
    ),
    (
        r#"{"environment": {"credentials": {"A": {"fil": "~/token"}}}}"#,
        "environment.credentials.A.fil: unknown field; did you mean `file`?",
    ),
    (
        r#"{"environment": {"credentials": {"A": {"command": "pass"}}}}"#,
        "command: expected a list, found a string",
    ),
    (r#"{"diagnostics": {"filesystem": "all"}}"#, "unknown value `all`"),
    (
        r#"{"rate": {"burst": 0}}"#,
        "rate.burst: expected a whole number from 1 to 4294967295, found 0",
    ),
    (r#"{"rate": {"burst": 4294967296}}"#, "found 4294967296"),
    (r#"{"rate": {"per_second": 1.5}}"#, "found 1.5"),
    (
        r#"{"rate": {"per_second": "1"}}"#,
        "rate.per_second: expected a whole number, found a string",
    ),
    (r#"{"rate": {"per_second": -1}}"#, "found -1"),
    (r#"{"workdir": {}}"#, "workdir: field `access` is missing"),
    (r#"{"workdir": {"access": "rw"}}"#, "workdir.access: unknown value `rw`"),
    (
        r#"{"network": null}"#,
        "network: expected an object, found null; leave the field out instead",
    ),
];

/// Files whose texts mean nothing, which no schema can see.
const BAD_TEXT: &[(&str, &str)] = &[
    ("", "the file is empty"),
    ("{", ":1:1: "),
    ("{\"meta\": {},\n\"meta\": {}}", ":2:1: meta: this field is there twice; keep one"),
    (
        r#"{"extends": "codng"}"#,
        ":1: extends: codng: unknown profile `codng`; did you mean `coding`?",
    ),
    (r#"{"extends": "./none.json"}"#, "extends: ./none.json: cannot read profile"),
    (
        r#"{"groups": {"include": ["pyton"]}}"#,
        "groups.include: pyton: unknown group `pyton`; did you mean `python`?",
    ),
    (r#"{"filesystem": {"read": ["usr"]}}"#, ":1:26: filesystem.read: usr: a path starts with"),
    (r#"{"filesystem": {"read": [""]}}"#, "a path starts with"),
    (r#"{"filesystem": {"read": ["/a/../b"]}}"#, "`..` cannot be used"),
    (r#"{"filesystem": {"read": ["/a/**"]}}"#, "`**` cannot be used"),
    (r#"{"filesystem": {"read": ["/a/[b"]}}"#, "not a glob"),
    (r#"{"filesystem": {"read": ["/{a"]}}"#, "`{` without `}`"),
    (r#"{"filesystem": {"read": ["/{a,{b}}"]}}"#, "braces cannot be nested"),
    (
        r#"{"filesystem": {"read": ["$HOMES/x"]}}"#,
        "unknown variable `$HOMES`; did you mean `$HOME`?",
    ),
    (r#"{"filesystem": {"read": ["~x"]}}"#, "must be followed by `/` or nothing"),
    (r#"{"filesystem": {"read": ["/a/$HOME"]}}"#, "can only stand at the start"),
    (r#"{"filesystem": {"read": ["/a$"]}}"#, "write `$$` for a dollar sign"),
    (
        r#"{"filesystem": {"read": [{"path": "/a", "when": "linus"}]}}"#,
        "unknown condition `linus`; known: linux",
    ),
    (
        r#"{"filesystem": {"read": [{"path": "/a", "when": "landlock:6"}]}}"#,
        "is not a version; write `>=6`",
    ),
    (
        r#"{"filesystem": {"read_file": [{"path": "/a", "create": true}]}}"#,
        "`create` is for folders",
    ),
    (
        r#"{"filesystem": {"deny": [{"path": "/a", "execute": true}]}}"#,
        "`execute` belongs to grants",
    ),
    (r#"{"filesystem": {"unix_socket": ["/tmp/*.sock"]}}"#, "globs cannot be used here"),
    (r#"{"filesystem": {"unix_socket_dir": ["/"]}}"#, "`/` holds no sockets"),
    (
        r#"{"remove": {"filesystem": {"read": ["opt"]}}}"#,
        "remove.filesystem.read: opt: a path starts",
    ),
    (r#"{"environment": {"allow_vars": ["[A"]}}"#, "environment.allow_vars: [A: not a glob"),
    (r#"{"environment": {"credentials": {"A": {}}}}"#, "give either `file` or `command`"),
    (
        r#"{"environment": {"credentials": {"A": {"file": "/a", "command": ["/b"]}}}}"#,
        "environment.credentials.A: ?: give either `file` or `command`",
    ),
    (r#"{"environment": {"credentials": {"A": {"command": []}}}}"#, "the command is empty"),
    (r#"{"environment": {"credentials": {"A": {"command": ["pass"]}}}}"#, "its absolute path"),
    (r#"{"environment": {"credentials": {"A": {"file": "/a/*"}}}}"#, "is one file"),
    (r#"{"environment": {"credentials": {"A": {"file": "token"}}}}"#, "a path starts with"),
    (
        r#"{"environment": {"credentials": {"LD_PRELOAD": {"file": "/a"}}}}"#,
        "makes programs load code",
    ),
    (r#"{"environment": {"credentials": {"NONO_X": {"file": "/a"}}}}"#, "belong to the sandbox"),
    (r#"{"environment": {"set_vars": {"": "1"}}}"#, "cannot be empty"),
    (r#"{"environment": {"set_vars": {"NONO_X": "1"}}}"#, "belong to the sandbox"),
    (r#"{"environment": {"set_vars": {"A": "$WORKSPACE"}}}"#, "may be several folders"),
];

#[test]
fn the_loader_and_the_schema_agree() {
    let world = World::new();
    let schema = profile_schema();
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    let is_valid = |text: &str| validator.is_valid(&plain_json(text, "p.json").unwrap());
    for text in GOOD {
        assert!(is_valid(text), "{text}");
        world.resolved(text);
    }
    for (text, part) in BAD_SHAPE {
        assert!(!is_valid(text), "{text}");
        let message = world.error(text);
        assert!(message.contains("p.json:1:") || message.contains(".json:"), "{message}");
        assert!(message.contains(part), "{text}\n  {message}\n  {part}");
    }
    let built_in = crate::builtin_names().filter_map(crate::builtin::profile);
    for file in built_in.chain(crate::group_names().filter_map(crate::builtin::group)) {
        assert!(is_valid(file.text), "{}", file.name);
    }
}

#[test]
fn texts_that_mean_nothing_are_named() {
    let world = World::new();
    for (text, part) in BAD_TEXT {
        let message = world.error(text);
        assert!(message.contains("p.json:"), "{message}");
        assert!(message.contains(part), "{text}\n  {message}\n  {part}");
    }
    assert!(BAD_SHAPE.len() + BAD_TEXT.len() >= 50);
}

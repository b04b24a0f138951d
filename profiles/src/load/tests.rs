//! What a profile file may contain, and how mistakes in it are reported.

use super::*;

fn document(text: &str) -> Result<Document, ProfileError> {
    Document::parse(text, "default", "p.json", Some(PathBuf::new()))
}

#[test]
fn comments_and_trailing_commas_are_fine() {
    let text = "\u{feff}// a comment\n{ /* another */ \"rate\": { \"burst\": 7, }, }";
    assert_eq!(document(text).unwrap().file.rate.burst.map(u32::from), Some(7));
}

#[test]
fn entries_know_their_lines() {
    let text = r#"{
        // one
        "filesystem": {
            "read": [
                "/a",
                { "path": "/b",
                  "why": "x" }
            ]
        },
        "workdir": { "access": "read" }
    }"#;
    let document = document(text).unwrap();
    let line = |source: Source| source.line;
    assert_eq!(line(document.entry("filesystem.read", 0, "/a")), Some(5));
    assert_eq!(line(document.entry("filesystem.read", 1, "/b")), Some(6));
    assert_eq!(line(document.field("workdir.access", "read")), Some(10));
    assert_eq!(
        document.entry("filesystem.read", 1, "/b"),
        Source { profile: "p.json".into(), rule: "filesystem.read: /b".into(), line: Some(6) }
    );
}

#[test]
fn the_name_comes_from_meta_or_the_file() {
    assert_eq!(document("{}").unwrap().name, "default");
    assert_eq!(document(r#"{"meta": {"name": "mine"}}"#).unwrap().name, "mine");
}

/// The message without the column, which [`columns_point_at_the_value`] checks.
fn without_column(error: &ProfileError) -> String {
    let at = match error {
        ProfileError::Field { at, .. } | ProfileError::Syntax { at, .. } => at.clone(),
        other => panic!("{other}"),
    };
    let plain = Location { column: None, ..at.clone() };
    error.to_string().replacen(&at.to_string(), &plain.to_string(), 1)
}

#[test]
fn columns_point_at_the_value() {
    for (text, expected) in [
        ("{\n  \"rate\": { \"burst\": 0 }\n}", "p.json:2:22: rate.burst: expected"),
        ("{ \"ä\": 1, \"filesystem\": [] }", "p.json:1:3: ä: unknown field"),
        ("{\"filesystem\": {\"read\": [\n  \"usr\"]}}", "p.json:2:3: filesystem.read: usr: a path"),
    ] {
        let error = document(text).and_then(|d| crate::layer::Layer::of(&d)).unwrap_err();
        assert!(error.to_string().starts_with(expected), "{error}");
    }
}

/// What is written, and how the error begins.
const MISTAKES: &[(&str, &str)] = &[
    ("", "p.json:1: the file is empty; the smallest profile is `{}`"),
    ("[]", "p.json:1: profile: expected an object, found a list"),
    ("{\n\"a\": }", "p.json:2: "),
    ("{'meta': {}}", "p.json:1: "),
    ("{\n\"filesytem\": {}}", "p.json:2: filesytem: unknown field; did you mean `filesystem`?"),
    (
        "{\"filesystem\": {\n\n\"reads\": []}}",
        "p.json:3: filesystem.reads: unknown field; did you mean `read`?",
    ),
    (
        r#"{"linux": {"sandbox_policy": "auto"}}"#,
        "p.json:1: linux.sandbox_policy: unknown field; \
         known here: af_unix_mediation, af_unix_datagram",
    ),
    (
        r#"{"filesystem": {"read": "/usr"}}"#,
        "p.json:1: filesystem.read: expected a list, found a string",
    ),
    (
        "{\"filesystem\": {\"read\": [\"/usr\",\n7]}}",
        "p.json:2: filesystem.read[1]: expected a string or an object, found a number",
    ),
    (
        "{\"filesystem\": {\"read\": [\n{\"why\": \"x\"}]}}",
        "p.json:2: filesystem.read[0]: field `path` is missing",
    ),
    (
        r#"{"filesystem": {"read": [{"path": "/a", "mkdir": true}]}}"#,
        "p.json:1: filesystem.read[0].mkdir: unknown field; known here: path, why, create, execute, existing, when",
    ),
    (
        r#"{"linux": {"af_unix_mediation": "path"}}"#,
        "p.json:1: linux.af_unix_mediation: unknown value `path`; known here: pathname, off",
    ),
    (
        r#"{"linux": {"af_unix_mediation": "pathnames"}}"#,
        "p.json:1: linux.af_unix_mediation: unknown value `pathnames`; did you mean `pathname`?",
    ),
    (
        r#"{"linux": {"af_unix_datagram": "yes"}}"#,
        "p.json:1: linux.af_unix_datagram: expected true or false, found a string",
    ),
    (
        r#"{"rate": {"burst": 0}}"#,
        "p.json:1: rate.burst: expected a whole number from 1 to 4294967295, found 0",
    ),
    (
        r#"{"rate": {"burst": 4294967296}}"#,
        "p.json:1: rate.burst: expected a whole number from 1 to 4294967295, found 4294967296",
    ),
    (
        r#"{"rate": {"burst": 1.5}}"#,
        "p.json:1: rate.burst: expected a whole number from 1 to 4294967295, found 1.5",
    ),
    (
        r#"{"network": null}"#,
        "p.json:1: network: expected an object, found null; leave the field out instead",
    ),
    (r#"{"extends": {}}"#, "p.json:1: extends: expected a string or a list, found an object"),
    ("{\"meta\": {},\n\"meta\": {}}", "p.json:2: meta: this field is there twice; keep one"),
    (r#"{"workdir": {}}"#, "p.json:1: workdir: field `access` is missing"),
];

#[test]
fn mistakes_name_line_field_and_fix() {
    for (text, expected) in MISTAKES {
        let message = without_column(&document(text).unwrap_err());
        assert!(message.starts_with(expected), "{text}\n  {message}\n  {expected}");
    }
}

/// The checker understands a part of JSON Schema; the schema must stay inside of it.
#[test]
fn the_schema_uses_nothing_the_checker_ignores() {
    const KNOWN: &[&str] = &[
        "$defs",
        "$ref",
        "$schema",
        "additionalProperties",
        "anyOf",
        "const",
        "default",
        "description",
        "format",
        "items",
        "maximum",
        "minimum",
        "oneOf",
        "properties",
        "required",
        "title",
        "type",
    ];
    fn walk(schema: &serde_json::Value) {
        let Some(object) = schema.as_object() else { return };
        for (keyword, value) in object {
            assert!(KNOWN.contains(&keyword.as_str()), "{keyword}");
            match keyword.as_str() {
                "properties" | "$defs" => value.as_object().unwrap().values().for_each(walk),
                "anyOf" | "oneOf" => value.as_array().unwrap().iter().for_each(walk),
                "items" | "additionalProperties" => walk(value),
                _ => {}
            }
        }
    }
    walk(&nono_schemas::profile_file::profile_schema());
}

#[test]
fn files_must_be_text_of_bounded_size() {
    let dir = tempfile::tempdir().unwrap();
    let load = |name: &str, bytes: &[u8]| {
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        Document::read(&path, Links::Followed).unwrap_err().to_string()
    };
    assert!(load("a.json", b"{\"\xff\": 1}").contains("utf-8"));
    assert!(load("b.json", &vec![b' '; 1 << 21]).contains("larger than 1 MiB"));
    let folder = Document::read(dir.path(), Links::Followed).unwrap_err().to_string();
    assert!(folder.contains("not a regular file"), "{folder}");
    // Opening a pipe nobody writes to does not wait.
    let pipe = dir.path().join("pipe.json");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let message = Document::read(&pipe, Links::Followed).unwrap_err().to_string();
    assert!(message.contains("not a regular file"), "{message}");
    let link = dir.path().join("link.json");
    std::os::unix::fs::symlink("/etc/passwd", &link).unwrap();
    let message = Document::read(&link, Links::Refused).unwrap_err().to_string();
    assert!(message.contains("symbolic links"), "{message}");
    let missing =
        Document::read(Path::new("/no/such.json"), Links::Followed).unwrap_err().to_string();
    assert!(missing.starts_with("cannot read profile /no/such.json: "), "{missing}");
}

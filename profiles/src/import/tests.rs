//! A profile in nono's format, with every kind of field.

use super::*;

const THEIRS: &str = r#"{
  // as its documentation shows them
  "meta": { "name": "my-agent", "version": "1.0.0", "description": "x", "signed_by": "y" },
  "extends": "rust-dev",
  "groups": { "include": ["node_runtime", "vscode_linux"], "exclude": ["deny_shell_configs"] },
  "filesystem": {
    "allow": ["$WORKDIR/target", "/data/**"],
    "read": ["~/.config/tool", { "path": "/opt/x", "when": "linux:ubuntu:>=24.04" }, "/a/**/b"],
    "deny": ["/data/secret"],
    "bypass_protection": ["~/.npmrc"],
    "unix_socket": ["/run/tool.sock"]
  },
  "network": { "block": false, "allow_domain": ["example.com"] },
  "linux": { "af_unix_mediation": "pathname", "sandbox_policy": "auto" },
  "environment": { "allow_vars": ["PATH", "AWS_*"], "set_vars": { "OUT": "$WORKDIR/out", "X": "$TMPDIR/x" } },
  "env_credentials": { "file://~/.config/token": "TOKEN", "op://vault/key": "KEY" },
  "diagnostics": { "network_denial_audit": { "burst": 1 } },
  "workdir": { "access": "readwrite" },
  "rollback": {}
}"#;

#[test]
fn what_means_the_same_is_carried_over_and_the_rest_is_said() {
    let imported = import_nono(THEIRS, "theirs.json").unwrap();
    insta::assert_json_snapshot!("profile", imported.profile);
    let left: Vec<_> = imported.left.iter().map(|(field, _)| field.as_str()).collect();
    assert_eq!(
        left,
        [
            "meta.signed_by",
            "extends: rust-dev",
            "groups.include: vscode_linux",
            "groups.exclude: deny_shell_configs",
            "filesystem.read: /a/**/b",
            "filesystem.bypass_protection",
            "linux.sandbox_policy",
            "environment.set_vars.OUT",
            "env_credentials: op://vault/key",
            "diagnostics.network_denial_audit",
            "rollback",
        ]
    );
    assert!(imported.left.iter().all(|(_, why)| !why.is_empty()));
    assert!(imported.carried.contains(&"filesystem.unix_socket".to_owned()));
}

#[test]
fn what_comes_out_is_a_profile() {
    let imported = import_nono(THEIRS, "theirs.json").unwrap();
    let text = imported.profile.to_string();
    let document =
        load::Document::parse(&text, "x", "x.json", Some(std::path::PathBuf::new())).unwrap();
    crate::layer::Layer::of(&document).unwrap();
    assert_eq!(document.name, "my-agent");
}

#[test]
fn a_restriction_that_cannot_be_kept_closes() {
    for (network, mode) in [
        (r#"{"block": true}"#, "none"),
        (r#"{"block": true, "allow_domain": ["a.test"]}"#, "none"),
        (r#"{"open_port": [1]}"#, "none"),
        (r#"{"open_port": [1], "block": false}"#, "none"),
        (r#"{"allow_domain": ["a.test", "a..b"]}"#, "proxy"),
    ] {
        let imported = import_nono(&format!(r#"{{"network": {network}}}"#), "x").unwrap();
        assert_eq!(imported.profile["network"]["mode"], mode, "{network}");
    }
    let proxy = import_nono(r#"{"network": {"allow_domain": ["a.test", "a..b"]}}"#, "x").unwrap();
    assert_eq!(proxy.profile["network"]["allow"], json!(["a.test"]));
    assert_eq!(proxy.left[0].0, "network.allow_domain: a..b");
    let open = import_nono(r#"{"network": {"block": false}}"#, "x").unwrap();
    assert_eq!(open.profile["network"]["mode"], "open");
    assert_eq!(open.profile["extends"], json!(["coding"]));
}

#[test]
fn bad_files_are_named() {
    assert!(import_nono("[]", "x.json").unwrap_err().to_string().starts_with("x.json:1"));
    assert!(import_nono("{\n]", "x.json").unwrap_err().to_string().starts_with("x.json:2"));
}

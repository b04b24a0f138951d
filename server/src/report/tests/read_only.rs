//! Why nothing can be written under a read-only profile, and what changes that.

use super::*;
use nono_sandbox::policy::{Reach, ReadOnly, UnixGrant};
use nono_schemas::{Grantable, Risk};
use serde_json::json;

/// The workspace can be read; it could be written if the profile were not read-only.
fn read_only() -> Policy {
    let mut policy = policy();
    let source = Source {
        profile: "readonly".into(),
        rule: "filesystem.read_only: true".into(),
        line: Some(9),
    };
    let workspace = &mut policy.fs.rules[0];
    let taken = FsRule { access: Access::WRITE, ..workspace.clone() };
    workspace.access -= Access::WRITE;
    let socket =
        |bind| UnixGrant { path: path("/ws"), reach: Reach::Subtree, bind, source: source.clone() };
    policy.unix.grants.push(socket(false));
    let sockets = vec![socket(true)];
    let makes = FsRule { access: Access::MAKE_SOCKET, ..taken.clone() };
    policy.fs.read_only = Some(ReadOnly { source, rules: vec![taken, makes], sockets });
    policy
}

#[test]
fn being_read_only_is_the_rule_and_the_grant() {
    let policy = read_only();
    let mut refused = denial(Operation::Create, "/ws/z.txt");
    refused.reason = Reason::InsufficientAccess;
    refused.rule = Some(policy.fs.rules[0].source.clone());
    let item = told(&policy, None, None, refused);
    assert!(item.decided_by.rule.starts_with("filesystem.read_only: true"), "{item:?}");
    assert_eq!(item.decided_by.source, "profile readonly:9");
    let grant = json!({"filesystem": {"read_only": false}});
    assert_eq!(serde_json::to_value(&item.grant).unwrap(), grant);
    assert_eq!((item.risk, item.grantable), (Some(Risk::Medium), Grantable::OperatorOnly));
    assert_eq!(item.alternatives, ["write below $TMPDIR"]);
    let draft = addition("readonly", &Denials { items: vec![item], ..Denials::default() });
    assert!(draft.contains("\"read_only\": false") && !draft.contains("\"write\""), "{draft}");
}

#[test]
fn an_entry_helps_only_where_something_can_be_written() {
    let policy = read_only();
    let grant = |operation, target: &str| {
        serde_json::to_value(told(&policy, None, None, denial(operation, target)).grant).unwrap()
    };
    let both = json!({"filesystem": {"read_only": false, "write": ["/d/a"]}});
    assert_eq!(grant(Operation::Create, "/d/a/x.txt"), both);
    assert_eq!(grant(Operation::Bind, "/ws/s.sock"), json!({"filesystem": {"read_only": false}}));
    let read = json!({"filesystem": {"read_file": ["/d/a/x.txt"]}});
    assert_eq!(grant(Operation::Read, "/d/a/x.txt"), read, "reading has nothing to do with it");
}

#[test]
fn only_what_can_be_written_is_advised() {
    let policy = read_only();
    let ways = |target: &str| {
        told(&policy, None, None, denial(Operation::Create, target)).alternatives.join("; ")
    };
    for target in ["/home/u/.config/x/y", "/usr/lib/python3/site-packages/x", "/home/u/.cargo/x"] {
        let ways = ways(target);
        assert!(ways.contains("$TMPDIR") && !ways.contains("workspace"), "{target}: {ways}");
        assert!(!ways.contains("/ws"), "{target}: {ways}");
    }
}

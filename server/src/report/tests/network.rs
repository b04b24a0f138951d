//! Refused addresses and names: which rule it was, and what would reach the host.

use super::*;
use crate::report::{Question, explain};
use nono_sandbox::policy::{HostGrant, NetworkMode, NetworkPolicy, Origin};
use serde_json::json;

fn of_mode(mode: NetworkMode, allow: &[&str]) -> Policy {
    let source = Source { profile: "p".into(), rule: "network.allow".into(), line: None };
    let entry = |text: &&str| HostGrant { rule: text.parse().unwrap(), source: source.clone() };
    let allow = allow.iter().map(entry).collect();
    Policy { network: NetworkPolicy { allow, ..NetworkPolicy::of_mode(mode) }, ..policy() }
}

/// A question to a name server, and the name in it.
fn question(host: Option<&str>) -> Denial {
    let mut refused = denial(Operation::Send, "9.9.9.9:53");
    (refused.kind, refused.resolved) = (Kind::Dns, None);
    refused.host = host.map(|host| host.as_bytes().to_vec());
    refused
}

fn grant(item: &DenialItem) -> serde_json::Value {
    serde_json::to_value(&item.grant).unwrap()
}

#[test]
fn without_a_proxy_nothing_is_said_of_one() {
    let policy = of_mode(NetworkMode::Loopback, &["listed.test"]);
    for (host, expected) in [
        (Some("listed.test"), json!({"network": {"mode": "proxy"}})),
        (Some("other.test"), json!({"network": {"mode": "proxy", "allow": ["other.test"]}})),
        // A name server reaches nobody.
        (None, json!(null)),
    ] {
        let item = told(&policy, None, None, question(host));
        assert_eq!(item.decided_by.rule, "network.mode is loopback: nobody looks names up");
        assert_eq!((grant(&item), item.alternatives.len()), (expected, 0), "{host:?}");
    }
    let run = |mode: NetworkMode| {
        let policy = of_mode(mode, &[]);
        let refused = question(None);
        let known = crate::report::known::Known {
            policy: &policy,
            denials: &[&refused],
            exit_code: Some(1),
            signal: None,
            limit_ran_out: false,
            as_root: false,
        };
        crate::report::translate::notes(known, "Temporary failure in name resolution").join("\n")
    };
    assert!(!run(NetworkMode::Loopback).contains("HTTP_PROXY"), "{}", run(NetworkMode::Loopback));
    assert!(run(NetworkMode::Proxy).contains("HTTP_PROXY"));
}

#[test]
fn with_a_proxy_the_host_is_granted_and_no_name_server() {
    let policy = of_mode(NetworkMode::Proxy, &["listed.test"]);
    let item = |host| told(&policy, None, None, question(host));
    assert_eq!(grant(&item(Some("listed.test"))), json!(null), "it is reached by the proxy");
    assert_eq!(grant(&item(None)), json!(null));
    let other = json!({"network": {"allow": ["other.test"]}});
    assert_eq!(grant(&item(Some("other.test"))), other);
}

#[test]
fn a_listed_host_that_the_mode_does_not_reach_is_told_as_that() {
    let mut policy = of_mode(NetworkMode::Loopback, &["listed.test"]);
    let set = |rule: &str, profile: &str| {
        Origin::Written(Source { profile: profile.into(), rule: rule.into(), line: Some(3) })
    };
    policy.origins.set("network.mode", set("network.mode: loopback", "offline"));
    let ask = |policy: &Policy, host: &str| {
        let asked = Question::Host { host: host.into(), port: None };
        with_view(policy, |view| explain(view, &asked))
    };
    let answer = ask(&policy, "listed.test");
    let by = answer.decided_by.unwrap();
    assert_eq!(by.rule, "network.mode is loopback: no other machine is reached");
    assert_eq!(by.source, "profile offline:3");
    let grant = serde_json::to_value(&answer.grant).unwrap();
    assert_eq!(grant, json!({"network": {"mode": "proxy"}}));
    // Where the mode was given beside the profile, no profile changes it.
    policy.origins.set("network.mode", set("--network loopback", Source::COMMAND_LINE));
    let answer = ask(&policy, "listed.test");
    assert_eq!(answer.decided_by.unwrap().source, "the command line");
    assert_eq!(answer.grant, None);
    assert!(answer.alternatives[0].contains("--network loopback"), "{:?}", answer.alternatives);
}

#[test]
fn the_proxy_is_not_asked_for_what_it_refuses_too() {
    let policy = of_mode(NetworkMode::Proxy, &[]);
    let ways = |target: &str| {
        let mut refused = denial(Operation::Connect, target);
        (refused.kind, refused.resolved) = (Kind::NetConnect, None);
        told(&policy, None, None, refused).alternatives
    };
    assert!(ways("1.2.3.4:443")[0].contains("HTTPS_PROXY"));
    assert!(ways("169.254.169.254:80").is_empty());
}

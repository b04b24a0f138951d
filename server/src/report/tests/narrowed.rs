//! Refusals of what the operator's profile allows, and of what a `deny` closes.

use super::*;
use nono_sandbox::policy::{NetworkMode, NetworkPolicy};
use nono_schemas::Grantable;

fn of_mode(mode: NetworkMode) -> Policy {
    Policy { network: NetworkPolicy::of_mode(mode), ..policy() }
}

fn connect(target: &str) -> Denial {
    let mut refused = denial(Operation::Connect, target);
    (refused.kind, refused.resolved) = (Kind::NetConnect, None);
    refused
}

#[test]
fn what_the_call_gave_up_the_call_can_have() {
    let (loopback, proxy) = (of_mode(NetworkMode::Loopback), of_mode(NetworkMode::Proxy));
    let mut question = connect("9.9.9.9:53");
    (question.kind, question.host) = (Kind::Dns, Some(b"example.test".to_vec()));
    for refused in [connect("1.2.3.4:443"), question] {
        let item = told(&loopback, Some(&proxy), None, refused);
        assert_eq!((item.grantable, item.grant.as_ref()), (Grantable::ByCall, None), "{item:?}");
        assert_eq!(item.decided_by.source, "the call");
    }
    // The mode is the same with and without what the call gave up.
    let same = told(&proxy, Some(&proxy), None, connect("1.2.3.4:443"));
    assert_eq!(same.grantable, Grantable::OperatorOnly, "{same:?}");
}

#[test]
fn what_the_project_file_takes_no_grant_gives_back() {
    let (none, loopback) = (of_mode(NetworkMode::None), of_mode(NetworkMode::Loopback));
    let mut socket = denial(Operation::Socket, "AF_INET socket, type 1, protocol 0");
    (socket.kind, socket.resolved) = (Kind::NetConnect, None);
    let mut narrow = policy();
    narrow.fs.rules[0].access -= Access::WRITE;
    let open = policy();
    for (policy, operators, refused) in
        [(&none, &loopback, socket), (&narrow, &open, denial(Operation::Create, "/ws/x.txt"))]
    {
        let item = told(policy, None, Some(operators), refused);
        assert_eq!((item.grantable, &item.grant), (Grantable::NotByGrant, &None), "{item:?}");
        assert_eq!(item.decided_by.source, "project file /ws/.nono/profile.json");
        assert!(item.alternatives[0].contains(".nono/profile.json"), "{item:?}");
    }
    let both = told(&narrow, None, Some(&open), denial(Operation::Read, "/d/a/x.txt"));
    assert!(both.grant.is_some(), "what neither allows is the operator's: {both:?}");
}

#[test]
fn what_a_deny_closes_is_told_with_its_line() {
    let policy = policy();
    let item = |target: &str| {
        let mut refused = denial(Operation::Read, target);
        let (reason, rule) = Reason::of(policy.fs.lookup(&path(target), Access::READ)).unwrap();
        (refused.reason, refused.rule) = (reason, rule.cloned());
        told(&policy, None, None, refused)
    };
    let key = item("/home/u/.ssh/id");
    assert_eq!(key.decided_by.rule, "filesystem.deny: ~/.ssh closes it, whatever is granted");
    assert_eq!(key.decided_by.source, "profile credentials_denied:5");
    assert_eq!((key.grantable, key.grant), (Grantable::Never, None));
    let own = item("/home/u/.config/nono-mcp/profiles/x.json");
    assert_eq!(own.decided_by.rule, "the server's own: no profile can open this");
    assert_eq!((own.decided_by.source.as_str(), own.grantable), ("the server", Grantable::Never));
}

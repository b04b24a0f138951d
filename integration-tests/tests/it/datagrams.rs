//! Datagram sockets cannot be used to send around the rule.

use nono_integration_tests::host_unix::HostSocket;
use nono_integration_tests::{Server, Site, as_each_user, processes, wait};
use serde_json::json;

#[test]
fn every_way_to_send_to_a_name_is_closed() {
    as_each_user(|site| {
        let path = site.text("outside/mail.sock");
        let host = HostSocket::datagram(&path);
        let server = site.serve();
        let ways: [&[&str]; 11] = [
            &["connect", "dgram", &path],
            &["connect", "raw", &path],
            &["sendto", "dgram", &path],
            &["sendto", "raw", &path],
            &["sendmsg", "dgram", &path],
            &["sendmsg", "raw", &path],
            &["sendmmsg", "dgram", &path],
            &["pair-sendto", &path],
            &["pair-sendmsg", &path],
            &["pair-reconnect", &path],
            &["bind", "dgram", "own.dgram"],
        ];
        for way in ways {
            let before = host.reached();
            assert_eq!(site.outside(way), "ok", "control {way:?}");
            let _ = std::fs::remove_file(site.path("ws/own.dgram"));
            if way[0] != "bind" {
                let arrived = nono_integration_tests::wait::until(|| host.reached() == before + 1);
                assert!(arrived, "control {way:?}");
            }
            let said = server.probe(way);
            assert!(["EACCES", "EPERM"].contains(&said.as_str()), "{way:?}: {said}");
            assert!(host.reached() <= before + 1, "{way:?} got through");
        }
    });
}

#[test]
fn a_refusal_carries_the_switch_that_allows_it() {
    as_each_user(|site| {
        let pair = ["pair-sendto", "nowhere.sock"];
        assert_eq!(site.outside(&pair), "ENOENT", "control");
        let answer = site.serve().run("probe", &pair);
        assert_eq!(answer.said(), "EACCES", "{}", answer.text);
        let denial = answer.denial("socket", "AF_UNIX datagram socket");
        let denial = denial.unwrap_or_else(|| panic!("{}", answer.value));
        let grant = json!({"linux": {"af_unix_datagram": true}});
        assert_eq!((&denial["grant"], &denial["reason"]), (&grant, &json!("no_grant")));
        let allowed = site.serve_with(&grant).run("probe", &pair);
        assert_eq!(allowed.said(), "ENOENT", "{}", allowed.text);
    });
}

#[test]
fn abstract_datagrams_end_at_the_edge() {
    as_each_user(|site| {
        let name = format!("@{}", processes::new_tag());
        let host = HostSocket::datagram(&name);
        let server = site.serve();
        for way in ["sendto", "sendmsg", "sendmmsg", "connect"] {
            assert_eq!(site.outside(&[way, "dgram", &name]), "ok", "control {way}");
            let said = server.probe(&[way, "dgram", &name]);
            assert!(["EACCES", "EPERM"].contains(&said.as_str()), "{way}: {said}");
        }
        assert!(nono_integration_tests::wait::until(|| host.reached() == 4), "the controls");
    });
}

/// A granted and a forbidden mailbox, and a server that may make datagram sockets.
struct Mail {
    server: Server,
    granted: HostSocket,
    forbidden: HostSocket,
    good: String,
    bad: String,
}

fn with_datagrams(site: &Site) -> Mail {
    let (good, bad) = (site.text("outside/granted.sock"), site.text("outside/forbidden.sock"));
    let (granted, forbidden) = (HostSocket::datagram(&good), HostSocket::datagram(&bad));
    let server = site.serve_with(&json!({
        "filesystem": {"unix_socket": [good]},
        "linux": {"af_unix_datagram": true},
    }));
    Mail { server, granted, forbidden, good, bad }
}

#[test]
fn with_a_grant_every_way_to_send_works_and_is_judged() {
    as_each_user(|site| {
        let mail = with_datagrams(&site);
        let mut arrived = 0;
        for way in ["connect", "sendto", "sendmsg", "sendmmsg"] {
            for kind in ["dgram", "raw"] {
                assert_eq!(mail.server.probe(&[way, kind, &mail.good]), "ok", "{way} {kind}");
                arrived += 1;
                assert!(wait::until(|| mail.granted.reached() == arrived), "{way} {kind}");
                let answer = mail.server.run("probe", &[way, kind, &mail.bad]);
                assert_eq!(answer.said(), "EACCES", "{way} {kind}");
                let denial = answer.denial("unix_socket", &mail.bad).expect("a record");
                assert_eq!(denial["syscall"], way, "{denial}");
            }
        }
        for way in ["pair-sendto", "pair-sendmsg", "pair-reconnect"] {
            assert_eq!(mail.server.probe(&[way, &mail.bad]), "EACCES", "{way}");
        }
        assert_eq!(mail.server.probe(&["pair", "dgram"]), "ok across");
        assert_eq!(mail.forbidden.reached(), 0);
    });
}

#[test]
fn the_exemption_of_the_hand_over_is_no_hole() {
    as_each_user(|site| {
        let mail = with_datagrams(&site);
        let outside = site.outside(&["sendmsg-every-number", &mail.bad]);
        assert_eq!(outside, "ok through number 4", "control");
        assert!(wait::until(|| mail.forbidden.reached() == 1), "control");
        assert_eq!(mail.server.probe(&["sendmsg-every-number", &mail.bad]), "EACCES");
        assert_eq!(mail.forbidden.reached(), 1, "only the control");
    });
}

#[test]
fn several_messages_in_one_call_stop_at_the_refused_one() {
    as_each_user(|site| {
        let mail = with_datagrams(&site);
        let send = |a: &str, b: &str| mail.server.probe(&["sendmmsg-two", a, b]);
        assert_eq!(site.outside(&["sendmmsg-two", &mail.good, &mail.good]), "ok 2 5 5", "control");
        assert_eq!(send(&mail.good, &mail.good), "ok 2 5 5");
        assert_eq!(send(&mail.good, &mail.bad), "ok 1 5 0");
        assert_eq!(send(&mail.bad, &mail.good), "EACCES");
        assert!(wait::until(|| mail.granted.reached() == 5));
        assert_eq!(mail.forbidden.reached(), 0);
    });
}

#[test]
fn what_travels_with_a_message_arrives() {
    as_each_user(|site| {
        let mail = with_datagrams(&site);
        for kind in ["stream", "seqpacket", "dgram"] {
            assert_eq!(mail.server.probe(&["pass-descriptor", kind]), "ok passed", "{kind}");
        }
        assert_eq!(mail.server.probe(&["send-descriptor", &mail.good]), "ok");
        assert_eq!(mail.server.probe(&["send-descriptor", &mail.bad]), "EACCES");
        for size in ["0", "1", "60000", "150000"] {
            let outside = site.outside(&["send-large", &mail.good, size]);
            assert_eq!(mail.server.probe(&["send-large", &mail.good, size]), outside, "{size}");
        }
        // Without datagram sockets descriptors travel as well.
        let server = site.serve();
        for kind in ["stream", "seqpacket"] {
            assert_eq!(server.probe(&["pass-descriptor", kind]), "ok passed", "{kind}");
        }
    });
}

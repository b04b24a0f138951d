//! `network.isolate`: a network namespace of the run's own as a second layer. What the first layer
//! would let through, or miss, finds no way out; the proxy is still there.

use super::{PYTHON, connecting, on_a_network, python, python_outside, with_network};
use nono_integration_tests::host_net::Echo;
use nono_integration_tests::internet::{FAR, FAR6, PORT, PUBLIC};
use nono_integration_tests::{processes, require, wait};
use serde_json::json;
use std::process::Command;

const DEVICES: &str = "tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d ' ' | sort | xargs";

#[test]
fn the_proxy_is_there_and_nothing_else() {
    on_a_network(|site, arrived| {
        let echo = Echo::tcp();
        let reach_echo = format!("curl -sS -m 5 telnet://127.0.0.1:{} </dev/null", echo.port());
        let allow = json!(["allowed.test"]);
        let plain = with_network(site, &json!({ "mode": "proxy", "allow": allow }));
        let control = plain.shell(DEVICES);
        assert_eq!(control.stdout().trim(), "lo near", "control: {}", control.text);
        assert_eq!(control.layer("network_isolation")["active"], false, "{}", control.value);
        plain.shell(&reach_echo);
        assert!(wait::until(|| echo.served() == 1), "control: services of this machine");
        let server =
            with_network(site, &json!({ "mode": "proxy", "allow": allow, "isolate": "required" }));
        let devices = server.shell(DEVICES);
        assert_eq!(devices.stdout().trim(), "lo", "{}", devices.text);
        assert_eq!(devices.layer("network_isolation")["active"], true, "{}", devices.value);
        // The proxy, both protocols; what it refuses is known as ever.
        for proxy in ["$HTTP_PROXY", "socks5h://${HTTP_PROXY#http://}"] {
            let get =
                |host: &str| server.shell(&format!("curl -sS -m 20 -x {proxy} http://{host}/x"));
            let answer = get("allowed.test");
            assert!(answer.stdout().contains("web says"), "{proxy}: {}", answer.text);
            let refused = get("other.test");
            assert!(!refused.stdout().contains("web says"), "{proxy}: {}", refused.text);
            assert!(refused.denial("net_proxy", "other.test:80").is_some(), "{}", refused.text);
        }
        assert!(arrived.has("GET /x"));
        // Servers of the run's own, and none of this machine's.
        let own = "import socket\ns = socket.create_server(('127.0.0.1', 0))\n\
                   c = socket.create_connection(s.getsockname()); a, _ = s.accept()\n\
                   c.sendall(b'own'); print(a.recv(9))\n\
                   s = socket.create_server(('::1', 0), family=socket.AF_INET6)\n\
                   c = socket.create_connection(s.getsockname()[:2]); print('six')";
        let answer = python(&server, own);
        assert_eq!(answer.stdout().trim(), "b'own'\nsix", "{}", answer.text);
        server.shell(&reach_echo);
        assert_eq!(echo.served(), 1, "this machine's loopback is another one");
    });
}

#[test]
fn a_connection_that_nobody_judges_finds_no_route() {
    require::program("nsenter");
    on_a_network(|site, arrived| {
        for host in [FAR, PUBLIC, FAR6] {
            python_outside(site, &["-c", &connecting(host, PORT, "control")]);
            assert!(wait::until(|| arrived.has("control")), "control {host}");
            arrived.clear();
        }
        let server = with_network(site, &json!({ "mode": "loopback", "isolate": "auto" }));
        let tag = processes::new_tag();
        let argv = json!(["./probe", "idle", tag]);
        let started = server.ask("exec", json!({ "argv": argv, "background": true }));
        assert_eq!(started.layer("network_isolation")["active"], true, "{}", started.value);
        assert!(wait::until(|| processes::with_tag(&tag).len() == 1), "{}", started.text);
        let inside = processes::with_tag(&tag)[0].to_string();
        for host in [FAR, PUBLIC, FAR6] {
            // In the run's network, without its filters.
            let code = connecting(host, PORT, "unjudged");
            let enter = ["-t", &inside, "-n", PYTHON, "-c", &code];
            let output = Command::new("nsenter").args(enter).output().expect("run nsenter");
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(said.contains("Network is unreachable"), "{host}: {said}");
        }
        assert!(!arrived.has("unjudged"));
    });
}

#[test]
fn it_is_never_dropped_silently() {
    on_a_network(|site, arrived| {
        for mode in ["hosts", "open"] {
            let network = |isolate: &str| json!({"mode": mode, "allow": [FAR], "isolate": isolate});
            let code = connecting(FAR, PORT, "direct");
            let refused = python(&with_network(site, &network("required")), &code);
            assert_eq!(refused.status(), "refused", "{}", refused.text);
            assert!(refused.text.contains("network_isolation"), "{}", refused.text);
            assert!(!arrived.has("direct"));
            let without = python(&with_network(site, &network("auto")), &code);
            let shown = without.layer("network_isolation");
            assert_eq!(shown["active"], false, "{shown}");
            assert!(shown["detail"].to_string().contains(mode), "{shown}");
            assert!(arrived.has("direct"), "{}", without.text);
            arrived.clear();
        }
        let needs = json!({"isolation": "off", "network": {"mode": "none", "isolate": "required"}});
        let refused = site.serve_with(&needs).shell("true");
        assert_eq!(refused.status(), "refused", "{}", refused.text);
        // A project file can ask for it, and not take it away.
        site.folder("ws/.nono");
        let file = |text: &str| drop(site.file("ws/.nono/profile.json", text));
        file(r#"{"network": {"isolate": "required"}}"#);
        let asked = with_network(site, &json!({"mode": "loopback"})).shell("true");
        assert_eq!(asked.layer("network_isolation")["active"], true, "{}", asked.value);
        file(r#"{"network": {"isolate": "off"}}"#);
        let kept =
            with_network(site, &json!({"mode": "loopback", "isolate": "auto"})).shell("true");
        assert_eq!(kept.layer("network_isolation")["active"], true, "{}", kept.value);
        std::fs::remove_dir_all(site.path("ws/.nono")).expect("remove the project file");
    });
}

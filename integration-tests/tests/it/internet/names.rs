//! Names: who looks them up, what a refused question says of itself, and what a name server that
//! changes its mind can do.

use super::{PYTHON, on_a_network, python, python_outside, with_network};
use nono_integration_tests::internet::{FAR, FAR6, METADATA, PORT, PUBLIC};
use nono_integration_tests::wait;
use serde_json::json;
use std::collections::BTreeMap;

/// Sends a query the way stub resolvers without `connect` do (musl's, and scripts).
const ASK: &str = r"
import socket, struct, sys
def query(name):
    parts = b''.join(bytes([len(p)]) + p for p in name.encode().split(b'.'))
    return struct.pack('>6H', 7, 0x100, 1, 0, 0, 0) + parts + b'\0' + struct.pack('>2H', 1, 1)
def ask(host, message, how):
    family = socket.AF_INET6 if ':' in host else socket.AF_INET
    s = socket.socket(family, socket.SOCK_DGRAM); s.settimeout(3)
    try:
        if how == 'sendmsg': s.sendmsg([message[:5], message[5:]], [], 0, (host, 53))
        elif how == 'connect': s.connect((host, 53)); s.send(message)
        else: s.sendto(message, (host, 53))
        print('sent')
    except OSError as e: print(e.errno)
";

fn asking(host: &str, message: &str, how: &str) -> String {
    format!("{ASK}ask('{host}', {message}, '{how}')\nsys.exit(1)")
}

#[test]
fn a_refused_question_says_for_which_name() {
    on_a_network(|site, arrived| {
        let names = json!({"mode": "proxy", "allow": ["listed.test"], "deny": ["banned.test"]});
        let server = with_network(site, &names);
        for (host, how) in
            [(FAR, "sendto"), (FAR, "sendmsg"), (FAR6, "sendto"), ("127.0.0.53", "sendto")]
        {
            let port = if host == FAR6 { format!("[{host}]:53") } else { format!("{host}:53") };
            for (name, alternative) in [
                ("listed.test", "which reaches it"),
                ("banned.test", "may not reach banned.test"),
                ("other.test", "no entry for other.test"),
            ] {
                let answer = python(&server, &asking(host, &format!("query('{name}')"), how));
                assert_eq!(answer.stdout().trim(), "13", "{}", answer.text);
                let denial = answer.denial("dns", &port).expect("a record");
                assert_eq!(denial["host"], name, "{denial}");
                let alternatives = denial["alternatives"].to_string();
                assert!(alternatives.contains(alternative), "{denial}");
                assert!(answer.text.contains(&format!("asking for \"{name}\"")), "{}", answer.text);
            }
        }
        // Two names are two records, and what is no query has no name.
        let two = format!(
            "{ASK}for n in ('one.test','two.test','one.test'): ask('{FAR}', query(n), 'sendto')"
        );
        let answer = python(&server, &two);
        let hosts: Vec<_> = answer.denials().iter().map(|d| d["host"].clone()).collect();
        assert_eq!(
            (hosts, answer.denials_total()),
            (vec![json!("one.test"), json!("two.test")], 3)
        );
        for (message, how) in [
            ("b'x' * 600", "sendto"),
            ("b''", "sendto"),
            ("query('a.test')[:-3]", "sendto"),
            (r"query('a.test').replace(b'test', b't\0st')", "sendto"),
            // A query that is sent without an address is never seen: its connect is refused.
            ("query('other.test')", "connect"),
        ] {
            let answer = python(&server, &asking(FAR, message, how));
            let denial = answer.denial("dns", &format!("{FAR}:53")).expect("a record");
            assert_eq!(denial["host"], json!(null), "{message}: {denial}");
        }
        assert!(!arrived.has("dns"), "{:?}", arrived.all());
    });
}

/// Names that are public when they are asked for first, and where they lead afterwards.
const REBOUND: [(&str, &str); 3] = [
    ("loopback.rebind.test", "127.0.0.1"),
    ("private.rebind.test", FAR),
    ("metadata.rebind.test", METADATA),
];

#[test]
fn the_proxy_is_not_rebound() {
    on_a_network(|site, arrived| {
        let as_root = if site.user().is_root() { "root" } else { "user" };
        let allow = json!({"mode": "proxy", "allow": ["*.rebind.test", "two.test"]});
        let server = with_network(site, &allow);
        for (name, later) in REBOUND {
            // Outside, the second question leads elsewhere.
            let control = format!("{as_root}-control.{name}");
            let find = format!("import socket\nprint(socket.gethostbyname('{control}'))");
            assert_eq!(python_outside(site, &["-c", &find]).trim(), PUBLIC);
            assert_eq!(python_outside(site, &["-c", &find]).trim(), later, "control");
            let host = format!("{as_root}.{name}");
            let get = format!("curl -sS -m 10 -w '%{{http_code}}' http://{host}/x");
            arrived.clear();
            let first = server.shell(&get);
            assert!(first.stdout().ends_with("200"), "{host}: {}", first.text);
            // Judged and connected to is one answer, not two.
            let asked = arrived.all();
            let questions = asked.iter().filter(|l| **l == format!("asked {host}")).count();
            assert_eq!(questions, 1, "{asked:?}");
            assert!(arrived.has(&format!("GET /x HTTP/1.1 for {host}")), "{asked:?}");
            arrived.clear();
            let second = server.shell(&get);
            assert!(second.stdout().ends_with("403"), "{host}: {}", second.text);
            let denial = second.denial("net_proxy", &format!("{host}:80")).expect("a record");
            assert_eq!(denial["resolved_target"], format!("{later}:80"), "{denial}");
            assert!(!arrived.has("GET"), "{:?}", arrived.all());
        }
        // A name with two addresses is reached at the one that is public.
        arrived.clear();
        let both = server.shell("curl -sS -m 10 http://two.test/two");
        assert!(both.stdout().contains("web says"), "{}", both.text);
    });
}

#[test]
fn a_program_that_may_ask_itself_is_judged_by_the_address_it_found() {
    on_a_network(|site, arrived| {
        let as_root = if site.user().is_root() { "own-root" } else { "own-user" };
        let allow = [PUBLIC.to_owned(), format!("{FAR}:53")];
        let server = with_network(site, &json!({ "mode": "hosts", "allow": allow }));
        for (name, later) in REBOUND.into_iter().filter(|(_, later)| *later != "127.0.0.1") {
            let code = format!(
                "import socket\ns=socket.create_connection(('{as_root}.{name}',{PORT}),5)\n\
                 s.sendall(b'by name'); s.recv(9); print('reached')"
            );
            arrived.clear();
            let first = python(&server, &code);
            assert_eq!(first.stdout().trim(), "reached", "{}", first.text);
            assert!(arrived.has("by name"));
            arrived.clear();
            let second = python(&server, &code);
            assert!(!second.stdout().contains("reached"), "{}", second.text);
            let denial = second.denial("net_connect", &format!("{later}:{PORT}"));
            assert!(!denial.expect("a record")["grant"]["network"].is_null());
            assert!(!arrived.has("by name"), "{:?}", arrived.all());
        }
    });
}

/// Sixteen at a time: whoever has waits for nobody, and the places of all runs are more.
#[test]
fn a_run_that_has_slow_names_looked_up_holds_up_nobody() {
    const AT_A_TIME: usize = 16;
    /// In milliseconds, and less than the two questions of two seconds that each name gets.
    const ONE_TAKES: u64 = 3_000;
    on_a_network(|site, arrived| {
        let server =
            with_network(site, &json!({"mode": "proxy", "allow": ["*.slow.test", "two.test"]}));
        let code = r"
import os, socket
proxy = os.environ['HTTP_PROXY'][7:].split(':')
all = []
for n in range(80):
    s = socket.create_connection((proxy[0], int(proxy[1])), 60)
    s.sendall(b'CONNECT n%d.slow.test:80 HTTP/1.1\r\n\r\n' % n)
    all.append(s)
input()
";
        let call = json!({"argv": [PYTHON, "-c", code], "background": true, "keep_stdin": true});
        let slow = server.ask("exec", call);
        assert_eq!(slow.status(), "running", "{}", slow.text);
        assert!(wait::until(|| arrived.has("slow")));
        let other = server.shell("curl -sS -m 30 http://two.test/");
        assert!(other.stdout().contains("web says"), "{}", other.text);
        // Times of the first question for each name.
        let first_asked = || {
            let mut first = BTreeMap::new();
            for line in arrived.all() {
                if let ["slow", at, name] = line.split(' ').collect::<Vec<_>>()[..] {
                    first.entry(name.to_owned()).or_insert(at.parse::<u64>().expect("a time"));
                }
            }
            let mut times: Vec<_> = first.into_values().collect();
            times.sort_unstable();
            times
        };
        assert!(wait::until(|| first_asked().len() > AT_A_TIME));
        let times = first_asked();
        let waited = times[AT_A_TIME] - times[0];
        assert!(waited > ONE_TAKES, "the next one was asked for after {waited} ms: {times:?}");
    });
}

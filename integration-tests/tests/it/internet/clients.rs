//! Ordinary programs on the network: in each mode, those that may get through by themselves, and the
//! others fail with a denial that names where they wanted to go and what would allow it.

use super::{on_a_network, with_network};
use crate::workloads::languages::with_rust;
use nono_integration_tests::internet::{Arrived, PUBLIC};
use nono_integration_tests::{Answer, Server, Site, require};
use serde_json::{Value, json};

/// A program that fetches something.
struct Client {
    /// What arrives if it gets through.
    arrives: &'static str,
    /// `HOST` stands for the host.
    command: &'static str,
    /// Whether it goes through a proxy that it is told of.
    proxied: bool,
}

const fn proxied(arrives: &'static str, command: &'static str) -> Client {
    Client { arrives, command, proxied: true }
}

const fn direct(arrives: &'static str, command: &'static str) -> Client {
    Client { arrives, command, proxied: false }
}

const CARGO: &str = "/cargo/config.json";
const FETCH: &str = "/fetch";

const CLIENTS: [Client; 13] = [
    proxied("/curl", "curl -sS -m 20 http://HOST/curl"),
    proxied("/git.git/info/refs", "git ls-remote http://HOST/git.git"),
    proxied("/npm/thing", "npm view thing --fetch-retries 0 --registry http://HOST/npm/"),
    proxied(
        "/pip/thing/",
        "/usr/bin/python3 -m pip download --no-deps --disable-pip-version-check --retries 0 \
         --index-url http://HOST/pip/ --trusted-host HOST thing",
    ),
    proxied(
        "/urllib",
        "/usr/bin/python3 -c 'import urllib.request as u; u.urlopen(\"http://HOST/urllib\")'",
    ),
    proxied("/requests", "/usr/bin/python3 by_requests.py http://HOST/requests"),
    proxied("/java", "java -Xshare:auto G.java http://HOST/java http://HOST/other"),
    proxied("/client", "java -Xshare:auto G.java http://HOST/other http://HOST/client"),
    proxied(
        "/apt/./InRelease",
        "mkdir -p apt/lists/partial apt/archives/partial && \
         echo 'deb [trusted=yes] http://HOST/apt ./' > apt/sources.list && \
         apt-get update -o Dir::State=$PWD/apt -o Dir::State::Lists=$PWD/apt/lists \
         -o Dir::State::status=/dev/null -o Dir::Cache=$PWD/apt -o Dir::Etc=$PWD/apt \
         -o Dir::Log=$PWD/apt -o APT::Sandbox::User=root -o Acquire::Retries=0",
    ),
    proxied(
        CARGO,
        r#"cargo search thing --registry x --config 'registries.x.index="sparse+http://HOST/cargo/"'"#,
    ),
    direct("/asyncio", "/usr/bin/python3 by_asyncio.py HOST"),
    direct("/socket", "/usr/bin/python3 by_socket.py HOST"),
    direct(FETCH, "node -e 'fetch(\"http://HOST/fetch\").then(r => r.text())'"),
];

const FILES: [(&str, &str); 4] = [
    (
        "ws/by_requests.py",
        "import sys\ntry:\n    import requests\nexcept ImportError:\n    from pip._vendor import requests\n\
         print(requests.get(sys.argv[1], timeout=20).status_code)\n",
    ),
    (
        "ws/by_asyncio.py",
        "import asyncio, sys\nasync def main():\n    r, w = await asyncio.open_connection(sys.argv[1], 80)\n    \
         w.write(b'GET /asyncio HTTP/1.0\\r\\n\\r\\n')\n    print(await r.read())\nasyncio.run(main())\n",
    ),
    (
        "ws/by_socket.py",
        "import socket, sys\ns = socket.create_connection((sys.argv[1], 80), 20)\n\
         s.sendall(b'GET /socket HTTP/1.0\\r\\n\\r\\n')\nprint(s.recv(999))\n",
    ),
    (
        "ws/G.java",
        "import java.net.*; import java.net.http.*; class G { public static void main(String[] a) \
         throws Exception { try { URI.create(a[0]).toURL().openStream().readAllBytes(); } finally { \
         HttpClient.newHttpClient().send(HttpRequest.newBuilder(URI.create(a[1])).build(), \
         HttpResponse.BodyHandlers.ofString()); } } }\n",
    ),
];

/// Whether `fetch` of the Node.js that is here knows `NODE_USE_ENV_PROXY`.
fn fetch_is_proxied(server: &Server) -> bool {
    let code = "node -e 'const [a, b] = process.versions.node.split(\".\"); \
                console.log(a >= 24 || (a == 22 && b >= 21))'";
    server.shell(code).stdout().trim() == "true"
}

/// The server of one mode, and whether its user has cargo.
fn serve(site: &Site, network: &Value) -> (Server, bool) {
    let profile = site.profile(&json!({ "network": network }));
    match with_rust(site, &profile.to_string_lossy()) {
        Some(server) => (server, true),
        None => (with_network(site, network), false),
    }
}

/// Runs every client against a host; `judge` sees each answer, whether the client uses a proxy, and
/// whether it got through.
fn each(
    (server, rust): &(Server, bool),
    arrived: &Arrived,
    host: &str,
    judge: impl Fn(&str, bool, bool, &Answer),
) {
    let fetch = fetch_is_proxied(server);
    for Client { arrives, command, proxied } in CLIENTS {
        if arrives == CARGO && !rust {
            continue;
        }
        arrived.clear();
        let command = command.replace("HOST", host);
        let call = json!({"command": command, "timeout_ms": 300_000, "yield_ms": 300_000});
        let answer = server.ask("shell", call);
        let reached = arrived.all().iter().any(|line| line.contains(arrives));
        judge(&command, proxied || (arrives == FETCH && fetch), reached, &answer);
    }
}

fn prepare(site: &Site) {
    for program in ["curl", "git", "npm", "node", "java", "apt-get"] {
        require::program(program);
    }
    let has = site
        .command(std::path::Path::new("/usr/bin/python3"))
        .args([
            "-c",
            "try:\n    import requests\nexcept ImportError:\n    from pip._vendor import requests",
        ])
        .status()
        .expect("run python");
    assert!(has.success(), "this test needs Python's requests, of its own or within pip");
    for (name, text) in FILES {
        site.file(name, text);
    }
}

#[test]
fn every_client_gets_through_where_it_may() {
    on_a_network(|site, arrived| {
        prepare(site);
        let both = json!(["allowed.test", format!("{PUBLIC}:80")]);
        let modes = [json!({"mode": "hosts", "allow": both}), json!({"mode": "open"})];
        for network in modes {
            each(&serve(site, &network), arrived, "allowed.test", |command, _, reached, answer| {
                assert!(reached, "{network} {command}: {}", answer.text);
                let about = ["net_connect", "net_proxy", "dns"];
                let refused = |d: &Value| about.iter().any(|kind| d["kind"] == *kind);
                let denials = answer.denials();
                assert!(!denials.iter().any(refused), "{network} {command}: {}", answer.text);
            });
        }
        let proxy = serve(site, &json!({"mode": "proxy", "allow": ["allowed.test"]}));
        each(&proxy, arrived, "allowed.test", |command, proxied, reached, answer| {
            assert_eq!(reached, proxied, "{command}: {}", answer.text);
            if !proxied {
                let denial = answer.denial("net_connect", &format!("{PUBLIC}:80"));
                let denial = denial.unwrap_or_else(|| panic!("{command}: {}", answer.text));
                assert!(denial["alternatives"].to_string().contains("HTTPS_PROXY"), "{denial}");
            }
        });
    });
}

#[test]
fn every_client_that_may_not_is_told_where_and_what_would_help() {
    on_a_network(|site, arrived| {
        prepare(site);
        let address = format!("{PUBLIC}:80");
        for mode in ["proxy", "loopback", "none"] {
            let server = serve(site, &json!({"mode": mode, "allow": ["allowed.test"]}));
            each(&server, arrived, "other.test", |command, proxied, reached, answer| {
                assert!(!reached, "{mode} {command}");
                let (kind, target) = match (mode, proxied) {
                    ("none", _) => ("net_connect", None),
                    ("proxy", true) => ("net_proxy", Some("other.test:80")),
                    _ => ("net_connect", Some(address.as_str())),
                };
                let denials = answer.denials();
                let is = |d: &Value, target: &str| {
                    d["target"] == target || d["resolved_target"] == target
                };
                let denial = denials
                    .iter()
                    .find(|d| d["kind"] == kind && target.is_none_or(|target| is(d, target)));
                let denial = denial.unwrap_or_else(|| panic!("{mode} {command}: {}", answer.text));
                let grant = &denial["grant"]["network"];
                let names = target.is_none_or(|t| {
                    grant["allow"].to_string().contains(t.strip_suffix(":80").unwrap_or(t))
                });
                assert!(!grant.is_null() && names, "{mode} {command}: {denial}");
            });
        }
    });
}

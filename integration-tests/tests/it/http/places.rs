//! Connections to the runs' proxy: what one principal holds is not missing for another, and who gets
//! no more is told.

use nono_integration_tests::issuer::sha256;
use nono_integration_tests::{Answer, HttpServer, Site, as_each_user, binary, wait};
use serde_json::json;
use std::path::Path;

const ANN: &str = "token-of-ann-0123456789abcdef";
const BOB: &str = "token-of-bob-0123456789abcdef";
/// Open files of the server: a fourth of them are connections, half of those are Ann's.
const OPEN_FILES: &str = "--nofile=256:256";
const OF_ANN: usize = 32;

/// Opens connections to the proxy until it gets no more, says how many it has, and keeps them.
const HOLD: &str = r"
import os, socket, sys, time
host, port = os.environ['HTTP_PROXY'][7:].split(':')
kept = []
def refused(s):
    s.settimeout(0.2)
    try: return s.recv(200)
    except TimeoutError: return None
for n in range(100):
    s = socket.create_connection((host, int(port)), 5)
    said = refused(s)
    if said is not None:
        print('held', len(kept), 'then', said, flush=True)
        break
    kept.append(s)
time.sleep(float(sys.argv[1]))
";

/// Asks for a host that no profile lists.
const ASK: &str = "curl -sS -m 5 http://not-listed.example/";

fn serve(site: &Site) -> HttpServer {
    ["ann", "bob"].iter().for_each(|name| drop(site.folder(name)));
    let principal = |name: &str, token: &str| json!({"name": name, "token_sha256": sha256(token), "workspaces": [name]});
    let file = json!({"principals": [principal("ann", ANN), principal("bob", BOB)]});
    let file = site.file("principals.json", &file.to_string());
    let mut command = site.command(Path::new("/usr/bin/prlimit"));
    command.args([OPEN_FILES, "--"]).arg(binary::programs().join("nono-mcp"));
    command.args(["--http", "0", "--max-runs", "16", "--principals"]).arg(file);
    HttpServer::start_command(site, command, Some(ANN))
}

fn hold(server: &HttpServer, seconds: &str, background: bool) -> Answer {
    let argv = json!(["/usr/bin/python3", "-c", HOLD, seconds]);
    server.call_as(ANN, "exec", json!({"argv": argv, "background": background}))
}

/// How many connections a run says that it holds.
fn held(answer: &Answer) -> Option<usize> {
    let said = answer.stdout();
    said.strip_prefix("held ")?.split_once(' ')?.0.parse().ok()
}

#[test]
fn no_principal_takes_the_proxys_last_places_from_another() {
    as_each_user(|site| {
        let server = serve(&site);
        let ask = || server.call_as(BOB, "shell", json!({"command": ASK}));
        assert!(ask().stdout().contains("refused by the sandbox"), "control: {}", ask().text);
        let mut all = 0;
        for _ in 0..4 {
            let run = hold(&server, "60", true).str("run_id").to_owned();
            let look = json!({"run_id": run, "after_seq": 0});
            let mut last = None;
            let says = || {
                last = held(&server.call_as(ANN, "run_read", look.clone()));
                last.is_some()
            };
            assert!(wait::until(says), "{}", server.call_as(ANN, "run_read", look.clone()).text);
            let (got, left) = (last.unwrap_or_default(), OF_ANN - all);
            assert!((1..=left / 2).contains(&got), "{got} of {left}");
            all += got;
        }
        assert!(all < OF_ANN, "{all}");
        let beside = ask();
        assert!(beside.stdout().contains("refused by the sandbox"), "{}", beside.text);
    });
}

#[test]
fn a_run_that_gets_no_place_is_told() {
    as_each_user(|site| {
        let server = serve(&site);
        let over = hold(&server, "0", false);
        assert_eq!(held(&over), Some(OF_ANN / 2), "{}", over.text);
        assert!(over.stdout().contains("HTTP/1.1 503 "), "{}", over.text);
        let denial = over.denial("net_proxy", "more than 16 connections at a time");
        let denial = denial.unwrap_or_else(|| panic!("{}", over.text));
        assert_eq!(denial["reason"], "limit_exceeded", "{denial}");
        assert_eq!(denial["grantable"], "not_by_grant", "{denial}");
        assert_eq!(denial["decided_by"]["source"], "the server", "{denial}");
        assert!(denial["alternatives"][0].as_str().expect("text").contains("idle"), "{denial}");
        // They come back as the run ends.
        assert!(wait::until(|| held(&hold(&server, "0", false)) == Some(OF_ANN / 2)));
    });
}

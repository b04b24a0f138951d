//! TLS with the operator's certificate, whose key no command reads. The certificate and the key of
//! these tests stand for nothing else.

use nono_integration_tests::{HttpServer, Site, User, as_each_user};
use serde_json::json;
use std::os::unix::fs::PermissionsExt;

const CERTIFICATE: &str = include_str!("../../../certificates/localhost.pem");
const KEY: &str = include_str!("../../../certificates/localhost.key");

/// Places both below `outside`; gives their paths.
fn files(site: &Site) -> (String, String) {
    let key = site.file("outside/server.key", KEY);
    std::fs::set_permissions(key, PermissionsExt::from_mode(0o600)).expect("chmod");
    site.file("outside/server.pem", CERTIFICATE);
    (site.text("outside/server.pem"), site.text("outside/server.key"))
}

/// What curl says about a path of the server: the status, or 000.
fn curl(site: &Site, url: &str, more: &[&str]) -> String {
    let mut command = site.command("curl".as_ref());
    command.args(["-s", "-o", "/dev/null", "-w", "%{http_code}", url]).args(more);
    String::from_utf8_lossy(&command.output().expect("start curl").stdout).into_owned()
}

#[test]
fn clients_speak_tls_and_nothing_else() {
    as_each_user(|site| {
        let (certificate, key) = files(&site);
        let server =
            HttpServer::start_with(&site, &["--tls-cert", &certificate, "--tls-key", &key]);
        let at = |scheme: &str, path: &str| format!("{scheme}://{}{path}", server.address());
        let trust = ["--cacert", certificate.as_str()];
        assert_eq!(curl(&site, &at("https", "/healthz"), &trust), "200", "{}", server.log());
        assert_eq!(curl(&site, &at("https", "/healthz"), &[]), "000", "nobody vouches for it");
        assert_eq!(curl(&site, &at("http", "/healthz"), &[]), "000", "not in the clear");
        let token = format!("Authorization: Bearer {}", server.token());
        let list = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{
            "io.modelcontextprotocol/protocolVersion":"2026-07-28",
            "io.modelcontextprotocol/clientCapabilities":{}}}}"#;
        let ask = [
            "--cacert",
            &certificate,
            "-H",
            "Content-Type: application/json",
            "-H",
            "Accept: application/json, text/event-stream",
            "-H",
            "MCP-Protocol-Version: 2026-07-28",
            "-H",
            "Mcp-Method: tools/list",
            "-d",
            list,
        ];
        assert_eq!(curl(&site, &at("https", "/mcp"), &ask), "401");
        let known: Vec<&str> = ask.into_iter().chain(["-H", &token]).collect();
        assert_eq!(curl(&site, &at("https", "/mcp"), &known), "200");
    });
}

#[test]
fn no_command_reads_the_key() {
    as_each_user(|site| {
        let (certificate, key) = files(&site);
        let profile = site.profile(&json!({"filesystem": {"read": [site.text("outside")]}}));
        let mut command = site.nono_mcp(&["--http", "0", "--tls-cert", &certificate]);
        command.args(["--tls-key", &key, "--profile"]).arg(&profile);
        command.env("NONO_MCP_TOKEN", "0123456789abcdef0123456789");
        let server = HttpServer::start_command(&site, command, Some("0123456789abcdef0123456789"));
        let look = format!("cat {certificate} {key}");
        let at = format!("https://{}/mcp", server.address());
        let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
            "name": "shell", "arguments": {"command": look},
            "_meta": {
                "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                "io.modelcontextprotocol/clientCapabilities": {},
            },
        }});
        let mut client = site.command("curl".as_ref());
        client.args(["-s", "--cacert", &certificate, &at, "-d", &call.to_string()]);
        for header in [
            "Authorization: Bearer 0123456789abcdef0123456789",
            "Content-Type: application/json",
            "Accept: application/json, text/event-stream",
            "MCP-Protocol-Version: 2026-07-28",
            "Mcp-Method: tools/call",
            "Mcp-Name: shell",
        ] {
            client.args(["-H", header]);
        }
        let said = client.output().expect("start curl").stdout;
        let said = String::from_utf8_lossy(&said);
        assert!(said.contains("BEGIN CERTIFICATE"), "the control: {said}");
        let body = KEY.lines().nth(1).expect("a key");
        assert!(!said.contains(body) && said.contains("server.key"), "{said}");
    });
}

#[test]
fn what_cannot_be_listened_with_is_told_at_the_start() {
    let site = Site::new(User::Same);
    let (certificate, key) = files(&site);
    let refused = |arguments: &[&str], said: &str| {
        let output = site.nono_mcp(arguments).output().expect("start nono-mcp");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(stderr.contains(said), "{arguments:?}: {stderr}");
    };
    let tls = ["--tls-cert", certificate.as_str(), "--tls-key", key.as_str()];
    let with = |more: &[&'static str]| [&tls[..], more].concat();
    refused(&["--http", "0", "--tls-cert", &certificate], "--tls-key");
    refused(&["--http", "0", "--tls-cert", &key, "--tls-key", &key], "holds none");
    refused(&["--http", "0", "--tls-cert", &certificate, "--tls-key", &site.text("none")], "none");
    refused(&with(&["--http", "0.0.0.0:0"]), "--public");
    refused(&with(&["--http", "0.0.0.0:0", "--public"]), "--http-host");
    refused(&["--http", "0.0.0.0:0", "--public"], "--tls-cert");
    std::fs::set_permissions(&key, PermissionsExt::from_mode(0o644)).expect("chmod");
    refused(&with(&["--http", "0"]), "chmod 600");
}

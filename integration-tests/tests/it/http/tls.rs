//! TLS with the operator's certificate, whose key no command reads. The certificate and the key of
//! these tests stand for nothing else.

use nono_integration_tests::issuer::{LEAF, LEAF_KEY};
use nono_integration_tests::{HttpServer, Site, User, as_each_user, wait};
use serde_json::json;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

const CERTIFICATE: &str = include_str!("../../../certificates/localhost.pem");
const KEY: &str = include_str!("../../../certificates/localhost.key");

const TOKEN: &str = "0123456789abcdef0123456789";

/// What curl is told to call `shell` with.
fn shell(command: &str) -> Vec<String> {
    let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
        "name": "shell", "arguments": {"command": command},
        "_meta": {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
        },
    }});
    let headers = [
        &format!("Authorization: Bearer {TOKEN}"),
        "Content-Type: application/json",
        "Accept: application/json, text/event-stream",
        "MCP-Protocol-Version: 2026-07-28",
        "Mcp-Method: tools/call",
        "Mcp-Name: shell",
    ];
    let body = ["-d".to_owned(), call.to_string()];
    let headers = headers.iter().flat_map(|header| ["-H".to_owned(), (*header).to_owned()]);
    body.into_iter().chain(headers).collect()
}

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
        command.env("NONO_MCP_TOKEN", TOKEN);
        let server = HttpServer::start_command(&site, command, Some(TOKEN));
        let mut client = site.command("curl".as_ref());
        client.args(["-s", "--cacert", &certificate]);
        client.arg(format!("https://{}/mcp", server.address()));
        client.args(shell(&format!("cat {certificate} {key}")));
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

/// Puts both files where the server looks for them, one after the other.
fn replace(site: &Site, certificate: &str, key: &str, mode: u32) {
    for (name, text, mode) in [("server.pem", certificate, 0o644), ("server.key", key, mode)] {
        let new = site.file("outside/new", text);
        std::fs::set_permissions(&new, PermissionsExt::from_mode(mode)).expect("chmod");
        std::fs::rename(new, site.path(&format!("outside/{name}"))).expect("rename");
    }
}

/// Whom the server says it is.
fn subject(site: &Site, server: &HttpServer) -> String {
    let authority = site.file("outside/authority.pem", CERTIFICATE);
    let mut command = site.command("curl".as_ref());
    command.args(["-sv", "--cacert"]).arg(authority);
    command.arg(format!("https://{}/healthz", server.address()));
    let said = command.output().expect("start curl").stderr;
    let said = String::from_utf8_lossy(&said);
    let line = said.lines().find_map(|line| line.split_once("subject:").map(|(_, name)| name));
    line.unwrap_or_else(|| panic!("no certificate: {said}")).trim().to_owned()
}

#[test]
fn a_new_certificate_is_taken_while_the_server_runs() {
    as_each_user(|site| {
        let (certificate, key) = files(&site);
        let mut command = site.nono_mcp(&["--http", "0", "--tls-cert", &certificate]);
        command.args(["--tls-key", &key, "--workspace"]).arg(site.workspace());
        command.env("NONO_MCP_TOKEN", TOKEN).env("NONO_LOG", "info");
        let server = HttpServer::start_command(&site, command, Some(TOKEN));
        assert_eq!(subject(&site, &server), "CN=nono-mcp tests");
        // A call that began with the old one.
        let authority = site.file("outside/authority.pem", CERTIFICATE);
        let mut client = site.command("curl".as_ref());
        client.args(["-s", "--cacert"]).arg(authority);
        client.arg(format!("https://{}/mcp", server.address()));
        let wait = "touch begun; while ! test -e go; do sleep 0.1; done; echo the end";
        client.args(shell(wait)).stdout(Stdio::piped());
        let client = client.spawn().expect("start curl");
        assert!(wait::until(|| site.path("ws/begun").exists()), "{}", server.log());
        replace(&site, LEAF, LEAF_KEY, 0o600);
        assert!(wait::until(|| subject(&site, &server) == "CN=nono-mcp tests, signed"));
        assert!(server.log().contains("the certificate was replaced"), "{}", server.log());
        site.file("ws/go", "");
        let answer = client.wait_with_output().expect("curl").stdout;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert!(answer.contains("the end"), "its connection was kept: {answer}");
    });
}

#[test]
fn a_certificate_that_cannot_be_used_changes_nothing() {
    let site = Site::new(User::Same);
    let (certificate, key) = files(&site);
    let profile = site.profile(&json!({"filesystem": {"read": [site.folder("readable")]}}));
    let mut command = site.nono_mcp(&["--http", "0", "--tls-cert", &certificate]);
    command.args(["--tls-key", &key, "--profile"]).arg(profile);
    let server = HttpServer::start_command(&site, command, Some(TOKEN));
    let told = |times: usize| {
        assert!(
            wait::until(|| server.log().matches("the ones before stay").count() >= times),
            "{times}: {}",
            server.log()
        );
        assert_eq!(subject(&site, &server), "CN=nono-mcp tests", "{times}");
    };
    replace(&site, "rubbish", LEAF_KEY, 0o600);
    told(1);
    replace(&site, LEAF, KEY, 0o600);
    told(2);
    replace(&site, LEAF, LEAF_KEY, 0o644);
    told(3);
    assert!(server.log().contains("chmod 600"), "{}", server.log());
    // A link to where commands may read would give the key away.
    let open = site.file("readable/server.key", LEAF_KEY);
    std::fs::set_permissions(&open, PermissionsExt::from_mode(0o600)).expect("chmod");
    std::fs::remove_file(&key).expect("remove");
    std::os::unix::fs::symlink(&open, &key).expect("a link");
    told(4);
    assert!(server.log().contains("commands with the profile"), "{}", server.log());
    std::fs::remove_file(&key).expect("remove");
    told(5);
    // One that can be used is still waited for.
    replace(&site, LEAF, LEAF_KEY, 0o600);
    assert!(wait::until(|| subject(&site, &server) == "CN=nono-mcp tests, signed"));
}

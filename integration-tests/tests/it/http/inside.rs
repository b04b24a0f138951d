//! What runs in the sandbox cannot use the server that runs it.

use nono_integration_tests::{HttpServer, as_each_user, require};
use serde_json::json;

#[test]
fn a_command_finds_no_token() {
    as_each_user(|site| {
        let server = HttpServer::start(&site);
        let file = server.token_file().to_string_lossy().into_owned();
        let read = format!("cat {file}");
        let outside = site.command("/bin/sh".as_ref()).args(["-c", &read]).output().expect("sh");
        assert!(String::from_utf8_lossy(&outside.stdout).contains(server.token()), "the control");
        let inside =
            server.shell(&format!("{read}; cp {file} stolen; ln {file} stolen; ls -l stolen"));
        assert!(!inside.text.contains(server.token()), "{}", inside.text);
        assert!(inside.denial("fs", &file).is_some(), "{}", inside.value["denials"]);
    });
}

#[test]
fn a_profile_cannot_give_the_token_away() {
    as_each_user(|site| {
        let token = "0123456789abcdef-of-the-operator";
        let profile = site.profile(&json!({
            "filesystem": {"read": ["$HOME/.config"]},
            "environment": {"allow_vars": ["NONO_MCP_TOKEN"]},
        }));
        let mut command = site.nono_mcp(&["--http", "0", "--profile"]);
        command.arg(&profile).env("NONO_MCP_TOKEN", token);
        let server = HttpServer::start_command(&site, command, Some(token));
        let seen = server.shell("env; echo end");
        assert!(seen.stdout().ends_with("end\n"), "{}", seen.text);
        assert!(!seen.text.contains(token), "{}", seen.text);
    });
}

#[test]
fn the_servers_process_is_closed() {
    as_each_user(|site| {
        let token = "0123456789abcdef-of-the-operator";
        let mut command = site.nono_mcp(&["--http", "0"]);
        command.env("NONO_MCP_TOKEN", token);
        let server = HttpServer::start_command(&site, command, Some(token));
        let pid = server.pid();
        let look = format!(
            "cat /proc/{pid}/environ | tr '\\0' '\\n'; readlink /proc/{pid}/fd/*; \
             cat /proc/{pid}/maps; cat /proc/{pid}/mem; echo end"
        );
        let outside = site.command("/bin/sh".as_ref()).args(["-c", &look]).output().expect("sh");
        let outside = String::from_utf8_lossy(&outside.stdout).into_owned();
        assert!(outside.contains(token) && outside.contains("socket:"), "the control: {outside}");
        let inside = server.shell(&look);
        assert_eq!(inside.stdout(), "end\n", "{}", inside.text);
        assert!(!inside.text.contains(token), "{}", inside.text);
    });
}

/// A client that was told `localhost` may try another of its addresses first, and shows its token.
#[test]
fn nobody_listens_on_the_servers_port_at_another_address() {
    require::program("python3");
    as_each_user(|site| {
        let server = HttpServer::start(&site);
        let port = server.address().port();
        for address in ["::1", "127.0.0.2", "::"] {
            let family = if address.contains(':') { "AF_INET6" } else { "AF_INET" };
            let listen = format!(
                "import socket\ns = socket.socket(socket.{family})\n\
                 s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)\n\
                 if s.family == socket.AF_INET6: s.setsockopt(41, 26, 1)\n\
                 s.bind(('{address}', {port})); s.listen(); print('listens')"
            );
            let mut outside = site.command("/usr/bin/env".as_ref());
            let outside = outside.args(["python3", "-c", &listen]).output().expect("python3");
            assert_eq!(String::from_utf8_lossy(&outside.stdout), "listens\n", "the control");
            let inside = server.shell(&format!("python3 -c \"{listen}\""));
            assert_eq!(inside.stdout(), "", "{address}: {}", inside.text);
            assert!(inside.text.contains("the port is the server's own"), "{}", inside.text);
        }
    });
}

#[test]
fn the_server_knows_no_command() {
    as_each_user(|site| {
        let server = HttpServer::start(&site);
        let url = format!("http://{}", server.address());
        let body = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{}}"#;
        let ask = format!(
            "curl -s -o /dev/null -w '%{{http_code}}' -H 'Content-Type: application/json' \
             -H 'Accept: application/json, text/event-stream' -d '{body}' {url}/mcp"
        );
        let outside = site.command("/bin/sh".as_ref()).args(["-c", &ask]).output().expect("sh");
        assert_eq!(String::from_utf8_lossy(&outside.stdout), "401", "the control");
        let with = format!("{ask} -H 'Authorization: Bearer {}'", server.token());
        let outside = site.command("/bin/sh".as_ref()).args(["-c", &with]).output().expect("sh");
        let status = String::from_utf8_lossy(&outside.stdout).into_owned();
        assert!(["200", "400"].contains(&status.as_str()), "the control: {status}");
        let inside = server.shell(&format!("{ask}; echo"));
        assert!(["401\n", "000\n"].contains(&inside.stdout()), "{}", inside.text);
    });
}

#[test]
fn the_servers_port_is_closed_in_every_mode() {
    as_each_user(|site| {
        for mode in ["loopback", "proxy", "hosts", "open"] {
            let profile = site.profile(&json!({"network": {"mode": mode, "allow": ["127.0.0.1"]}}));
            let mut command = site.nono_mcp(&["--http", "0", "--profile"]);
            command.arg(&profile);
            let server = HttpServer::start_command(&site, command, None);
            let port = server.address().port().to_string();
            assert_eq!(site.outside(&["tcp", &port, "1"]), "ok 1", "the control");
            for probe in [&["tcp", &port, "1"][..], &["tcp-nonblocking", &port], &["tcp-v6", &port]]
            {
                let words = format!("./probe {}", probe.join(" "));
                let answer = server.shell(&words);
                assert_eq!(answer.stdout().trim(), "EACCES", "{mode} {probe:?}: {}", answer.text);
                assert!(answer.denials().iter().any(|d| d["kind"] == "net_connect"), "{mode}");
            }
        }
    });
}

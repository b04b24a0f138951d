//! MCP on the wire: pure stdout, every supported version, and input that is no message.

use nono_integration_tests::raw::RawServer;
use nono_integration_tests::{Site, User};
use serde_json::{Value, json};

fn call(id: u64, command: &str) -> Value {
    let params = json!({"name": "shell", "arguments": {"command": command}});
    json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params})
}

#[test]
fn stdout_carries_messages_and_nothing_else() {
    let site = Site::new(User::Same);
    let mut server = RawServer::start(&site);
    server.initialize("2025-06-18");
    let noisy = "echo out; echo err >&2; echo x > /dev/tty; echo y > /proc/self/fd/1; \
                 cat ../home/.netrc; printf '{\"jsonrpc\":\"2.0\",\"id\":9,\"result\":{}}\\n'";
    for id in 1..6 {
        server.send(&call(id, noisy));
    }
    let mut answered: Vec<u64> = (1..6).filter_map(|_| server.receive()["id"].as_u64()).collect();
    answered.sort_unstable();
    assert_eq!(answered, [1, 2, 3, 4, 5]);
    let (rest, ended) = server.finish();
    assert!(ended, "the server outlived its client");
    assert_eq!(rest, Vec::<String>::new(), "more on stdout");
}

#[test]
fn versions_with_a_handshake() {
    for version in ["2025-06-18", "2025-11-25"] {
        let site = Site::new(User::Same);
        let mut server = RawServer::start(&site);
        let hello = server.initialize(version);
        assert_eq!(hello["result"]["protocolVersion"], version, "{hello}");
        assert_eq!(hello["result"]["serverInfo"]["name"], "nono-mcp", "{hello}");
        assert!(hello["result"]["capabilities"]["tools"].is_object(), "{hello}");
        let tools = server.request(1, "tools/list", json!({}));
        assert!(tools["result"]["tools"].as_array().is_some_and(|t| t.len() >= 2), "{tools}");
        server.send(&call(2, "echo hi"));
        let answer = server.receive();
        let result = &answer["result"];
        assert_eq!(result["structuredContent"]["stdout"], "hi\n", "{answer}");
        assert!(result["content"][0]["text"].as_str().is_some_and(|t| t.contains("hi")));
        assert!(result.get("resultType").is_none(), "not in {version}: {answer}");
    }
}

#[test]
fn the_version_without_a_handshake() {
    let site = Site::new(User::Same);
    let mut server = RawServer::start(&site);
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": {"name": "it", "version": "1"},
    });
    let discovered = server.request(1, "server/discover", json!({ "_meta": meta }));
    let versions = discovered["result"]["supportedVersions"].to_string();
    assert!(versions.contains("2026-07-28"), "{discovered}");
    let tools = server.request(2, "tools/list", json!({ "_meta": meta }));
    assert!(tools["result"]["tools"].as_array().is_some_and(|t| t.len() >= 2), "{tools}");
    let params = json!({"_meta": meta, "name": "shell", "arguments": {"command": "echo hi"}});
    let answer = server.request(3, "tools/call", params);
    assert_eq!(answer["result"]["structuredContent"]["stdout"], "hi\n", "{answer}");
    assert_eq!(answer["result"]["resultType"], "complete", "{answer}");
}

#[test]
fn rubbish_on_stdin_does_not_end_the_server() {
    let site = Site::new(User::Same);
    let mut server = RawServer::start(&site);
    server.initialize("2025-06-18");
    for line in ["", "rubbish", "{", "[]", "null", "{\"jsonrpc\":\"2.0\"}", "\u{0}\u{1}"] {
        server.write_line(line);
    }
    server.send(&json!({"jsonrpc": "2.0", "id": 5, "method": "no/such/method", "params": {}}));
    server.send(&call(6, "echo alive"));
    let answer = loop {
        let message = server.receive();
        if message["id"] == 5 {
            assert_eq!(message["error"]["code"], -32601, "{message}");
        }
        if message["id"] == 6 {
            break message;
        }
    };
    assert_eq!(answer["result"]["structuredContent"]["stdout"], "alive\n", "{answer}");
}

#[test]
fn what_cannot_be_read_is_answered_to_whom_it_concerns() {
    let site = Site::new(User::Same);
    let mut server = RawServer::start(&site);
    server.initialize("2025-06-18");
    let half_a_character = call(1, "echo @").to_string().replace('@', "\\ud83d");
    let params = json!({"name": "shell", "arguments": {"command": "x".repeat(17 << 20)}});
    // With the id at the end, as some clients write it.
    let too_long = format!(r#"{{"method":"tools/call","params":{params},"jsonrpc":"2.0","id":2}}"#);
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    let deep = format!(r#"{{"jsonrpc":"2.0","id":3,"method":"ping","params":{{"x":{deep}}}}}"#);
    for (id, line, code, word) in [
        (1, half_a_character, -32700, "two"),
        (2, too_long, -32600, "16 MiB"),
        (3, deep, -32700, "recursion"),
    ] {
        server.write_line(&line);
        let answer = server.receive();
        assert_eq!(answer["id"], id, "{answer}");
        assert_eq!(answer["error"]["code"], code, "{answer}");
        assert!(answer["error"]["message"].to_string().contains(word), "{answer}");
    }
    server.send(&call(4, "echo alive"));
    assert_eq!(server.receive()["result"]["structuredContent"]["stdout"], "alive\n");
}

#[test]
fn parameters_of_the_wrong_shape_are_named() {
    let site = Site::new(User::Same);
    let mut server = RawServer::start(&site);
    server.initialize("2025-06-18");
    let cases = [
        ("tools/call", json!({"name": "shell", "arguments": "ls"}), -32602, "a map"),
        ("tools/call", json!({"arguments": {}}), -32602, "`name`"),
        ("tools/call", json!(["shell"]), -32600, "`params`"),
        ("resources/read", json!({"url": "nono://run/x/stdout"}), -32602, "`uri`"),
        ("no/such/method", json!({}), -32601, "no/such/method"),
    ];
    for (id, (method, params, code, word)) in (1..).zip(cases) {
        let answer = server.request(id, method, params);
        assert_eq!(answer["error"]["code"], code, "{answer}");
        assert!(answer["error"]["message"].to_string().contains(word), "{answer}");
    }
}

#[test]
fn a_single_piped_session_gets_its_answer() {
    let site = Site::new(User::Same);
    let mut server = RawServer::start(&site);
    let client = json!({"name": "it", "version": "1"});
    let params = json!({"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": client});
    server.send(&json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params}));
    server.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
    server.send(&call(1, "sleep 0.3; echo answered"));
    // Stdin ends before the answer, as with `printf ... | nono-mcp --stdio`.
    let (lines, ended) = server.finish();
    assert!(ended);
    assert!(lines.iter().any(|l| l.contains("answered\\n")), "{lines:?}");
}

#[test]
fn structured_results_fit_the_listed_schema_in_shape() {
    let site = Site::new(User::Same);
    let server = site.serve();
    let tools = server.tools();
    let shell = tools.iter().find(|t| t.name == "shell").expect("listed");
    let schema =
        serde_json::to_value(shell.output_schema.as_ref().expect("a schema")).expect("json");
    let required = schema["required"].as_array().cloned().unwrap_or_default();
    for command in ["true", "false", "kill -9 $$", "cat ../home/.netrc", "seq 1 99999"] {
        let value = server.shell(command).value;
        for field in &required {
            assert!(value.get(field.as_str().unwrap_or("")).is_some(), "{field} in {value}");
        }
        for field in value.as_object().expect("an object").keys() {
            assert!(schema["properties"].get(field).is_some(), "{field} is not in the schema");
        }
    }
}

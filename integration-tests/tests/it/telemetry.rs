//! Logs and traces: one span for each call, and nothing of what it was given or has written.

use nono_integration_tests::{Site, User, as_each_user};
use serde_json::{Value, json};
use std::io::Write;
use std::process::{Output, Stdio};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
/// Neither an argument nor a word of the output may show.
const ARGUMENT: &str = "argument-that-is-a-secret";
const OUTPUT: &str = "OUTPUT-THAT-IS-A-SECRET";

/// One session with one call, as a client with a trace of its own makes it.
fn session(site: &Site, filter: Option<&str>, more: &[&str]) -> Output {
    let workspace = site.text("ws");
    let mut args = vec!["--stdio", "--workspace", &workspace];
    args.extend(more);
    let mut command = site.nono_mcp(&args);
    if let Some(filter) = filter {
        command.env("NONO_LOG", filter);
    }
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("start nono-mcp");
    let client = json!({"name": "it", "version": "1"});
    let hello = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client});
    let shell = format!(
        "printf '%s' {ARGUMENT} | tr a-z A-Z | sed s/ARGUMENT/OUTPUT/; cat ../home/.netrc; exit 3"
    );
    let meta = json!({"traceparent": format!("00-{TRACE}-b7ad6b7169203331-01")});
    let call = json!({"name": "shell", "arguments": {"command": shell}, "_meta": meta});
    let messages: [Value; 3] = [
        json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": hello}),
        json!({"jsonrpc": "2.0", "method": "notifications/initialized"}),
        json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call}),
    ];
    let mut stdin = child.stdin.take().expect("piped");
    for message in messages {
        writeln!(stdin, "{message}").expect("write to the server");
    }
    drop(stdin);
    let output = child.wait_with_output().expect("wait for the server");
    let answers = String::from_utf8_lossy(&output.stdout);
    assert!(answers.contains(OUTPUT), "the call was answered: {answers}");
    output
}

#[test]
fn logs_say_nothing_of_arguments_and_output() {
    as_each_user(|site| {
        for filter in [None, Some("info,rmcp=off")] {
            let output = session(&site, filter, &[]);
            let log = String::from_utf8_lossy(&output.stderr);
            // With `info` there is a log, and in it the call.
            assert_eq!(filter.is_some(), log.contains("answered"), "{log}");
            assert_eq!(filter.is_some(), log.contains("tools/call shell"), "{log}");
            for secret in [ARGUMENT, OUTPUT, "hunter2", ".netrc"] {
                assert!(!log.contains(secret), "{secret} with {filter:?}: {log}");
            }
        }
    });
}

#[test]
fn a_build_without_export_says_so() {
    let site = Site::new(User::Same);
    let args = ["--stdio", "--otlp", "http://127.0.0.1:4318"];
    let output = site.nono_mcp(&args).output().expect("start nono-mcp");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--features otlp"));
}

/// Of a build with the feature `otlp`, which `NONO_MCP_BIN` names: `.ci/run` makes one.
mod export {
    use super::*;
    use std::io::{BufRead, BufReader, Read};
    use std::net::TcpListener;
    use std::sync::mpsc::{Receiver, channel};

    /// A collector: takes what is sent to it, and says where and what.
    fn collector() -> (String, Receiver<(String, Vec<u8>)>) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let (tell, told) = channel();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let mut reader = BufReader::new(stream);
                let (mut first, mut length) = (String::new(), 0);
                reader.read_line(&mut first).expect("a request");
                loop {
                    let mut line = String::new();
                    reader.read_line(&mut line).expect("a header");
                    let lower = line.to_lowercase();
                    if let Some(value) = lower.strip_prefix("content-length:") {
                        length = value.trim().parse().expect("a length");
                    }
                    if line == "\r\n" {
                        break;
                    }
                }
                let mut body = vec![0; length];
                reader.read_exact(&mut body).expect("a body");
                let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
                reader.get_mut().write_all(answer).expect("answer");
                if tell.send((first, body)).is_err() {
                    return;
                }
            }
        });
        (address, told)
    }

    fn has(body: &[u8], wanted: &[u8]) -> bool {
        body.windows(wanted.len()).any(|part| part == wanted)
    }

    #[test]
    #[ignore = "needs a build with the feature `otlp`"]
    fn a_call_is_one_span_of_its_clients_trace() {
        let site = Site::new(User::Same);
        let (address, told) = collector();
        session(&site, None, &["--otlp", &address]);
        let (request, body) =
            told.recv_timeout(nono_integration_tests::wait::BOUND).expect("spans");
        assert!(request.starts_with("POST /v1/traces "), "{request}");
        let trace: Vec<u8> = (0..16)
            .map(|at| u8::from_str_radix(&TRACE[2 * at..2 * at + 2], 16).expect("hexadecimal"))
            .collect();
        assert!(has(&body, &trace), "the trace of the client");
        for wanted in ["nono-mcp", "tools/call shell", "nono.run_id", "nono.exit_code", "coding"] {
            assert!(has(&body, wanted.as_bytes()), "{wanted}");
        }
        for secret in [ARGUMENT, OUTPUT, "hunter2", ".netrc"] {
            assert!(!has(&body, secret.as_bytes()), "{secret}");
        }
    }

    #[test]
    #[ignore = "needs a build with the feature `otlp`"]
    fn a_collector_that_is_gone_holds_nothing_up() {
        let site = Site::new(User::Same);
        let gone = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = format!("http://{}", gone.local_addr().expect("an address"));
        drop(gone);
        assert!(session(&site, None, &["--otlp", &address]).status.success());
    }

    #[test]
    #[ignore = "needs a build with the feature `otlp`"]
    fn only_plain_http_is_taken() {
        let site = Site::new(User::Same);
        let args = ["--stdio", "--otlp", "https://collector.example:4318"];
        let output = site.nono_mcp(&args).output().expect("start nono-mcp");
        assert_eq!(output.status.code(), Some(2));
        assert!(String::from_utf8_lossy(&output.stderr).contains("http://"));
    }
}

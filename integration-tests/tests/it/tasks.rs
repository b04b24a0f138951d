//! Calls that go on as tasks, for clients that declare the extension, and for nobody else.

use nono_integration_tests::http::Request;
use nono_integration_tests::issuer::sha256;
use nono_integration_tests::{HttpServer, Site, User, as_each_user, processes, wait};
use serde_json::{Value, json};

const ANN: &str = "token-of-ann-0123456789abcdef";
const BOB: &str = "token-of-bob-0123456789abcdef";

/// A client that takes tasks for answers.
fn declared() -> Value {
    json!({"extensions": {"io.modelcontextprotocol/tasks": {}}})
}

struct Client<'s> {
    server: &'s HttpServer,
    token: String,
    capabilities: Value,
}

impl<'s> Client<'s> {
    fn new(server: &'s HttpServer, token: &str, capabilities: Value) -> Self {
        Self { server, token: token.to_owned(), capabilities }
    }

    fn ask(&self, method: &str, params: Value) -> Value {
        let request = Request::modern_of(&self.capabilities, method, params);
        self.server.send(&request.bearer(&self.token)).last()
    }

    fn shell(&self, arguments: Value) -> Value {
        self.ask("tools/call", json!({"name": "shell", "arguments": arguments}))["result"].clone()
    }

    fn task(&self, method: &str, id: &str) -> Value {
        let mut params = json!({"taskId": id});
        if method == "tasks/update" {
            params["inputResponses"] = json!({});
        }
        self.ask(method, params)
    }

    /// Asks until the task has ended.
    fn end(&self, id: &str) -> Value {
        let mut last = Value::Null;
        let ended = wait::until(|| {
            last = self.task("tasks/get", id)["result"].clone();
            last["status"] != "working"
        });
        assert!(ended, "{last}");
        last
    }
}

#[test]
fn a_long_call_goes_on_as_a_task() {
    as_each_user(|site| {
        let server = HttpServer::start(&site);
        let client = Client::new(&server, server.token(), declared());
        let discovered = client.ask("server/discover", json!({}));
        let extensions = &discovered["result"]["capabilities"]["extensions"];
        assert!(extensions["io.modelcontextprotocol/tasks"].is_object(), "{discovered}");
        let created = client.shell(json!({"command": "echo begun; while ! test -e go; do sleep 0.1; done; echo ended; exit 3"}));
        assert_eq!(created["resultType"], "task", "{created}");
        assert_eq!(created["status"], "working");
        assert!(created["ttlMs"].as_u64() > Some(300_000) && created["pollIntervalMs"].is_u64());
        assert!(created["createdAt"].as_str().is_some_and(|at| at.ends_with('Z')), "{created}");
        let id = created["taskId"].as_str().expect("an id").to_owned();
        let working = client.task("tasks/get", &id)["result"].clone();
        assert_eq!(
            (&working["status"], &working["statusMessage"]),
            (&json!("working"), &json!("begun"))
        );
        assert!(
            client.task("tasks/update", &id)["result"].is_object(),
            "there is nothing to answer"
        );
        // The tools about runs know it by the same name.
        let read = server.call("run_read", json!({"run_id": id, "after_seq": 0}));
        assert_eq!((read.status(), read.stdout()), ("running", "begun\n"), "{}", read.text);
        site.file("ws/go", "");
        let completed = client.end(&id);
        assert_eq!(completed["status"], "completed", "{completed}");
        let result = &completed["result"]["structuredContent"];
        assert_eq!((&result["exit_code"], &result["run_id"]), (&json!(3), &json!(id)), "{result}");
        assert_eq!(result["stdout"], "begun\nended\n");
        let text = completed["result"]["content"][0]["text"].as_str().unwrap_or_default();
        assert!(text.contains("ended"), "complete in both forms: {text}");
        // What has ended stays as it is, also if somebody wants to end it.
        assert!(client.task("tasks/cancel", &id)["result"].is_object());
        assert_eq!(client.task("tasks/get", &id)["result"]["result"], completed["result"]);
    });
}

#[test]
fn a_cancelled_task_ends_its_tree() {
    let site = Site::new(User::Same);
    let server = HttpServer::start(&site);
    let client = Client::new(&server, server.token(), declared());
    let tag = processes::new_tag();
    let created = client.shell(json!({"command": format!("echo so far; ./probe idle {tag}")}));
    let id = created["taskId"].as_str().unwrap_or_else(|| panic!("{created}")).to_owned();
    assert_eq!(processes::with_tag(&tag).len(), 1, "the control");
    assert_eq!(client.task("tasks/cancel", &id)["result"]["resultType"], "complete");
    let ended = client.end(&id);
    assert_eq!(ended["status"], "cancelled", "{ended}");
    assert!(ended["result"].is_null() && ended["error"].is_null(), "{ended}");
    assert!(wait::until(|| processes::with_tag(&tag).is_empty()));
    let read = server.call("run_read", json!({"run_id": id, "after_seq": 0}));
    assert_eq!((read.status(), read.stdout()), ("cancelled", "so far\n"), "{}", read.text);
}

#[test]
fn whoever_can_be_answered_is_answered() {
    let site = Site::new(User::Same);
    let server = HttpServer::start(&site);
    let client = Client::new(&server, server.token(), declared());
    // Short ones, those whose caller says when to answer, and those in the background.
    let short = client.shell(json!({"command": "echo short"}));
    assert_eq!(short["structuredContent"]["exit_code"], 0, "{short}");
    let long = "sleep 30";
    for arguments in [
        json!({"command": long, "yield_ms": 6000}),
        json!({"command": long, "background": true}),
        json!({"command": "read line; sleep 30", "keep_stdin": true}),
    ] {
        let answer = client.shell(arguments.clone());
        assert_eq!(answer["structuredContent"]["status"], "running", "{arguments}: {answer}");
    }
    // What waits for input after a while is answered as well, and the run goes on.
    let command = "sleep 6; read line; echo got $line";
    let created = client.shell(json!({"command": command, "keep_stdin": true}));
    let id = created["taskId"].as_str().unwrap_or_else(|| panic!("{created}")).to_owned();
    let completed = client.end(&id);
    let result = &completed["result"]["structuredContent"];
    assert_eq!((&result["status"], result["waiting"].is_null()), (&json!("running"), false));
    let written = server.call("run_write", json!({"run_id": id, "text": "it\n"}));
    let read = server.call("run_read", json!({"run_id": id, "after_seq": 0, "wait_ms": 20_000}));
    assert!(read.stdout().contains("got it") || written.stdout().contains("got it"));
    assert_eq!(client.task("tasks/get", &id)["result"]["result"], completed["result"]);
}

#[test]
fn who_declares_nothing_gets_no_task() {
    let site = Site::new(User::Same);
    let server = HttpServer::start(&site);
    let plain = Client::new(&server, server.token(), json!({}));
    let arguments = json!({"command": "sleep 8; echo done"});
    let answer = plain.shell(arguments.clone());
    assert_eq!(answer["structuredContent"]["stdout"], "done\n", "{answer}");
    assert_eq!(plain.task("tasks/get", "r-0")["error"]["code"], -32021);
    // Nor does a client of an older version, whatever it declares.
    let client = json!({"name": "it", "version": "1"});
    let hello = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": declared(), "clientInfo": client,
    }});
    let reply = server.send(&Request::json(&hello).bearer(server.token()));
    let session = reply.header("mcp-session-id").expect("a session").to_owned();
    let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
                      "params": {"name": "shell", "arguments": arguments}});
    let request = Request::json(&call).bearer(server.token());
    let request = request.header("Mcp-Session-Id", &session);
    let reply = server.send(&request.header("MCP-Protocol-Version", "2025-11-25"));
    assert_eq!(reply.last()["result"]["structuredContent"]["stdout"], "done\n", "{reply:?}");
}

#[test]
fn a_task_is_its_principals_alone() {
    let site = Site::new(User::Same);
    ["ann", "bob"].iter().for_each(|name| drop(site.folder(name)));
    let principal = |name: &str, token: &str| json!({"name": name, "token_sha256": sha256(token), "workspaces": [name]});
    let file = json!({"principals": [principal("ann", ANN), principal("bob", BOB)]});
    let file = site.file("principals.json", &file.to_string());
    let mut command = site.nono_mcp(&["--http", "0", "--principals"]);
    command.arg(file);
    let server = HttpServer::start_command(&site, command, Some(ANN));
    let (ann, bob) = (Client::new(&server, ANN, declared()), Client::new(&server, BOB, declared()));
    let created = ann.shell(json!({"command": "sleep 60"}));
    let id = created["taskId"].as_str().unwrap_or_else(|| panic!("{created}")).to_owned();
    for method in ["tasks/get", "tasks/cancel", "tasks/update"] {
        let there = bob.task(method, &id)["error"].clone();
        let never = bob.task(method, "r-0")["error"].clone();
        assert_eq!((&there["code"], &never["code"]), (&json!(-32602), &json!(-32602)), "{method}");
        let message = there["message"].as_str().unwrap_or_default().replace(&id, "r-0");
        assert_eq!(never["message"], message, "{method}");
    }
    assert_eq!(ann.task("tasks/get", &id)["result"]["status"], "working", "it goes on");
}

//! What the proxy does once it has let a connection through: many at once, ends in either order,
//! and no more memory however much flows or waits.

use super::{on_a_network, python, with_network};
use nono_integration_tests::{Answer, Server, Site, processes, wait};
use serde_json::json;

/// More than this, in KiB, and a buffer grows with what flows.
const GROWTH: u64 = 32 << 10;

/// How a program connects through the proxy.
const TUNNEL: &str = r"
import os, select, socket
proxy = os.environ['HTTP_PROXY'][7:].split(':')
def tunnel(port):
    s = socket.create_connection((proxy[0], int(proxy[1])), 60)
    s.sendall(b'CONNECT allowed.test:%d HTTP/1.1\r\n\r\n' % port)
    said = b''
    while not said.endswith(b'\r\n\r\n'):
        more = s.recv(1)
        assert more, said
        said += more
    assert said.startswith(b'HTTP/1.1 200'), said
    return s
";

fn tunnelled(site: &Site) -> Server {
    with_network(site, &json!({"mode": "proxy", "allow": ["allowed.test:4477-4479"]}))
}

fn inside(server: &Server, code: &str) -> Answer {
    python(server, &format!("{TUNNEL}{code}"))
}

#[test]
fn five_hundred_connections_at_once() {
    on_a_network(|site, _| {
        let answer = inside(
            &tunnelled(site),
            r"
all = [tunnel(4477) for _ in range(500)]
for n, s in enumerate(all):
    s.sendall(b'%d' % n)
print('ok', sum(s.recv(100) == b'%d' % n for n, s in enumerate(all)))
",
        );
        assert_eq!(answer.stdout().trim(), "ok 500", "{}", answer.text);
    });
}

#[test]
fn either_side_may_end_first() {
    on_a_network(|site, arrived| {
        let server = tunnelled(site);
        // The program: the host still sends everything back.
        let answer = inside(
            &server,
            r"
import threading
s = tunnel(4477); size = 3_000_000; got = 0
def say():
    s.sendall(bytes(size)); s.shutdown(socket.SHUT_WR)
threading.Thread(target=say).start()
while True:
    n = len(s.recv(1 << 20))
    if not n: break
    got += n
print('echoed', got)
",
        );
        assert_eq!(answer.stdout().trim(), "echoed 3000000", "{}", answer.text);
        // The host: it still hears everything.
        let answer = inside(
            &server,
            r"
s = tunnel(4479)
assert s.makefile('rb').read() == b'bye'
s.sendall(bytes(3_000_000)); s.close(); print('left')
",
        );
        assert_eq!(answer.stdout().trim(), "left", "{}", answer.text);
        assert!(wait::until(|| arrived.has("heard 3000000 after bye")), "{:?}", arrived.all());
    });
}

#[test]
fn memory_stays_flat_while_a_gibibyte_flows() {
    on_a_network(|site, arrived| {
        let server = tunnelled(site);
        let code = r"
for size in (1 << 20, 1 << 30):
    s = tunnel(4478); s.sendall(b'%d\n' % size); left = size; buffer = bytearray(1 << 18)
    while left:
        n = s.recv_into(buffer)
        assert n, left
        left -= n
    print('all of', size, flush=True)
    if size == 1 << 20: input()
";
        let run = started(&server, code);
        assert!(wait::until(|| said(&server, &run, "all of 1048576")), "the first one");
        let before = resident(&server);
        server.ask("run_write", json!({ "run_id": run, "text": "\n" }));
        let mut most = before;
        let done = || {
            most = most.max(resident(&server));
            arrived.has("sent 1073741824 of 1073741824") && said(&server, &run, "1073741824")
        };
        assert!(wait::until(done), "{:?}", arrived.all());
        assert!(most < before + GROWTH, "from {before} to {most} KiB");
    });
}

#[test]
fn memory_stays_flat_for_who_does_not_read() {
    on_a_network(|site, arrived| {
        let server = tunnelled(site);
        let code = r"
warm = tunnel(4478); warm.sendall(b'1048576\n')
assert len(warm.makefile('rb').read(1048576)) == 1048576
print('warm', flush=True); input()
all = [tunnel(4478) for _ in range(100)]
for s in all: s.sendall(b'1073741824\n')
for s in all: assert s.recv(1)
print('stuck', flush=True); input()
for s in all: s.close()
";
        let run = started(&server, code);
        assert!(wait::until(|| said(&server, &run, "warm")), "the first one");
        let before = resident(&server);
        server.ask("run_write", json!({ "run_id": run, "text": "\n" }));
        assert!(wait::until(|| said(&server, &run, "stuck")), "a hundred that send");
        // Whatever fills up has filled up once two looks see the same.
        let mut last = 0;
        let settled = || {
            let now = resident(&server);
            std::mem::replace(&mut last, now) == now
        };
        assert!(wait::until(settled), "memory of the server goes on growing");
        assert!(!arrived.has("sent 1073741824"), "control: nobody has read that much");
        assert!(last < before + GROWTH, "from {before} to {last} KiB");
        server.ask("run_write", json!({ "run_id": run, "text": "\n" }));
        let broken_off = |line: &&String| line.contains("of 1073741824");
        let all_are = || arrived.all().iter().filter(broken_off).count() == 100;
        assert!(wait::until(all_are), "{:?}", arrived.all());
    });
}

/// Connections of one run that wait for nothing leave descriptors for everything else.
#[test]
fn a_run_that_holds_connections_holds_up_nobody() {
    on_a_network(|site, _| {
        let server = tunnelled(site);
        let pid = format!("--pid={}", server.pid());
        let limited = site.run_outside("/usr/bin/prlimit", &[&pid, "--nofile=400:400"]);
        assert!(limited.status.success(), "{limited:?}");
        let holder = started(
            &server,
            r"
all = [socket.create_connection((proxy[0], int(proxy[1])), 60) for _ in range(360)]
closed = 0
while closed < 360 - 50:
    ready = select.select(all, [], [])[0]
    closed += len(ready)
    all = [s for s in all if s not in ready]
print('holding', flush=True)
input()
",
        );
        assert!(wait::until(|| said(&server, &holder, "holding")));
        let other = inside(&server, "s = tunnel(4477); s.sendall(b'through'); print(s.recv(100))");
        assert!(other.stdout().contains("through"), "{}", other.text);
        let still = server.ask("run_read", json!({ "run_id": holder }));
        assert_eq!(still.status(), "running", "{}", still.text);
    });
}

/// Starts a program that waits for lines.
fn started(server: &Server, code: &str) -> String {
    let argv = json!([super::PYTHON, "-c", format!("{TUNNEL}{code}")]);
    let call = json!({"argv": argv, "background": true, "keep_stdin": true, "timeout_ms": 300_000});
    let started = server.ask("exec", call);
    assert_eq!(started.status(), "running", "{}", started.text);
    started.str("run_id").to_owned()
}

fn said(server: &Server, run: &str, words: &str) -> bool {
    let look = server.ask("run_read", json!({ "run_id": run, "after_seq": 0 }));
    assert!(!look.stderr().contains("Error"), "{}", look.text);
    look.stdout().contains(words)
}

fn resident(server: &Server) -> u64 {
    processes::resident(server.pid()).expect("the server lives")
}

//! Builds, packages and tests of the languages.

use super::{has, passes, passes_unrefused, provides, succeeds_outside};
use nono_integration_tests::{Server, Site, User, as_each_user};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// A server whose user finds the Rust toolchain that runs these tests, if that user may.
pub(crate) fn with_rust(site: &Site, profile: &str) -> Option<Server> {
    let cargo = PathBuf::from(std::env::var_os("CARGO").expect("tests are run by cargo"));
    let bin = cargo.parent().expect("folder of cargo");
    // Nothing that is missing: it lies in the home of whoever runs the tests.
    if !succeeds_outside(site, &format!("test -x {}/rustc", bin.display())) {
        let user = site.user();
        assert_ne!(user, User::Same, "whoever runs these tests has the toolchain in {bin:?}");
        eprintln!("NOT TESTED as {user:?}: it cannot reach the Rust toolchain in {bin:?}");
        return None;
    }
    let workspace = site.text("ws");
    let args = ["--stdio", "--workspace", &workspace, "--profile", profile];
    let mut command = site.nono_mcp(&args);
    let mut path = OsString::from(bin);
    path.push(":/usr/local/bin:/usr/bin:/bin");
    command.env("PATH", path);
    // HOME/toolchains/NAME/bin
    let folders: Vec<&Path> = bin.ancestors().take(4).collect();
    if let [_, _, toolchains, home] = folders[..]
        && toolchains.ends_with("toolchains")
    {
        command.env("RUSTUP_HOME", home);
    }
    Some(Server::start_command(site, command))
}

#[test]
fn cargo_builds_and_tests_offline() {
    as_each_user(|site| {
        let Some(server) = with_rust(&site, "coding") else { return };
        // Cargo's lock files are granted where they are; this home has none yet, and cargo does
        // well without.
        let answer = passes(
            &server,
            r#"mkdir -p crate/src; cd crate
            printf '[package]\nname = "small"\nversion = "0.1.0"\nedition = "2021"\n[workspace]\n' > Cargo.toml
            echo 'fn main() { println!("{}", small::two()); }' > src/main.rs
            echo 'pub fn two() -> u8 { 2 }
            #[test] fn is_two() { assert_eq!(two(), 2); }' > src/lib.rs
            cargo build --offline --quiet; ./target/debug/small; cargo test --offline --quiet --lib
            test -f Cargo.lock; cargo metadata --offline --format-version 1 > /dev/null"#,
        );
        assert!(answer.stdout().starts_with("2\n"), "{}", answer.text);
        assert!(answer.stdout().contains("1 passed"), "{}", answer.text);
    });
}

#[test]
fn npm_installs_from_a_folder_and_runs_its_scripts() {
    as_each_user(|site| {
        if !has(&site, &["node", "npm"]) {
            return;
        }
        let answer = passes(
            &site.serve(),
            r#"mkdir dep app
            echo '{"name":"dep","version":"1.0.0","bin":"bin.js"}' > dep/package.json
            echo 'module.exports = 42' > dep/index.js
            printf '#!/usr/bin/env node\nconsole.log("bin")\n' > dep/bin.js
            cd app; echo '{"name":"app","version":"1.0.0","scripts":{"test":"dep && node t.js"}}' > package.json
            echo 'console.log(require("dep"))' > t.js
            npm install --offline --no-audit --no-fund file:../dep; test -L node_modules/dep
            npm test --silent; npm pack --silent; npm ls"#,
        );
        assert!(answer.stdout().contains("bin\n42\napp-1.0.0.tgz\n"), "{}", answer.text);
    });
}

#[test]
fn node_tests_with_child_processes_watchers_and_sockets() {
    as_each_user(|site| {
        if !has(&site, &["node"]) {
            return;
        }
        site.file(
            "ws/a.test.js",
            r#"
const test = require('node:test'), assert = require('assert'), fs = require('fs');
const net = require('net'), path = require('path'), { fork } = require('child_process');
const { Worker } = require('worker_threads');
if (process.argv[2] === 'child') {
  process.on('message', m => process.send(m + 1, () => process.disconnect()));
} else {
  test('messages to a child', async () => {
    const child = fork(__filename, ['child']);
    child.send(1);
    assert.equal(await new Promise(done => child.once('message', done)), 2);
    await new Promise(done => child.once('exit', done));
  });
  test('a watcher', async () => {
    const folder = fs.mkdtempSync(path.join(require('os').tmpdir(), 'w-'));
    const seen = new Promise(done => {
      const watcher = fs.watch(folder, (_, name) => { watcher.close(); done(name); });
    });
    fs.writeFileSync(path.join(folder, 'x'), '');
    assert.equal(await seen, 'x');
  });
  for (const folder of [require('os').tmpdir(), process.cwd()]) {
    test('a socket in ' + folder, async () => {
      const name = path.join(folder, 's.sock');
      const server = net.createServer(c => c.end('hello')).listen(name);
      await new Promise(done => server.once('listening', done));
      const client = net.connect(name);
      assert.equal(String(await new Promise(done => client.once('data', done))), 'hello');
      server.close();
    });
  }
  test('a loopback server', async () => {
    const server = require('http').createServer((_, r) => r.end('ok')).listen(0, '127.0.0.1');
    await new Promise(done => server.once('listening', done));
    const answer = await fetch('http://127.0.0.1:' + server.address().port);
    assert.equal(await answer.text(), 'ok');
    server.close(); server.closeAllConnections();
  });
  test('a worker', async () => {
    const worker = new Worker('require("worker_threads").parentPort.postMessage(7)', { eval: true });
    assert.equal(await new Promise(done => worker.once('message', done)), 7);
  });
}
"#,
        );
        let answer = passes_unrefused(&site.serve(), "node --test a.test.js");
        assert!(answer.stdout().contains("pass 6"), "{}", answer.text);
        assert!(answer.stdout().contains("fail 0"), "{}", answer.text);
    });
}

/// Writes a wheel without a build tool: the format is a zip file.
const WHEEL: &str = r#"
import zipfile
info = "small-1.0.dist-info/"
with zipfile.ZipFile("small-1.0-py3-none-any.whl", "w") as w:
    w.writestr("small.py", "def main(): print('two')\n")
    w.writestr(info + "METADATA", "Metadata-Version: 2.1\nName: small\nVersion: 1.0\n")
    w.writestr(info + "WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
    w.writestr(info + "entry_points.txt", "[console_scripts]\nsmall = small:main\n")
    w.writestr(info + "RECORD", "")
"#;

#[test]
fn python_makes_an_environment_and_installs_into_it() {
    as_each_user(|site| {
        if !has(&site, &["python3"])
            || !provides(&site, "venv", "python3 -c 'import venv, ensurepip'")
        {
            return;
        }
        site.file("ws/wheel.py", WHEEL);
        let answer = passes(
            &site.serve(),
            "python3 -m venv env; python3 wheel.py; . env/bin/activate
             pip install -q --no-index ./small-1.0-py3-none-any.whl; small
             python -c 'import small, sys; print(sys.prefix != sys.base_prefix)'
             pip uninstall -qy small",
        );
        assert_eq!(answer.stdout(), "two\nTrue\n", "{}", answer.text);
    });
}

/// What tests of parallel programs use: semaphores, shared memory, queues, managers, nameless files.
const POOL: &str = r#"
import multiprocessing as mp, os, socket, sys, tempfile, threading
from multiprocessing import shared_memory
from concurrent.futures import ProcessPoolExecutor
def double(x): return 2 * x
def put(q): q.put(os.getpid())
if __name__ == "__main__":
    for how in ("fork", "spawn", "forkserver"):
        with mp.get_context(how).Pool(2) as pool:
            print(how, sum(pool.map(double, range(50))))
    with ProcessPoolExecutor(2) as pool: print("executor", sum(pool.map(double, range(10))))
    q = mp.Queue(); p = mp.Process(target=put, args=(q,)); p.start(); print(q.get() == p.pid); p.join()
    with mp.Manager() as m: d = m.dict(a=1); print(d["a"])
    s = shared_memory.SharedMemory(create=True, size=4096); s.buf[0] = 5; print(s.buf[0]); s.close(); s.unlink()
    with tempfile.TemporaryFile() as f: f.write(b"x"); print(f.tell())
    a, b = socket.socketpair(); a.send(b"pair"); print(b.recv(9).decode())
"#;

#[test]
fn python_in_many_processes() {
    as_each_user(|site| {
        if !has(&site, &["python3"]) {
            return;
        }
        site.file("ws/pool.py", POOL);
        let answer = passes_unrefused(&site.serve(), "python3 pool.py");
        let expected = "fork 2450\nspawn 2450\nforkserver 2450\nexecutor 90\nTrue\n1\n5\n1\npair\n";
        assert_eq!(answer.stdout(), expected, "{}", answer.text);
    });
}

#[test]
fn python_runs_tests() {
    as_each_user(|site| {
        if !has(&site, &["python3"]) {
            return;
        }
        let server = site.serve();
        site.file(
            "ws/test_pool.py",
            "import multiprocessing, tempfile, unittest\n\
             def double(x): return 2 * x\n\
             class Pool(unittest.TestCase):\n    \
                 def test_pool(self):\n        \
                     with multiprocessing.Pool(2) as pool:\n            \
                         self.assertEqual(pool.map(double, [1, 2]), [2, 4])\n\
             def test_folder(tmp_path):\n    \
                 (tmp_path / 'x').write_text('y')\n    \
                 assert (tmp_path / 'x').read_text() == 'y'\n",
        );
        passes_unrefused(&server, "python3 -m unittest -q test_pool");
        if provides(&site, "pytest", "python3 -c 'import pytest'") {
            passes_unrefused(&server, "python3 -m pytest -q test_pool.py");
        }
    });
}

#[test]
fn java_with_sockets_as_gradle_uses_them() {
    as_each_user(|site| {
        if !has(&site, &["java", "javac"]) {
            return;
        }
        site.file(
            "ws/Loop.java",
            r#"
import java.net.*; import java.nio.file.*; import java.util.*;
public class Loop {
  public static void main(String[] a) throws Exception {
    InetAddress local = InetAddress.getLoopbackAddress();
    int count = 0;
    for (NetworkInterface n : Collections.list(NetworkInterface.getNetworkInterfaces()))
      count += n.isLoopback() && n.isUp() ? 1 : 0;
    System.out.println("loopbacks " + count);
    try (ServerSocket s = new ServerSocket(0, 5, local); Socket c = new Socket(local, s.getLocalPort());
         Socket d = s.accept()) {
      c.getOutputStream().write(7);
      System.out.println("stream " + d.getInputStream().read());
    }
    try (DatagramSocket s = new DatagramSocket(0, local); DatagramSocket t = new DatagramSocket(0, local)) {
      t.send(new DatagramPacket(new byte[] {9}, 1, local, s.getLocalPort()));
      DatagramPacket p = new DatagramPacket(new byte[4], 4);
      s.receive(p);
      System.out.println("datagram " + p.getData()[0]);
    }
    Path f = Files.createTempFile("loop", null);
    Files.delete(f);
    Process p = new ProcessBuilder("echo", "child").inheritIO().start();
    System.out.println("exit " + p.waitFor());
  }
}
"#,
        );
        let answer = passes(&site.serve(), "javac Loop.java; java -Djava.io.tmpdir=$TMPDIR Loop");
        let expected = "loopbacks 1\nstream 7\ndatagram 9\nchild\nexit 0\n";
        assert_eq!(answer.stdout(), expected, "{}", answer.text);
    });
}

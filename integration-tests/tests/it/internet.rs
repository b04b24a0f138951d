//! Runs on a machine with a network around it: what each mode reaches, what the proxy lets through,
//! and that nothing gets around either. The network is the test's own, so this takes root.

mod carrying;
mod clients;
mod names;
mod own_network;

use nono_integration_tests::internet::{
    self, Arrived, FAR, FAR6, Internet, METADATA, PORT, PUBLIC,
};
use nono_integration_tests::{Answer, Server, Site, User, as_each_user, wait};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::time::Duration;

const BYPASS: &str = include_str!("internet/bypass.py");
const SMUGGLE: &str = include_str!("internet/smuggle.py");
const PYTHON: &str = "/usr/bin/python3";

/// Runs a test on the machine's side, as root and as an ordinary user.
fn on_a_network(test: impl Fn(&Site, &Arrived) + Send + Sync) {
    on_the_internet(|site, net| test(site, &net.arrived));
}

fn on_the_internet(test: impl Fn(&Site, &Internet) + Send + Sync) {
    assert!(User::Same.is_root(), "these tests make network namespaces, which takes root");
    internet::with_internet(|net| {
        as_each_user(|site| {
            net.arrived.clear();
            test(&site, net);
        });
    });
}

fn python(server: &Server, code: &str) -> Answer {
    server.exec(&[PYTHON, "-c", code])
}

/// The same without a sandbox.
fn python_outside(site: &Site, args: &[&str]) -> String {
    let mut command = site.command(std::path::Path::new(PYTHON));
    let output = command.args(args).output().expect("run python");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn connecting(host: &str, port: u16, token: &str) -> String {
    format!(
        "import socket\ns=socket.create_connection(('{host}',{port}),5)\ns.sendall(b'{token}')\n\
         s.recv(99)\nprint('reached')"
    )
}

fn with_network(site: &Site, network: &Value) -> Server {
    site.serve_with(&json!({ "network": network }))
}

#[test]
fn what_each_mode_reaches() {
    on_a_network(|site, arrived| {
        for (host, token) in [(FAR, "control-far"), (PUBLIC, "control-public"), (FAR6, "control-6")]
        {
            python_outside(site, &["-c", &connecting(host, PORT, token)]);
            assert!(wait::until(|| arrived.has(token)), "control {host}");
        }
        let listed = json!([format!("{FAR}:{PORT}")]);
        let modes = [
            (json!({"mode": "open"}), [true, true, true]),
            (json!({"mode": "hosts", "allow": listed}), [true, false, false]),
            (json!({"mode": "proxy", "allow": listed}), [false, false, false]),
            (json!({"mode": "loopback", "allow": listed}), [false, false, false]),
            (json!({"mode": "none", "allow": listed}), [false, false, false]),
        ];
        for (network, reached) in modes {
            let server = with_network(site, &network);
            for (host, expected) in [FAR, PUBLIC, FAR6].into_iter().zip(reached) {
                arrived.clear();
                let answer = python(&server, &connecting(host, PORT, "token"));
                assert_eq!(answer.stdout().contains("reached"), expected, "{network} {host}");
                assert_eq!(arrived.has("token"), expected, "{network} {host}");
                if !expected {
                    let denials = answer.denials();
                    let denial = denials.iter().find(|d| d["kind"] == "net_connect");
                    let denial = denial.unwrap_or_else(|| panic!("{network}: {}", answer.text));
                    assert_eq!(denial["errno"], "EACCES", "{denial}");
                    assert!(!denial["grant"]["network"].is_null(), "{denial}");
                }
            }
        }
    });
}

#[test]
fn a_grant_that_is_shown_is_one_that_helps() {
    on_a_network(|site, arrived| {
        for (host, port) in [(FAR, PORT), (METADATA, PORT)] {
            let code = connecting(host, port, "granted");
            let refused = python(&site.serve(), &code);
            let denials = refused.denials();
            let denial = denials.first().unwrap_or_else(|| panic!("{}", refused.text));
            assert_eq!(denial["target"], format!("{host}:{port}"), "{denial}");
            assert_eq!(denial["kind"], "net_connect", "{denial}");
            assert!(!arrived.has("granted"));
            let server = site.serve_with(&denial["grant"]);
            python(&server, &code);
            let there = || arrived.all().iter().any(|line| line.contains("granted"));
            assert!(wait::until(there), "{} {:?}", denial["grant"], arrived.all());
            arrived.clear();
        }
        // Whoever asks a name server wants what the name means, which the server would not open.
        let refused = python(&site.serve(), &connecting(FAR, 53, "granted"));
        let denial = refused.denials().remove(0);
        assert_eq!(denial["kind"], "dns", "{denial}");
        assert!(denial["grant"].is_null() && refused.text.contains("leave names"), "{denial}");
    });
}

#[test]
fn metadata_needs_its_name_even_where_everything_is_open() {
    on_a_network(|site, arrived| {
        let code = connecting(METADATA, PORT, "metadata");
        python_outside(site, &["-c", &code]);
        assert!(wait::until(|| arrived.has("metadata")), "control");
        arrived.clear();
        for network in [json!({"mode": "open"}), json!({"mode": "hosts", "allow": ["0.0.0.0/0"]})] {
            let answer = python(&with_network(site, &network), &code);
            let denial = answer.denial("net_connect", &format!("{METADATA}:{PORT}"));
            assert_eq!(denial.expect("a record")["risk"], "high", "{network}");
        }
        assert!(!arrived.has("metadata"));
    });
}

#[test]
fn no_way_around_the_policy() {
    on_a_network(|site, arrived| {
        let script = site.file("ws/bypass.py", BYPASS);
        let script = script.to_string_lossy().into_owned();
        let port = PORT.to_string();
        let args = [script.as_str(), FAR, FAR6, &port, "near"];
        let outside = python_outside(site, &args);
        assert!(outside.ends_with("done\n"), "{outside}");
        let reached = arrived.all().len();
        assert!(reached > 30, "only {reached} attempts work where nothing refuses them: {outside}");
        for one in [
            "udp4_without_family",
            "udp4_broadcast",
            "udp4_all_hosts",
            "udp6",
            "udp6_all_nodes",
            "udp4_packet_info_device_of_a_tied_socket",
        ] {
            assert!(arrived.has(one), "control {one}: {:?}", arrived.all());
        }
        for one in ["packet_info6", "zero_copy", "socket_filter", "listen_raced"] {
            assert!(outside.contains(&format!("OPEN {one}\n")), "control {one}: {outside}");
        }
        // Which race is won is chance; that some are is not.
        let races = ["race_connect_", "race_send", "race_dup2"];
        let won = races.into_iter().filter(|race| arrived.has(race)).count();
        assert!(won >= 2, "control: {won} kinds of races are won outside");
        for mode in ["loopback", "proxy", "hosts"] {
            arrived.clear();
            let server = with_network(site, &json!({ "mode": mode, "allow": ["192.0.2.1"] }));
            let mut argv = vec![PYTHON];
            argv.extend(args);
            let most = 1_200_000;
            let call = json!({ "argv": argv, "timeout_ms": most, "yield_ms": most });
            let answer = server.ask("exec", call);
            assert!(answer.stdout().ends_with("attempts 78\ndone\n"), "{mode}: {}", answer.text);
            assert_eq!(arrived.all(), Vec::<String>::new(), "{mode}");
            let open: Vec<&str> =
                answer.stdout().lines().filter(|l| l.starts_with("OPEN")).collect();
            assert_eq!(open, Vec::<&str>::new(), "{mode}");
        }
    });
}

#[test]
fn what_listens_on_all_addresses_is_reached_from_this_machine_alone() {
    on_the_internet(|site, net| {
        let closed = with_network(site, &json!({"mode": "loopback"}));
        let exposed = with_network(site, &json!({"mode": "loopback", "expose": [39123]}));
        // (server, what comes before `listen`, reached from here, reached from there)
        let table = [
            (&closed, "s.bind(('',0))", true, false),
            (&closed, "s=socket.socket(socket.AF_INET6)\ns.bind(('::',0))", true, false),
            (&closed, "", true, false),
            (&closed, "s.bind(('127.0.0.1',0))", true, false),
            (&exposed, "s.bind(('',39123))", true, true),
            (&exposed, "s.bind(('',39124))", true, false),
        ];
        for (server, bind, here, there) in table {
            let (run, port) = listening(server, bind);
            let at = ([127, 0, 0, 1], port).into();
            let from_here = TcpStream::connect_timeout(&at, Duration::from_secs(5)).is_ok();
            assert_eq!((from_here, net.reaches(port)), (here, there), "{bind:?}");
            server.ask("run_signal", json!({ "run_id": run, "signal": "SIGKILL" }));
        }
        let answer = python(&closed, "import socket\nsocket.create_server(('10.77.0.1',8123))");
        let denial = answer.denial("net_bind", "10.77.0.1:8123").expect("a record");
        assert_eq!(denial["grant"]["network"]["expose"], json!(["8123"]), "{denial}");
        let listed = with_network(site, &json!({"mode": "loopback", "listen": ["8000-8099"]}));
        for (port, works) in [(8001, true), (8100, false)] {
            let code = format!("import socket\nsocket.create_server(('127.0.0.1',{port}))");
            assert_eq!(python(&listed, &code).exit_code() == Some(0), works, "{port}");
        }
        let unbound = "import socket\nsocket.socket().listen(1)";
        assert_ne!(python(&listed, unbound).exit_code(), Some(0), "a port of the kernel's choice");
        chooses_no_port(site, &listed);
    });
}

/// Port 0 is the kernel's choice, and stays it.
fn chooses_no_port(site: &Site, listed: &Server) {
    const CODE: &str = "import socket,struct\n\
        s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM)\n\
        try: s.setsockopt(socket.IPPROTO_IP,51,struct.pack('HH',39321,39321))\n\
        except OSError as e: print(socket.IPPROTO_IP,e.errno)\n\
        s.bind(('127.0.0.1',0))\n\
        print(s.getsockname()[1])";
    assert_eq!(python_outside(site, &["-c", CODE]), "39321\n", "control");
    let inside = python(listed, CODE);
    assert_eq!(inside.exit_code(), Some(0), "{}", inside.text);
    assert!(inside.stdout().starts_with("0 92\n"), "ENOPROTOOPT: {}", inside.text);
    assert!(!inside.stdout().contains("39321"), "{}", inside.text);
}

#[test]
fn devices_and_groups_of_ones_own_are_refused_and_told() {
    const OPTIONS: [(&str, &str); 2] = [
        ("SO_BINDTODEVICE", "socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b'lo'"),
        (
            "IP_ADD_MEMBERSHIP",
            "socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, bytes([224, 0, 0, 251, 127, 0, 0, 1])",
        ),
    ];
    as_each_user(|site| {
        let server = with_network(&site, &json!({"mode": "loopback"}));
        for (name, arguments) in OPTIONS {
            let code = format!(
                "import socket\ns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n\
                 try: s.setsockopt({arguments}); print('set')\n\
                 except OSError as e: print(e.errno)"
            );
            assert_eq!(python_outside(&site, &["-c", &code]), "set\n", "control");
            let answer = python(&server, &code);
            assert_eq!(answer.stdout(), "1\n", "EPERM: {}", answer.text);
            let denial = answer.denial("socket", &format!("setsockopt({name})"));
            let denial = denial.unwrap_or_else(|| panic!("{name}: {}", answer.text));
            let rule = denial["decided_by"]["rule"].as_str().unwrap_or_default();
            assert!(rule.contains("`open`"), "{denial}");
        }
    });
}

/// A program with a datagram socket that says its port and then what comes there. `way`: what it
/// does first.
fn listener_of_datagrams(way: &str) -> String {
    format!(
        "import socket,sys\ns=socket.socket(socket.AF_INET,socket.SOCK_DGRAM)\n{way}\n\
         print(s.getsockname()[1],flush=True)\n\
         while True:\n try: print(s.recv(99).decode(),flush=True)\n except OSError: pass"
    )
}

/// Whether a run's datagram socket takes something from another machine.
fn hears_from_afar(server: &Server, net: &Internet, way: &str) -> bool {
    let argv = json!([PYTHON, "-c", listener_of_datagrams(way)]);
    let started = server.ask("exec", json!({ "argv": argv, "background": true }));
    let run = started.str("run_id").to_owned();
    let said = || {
        let look = server.ask("run_read", json!({ "run_id": run, "after_seq": 0 }));
        look.stdout().to_owned()
    };
    assert!(wait::until(|| said().ends_with('\n')), "{way}: {}", started.text);
    let port: u16 = said().trim().parse().expect("a port");
    net.send_datagram(port);
    let here = std::net::UdpSocket::bind("127.0.0.1:0").expect("a socket");
    here.send_to(b"from here", ("127.0.0.1", port)).expect("send");
    // What came first would have been said first.
    assert!(wait::until(|| said().contains("from here")), "{way}: {}", said());
    let heard = said().contains("afar");
    server.ask("run_signal", json!({ "run_id": run, "signal": "SIGKILL" }));
    heard
}

/// The kernel gives a port on all addresses to whoever sends before it has one, even if the send
/// fails, and no filter sees a `send`.
#[test]
fn datagrams_come_from_this_machine_alone() {
    const WAYS: [&str; 3] = [
        "try: s.send(b'')\nexcept OSError: pass",
        "s.bind(('', 0))",
        "s.sendto(b'', ('127.0.0.1', 9))",
    ];
    on_the_internet(|site, net| {
        for way in WAYS {
            let mut outside = site.command(std::path::Path::new(PYTHON));
            outside.args(["-c", &listener_of_datagrams(way)]).stdout(std::process::Stdio::piped());
            let mut outside = outside.spawn().expect("start python");
            let mut lines = BufReader::new(outside.stdout.take().expect("its output")).lines();
            let mut line = || lines.next().expect("a line").expect("text");
            net.send_datagram(line().parse().expect("a port"));
            assert_eq!(line(), "from afar", "control: {way}");
            outside.kill().and_then(|()| outside.wait()).expect("end it");
        }
        for mode in ["loopback", "proxy"] {
            let server = with_network(site, &json!({ "mode": mode }));
            for way in WAYS {
                assert!(!hears_from_afar(&server, net, way), "{mode} {way}");
            }
        }
    });
}

/// What is exposed stays so, whoever it answers.
#[test]
fn an_exposed_datagram_server_is_reached_after_it_has_sent() {
    on_the_internet(|site, net| {
        for mode in ["loopback", "proxy"] {
            let server = with_network(site, &json!({ "mode": mode, "expose": [39125] }));
            let bound = "s.bind(('',39125))";
            assert!(hears_from_afar(&server, net, bound), "control: {mode}");
            let answers = format!("{bound}\ns.sendto(b'',('127.0.0.1',9))");
            assert!(hears_from_afar(&server, net, &answers), "{mode}");
            for way in ["s.bind(('',0))", "s.sendto(b'',('127.0.0.1',9))"] {
                assert!(!hears_from_afar(&server, net, way), "{mode} {way}: another port");
            }
        }
    });
}

/// Starts a program that listens and accepts; its run and port.
fn listening(server: &Server, bind: &str) -> (String, u16) {
    let code = format!(
        "import socket,time\ns=socket.socket()\n{bind}\ns.listen(4)\n\
         print(s.getsockname()[1],flush=True)\ntime.sleep(600)"
    );
    let argv = json!([PYTHON, "-c", code]);
    let started = server.ask("exec", json!({ "argv": argv, "background": true }));
    let run = started.str("run_id").to_owned();
    let port = || {
        let look = server.ask("run_read", json!({ "run_id": run, "after_seq": 0 }));
        look.stdout().trim().parse::<u16>().ok()
    };
    assert!(wait::until(|| port().is_some()), "{bind}: {}", started.text);
    let port = port().expect("just seen");
    (run, port)
}

/// A profile whose proxy lets one name and what is below it through.
fn proxied(site: &Site) -> Server {
    let allow = json!([
        "allowed.test",
        "*.allowed.test",
        "allowed.test:4477",
        "inner.test",
        "loop.test",
        "meta.test"
    ]);
    with_network(site, &json!({ "mode": "proxy", "allow": allow }))
}

#[test]
fn listed_names_through_the_proxy_and_no_others() {
    on_a_network(|site, arrived| {
        let server = proxied(site);
        let get = |url: &str| {
            arrived.clear();
            server.shell(&format!("curl -sS -m 10 -w '%{{http_code}}' {url}"))
        };
        for (url, host) in [
            ("http://allowed.test/x", "allowed.test"),
            ("http://ALLOWED.test./x", "allowed.test"),
            ("http://sub.allowed.test/x", "sub.allowed.test"),
            ("-p http://allowed.test/x", "allowed.test"),
            ("--proxy socks5h://${HTTP_PROXY#http://} http://allowed.test/x", "allowed.test"),
            ("--proxy socks5h://u:p@${HTTP_PROXY#http://} http://allowed.test/x", "allowed.test"),
        ] {
            let answer = get(url);
            assert!(answer.stdout().ends_with("200"), "{url}: {}", answer.text);
            let asked = arrived.all().join("\n").to_lowercase();
            assert!(asked.contains(host), "{url}: {asked}");
            assert_eq!(answer.denials_total(), 0, "{url}: {}", answer.text);
        }
        for (url, target) in [
            ("http://other.test/", "other.test:80"),
            ("http://allowed.test.evil.test/", "allowed.test.evil.test:80"),
            ("http://93.184.216.34/", "93.184.216.34:80"),
            ("-p http://other.test:4477/", "other.test:4477"),
            ("--proxy socks5h://${HTTP_PROXY#http://} http://other.test/", "other.test:80"),
            ("--proxy socks5h://${HTTP_PROXY#http://} http://10.77.0.2/", "10.77.0.2:80"),
        ] {
            let answer = get(url);
            assert!(!answer.stdout().ends_with("200"), "{url}: {}", answer.text);
            let denial = answer.denial("net_proxy", target);
            let denial = denial.unwrap_or_else(|| panic!("{url}: {}", answer.text));
            assert_eq!(denial["decided_by"]["layer"], "proxy", "{denial}");
            assert!(denial["exe"].as_str().is_some_and(|exe| exe.contains("curl")), "{denial}");
            assert!(!denial["grant"]["network"]["allow"].is_null(), "{denial}");
            assert_eq!(arrived.all(), Vec::<String>::new(), "{url}");
        }
        // Names that lead where nobody should go, although they are listed.
        for (host, resolved) in [
            ("inner.test", "10.77.0.2:80"),
            ("loop.test", "127.0.0.1:80"),
            ("meta.test", "169.254.169.254:80"),
        ] {
            let answer = get(&format!("http://{host}/"));
            assert!(answer.stdout().ends_with("403"), "{host}: {}", answer.text);
            let denial = answer.denial("net_proxy", &format!("{host}:80")).expect("a record");
            assert_eq!(denial["resolved_target"], resolved, "{denial}");
            assert_eq!(arrived.all(), Vec::<String>::new(), "{host}");
        }
    });
}

#[test]
fn the_proxys_grant_helps() {
    on_a_network(|site, arrived| {
        let server = with_network(site, &json!({"mode": "proxy"}));
        let command = "curl -sS -m 10 http://other.test/granted";
        let denials = server.shell(command).denials();
        let denial = denials.iter().find(|d| d["kind"] == "net_proxy").expect("a record");
        let opened = site.serve_with(&denial["grant"]);
        let answer = opened.shell(command);
        assert!(answer.stdout().contains("web says"), "{} {}", denial["grant"], answer.text);
        assert!(arrived.has("GET /granted"));
    });
}

#[test]
fn the_proxy_serves_runs_and_nobody_else() {
    on_a_network(|site, arrived| {
        let (rich, poor) = (proxied(site), with_network(site, &json!({"mode": "proxy"})));
        let port = |server: &Server| {
            let url = server.shell("echo $HTTP_PROXY").stdout().trim().to_owned();
            url.rsplit(':').next().and_then(|p| p.parse::<u16>().ok()).expect("a port")
        };
        let fetch =
            |at: u16| format!("curl -sS -m 5 -x http://127.0.0.1:{at} http://allowed.test/x");
        let (rich_port, poor_port) = (port(&rich), port(&poor));
        assert!(rich.shell(&fetch(rich_port)).stdout().contains("web says"), "control");
        arrived.clear();
        // By another server's run, by a program outside, and the other way round.
        for (server, at) in [(&poor, rich_port), (&rich, poor_port), (&poor, poor_port)] {
            assert!(!server.shell(&fetch(at)).stdout().contains("web says"), "{at}");
        }
        let outside = site
            .command(std::path::Path::new("/bin/sh"))
            .args(["-c", &fetch(rich_port)])
            .output()
            .expect("run curl");
        assert!(!String::from_utf8_lossy(&outside.stdout).contains("web says"));
        assert_eq!(arrived.all(), Vec::<String>::new());
        // A run without a network of its own does not get one from the server's proxy.
        let narrowed = site.serve_with(&json!({"network": {"mode": "loopback"}}));
        assert!(!narrowed.shell(&fetch(rich_port)).stdout().contains("web says"));
        assert_eq!(arrived.all(), Vec::<String>::new());
    });
}

#[test]
fn nothing_is_smuggled_through_the_proxy() {
    on_a_network(|site, arrived| {
        let script = site.file("ws/smuggle.py", SMUGGLE).to_string_lossy().into_owned();
        let server = proxied(site);
        let call = json!({"argv": [PYTHON, script], "timeout_ms": 600_000, "yield_ms": 600_000});
        let answer = server.ask("exec", call);
        assert!(answer.stdout().ends_with("attempts 92\ndone\n"), "{}", answer.text);
        let all = arrived.all();
        assert!(!all.iter().any(|line| line.contains("smuggled")), "{all:?}");
        assert!(arrived.has("GET /first HTTP/1.1 for allowed.test"), "control: {all:?}");
    });
}

#[test]
fn names_fail_at_once_where_there_is_a_proxy() {
    on_a_network(|site, _| {
        for mode in ["proxy", "loopback"] {
            let server = with_network(site, &json!({ "mode": mode }));
            let code = "import socket\ntry: socket.getaddrinfo('nowhere.example',80)\n\
                        except socket.gaierror as e: print('gai',e.errno)";
            let answer = python(&server, code);
            assert!(answer.stdout().contains("gai"), "{}", answer.text);
            assert!(answer.took < Duration::from_secs(4), "{mode}: {:?}", answer.took);
        }
    });
}

/// The kernel takes the unspecified address for the socket's own, whichever that is.
#[test]
fn the_unspecified_address_leads_to_one_place() {
    on_a_network(|site, _| {
        let listener = |at: &str| {
            let listener = std::net::TcpListener::bind(at).expect("a listener");
            listener.set_nonblocking(true).expect("a flag");
            let address = listener.local_addr().expect("an address");
            (listener, address)
        };
        let ((second, at_second), (first, at_first)) =
            (listener("127.0.0.2:0"), listener("127.0.0.1:0"));
        let reached = || [&first, &second].map(|l| std::iter::from_fn(|| l.accept().ok()).count());
        let code = format!(
            "import socket\n\
             def go(family, own, to, port):\n\
             \x20   s = socket.socket(family); s.settimeout(5); s.bind((own, 0))\n\
             \x20   try: s.connect((to, port))\n\
             \x20   except OSError as e: print(to, e)\n\
             go(socket.AF_INET, '127.0.0.2', '0.0.0.0', {0})\n\
             go(socket.AF_INET6, '::ffff:127.0.0.2', '::ffff:0.0.0.0', {0})\n\
             go(socket.AF_INET6, '::ffff:127.0.0.1', '::', {1})",
            at_second.port(),
            at_first.port()
        );
        python_outside(site, &["-c", &code]);
        assert_eq!(reached(), [1, 2], "control");
        for mode in ["loopback", "proxy"] {
            let deny = json!([at_first.to_string(), at_second.to_string()]);
            let server = with_network(site, &json!({ "mode": mode, "deny": deny }));
            let answer = python(&server, &code);
            assert_eq!(reached(), [0, 0], "{mode}: {}", answer.text);
        }
    });
}

/// Whatever a program does with its socket meanwhile, the proxy says nothing to it first, and who is
/// not sent by a supervisor does not get to the proxy.
#[test]
fn nothing_is_said_on_a_connection_before_its_program_speaks() {
    on_a_network(|site, arrived| {
        let server = proxied(site);
        // Connected already, to a listener of the program's own, and not yet told so.
        let code = "import os, select, socket, urllib.parse\n\
                    proxy = urllib.parse.urlparse(os.environ['HTTP_PROXY'])\n\
                    l = socket.create_server(('127.0.0.1', 0)); l.settimeout(5)\n\
                    c = socket.socket(); c.setblocking(False)\n\
                    c.connect_ex(l.getsockname()); select.select([], [c], [], 5)\n\
                    print(c.connect_ex((proxy.hostname, proxy.port)) != 0)\n\
                    s, _ = l.accept(); s.settimeout(1)\n\
                    try: print(s.recv(100))\n\
                    except OSError: print('nothing')";
        let answer = python(&server, code);
        let said: Vec<&str> = answer.stdout().lines().map(str::trim).collect();
        assert_eq!(said[0], "True", "{}", answer.text);
        assert!(["b''", "nothing"].contains(&said[1]), "{}", answer.text);
        // Nobody listens, at the proxy's address or anywhere else.
        let port = server.shell("echo ${HTTP_PROXY##*:}").stdout().trim().to_owned();
        let fetch = "curl -sS -m 3 -o /dev/null http://allowed.test/x && sleep 600";
        let started = server.ask("shell", json!({ "command": fetch, "background": true }));
        assert!(wait::until(|| arrived.has("GET /x")), "{}", started.text);
        arrived.clear();
        let knock = "import socket\n\
                     control = socket.create_server(('127.0.0.1', 0))\n\
                     for line in open('/proc/net/tcp').readlines()[1:]:\n\
                     \x20   own, _, state = line.split()[1:4]\n\
                     \x20   if state != '0A' or not own.startswith('0100007F'): continue\n\
                     \x20   s = socket.socket(); s.settimeout(2)\n\
                     \x20   try:\n\
                     \x20       s.connect(('127.0.0.1', int(own[9:], 16)))\n\
                     \x20       s.sendall(b'GET http://allowed.test/stranger HTTP/1.1\\r\\nHost: allowed.test\\r\\n\\r\\n')\n\
                     \x20       print('knocked'); s.recv(10)\n\
                     \x20   except OSError as e: print(e)";
        let knocked = python_outside(site, &["-c", knock]);
        // The control alone: while a connection goes on, nobody listens for the next.
        assert!(knocked.starts_with("knocked\n"), "control: {knocked}");
        assert_eq!(knocked.matches("knocked").count(), 1, "{knocked}");
        let direct = format!(
            "import socket\ns = socket.socket(); s.settimeout(2)\n\
             try: s.connect(('127.0.0.1', {port})); print('connected')\n\
             except ConnectionRefusedError: print('refused')"
        );
        assert_eq!(python_outside(site, &["-c", &direct]).trim(), "refused");
        let again = server.shell("curl -sS -m 10 http://allowed.test/again");
        assert!(again.stdout().contains("web says"), "{}", again.text);
        assert!(arrived.has("GET /again") && !arrived.has("stranger"), "{:?}", arrived.all());
    });
}

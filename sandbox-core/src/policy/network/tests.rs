use super::*;
use proptest::prelude::*;
use std::net::IpAddr;

fn source() -> Source {
    Source { profile: "t".into(), rule: "network.allow".into(), line: None }
}

fn entries(rules: &[&str]) -> Vec<HostGrant> {
    let entry = |text: &&str| HostGrant { rule: text.parse().unwrap(), source: source() };
    rules.iter().map(entry).collect()
}

fn policy(mode: NetworkMode, allow: &[&str]) -> NetworkPolicy {
    NetworkPolicy { allow: entries(allow), ..NetworkPolicy::of_mode(mode) }
}

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// One letter for each answer: `d`irect, `p`roxy, or why it is closed.
fn letter(reach: NetworkReach<'_>) -> char {
    match reach {
        NetworkReach::Direct => 'd',
        NetworkReach::Proxy => 'p',
        NetworkReach::Closed(Closed::Mode) => 'm',
        NetworkReach::Closed(Closed::Dns) => 'n',
        NetworkReach::Closed(Closed::Special(_)) => 's',
        NetworkReach::Closed(Closed::Own) => 'o',
        NetworkReach::Closed(Closed::Denied(_)) => 'x',
    }
}

#[test]
fn every_mode_over_every_kind_of_address() {
    // none, loopback, proxy, hosts, open
    let table = [
        ("127.0.0.1:80", "mdddd"),
        ("127.9.9.9:80", "mdddd"),
        ("[::1]:80", "mdddd"),
        ("[::ffff:127.0.0.1]:80", "mdddd"),
        ("0.0.0.0:80", "mdddd"),
        ("[::]:80", "mdddd"),
        ("[::ffff:0.0.0.0]:80", "mdddd"),
        ("8.8.8.8:443", "mmmmd"),
        ("[::ffff:8.8.8.8]:443", "mmmmd"),
        ("[2001:4860:4860::8888]:443", "mmmmd"),
        ("[::127.0.0.1]:80", "mmmmd"),
        ("[64:ff9b::7f00:1]:80", "mmmmd"),
        // Listed.
        ("10.1.2.3:5432", "mmmdd"),
        ("[::ffff:10.1.2.3]:5432", "mmmdd"),
        ("10.1.2.3:5433", "mmmmd"),
        ("10.1.3.1:1", "mmmdd"),
        ("[2001:db8::7]:1", "mmmdd"),
        // Name servers, wherever they are.
        ("127.0.0.53:53", "mnnnd"),
        ("8.8.8.8:53", "mnnnd"),
        ("10.1.3.9:53", "mnndd"),
        // Refused in every mode.
        ("169.254.169.254:80", "mssss"),
        ("[::ffff:169.254.169.254]:80", "mssss"),
        ("[64:ff9b::a9fe:a9fe]:80", "mssss"),
        ("[fe80::1%3]:80", "mssss"),
        ("100.100.100.200:80", "mssss"),
        ("168.63.129.16:80", "mssss"),
        ("[fd00:ec2::254]:80", "mssss"),
        ("127.0.0.1:7000", "moooo"),
        ("0.0.0.0:7000", "moooo"),
        ("[::1]:7000", "moooo"),
        ("10.1.3.2:7000", "mmmdd"),
        ("127.0.0.1:7001", "moppo"),
        ("0.0.0.0:7001", "moppo"),
        ("[::ffff:127.0.0.1]:7001", "moppo"),
        // Denied beats allowed.
        ("10.1.3.66:1", "mxxxx"),
    ];
    let allow = ["10.1.2.3:5432", "10.1.3.0/24", "2001:db8::/32"];
    for (address, expected) in table {
        let found: String = NetworkMode::ALL
            .iter()
            .map(|mode| {
                let policy = NetworkPolicy {
                    deny: entries(&["10.1.3.66"]),
                    own: vec![at("127.0.0.1:7000"), at("[::]:7000")],
                    proxy: Some(at("127.0.0.1:7001")),
                    ..policy(*mode, &allow)
                };
                letter(policy.reach(at(address)))
            })
            .collect();
        assert_eq!(found, expected, "{address}");
    }
}

#[test]
fn special_addresses_and_own_endpoints_are_opened_by_name_alone() {
    let reach = |allow: &[&str], address: &str| {
        let own = vec![at("127.0.0.1:7000")];
        letter(NetworkPolicy { own, ..policy(NetworkMode::Open, allow) }.reach(at(address)))
    };
    assert_eq!(reach(&["0.0.0.0/0"], "169.254.169.254:80"), 's');
    assert_eq!(reach(&["169.0.0.0/8"], "169.254.169.254:80"), 's');
    assert_eq!(reach(&["169.254.169.254"], "169.254.169.254:80"), 'd');
    assert_eq!(reach(&["169.254.169.254:81"], "169.254.169.254:80"), 's');
    assert_eq!(reach(&["169.254.0.0/16"], "169.254.169.254:80"), 'd');
    assert_eq!(reach(&["*"], "169.254.169.254:80"), 's');
    assert_eq!(reach(&["fd00::/8"], "[fd00:ec2::254]:80"), 's');
    assert_eq!(reach(&["fd00:ec2::254"], "[fd00:ec2::254]:80"), 'd');
    assert_eq!(reach(&["127.0.0.0/8"], "127.0.0.1:7000"), 'o');
    assert_eq!(reach(&["127.0.0.1"], "127.0.0.1:7000"), 'o');
    assert_eq!(reach(&["127.0.0.1:7000"], "127.0.0.1:7000"), 'd');
}

#[test]
fn binding() {
    use Binding::{AsAsked, NotExposed, OfServer, OnLoopback, PortClosed};
    let closed = NetworkPolicy {
        listen: Some(vec!["8000-8999".parse().unwrap()]),
        expose: vec![PortRange::one(8080)],
        ..NetworkPolicy::of_mode(NetworkMode::Proxy)
    };
    let any = NetworkPolicy::of_mode(NetworkMode::Loopback);
    let open = NetworkPolicy::of_mode(NetworkMode::Open);
    let table = [
        ("127.0.0.1:8000", AsAsked, AsAsked, AsAsked),
        ("127.0.0.1:7999", PortClosed, AsAsked, AsAsked),
        ("127.0.0.1:0", AsAsked, AsAsked, AsAsked),
        ("0.0.0.0:8000", OnLoopback, OnLoopback, AsAsked),
        ("[::]:8000", OnLoopback, OnLoopback, AsAsked),
        ("[::ffff:0.0.0.0]:8000", OnLoopback, OnLoopback, AsAsked),
        ("0.0.0.0:8080", AsAsked, OnLoopback, AsAsked),
        ("10.0.0.1:8080", AsAsked, NotExposed, AsAsked),
        ("10.0.0.1:8000", NotExposed, NotExposed, AsAsked),
        ("[::ffff:10.0.0.1]:8000", NotExposed, NotExposed, AsAsked),
        ("224.0.0.251:5353", PortClosed, NotExposed, AsAsked),
    ];
    for (address, listed, unlisted, opened) in table {
        let address = at(address);
        let found = (closed.binding(address), any.binding(address), open.binding(address));
        assert_eq!(found, (listed, unlisted, opened), "{address}");
    }
    let served = NetworkPolicy { own: vec![at("127.0.0.1:8000")], ..open };
    for (address, expected) in [
        ("127.0.0.1:8000", OfServer),
        ("127.0.0.2:8000", OfServer),
        ("[::1]:8000", OfServer),
        ("[::]:8000", OfServer),
        ("[::1]:8001", AsAsked),
    ] {
        assert_eq!(served.binding(at(address)), expected, "{address}");
        assert_eq!(served.listening(at(address)), expected, "{address}");
    }
    assert_eq!(closed.listening(at("0.0.0.0:0")), PortClosed);
    assert_eq!(any.listening(at("0.0.0.0:0")), OnLoopback);
}

#[test]
fn names_through_the_proxy() {
    let allow = ["example.com", "*.cdn.example", "git.example:22", "any.example:*", "10.0.0.5:443"];
    let policy = NetworkPolicy {
        deny: entries(&["bad.cdn.example", "*.deep.cdn.example"]),
        ..policy(NetworkMode::Proxy, &allow)
    };
    let table = [
        ("example.com", 443, 'a'),
        ("EXAMPLE.com.", 80, 'a'),
        ("example.com", 8443, 'n'),
        ("www.example.com", 443, 'n'),
        ("example.com.evil.test", 443, 'n'),
        ("notexample.com", 443, 'n'),
        ("x.cdn.example", 443, 'a'),
        ("y.x.cdn.example", 443, 'a'),
        ("cdn.example", 443, 'n'),
        ("xcdn.example", 443, 'n'),
        ("bad.cdn.example", 443, 'd'),
        ("bad.cdn.example", 8443, 'n'),
        ("x.deep.cdn.example", 443, 'd'),
        ("git.example", 22, 'a'),
        ("git.example", 443, 'n'),
        ("any.example", 12345, 'a'),
        ("10.0.0.5", 443, 'a'),
        ("[::ffff:10.0.0.5]", 443, 'a'),
        ("10.0.0.6", 443, 'n'),
    ];
    for (host, port, expected) in table {
        let found = match policy.host(&Host::parse(host).unwrap(), port) {
            NameVerdict::Allowed(_) => 'a',
            NameVerdict::Denied(_) => 'd',
            NameVerdict::NotListed => 'n',
        };
        assert_eq!(found, expected, "{host}:{port}");
    }
    let loopback = NetworkPolicy { mode: NetworkMode::Loopback, ..policy };
    let host = Host::parse("example.com").unwrap();
    assert_eq!(loopback.host(&host, 443), NameVerdict::NotListed);
}

#[test]
fn what_a_name_may_resolve_to() {
    let policy = NetworkPolicy {
        own: vec![at("93.184.216.34:9000")],
        ..policy(NetworkMode::Proxy, &["*", "10.7.0.0/16", "127.0.0.1"])
    };
    let open = ["93.184.216.34:443", "[2606:2800:220:1::1]:443", "10.7.1.1:443"];
    let closed = [
        "10.8.1.1:443",
        "127.0.0.1:443",
        "[::1]:443",
        "0.0.0.0:443",
        "[::ffff:127.0.0.1]:443",
        "[::ffff:10.8.1.1]:443",
        "192.168.1.1:443",
        "172.16.0.1:443",
        "100.64.0.1:443",
        "169.254.169.254:80",
        "100.100.100.200:80",
        "198.18.0.1:443",
        "224.0.0.1:443",
        "255.255.255.255:443",
        "[fc00::1]:443",
        "[fe80::1]:443",
        "[ff02::1]:443",
        "[64:ff9b::7f00:1]:443",
        "[2002:7f00:1::]:443",
        "[2001:db8::1]:443",
        "93.184.216.34:9000",
    ];
    for address in open {
        assert_eq!(policy.resolved(at(address)), Ok(()), "{address}");
    }
    for address in closed {
        assert!(policy.resolved(at(address)).is_err(), "{address}");
    }
    assert!(is_global("64:ff9b::808:808".parse().unwrap()));
}

#[test]
fn what_is_no_host() {
    let names = ["", ".", "a..b", "a b", "a/b", "user@host", "host:80", "é.fr", "a%00b", "*.x"];
    let too_long = format!("{}.com", "a".repeat(64));
    for text in names.into_iter().chain([too_long.as_str()]) {
        assert!(Host::parse(text).is_err(), "{text:?}");
    }
    for text in ["127.1", "2130706433", "0x7f000001", "0x7f.1", "127.0.0.0x1", "1.2.3.4.5", "010.1"]
    {
        assert_eq!(Host::parse(text), Err(BadHost::OddAddress), "{text:?}");
    }
    for text in
        ["*.*.com", "a.*", "a*.com", "10.0.0.1/8", "x:0", "x:70000", "x:9-1", "[::1", "[::1]x"]
    {
        assert!(text.parse::<HostRule>().is_err(), "{text:?}");
    }
}

#[test]
fn entries_are_written_as_they_were_read() {
    for text in [
        "example.com",
        "*.example.com",
        "*",
        "*:*",
        "example.com:22",
        "example.com:8000-8999",
        "10.0.0.0/8",
        "10.0.0.1",
        "10.0.0.1:5432",
        "2001:db8::/32",
        "[2001:db8::1]:443",
    ] {
        assert_eq!(text.parse::<HostRule>().unwrap().to_string(), text);
    }
}

fn any_rule() -> impl Strategy<Value = HostRule> {
    let host = prop::sample::select(vec![
        "a.test",
        "b.a.test",
        "*.a.test",
        "*.b.a.test",
        "*",
        "10.0.0.0/8",
        "10.1.0.0/16",
        "10.1.1.1",
        "127.0.0.1",
        "169.254.169.254",
        "169.254.0.0/16",
        "0.0.0.0/0",
    ]);
    let ports = prop::sample::select(vec!["", ":80", ":443", ":53", ":1-1000", ":*", ":7000"]);
    (host, ports).prop_map(|(host, ports)| format!("{host}{ports}").parse().unwrap())
}

fn any_policy() -> impl Strategy<Value = NetworkPolicy> {
    let rules = || prop::collection::vec(any_rule(), 0..5);
    let grants = |rules: Vec<HostRule>| {
        rules.into_iter().map(|rule| HostGrant { rule, source: source() }).collect()
    };
    let ports = || {
        prop::sample::select(vec!["80", "1-1000", "443-8080", "7000"])
            .prop_map(|ports| ports.parse::<PortRange>().unwrap())
    };
    (
        prop::sample::select(NetworkMode::ALL.to_vec()),
        rules(),
        rules(),
        prop::option::of(prop::collection::vec(ports(), 0..3)),
        prop::collection::vec(ports(), 0..3),
    )
        .prop_map(move |(mode, allow, deny, listen, expose)| NetworkPolicy {
            mode,
            allow: grants(allow),
            deny: grants(deny),
            listen,
            expose,
            own: vec![at("127.0.0.1:7000")],
            proxy: Some(at("127.0.0.1:7001")),
            isolate: Isolation::Off,
        })
}

proptest! {
    #[test]
    fn an_intersection_allows_nothing_that_one_of_both_refuses(a in any_policy(), b in any_policy()) {
        let both = a.intersection(&b);
        let ips = ["127.0.0.1", "10.1.1.1", "10.2.2.2", "8.8.8.8", "169.254.169.254", "169.254.1.1"];
        let ports = [53, 80, 443, 999, 7000, 7001];
        for (ip, port) in ips.iter().flat_map(|ip| ports.map(|port| (ip, port))) {
            let ip: IpAddr = ip.parse().unwrap();
            let address = SocketAddr::new(ip, port);
            if both.reach(address) == NetworkReach::Direct {
                prop_assert_eq!(a.reach(address), NetworkReach::Direct, "{} in a", address);
                prop_assert_eq!(b.reach(address), NetworkReach::Direct, "{} in b", address);
            }
            for policy in [&a, &b] {
                if policy.binding(address) != Binding::AsAsked {
                    prop_assert_ne!(both.binding(address), Binding::AsAsked, "bind {}", address);
                }
            }
        }
        for (name, port) in ["a.test", "b.a.test", "c.b.a.test", "x.test"].iter().flat_map(|n| ports.map(|p| (n, p))) {
            let host = Host::parse(name).unwrap();
            if let NameVerdict::Allowed(_) = both.host(&host, port) {
                for policy in [&a, &b].into_iter().filter(|p| p.mode != NetworkMode::Open) {
                    let allowed = matches!(policy.host(&host, port), NameVerdict::Allowed(_));
                    prop_assert!(allowed, "{name}:{port}");
                }
            }
        }
    }
}

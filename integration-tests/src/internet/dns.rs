//! The name server of the internet side, which also changes its mind: a name below
//! `rebind.test` is public when it is asked for first, and afterwards what the name says. Who asks
//! for one below `slow.test` waits for ever.

use super::{Arrived, FAR, METADATA, PUBLIC};
use std::collections::HashMap;
use std::net::{Ipv4Addr, UdpSocket};
use std::time::Instant;

/// What the second answer for a name is, by the part before `rebind.test`.
const REBOUND: [(&str, &str); 3] =
    [("loopback", "127.0.0.1"), ("private", FAR), ("metadata", METADATA)];

/// Answers until the test's process ends. Notes `asked NAME` for each address of IPv4 that somebody
/// asks for, `slow MS NAME` with the time since it began, and what is no query as it is.
pub(super) fn serve(arrived: &Arrived) {
    let socket = UdpSocket::bind("0.0.0.0:53").expect("a namespace of our own has free ports");
    let (arrived, began) = (arrived.clone(), Instant::now());
    std::thread::spawn(move || {
        let mut asked: HashMap<String, usize> = HashMap::new();
        let mut buffer = [0; 2048];
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            let message = &buffer[..length];
            let Some((name, kind, end)) = read(message) else {
                arrived.add(message);
                let _ = socket.send_to(message, from);
                continue;
            };
            if name.ends_with(".slow.test") {
                arrived.add(format!("slow {} {name}", began.elapsed().as_millis()).as_bytes());
                continue;
            }
            let mut addresses = Vec::new();
            if kind == 1 {
                arrived.add(format!("asked {name}").as_bytes());
                let before = asked.entry(name.clone()).or_default();
                addresses = addresses_of(&name, *before);
                *before += 1;
            }
            let _ = socket.send_to(&answer(&message[..end], &addresses), from);
        }
    });
}

/// `*.AFTERWARDS.rebind.test`, and `two.test`, which has a public address and one of this machine.
fn addresses_of(name: &str, asked_before: usize) -> Vec<Ipv4Addr> {
    let address = |text: &str| text.parse::<Ipv4Addr>().expect("an address of ours");
    if name == "two.test" {
        return vec![address("127.0.0.1"), address(PUBLIC)];
    }
    let part = name.strip_suffix(".rebind.test").and_then(|n| n.rsplit('.').next());
    let rebound = REBOUND.iter().find(|(word, _)| Some(*word) == part);
    rebound
        .map(|(_, later)| address(if asked_before == 0 { PUBLIC } else { later }))
        .into_iter()
        .collect()
}

/// Name, type, and where the question ends.
fn read(message: &[u8]) -> Option<(String, u8, usize)> {
    let mut at = 12;
    let mut parts = Vec::new();
    while *message.get(at)? != 0 {
        let end = at + 1 + usize::from(message[at]);
        parts.push(String::from_utf8_lossy(message.get(at + 1..end)?).to_lowercase());
        at = end;
    }
    let kind = *message.get(at + 2)?;
    (message.len() >= at + 5 && message[2] & 0x80 == 0).then(|| (parts.join("."), kind, at + 5))
}

/// Nobody may keep it. A name without an address has none of any kind.
fn answer(question: &[u8], addresses: &[Ipv4Addr]) -> Vec<u8> {
    let mut all = question.to_vec();
    all[2] = 0x81;
    all[3] = 0x80;
    all[4..12].copy_from_slice(&[0, 1, 0, u8::try_from(addresses.len()).expect("few"), 0, 0, 0, 0]);
    for address in addresses {
        all.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4]);
        all.extend_from_slice(&address.octets());
    }
    all
}

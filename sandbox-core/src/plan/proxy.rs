//! Variables that lead programs to the runs' proxy.

use std::collections::BTreeMap;
use std::net::SocketAddr;

/// What goes past the proxy: this machine, also by the address that servers say they listen on.
const LOCAL: &str = "localhost,127.0.0.1,127.0.0.0/8,0.0.0.0,::1,[::1]";
/// The same for the JVM.
const LOCAL_JAVA: &str = "localhost|127.*|0.0.0.0|[::1]";

/// The variables, over those in `known`.
///
/// An HTTP proxy for every scheme, because clients without SOCKS fail at once when `ALL_PROXY`
/// names that. `NODE_USE_ENV_PROXY` is for Node.js 22.21, 24 and newer; the JVM reads properties
/// only, which are added to those it is given anyway.
#[must_use]
pub(super) fn variables(
    proxy: SocketAddr,
    known: &BTreeMap<String, Vec<u8>>,
) -> Vec<(String, Vec<u8>)> {
    let url = format!("http://{proxy}");
    let mut all: Vec<(String, Vec<u8>)> = Vec::new();
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
        all.push((name.to_owned(), url.clone().into_bytes()));
        all.push((name.to_ascii_lowercase(), url.clone().into_bytes()));
    }
    for name in ["NO_PROXY", "no_proxy"] {
        all.push((name.to_owned(), LOCAL.into()));
    }
    all.push(("NODE_USE_ENV_PROXY".to_owned(), b"1".to_vec()));
    // Settings of these that a user's own files may have, and that would lead elsewhere.
    for name in ["npm_config_proxy", "npm_config_https_proxy", "CARGO_HTTP_PROXY"] {
        all.push((name.to_owned(), url.clone().into_bytes()));
    }
    all.push(("JAVA_TOOL_OPTIONS".to_owned(), java(proxy, known.get("JAVA_TOOL_OPTIONS"))));
    all
}

fn java(proxy: SocketAddr, given: Option<&Vec<u8>>) -> Vec<u8> {
    let (host, port) = (proxy.ip(), proxy.port());
    let ours = format!(
        "-Dhttp.proxyHost={host} -Dhttp.proxyPort={port} -Dhttps.proxyHost={host} \
         -Dhttps.proxyPort={port} -Dhttp.nonProxyHosts={LOCAL_JAVA}"
    );
    match given {
        Some(given) => [given, &b" "[..], ours.as_bytes()].concat(),
        None => ours.into_bytes(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_program_is_led_to_the_same_place() {
        let proxy: SocketAddr = "127.0.0.1:4000".parse().unwrap();
        let known = BTreeMap::from([("JAVA_TOOL_OPTIONS".to_owned(), b"-Xmx1g".to_vec())]);
        let all: BTreeMap<String, Vec<u8>> = variables(proxy, &known).into_iter().collect();
        for name in ["http_proxy", "HTTPS_PROXY", "ALL_PROXY", "CARGO_HTTP_PROXY"] {
            assert_eq!(all[name], b"http://127.0.0.1:4000", "{name}");
        }
        let java = String::from_utf8(all["JAVA_TOOL_OPTIONS"].clone()).unwrap();
        assert!(java.starts_with("-Xmx1g -D") && java.contains("https.proxyPort=4000"), "{java}");
        let unknown: BTreeMap<String, Vec<u8>> =
            variables(proxy, &BTreeMap::new()).into_iter().collect();
        assert!(unknown["JAVA_TOOL_OPTIONS"].starts_with(b"-D"));
    }
}

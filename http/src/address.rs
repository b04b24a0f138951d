//! Where a request says it goes to and comes from, before anybody judges that: said once, in one
//! way. What is said twice, two programs on the way may read differently.

use axum::http::header::{HOST, ORIGIN};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName};

/// Why nobody can tell where a request goes to or comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unclear {
    /// The header came more than once.
    Twice(&'static str),
    /// It names a user beside the host, which neither has room for.
    User(&'static str),
    /// The target names another host than `Host`.
    Foreign,
}

impl Unclear {
    /// What to do instead.
    pub(crate) fn sentence(self) -> String {
        match self {
            Self::Twice(header) => format!("{header} came more than once; send it once"),
            Self::User(place) => {
                format!("{place} names a user before an @; name the host and its port alone")
            }
            Self::Foreign => {
                "the target of the request names another host than Host; send the path alone, or \
                 the same host in both"
                    .to_owned()
            }
        }
    }
}

/// Whether a request says where it goes to and comes from.
///
/// # Errors
/// What is unclear about it.
pub(crate) fn check(request: &Parts) -> Result<(), Unclear> {
    let host = only(&request.headers, &HOST, "Host")?;
    let origin = only(&request.headers, &ORIGIN, "Origin")?;
    for (value, place) in [(host, "Host"), (origin, "Origin")] {
        if value.is_some_and(|value| value.contains(&b'@')) {
            return Err(Unclear::User(place));
        }
    }
    let Some(authority) = request.uri.authority() else { return Ok(()) };
    if authority.as_str().contains('@') {
        return Err(Unclear::User("the target of the request"));
    }
    match host {
        Some(host) if !host.trim_ascii().eq_ignore_ascii_case(authority.as_str().as_bytes()) => {
            Err(Unclear::Foreign)
        }
        _ => Ok(()),
    }
}

fn only<'h>(
    headers: &'h HeaderMap,
    header: &HeaderName,
    name: &'static str,
) -> Result<Option<&'h [u8]>, Unclear> {
    let mut values = headers.get_all(header).iter();
    let first = values.next().map(|value| value.as_bytes());
    if values.next().is_some() { Err(Unclear::Twice(name)) } else { Ok(first) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::Request;

    fn said(target: &str, headers: &[(&str, &str)]) -> Result<(), Unclear> {
        let mut request = Request::post(target);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        check(&request.body(()).unwrap().into_parts().0)
    }

    #[test]
    fn where_it_goes_and_comes_from_is_said_once() {
        let host = ("host", "127.0.0.1:80");
        for fine in ["/mcp", "http://127.0.0.1:80/mcp"] {
            assert_eq!(said(fine, &[host, ("origin", "http://localhost:3000")]), Ok(()));
            assert_eq!(said(fine, &[]), Ok(()));
        }
        assert_eq!(said("http://LOCALHOST/mcp", &[("host", "localhost")]), Ok(()));
        let twice = |name, header, value| {
            for other in [value, "evil.test"] {
                let headers = [host, (header, value), (header, other)];
                assert_eq!(said("/mcp", &headers), Err(Unclear::Twice(name)));
            }
        };
        twice("Host", "host", "127.0.0.1:80");
        twice("Origin", "origin", "http://localhost");
        assert_eq!(said("/mcp", &[("host", "evil.test:80@127.0.0.1")]), Err(Unclear::User("Host")));
        let origin = ("origin", "http://evil.test@localhost");
        assert_eq!(said("/mcp", &[host, origin]), Err(Unclear::User("Origin")));
        assert!(matches!(said("http://a@127.0.0.1:80/mcp", &[host]), Err(Unclear::User(_))));
        for foreign in ["http://evil.test/mcp", "http://127.0.0.1/mcp", "http://127.0.0.1:81/mcp"] {
            assert_eq!(said(foreign, &[host]), Err(Unclear::Foreign), "{foreign}");
        }
    }
}

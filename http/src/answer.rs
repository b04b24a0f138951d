//! Answers of this layer, before anything MCP is read. JSON, because programs read them.

use crate::access::NoAccess;
use crate::address::Unclear;
use crate::oauth::{NotOurs, Resource};
use axum::body::Body;
use axum::http::header::{CONNECTION, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::Response;

/// A request that goes no further.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turned {
    /// Nobody can tell where it goes to or comes from.
    Unclear(Unclear),
    /// Nobody's.
    Away(NoAccess),
    /// Its body has more bytes than this.
    Large(usize),
    /// Its body did not come in time.
    Slow,
    /// Its body broke off.
    Broken,
    /// The principal has as many requests open as it may.
    Crowded(usize),
    /// The principal has asked as often in this second as it may.
    Often(u32),
}

impl Turned {
    fn status(self) -> StatusCode {
        match self {
            Self::Away(NoAccess::NotOurs(NotOurs::Scope(_) | NotOurs::Stranger)) => {
                StatusCode::FORBIDDEN
            }
            Self::Away(_) => StatusCode::UNAUTHORIZED,
            Self::Large(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Slow => StatusCode::REQUEST_TIMEOUT,
            Self::Unclear(_) | Self::Broken => StatusCode::BAD_REQUEST,
            Self::Crowded(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Often(_) => StatusCode::TOO_MANY_REQUESTS,
        }
    }

    /// A word for programs, a sentence for people.
    fn words(self, oauth: bool) -> (&'static str, String) {
        let say = "send the header `Authorization: Bearer TOKEN`";
        let which = match oauth {
            false => {
                "the token is in NONO_MCP_TOKEN or the file that the server named when it was \
                 started"
            }
            true => {
                "the authorization server that `resource_metadata` in WWW-Authenticate leads to \
                 gives tokens"
            }
        };
        match self {
            Self::Unclear(unclear) => ("unclear_address", unclear.sentence()),
            Self::Away(NoAccess::Missing) => {
                ("missing_token", format!("no Authorization header came; {say}; {which}"))
            }
            Self::Away(NoAccess::NotBearer) => (
                "missing_token",
                format!("the Authorization header holds no bearer token; {say}; {which}"),
            ),
            Self::Away(NoAccess::Unknown) => {
                ("invalid_token", format!("this server does not know the token; {which}"))
            }
            Self::Away(NoAccess::NotOurs(NotOurs::Invalid(fault))) => {
                ("invalid_token", format!("{}; {which}", fault.sentence()))
            }
            Self::Away(NoAccess::NotOurs(NotOurs::Scope(_))) => (
                "insufficient_scope",
                format!("the token has less scope than WWW-Authenticate asks for; {which}"),
            ),
            Self::Away(NoAccess::NotOurs(NotOurs::Stranger)) => (
                "unknown_principal",
                "the token is valid, and its subject is no principal of this server; whoever runs \
                 the server can add it"
                    .to_owned(),
            ),
            Self::Large(most) => {
                ("too_large", format!("the body of a request has at most {most} bytes"))
            }
            Self::Slow => ("too_slow", "the body of the request did not come in time".to_owned()),
            Self::Broken => ("broken", "the body of the request broke off".to_owned()),
            Self::Crowded(most) => (
                "too_many_requests_open",
                format!("{most} requests of this client wait for answers; let one end first"),
            ),
            Self::Often(most) => (
                "too_many_requests",
                format!("this client may ask {most} times in a second; ask again in a second"),
            ),
        }
    }

    /// What `WWW-Authenticate` or its like says, and whether the connection can go on.
    fn headers(self, oauth: Option<&Resource>) -> Vec<(HeaderName, HeaderValue)> {
        match self {
            Self::Away(refused) if oauth.is_some() => {
                let shown = match refused {
                    NoAccess::NotOurs(why) => Some(why),
                    NoAccess::Missing | NoAccess::NotBearer | NoAccess::Unknown => None,
                };
                let challenge = oauth.map(|resource| resource.challenge(shown));
                let value = challenge.and_then(|text| HeaderValue::try_from(text).ok());
                value.map(|value| (WWW_AUTHENTICATE, value)).into_iter().collect()
            }
            Self::Away(NoAccess::Unknown | NoAccess::NotOurs(_)) => vec![(
                WWW_AUTHENTICATE,
                HeaderValue::from_static("Bearer realm=\"nono-mcp\", error=\"invalid_token\""),
            )],
            Self::Away(NoAccess::Missing | NoAccess::NotBearer) => {
                vec![(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"nono-mcp\""))]
            }
            Self::Unclear(_) | Self::Large(_) | Self::Slow | Self::Broken => {
                vec![(CONNECTION, HeaderValue::from_static("close"))]
            }
            Self::Crowded(_) | Self::Often(_) => vec![(RETRY_AFTER, HeaderValue::from_static("1"))],
        }
    }

    /// The answer; `oauth` is what is asked of signed tokens, if they are taken.
    pub(crate) fn response(self, oauth: Option<&Resource>) -> Response {
        let (error, message) = self.words(oauth.is_some());
        let body = serde_json::json!({ "error": error, "message": message });
        let mut response = Response::new(Body::from(format!("{body}\n")));
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.extend(self.headers(oauth));
        response
    }
}

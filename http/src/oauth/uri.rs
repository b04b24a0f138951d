//! The address a resource server is known by, and where its metadata lies.

use axum::http::Uri;

/// Where metadata of a protected resource lies (RFC 9728, section 3).
const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

/// The address that clients know a server by (RFC 8707), such as `https://mcp.example.com/mcp`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceUri {
    text: String,
    origin: String,
    path: String,
}

/// Why a text is no such address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadUri {
    /// It is no address with a scheme and a host.
    #[error("give an absolute address, such as `https://mcp.example.com/mcp`")]
    NotAbsolute,
    /// Tokens would travel in the clear.
    #[error("the address has to begin with https://, or with http:// and a loopback host")]
    InTheClear,
    /// It has a part that no resource has.
    #[error("the address may have no user, query or fragment")]
    Part,
    /// It has a character that headers and metadata would have to escape.
    #[error("the address may have letters, digits and -._~:/[]% only")]
    Character,
}

impl ResourceUri {
    /// An address as the operator wrote it.
    ///
    /// # Errors
    /// [`BadUri`] says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, BadUri> {
        if text.contains(['#', '?', '@']) {
            return Err(BadUri::Part);
        }
        if !text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~:/[]%".contains(&b)) {
            return Err(BadUri::Character);
        }
        let uri: Uri = text.parse().map_err(|_| BadUri::NotAbsolute)?;
        let (scheme, host) = uri.scheme_str().zip(uri.host()).ok_or(BadUri::NotAbsolute)?;
        let authority = uri.authority().ok_or(BadUri::NotAbsolute)?;
        let loopback = ["localhost", "127.0.0.1", "[::1]"].contains(&host);
        if scheme != "https" && !(scheme == "http" && loopback) {
            return Err(BadUri::InTheClear);
        }
        let origin = format!("{scheme}://{authority}");
        let path = text.get(origin.len()..).unwrap_or_default().trim_end_matches('/').to_owned();
        Ok(Self { text: text.to_owned(), origin, path })
    }

    /// As it was written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Where clients find the metadata.
    pub(crate) fn metadata_url(&self) -> String {
        format!("{}{WELL_KNOWN}{}", self.origin, self.path)
    }

    /// The paths this server answers with the metadata: the plain one, that of its own endpoint,
    /// and that of the address, which differs if a proxy changes paths.
    pub(crate) fn metadata_paths(&self) -> Vec<String> {
        let mut all = vec![WELL_KNOWN.to_owned(), format!("{WELL_KNOWN}/mcp")];
        let own = format!("{WELL_KNOWN}{}", self.path);
        if !all.contains(&own) {
            all.push(own);
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_lies_between_the_host_and_the_path() {
        for (text, url) in [
            ("https://a.example/mcp", "https://a.example/.well-known/oauth-protected-resource/mcp"),
            (
                "https://a.example:8443",
                "https://a.example:8443/.well-known/oauth-protected-resource",
            ),
            ("http://[::1]:80/x/mcp", "http://[::1]:80/.well-known/oauth-protected-resource/x/mcp"),
            ("https://a.example/", "https://a.example/.well-known/oauth-protected-resource"),
        ] {
            let uri = ResourceUri::parse(text).unwrap();
            assert_eq!((uri.text(), uri.metadata_url()), (text, url.to_owned()));
        }
        let paths = |text| ResourceUri::parse(text).unwrap().metadata_paths().len();
        assert_eq!((paths("https://a.example/mcp"), paths("https://a.example/x/mcp")), (2, 3));
    }

    #[test]
    fn an_address_is_absolute_and_encrypted() {
        for (text, why) in [
            ("", BadUri::NotAbsolute),
            ("/mcp", BadUri::NotAbsolute),
            ("mcp.example.com", BadUri::NotAbsolute),
            ("http://mcp.example.com/mcp", BadUri::InTheClear),
            ("http://localhost.example/mcp", BadUri::InTheClear),
            ("ftp://localhost/mcp", BadUri::InTheClear),
            ("https://a.example/mcp?x", BadUri::Part),
            ("https://a.example/mcp#x", BadUri::Part),
            ("https://u@a.example/mcp", BadUri::Part),
            ("https://a.example/\"", BadUri::Character),
            ("https://a.example/{x}", BadUri::Character),
        ] {
            assert_eq!(ResourceUri::parse(text), Err(why), "{text}");
        }
    }
}

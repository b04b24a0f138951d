//! Whether a token is genuine, for this server, and now.

use super::claims::Claims;
use super::fault::Fault;
use super::keys::Key;
use super::named::Named;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Validation, decode};

/// How far the clocks of two machines may be apart, in seconds.
const LEEWAY: u64 = 30;

/// What a token has to say.
#[derive(Debug)]
pub(super) struct Expected {
    issuer: String,
    audience: String,
}

impl Expected {
    pub(super) fn new(issuer: &str, audience: &str) -> Self {
        Self { issuer: issuer.to_owned(), audience: audience.to_owned() }
    }

    /// The claims of a token that this key has signed.
    pub(super) fn check(&self, token: &[u8], named: &Named, key: &Key) -> Result<Claims, Fault> {
        let mut asked = Validation::new(named.algorithm);
        asked.leeway = LEEWAY;
        asked.validate_nbf = true;
        asked.set_issuer(&[&self.issuer]);
        asked.set_audience(&[&self.audience]);
        asked.set_required_spec_claims(&["exp", "iss", "aud"]);
        match decode::<Claims>(token, &key.decoding, &asked) {
            Ok(data) => Ok(data.claims),
            Err(error) => Err(match error.kind() {
                ErrorKind::InvalidSignature => Fault::Signature,
                ErrorKind::InvalidAlgorithm => Fault::Algorithm,
                ErrorKind::ExpiredSignature => Fault::Expired,
                ErrorKind::ImmatureSignature => Fault::NotYet,
                ErrorKind::InvalidIssuer => Fault::Issuer,
                ErrorKind::InvalidAudience => Fault::Audience,
                ErrorKind::MissingRequiredClaim(_) => Fault::Unclear,
                _ => Fault::Malformed,
            }),
        }
    }
}

//! Whether a token is genuine, for this server, and now.

use super::claims::Claims;
use super::keys::Key;
use super::ring;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, Validation, decode, decode_header};

/// How far the clocks of two machines may be apart, in seconds.
const LEEWAY: u64 = 30;

/// What a token says of its own signature, before anything is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) key: Option<String>,
    pub(super) algorithm: Algorithm,
}

/// Why a token proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It is no signed JWT, or one whose claims cannot be read.
    Malformed,
    /// It is signed in a way that is not taken, or not at all.
    Algorithm,
    /// It is signed with a key that the authorization server does not publish.
    UnknownKey,
    /// The signature is another's.
    Signature,
    /// It is no longer valid.
    Expired,
    /// It is not valid yet.
    NotYet,
    /// Another issuer made it.
    Issuer,
    /// It was made for another server.
    Audience,
    /// It does not say who made it, for which server, or until when it is valid.
    Unclear,
}

impl Fault {
    /// What is wrong, for the client.
    pub(crate) fn sentence(self) -> &'static str {
        match self {
            Self::Malformed => "the token is no signed JWT, nor one that this server was given",
            Self::Algorithm => "the token is not signed with an algorithm that is taken here",
            Self::UnknownKey => "the token is signed with a key that is not known here",
            Self::Signature => "the signature of the token is wrong",
            Self::Expired => "the token has expired",
            Self::NotYet => "the token is not valid yet",
            Self::Issuer => "the token has another issuer",
            Self::Audience => "the token is for another audience",
            Self::Unclear => "the token needs the claims iss, aud and exp",
        }
    }
}

impl Named {
    /// From the header of a token.
    pub(super) fn of(token: &[u8]) -> Result<Self, Fault> {
        let header = decode_header(token).map_err(|_| Fault::Malformed)?;
        if !ring::is_known(header.alg) {
            return Err(Fault::Algorithm);
        }
        // What it marks as critical would have to be understood, and nothing is.
        if header.crit.is_some() {
            return Err(Fault::Malformed);
        }
        Ok(Self { key: header.kid, algorithm: header.alg })
    }
}

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

//! What a token says of its own signature, before anything is known of it.

use super::fault::Fault;
use super::ring;
use jsonwebtoken::{Algorithm, decode_header};

/// The key and the algorithm a token names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) key: Option<String>,
    pub(super) algorithm: Algorithm,
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

//! A set of public keys as an authorization server publishes it (RFC 7517).

use super::named::Named;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey};
use serde::Deserialize;
use std::sync::Arc;

/// More keys are no set of keys but a mistake.
const MOST: usize = 128;

/// The keys of a set that tokens can be signed with.
#[derive(Debug, Default)]
pub(super) struct KeySet {
    keys: Vec<Arc<Key>>,
    /// Keys of the set that no token can be signed with.
    pub(super) left_out: usize,
}

/// One of them.
#[derive(Debug)]
pub(super) struct Key {
    id: Option<String>,
    /// The only algorithm it is for, if it says so.
    only: Option<Algorithm>,
    curve: Option<EllipticCurve>,
    pub(super) decoding: DecodingKey,
}

/// Why a text is no set of keys.
#[derive(Debug, thiserror::Error)]
pub enum BadKeys {
    /// It is not JSON, or has no `keys`.
    #[error("this is no JSON Web Key Set: {0}")]
    NotASet(serde_json::Error),
    /// There are too many.
    #[error("a key set may have {MOST} keys, this one has {0}")]
    TooMany(usize),
    /// None of them can be used.
    #[error(
        "none of its {0} keys can check a signature; needed are RSA keys of at least 2048 bits, EC \
         keys on P-256 or P-384, or Ed25519 keys, whose `use` is `sig` or left out"
    )]
    NoneFit(usize),
}

#[derive(Deserialize)]
struct Written {
    keys: Vec<serde_json::Value>,
}

impl KeySet {
    /// The usable keys of a set.
    ///
    /// # Errors
    /// [`BadKeys`] if there are none.
    pub(super) fn parse(text: &[u8]) -> Result<Self, BadKeys> {
        let Written { keys } = serde_json::from_slice(text).map_err(BadKeys::NotASet)?;
        let all = keys.len();
        if all > MOST {
            return Err(BadKeys::TooMany(all));
        }
        let keys: Vec<_> = keys.into_iter().filter_map(Key::of).map(Arc::new).collect();
        if keys.is_empty() {
            return Err(BadKeys::NoneFit(all));
        }
        let left_out = all - keys.len();
        Ok(Self { keys, left_out })
    }

    /// The key a token names. One that names none was signed with the only key there is.
    pub(super) fn find(&self, named: &Named) -> Option<Arc<Key>> {
        let mut fit = self.keys.iter().filter(|key| key.may(named.algorithm));
        match &named.key {
            Some(id) => fit.find(|key| key.id.as_ref() == Some(id)).cloned(),
            None => fit.next().filter(|_| fit.next().is_none()).cloned(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }
}

impl Key {
    fn of(value: serde_json::Value) -> Option<Self> {
        let jwk: Jwk = serde_json::from_value(value).ok()?;
        let for_signatures =
            matches!(jwk.common.public_key_use, None | Some(PublicKeyUse::Signature));
        let operations = jwk.common.key_operations.as_ref();
        if !for_signatures || operations.is_some_and(|all| !all.contains(&KeyOperations::Verify)) {
            return None;
        }
        let curve = match &jwk.algorithm {
            AlgorithmParameters::RSA(_) => None,
            AlgorithmParameters::EllipticCurve(key) => Some(key.curve.clone()),
            AlgorithmParameters::OctetKeyPair(key) => Some(key.curve.clone()),
            // A secret is none that is published.
            _ => return None,
        };
        let only = match jwk.common.key_algorithm {
            Some(algorithm) => Some(Algorithm::try_from(algorithm).ok()?),
            None => None,
        };
        let decoding = DecodingKey::from_jwk(&jwk).ok()?;
        let key = Self { id: jwk.common.key_id, only, curve, decoding };
        let families = [Algorithm::RS256, Algorithm::ES256, Algorithm::ES384, Algorithm::EdDSA];
        let usable = match key.only {
            Some(only) => key.may(only),
            None => families.into_iter().any(|algorithm| key.may(algorithm)),
        };
        usable.then_some(key)
    }

    /// Whether a signature of this kind can be its.
    fn may(&self, algorithm: Algorithm) -> bool {
        let curve_fits = match algorithm {
            Algorithm::ES256 => self.curve == Some(EllipticCurve::P256),
            Algorithm::ES384 => self.curve == Some(EllipticCurve::P384),
            Algorithm::EdDSA => self.curve == Some(EllipticCurve::Ed25519),
            _ => algorithm.family() == AlgorithmFamily::Rsa && self.curve.is_none(),
        };
        let family_fits = self.decoding.family() == algorithm.family();
        curve_fits && family_fits && self.only.is_none_or(|only| only == algorithm)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const X: &str = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU";
    const Y: &str = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0";

    fn ec(more: Value) -> Value {
        let mut key = json!({"kty": "EC", "crv": "P-256", "x": X, "y": Y});
        for (name, value) in more.as_object().unwrap() {
            key[name] = value.clone();
        }
        key
    }

    fn set(keys: Value) -> Result<KeySet, BadKeys> {
        KeySet::parse(json!({ "keys": keys }).to_string().as_bytes())
    }

    fn named(key: Option<&str>, algorithm: Algorithm) -> Named {
        Named { key: key.map(str::to_owned), algorithm }
    }

    #[test]
    fn a_key_is_found_by_its_id_for_what_it_is_for() {
        let rsa = json!({"kty": "RSA", "kid": "a", "n": "AQAB", "e": "AQAB"});
        let keys = set(json!([rsa, ec(json!({"kid": "a"})), ec(json!({"kid": "b"}))])).unwrap();
        let found = |kid, algorithm| keys.find(&named(kid, algorithm)).is_some();
        assert!(found(Some("a"), Algorithm::ES256) && found(Some("a"), Algorithm::PS256));
        assert!(found(Some("b"), Algorithm::ES256) && !found(Some("b"), Algorithm::RS256));
        assert!(!found(Some("c"), Algorithm::ES256) && !found(Some("a"), Algorithm::ES384));
        for secret in [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512] {
            assert!(!found(Some("a"), secret) && !found(None, secret), "{secret:?}");
        }
        // Without an id it has to be the only one.
        assert!(found(None, Algorithm::RS256) && !found(None, Algorithm::ES256));
        let only = set(json!([ec(json!({"kid": "a", "alg": "ES256"}))])).unwrap();
        assert!(only.find(&named(None, Algorithm::ES256)).is_some());
    }

    #[test]
    fn what_checks_no_signature_is_left_out() {
        let fine = ec(json!({}));
        for useless in [
            json!({"kty": "oct", "k": "c2VjcmV0", "alg": "HS256"}),
            json!({"kty": "EC", "crv": "P-521", "x": X, "y": Y}),
            json!({"kty": "EC", "crv": "secp256k1", "x": X, "y": Y}),
            json!({"kty": "AKP", "pub": "x"}),
            json!("rubbish"),
            ec(json!({"use": "enc"})),
            ec(json!({"key_ops": ["sign"]})),
            ec(json!({"alg": "RS256"})),
            ec(json!({"alg": "HS256"})),
            ec(json!({"alg": "ES512"})),
            ec(json!({"x": "not base64!"})),
        ] {
            let keys = set(json!([useless, fine])).unwrap();
            assert_eq!((keys.len(), keys.left_out), (1, 1), "{useless}");
            assert!(matches!(set(json!([useless])), Err(BadKeys::NoneFit(1))), "{useless}");
        }
        assert!(matches!(set(json!([])), Err(BadKeys::NoneFit(0))));
        assert!(matches!(KeySet::parse(b"{}"), Err(BadKeys::NotASet(_))));
        assert!(matches!(set(json!(vec![fine; 129])), Err(BadKeys::TooMany(129))));
    }
}

//! Signatures, checked by the library that TLS is spoken with. Only what a public key can check:
//! a secret that both sides know is none once its holder publishes it as a key.

use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{Error, ErrorKind};
use jsonwebtoken::{Algorithm, DecodingKey, DecodingKeyKind, EncodingKey};
use ring::signature::{self as by, RsaPublicKeyComponents, UnparsedPublicKey};
use signature::Verifier;

static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: no_signer,
    verifier_factory: verifier,
    // For making keys known, which is not done here.
    key_utils: KeyUtils::new_unimplemented(),
};

/// From now on signatures are checked here.
pub(super) fn install() {
    // Fails if it is in place already.
    let _in_place = PROVIDER.install_default();
}

/// How a signature is checked.
#[derive(Clone, Copy)]
enum How {
    Rsa(&'static by::RsaParameters),
    Other(&'static dyn by::VerificationAlgorithm),
}

fn how(algorithm: Algorithm) -> Option<How> {
    Some(match algorithm {
        Algorithm::RS256 => How::Rsa(&by::RSA_PKCS1_2048_8192_SHA256),
        Algorithm::RS384 => How::Rsa(&by::RSA_PKCS1_2048_8192_SHA384),
        Algorithm::RS512 => How::Rsa(&by::RSA_PKCS1_2048_8192_SHA512),
        Algorithm::PS256 => How::Rsa(&by::RSA_PSS_2048_8192_SHA256),
        Algorithm::PS384 => How::Rsa(&by::RSA_PSS_2048_8192_SHA384),
        Algorithm::PS512 => How::Rsa(&by::RSA_PSS_2048_8192_SHA512),
        Algorithm::ES256 => How::Other(&by::ECDSA_P256_SHA256_FIXED),
        Algorithm::ES384 => How::Other(&by::ECDSA_P384_SHA384_FIXED),
        Algorithm::EdDSA => How::Other(&by::ED25519),
        // Those with a shared secret, and whatever is added one day.
        _ => return None,
    })
}

/// Whether tokens may be signed in this way.
pub(super) fn is_known(algorithm: Algorithm) -> bool {
    how(algorithm).is_some()
}

struct Check {
    algorithm: Algorithm,
    how: How,
    key: DecodingKey,
}

fn verifier(algorithm: &Algorithm, key: &DecodingKey) -> Result<Box<dyn JwtVerifier>, Error> {
    let how = how(*algorithm).ok_or(ErrorKind::InvalidAlgorithm)?;
    if key.family() != algorithm.family() {
        return Err(ErrorKind::InvalidAlgorithm.into());
    }
    Ok(Box::new(Check { algorithm: *algorithm, how, key: key.clone() }))
}

fn no_signer(_: &Algorithm, _: &EncodingKey) -> Result<Box<dyn JwtSigner>, Error> {
    Err(ErrorKind::InvalidAlgorithm.into())
}

impl Verifier<Vec<u8>> for Check {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), signature::Error> {
        let checked = match (self.how, self.key.kind()) {
            (How::Rsa(how), DecodingKeyKind::RsaModulusExponent { n, e }) => {
                RsaPublicKeyComponents { n, e }.verify(how, message, signature)
            }
            (How::Other(how), DecodingKeyKind::SecretOrDer(key)) => {
                UnparsedPublicKey::new(how, key).verify(message, signature)
            }
            (How::Rsa(_), DecodingKeyKind::SecretOrDer(_))
            | (How::Other(_), DecodingKeyKind::RsaModulusExponent { .. }) => {
                return Err(signature::Error::new());
            }
        };
        checked.map_err(|_| signature::Error::new())
    }
}

impl JwtVerifier for Check {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

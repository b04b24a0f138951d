//! TLS, for listeners that others reach.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{self, ServerConfig};

/// A certificate and its key, ready to listen with. Its clones are the same: what one of them is
/// given instead, all have.
#[derive(Clone)]
pub struct Tls(Arc<RwLock<TlsAcceptor>>);

/// Why they cannot be listened with.
#[derive(Debug, thiserror::Error)]
pub enum BadTls {
    /// The certificates are not PEM.
    #[error("the certificate is not PEM: {0}")]
    Certificate(pem::Error),
    /// There is none.
    #[error("the file with the certificate holds none")]
    NoCertificate,
    /// The key is not PEM.
    #[error("the key is not PEM: {0}")]
    Key(pem::Error),
    /// They do not belong together, or are of a kind that is not known.
    #[error("the certificate and the key cannot be used: {0}")]
    Unfit(#[from] rustls::Error),
}

impl Tls {
    /// From PEM: the certificate with those between it and the authority, and its key.
    ///
    /// # Errors
    /// [`BadTls`] says what is wrong with which.
    pub fn new(certificates: &[u8], key: &[u8]) -> Result<Self, BadTls> {
        Ok(Self(Arc::new(RwLock::new(acceptor(certificates, key)?))))
    }

    /// Takes these for connections from now on. Those that are open stay as they are, and with an
    /// error all does.
    ///
    /// # Errors
    /// [`BadTls`] says what is wrong with which.
    pub fn replace(&self, certificates: &[u8], key: &[u8]) -> Result<(), BadTls> {
        let new = acceptor(certificates, key)?;
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = new;
        Ok(())
    }

    /// What a connection that comes now is spoken to with.
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn acceptor(certificates: &[u8], key: &[u8]) -> Result<TlsAcceptor, BadTls> {
    let chain = CertificateDer::pem_slice_iter(certificates)
        .collect::<Result<Vec<_>, _>>()
        .map_err(BadTls::Certificate)?;
    if chain.is_empty() {
        return Err(BadTls::NoCertificate);
    }
    let key = PrivateKeyDer::from_pem_slice(key).map_err(BadTls::Key)?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_certificate_or_key_is_told() {
        assert!(matches!(Tls::new(b"", b""), Err(BadTls::NoCertificate)));
        assert!(matches!(Tls::new(b"rubbish", b""), Err(BadTls::NoCertificate)));
        let certificate = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(matches!(Tls::new(certificate, b"rubbish"), Err(BadTls::Key(_))));
    }
}

//! The certificate and the key that the operator named.

use super::{HttpError, token};
use nono_http::Tls;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

/// Reads both.
///
/// # Errors
/// [`HttpError`] names the file and what is wrong with it.
pub(super) fn read(certificate: &Path, key: &Path) -> Result<Tls, HttpError> {
    let chain = fs::read(certificate).map_err(unreadable(certificate))?;
    let mut file = File::open(key).map_err(unreadable(key))?;
    token::check(&file)
        .map_err(|problem| HttpError::OpenKey { path: key.to_path_buf(), problem })?;
    let mut secret = Vec::new();
    file.read_to_end(&mut secret).map_err(unreadable(key))?;
    Tls::new(&chain, &secret).map_err(|problem| HttpError::Tls {
        certificate: certificate.to_path_buf(),
        key: key.to_path_buf(),
        problem,
    })
}

fn unreadable(path: &Path) -> impl FnOnce(io::Error) -> HttpError {
    let path = path.to_path_buf();
    move |source| HttpError::TlsFile { path, source }
}

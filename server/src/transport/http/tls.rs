//! The certificate and the key that the operator named, and what replaces them.

use super::error::HttpError;
use super::guard::Guard;
use super::token;
use nix::fcntl::OFlag;
use nono_http::{Stamp, Tls};
use nono_sandbox::policy::Access;
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// More is no certificate and no key.
const MOST_BYTES: u64 = 1 << 20;
/// How often the files are looked at. Two looks have to see the same, so that a certificate is not
/// read before its key is there.
const LOOK: Duration = Duration::from_secs(1);

/// Both files, and what is spoken with them.
#[derive(Debug)]
pub(super) struct Files {
    certificate: PathBuf,
    key: PathBuf,
    guard: Guard,
    tls: Tls,
    read: Stamps,
}

type Stamps = [Option<Stamp>; 2];

impl Files {
    /// Reads both.
    ///
    /// # Errors
    /// [`HttpError`] names the file and what is wrong with it.
    pub(super) fn open(certificate: &Path, key: &Path, guard: &Guard) -> Result<Self, HttpError> {
        let stamps = [Stamp::of(certificate), Stamp::of(key)];
        let (chain, secret) = read(certificate, key)?;
        let tls = Tls::new(&chain, &secret).map_err(|problem| HttpError::Tls {
            certificate: certificate.to_path_buf(),
            key: key.to_path_buf(),
            problem,
        })?;
        let (certificate, key) = (certificate.to_path_buf(), key.to_path_buf());
        Ok(Self { certificate, key, guard: guard.clone(), tls, read: stamps })
    }

    /// To listen with.
    pub(super) fn tls(&self) -> Tls {
        self.tls.clone()
    }

    fn stamps(&self) -> Stamps {
        [Stamp::of(&self.certificate), Stamp::of(&self.key)]
    }

    /// Takes what the files are replaced with, for ever. What cannot be used changes nothing.
    pub(super) async fn watch(mut self) {
        let mut seen = self.read;
        loop {
            tokio::time::sleep(LOOK).await;
            let now = self.stamps();
            if now == seen && now != self.read {
                self.read = now;
                self.read_again();
            }
            seen = now;
        }
    }

    fn read_again(&self) {
        let (certificate, key) = (&self.certificate, &self.key);
        match self.replace() {
            Ok(()) => tracing::info!(
                certificate = %certificate.display(),
                "the certificate was replaced; new connections get the new one"
            ),
            Err(problem) => tracing::error!(
                certificate = %certificate.display(),
                key = %key.display(),
                problem,
                "the new certificate and key cannot be used; the ones before stay"
            ),
        }
    }

    fn replace(&self) -> Result<(), String> {
        let (chain, secret) =
            read(&self.certificate, &self.key).map_err(|error| error.to_string())?;
        // A link may point to another file than at the start, which is not closed to commands.
        if let Some(fault) = self.guard.fault(&self.key, Access::READ) {
            return Err(format!("the key {fault}"));
        }
        self.tls.replace(&chain, &secret).map_err(|error| error.to_string())
    }
}

fn read(certificate: &Path, key: &Path) -> Result<(Vec<u8>, Vec<u8>), HttpError> {
    let chain = all_of(open(certificate)?).map_err(unreadable(certificate))?;
    let file = open(key)?;
    token::check(&file)
        .map_err(|problem| HttpError::OpenKey { path: key.to_path_buf(), problem })?;
    let secret = all_of(file).map_err(unreadable(key))?;
    Ok((chain, secret))
}

fn open(path: &Path) -> Result<File, HttpError> {
    // A pipe would hold everybody up.
    let file = OpenOptions::new().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path);
    file.map_err(unreadable(path))
}

fn all_of(file: File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(MOST_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// That a file cannot be had, for `map_err`.
pub(super) fn unreadable(path: &Path) -> impl FnOnce(io::Error) -> HttpError {
    let path = path.to_path_buf();
    move |source| HttpError::TlsFile { path, source }
}

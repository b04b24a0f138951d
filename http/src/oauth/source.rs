//! Where the keys come from, and when they are looked at again.

use super::fetch::{self, FetchError, KeyUrl, MOST_BYTES};
use super::keys::{BadKeys, KeySet};
use crate::changes::Stamp;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use nix::fcntl::OFlag;
use std::fs::OpenOptions;
use std::io::{self, Read};
use std::num::NonZeroU32;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::Mutex;
use tokio_rustls::TlsConnector;

/// How often a file is looked at.
const FILE_LOOK: Duration = Duration::from_secs(2);
/// How old fetched keys may become: for so long a key that was withdrawn is still taken.
const FETCHED_AGE: Duration = Duration::from_secs(300);
/// Tokens with made-up keys have keys read again so often at most, after a few times at once.
const AGAIN: Duration = Duration::from_secs(30);
const AT_ONCE: NonZeroU32 = match NonZeroU32::new(3) {
    Some(times) => times,
    None => NonZeroU32::MIN,
};

/// Where the keys are.
#[derive(Clone)]
pub enum KeySource {
    /// In a file that nobody but the operator can write.
    File {
        /// Which.
        path: PathBuf,
        /// What is wrong with the place of the file, looked at before each reading: a link may
        /// have come to point elsewhere.
        check: PlaceCheck,
    },
    /// At an address of the authorization server.
    Url(KeyUrl),
}

impl std::fmt::Debug for KeySource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File { path, .. } => f.debug_tuple("File").field(path).finish(),
            Self::Url(url) => f.debug_tuple("Url").field(url).finish(),
        }
    }
}

/// What is wrong with a file of that name, if anything is.
pub type PlaceCheck = Arc<dyn Fn(&Path) -> Option<String> + Send + Sync>;

/// Why there are no keys.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// They cannot be fetched.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// What came holds none.
    #[error(transparent)]
    Keys(#[from] BadKeys),
}

/// Why a file with keys cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It cannot be read.
    #[error("cannot be read: {0}")]
    Read(#[from] io::Error),
    /// It is no file, or a long one.
    #[error("is no file of at most {MOST_BYTES} bytes")]
    Odd,
    /// Who can write it can let itself in.
    #[error("has mode {0:04o}, so others could put keys of their own there; `chmod go-w` it")]
    Writable(u32),
    /// It is at a place where commands could write it.
    #[error("{0}")]
    Place(String),
}

/// The keys as they were last read.
#[derive(Debug)]
pub(super) struct Keys {
    place: Place,
    now: RwLock<Arc<KeySet>>,
    /// Held by who reads them again.
    reading: Mutex<Option<Stamp>>,
    again: DefaultDirectRateLimiter,
}

enum Place {
    File(PathBuf, PlaceCheck),
    Url(KeyUrl, TlsConnector),
}

impl std::fmt::Debug for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text())
    }
}

impl Place {
    fn text(&self) -> String {
        match self {
            Self::File(path, _) => path.display().to_string(),
            Self::Url(url, _) => url.text(),
        }
    }

    async fn read(&self) -> Result<KeySet, LoadError> {
        let bytes = match self {
            Self::File(path, check) => read_file(path, check)?.into(),
            Self::Url(url, client) => fetch::get(url, client).await?,
        };
        Ok(KeySet::parse(&bytes)?)
    }

    fn stamp(&self) -> Option<Stamp> {
        match self {
            Self::File(path, _) => Stamp::of(path),
            Self::Url(..) => None,
        }
    }
}

fn read_file(path: &Path, check: &PlaceCheck) -> Result<Vec<u8>, FileError> {
    if let Some(fault) = check(path) {
        return Err(FileError::Place(fault));
    }
    // A pipe would hold everybody up.
    let file = OpenOptions::new().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path)?;
    let about = file.metadata()?;
    if !about.is_file() || about.len() > MOST_BYTES as u64 {
        return Err(FileError::Odd);
    }
    let mode = about.mode() & 0o7777;
    if mode & 0o022 != 0 {
        return Err(FileError::Writable(mode));
    }
    let mut bytes = Vec::new();
    file.take(MOST_BYTES as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

impl Keys {
    /// Reads them for the first time.
    pub(super) async fn open(source: KeySource) -> Result<Self, LoadError> {
        let place = match source {
            KeySource::File { path, check } => Place::File(path, check),
            KeySource::Url(url) => Place::Url(url, fetch::client()?),
        };
        let stamp = place.stamp();
        let keys = place.read().await?;
        report(&place, &keys);
        let quota = Quota::with_period(AGAIN).map(|quota| quota.allow_burst(AT_ONCE));
        let quota = quota.unwrap_or(Quota::per_minute(NonZeroU32::MIN));
        let (now, reading) = (RwLock::new(Arc::new(keys)), Mutex::new(stamp));
        Ok(Self { place, now, reading, again: RateLimiter::direct(quota) })
    }

    /// As they were last read.
    pub(super) fn now(&self) -> Arc<KeySet> {
        Arc::clone(&self.now.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads them again for a token whose key is not among them; `None` if that has been done so
    /// often lately that it says more of the token than of the keys.
    pub(super) async fn newer(&self) -> Option<Arc<KeySet>> {
        let before = self.now();
        let mut stamp = self.reading.lock().await;
        let now = self.now();
        // Somebody else has read them meanwhile.
        if !Arc::ptr_eq(&before, &now) {
            return Some(now);
        }
        self.again.check().ok()?;
        self.read_again(&mut stamp).await;
        Some(self.now())
    }

    /// Reads them again from time to time, for ever.
    pub(super) async fn keep_fresh(&self) {
        let pause = match self.place {
            Place::File(..) => FILE_LOOK,
            Place::Url(..) => FETCHED_AGE,
        };
        loop {
            tokio::time::sleep(pause).await;
            let mut stamp = self.reading.lock().await;
            let due = match &self.place {
                Place::File(path, _) => Stamp::of(path) != *stamp,
                Place::Url(..) => true,
            };
            if due {
                self.read_again(&mut stamp).await;
            }
        }
    }

    /// If it fails, what was read before goes on.
    async fn read_again(&self, stamp: &mut Option<Stamp>) {
        // Before reading, so that a change in between is seen the next time.
        *stamp = self.place.stamp();
        match self.place.read().await {
            Ok(keys) => {
                report(&self.place, &keys);
                *self.now.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keys);
            }
            Err(error) => tracing::warn!(
                place = self.place.text(),
                %error,
                "the keys of the authorization server cannot be read again; the ones before stay"
            ),
        }
    }
}

fn report(place: &Place, keys: &KeySet) {
    let (keys, left_out, place) = (keys.len(), keys.left_out, place.text());
    tracing::info!(place, keys, left_out, "keys of the authorization server");
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    fn key(id: &str) -> String {
        let x = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU";
        let y = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0";
        format!(r#"{{"keys":[{{"kty":"EC","crv":"P-256","kid":"{id}","x":"{x}","y":"{y}"}}]}}"#)
    }

    fn place(path: &Path, text: &str) {
        let beside = path.with_extension("new");
        fs::write(&beside, text).unwrap();
        fs::set_permissions(&beside, Permissions::from_mode(0o644)).unwrap();
        fs::rename(beside, path).unwrap();
    }

    fn of(path: &Path) -> KeySource {
        KeySource::File { path: path.to_path_buf(), check: Arc::new(|_| None) }
    }

    fn has(keys: &KeySet, id: &str) -> bool {
        let (key, algorithm) = (Some(id.to_owned()), jsonwebtoken::Algorithm::ES256);
        keys.find(&super::super::named::Named { key, algorithm }).is_some()
    }

    #[tokio::test(start_paused = true)]
    async fn a_changed_file_is_read_again_and_a_broken_one_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("jwks.json");
        place(&path, &key("a"));
        let keys = Keys::open(of(&path)).await.unwrap();
        let after_a_look = || async {
            // Time is told, not spent.
            let _for_ever = tokio::time::timeout(FILE_LOOK * 2, keys.keep_fresh()).await;
            keys.now()
        };
        place(&path, &key("b"));
        let now = after_a_look().await;
        assert!(has(&now, "b") && !has(&now, "a"), "withdrawn");
        for broken in ["rubbish", r#"{"keys":[]}"#] {
            place(&path, broken);
            assert!(has(&*after_a_look().await, "b"), "{broken}");
        }
        fs::remove_file(&path).unwrap();
        assert!(has(&*after_a_look().await, "b"), "gone");
        place(&path, &key("c"));
        assert!(has(&*after_a_look().await, "c"));
    }

    #[tokio::test]
    async fn unknown_keys_have_it_read_again_a_few_times_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("jwks.json");
        place(&path, &key("a"));
        let keys = Keys::open(of(&path)).await.unwrap();
        for _ in 0..AT_ONCE.get() {
            assert!(keys.newer().await.is_some());
        }
        place(&path, &key("b"));
        assert!(keys.newer().await.is_none(), "too often");
        assert!(has(&keys.now(), "a"));
    }

    #[tokio::test]
    async fn a_file_that_others_can_write_holds_no_keys() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("jwks.json");
        place(&path, &key("a"));
        fs::set_permissions(&path, Permissions::from_mode(0o666)).unwrap();
        let error = Keys::open(of(&path)).await.unwrap_err();
        assert!(error.to_string().contains("chmod go-w"), "{error}");
        let folder = of(folder.path());
        assert!(matches!(Keys::open(folder).await, Err(LoadError::File(FileError::Odd))));
    }
}

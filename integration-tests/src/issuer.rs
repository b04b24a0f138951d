//! An authorization server: keys, tokens signed with them, and the set of public keys over HTTPS.
//! Whatever a library would not sign, a test has to be able to.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{self, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RsaKeyPair};
use ring::{digest, hmac};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

/// Signs the certificate of [`LEAF`], and has signed its own.
pub const AUTHORITY: &str = include_str!("../certificates/localhost.pem");
/// A certificate for `localhost` and `127.0.0.1`.
pub const LEAF: &str = include_str!("../certificates/leaf.pem");
/// Its key.
pub const LEAF_KEY: &str = include_str!("../certificates/leaf.key");
const RSA_KEY: &str = include_str!("../certificates/rsa.key");

/// A pair of keys with an id.
#[derive(Debug)]
pub struct Signer {
    id: String,
    pair: Pair,
}

#[derive(Debug)]
enum Pair {
    Ec(EcdsaKeyPair),
    Rsa(RsaKeyPair),
    Ed(Ed25519KeyPair),
}

fn text(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

impl Signer {
    /// A new pair for ES256.
    ///
    /// # Panics
    /// If the system gives no random numbers.
    #[must_use]
    pub fn es256(id: &str) -> Self {
        let (rng, kind) = (SystemRandom::new(), &signature::ECDSA_P256_SHA256_FIXED_SIGNING);
        let document = EcdsaKeyPair::generate_pkcs8(kind, &rng).expect("a key");
        let pair = EcdsaKeyPair::from_pkcs8(kind, document.as_ref(), &rng).expect("a key");
        Self { id: id.to_owned(), pair: Pair::Ec(pair) }
    }

    /// A new pair for EdDSA.
    ///
    /// # Panics
    /// If the system gives no random numbers.
    #[must_use]
    pub fn ed25519(id: &str) -> Self {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).expect("a key");
        let pair = Ed25519KeyPair::from_pkcs8(document.as_ref()).expect("a key");
        Self { id: id.to_owned(), pair: Pair::Ed(pair) }
    }

    /// A pair for RS256, the same every time.
    ///
    /// # Panics
    /// Never: the key is part of the tests.
    #[must_use]
    pub fn rs256(id: &str) -> Self {
        let der = PrivatePkcs8KeyDer::from_pem_slice(RSA_KEY.as_bytes()).expect("a key");
        let pair = RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).expect("a key");
        Self { id: id.to_owned(), pair: Pair::Rsa(pair) }
    }

    fn algorithm(&self) -> &'static str {
        match self.pair {
            Pair::Ec(_) => "ES256",
            Pair::Rsa(_) => "RS256",
            Pair::Ed(_) => "EdDSA",
        }
    }

    /// The public key, as a set has it.
    #[must_use]
    pub fn public(&self) -> Value {
        let mut key = match &self.pair {
            Pair::Ec(pair) => {
                let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
                json!({"kty": "EC", "crv": "P-256", "x": text(x), "y": text(y)})
            }
            Pair::Rsa(pair) => {
                let public = signature::RsaPublicKeyComponents::<Vec<u8>>::from(pair.public());
                json!({"kty": "RSA", "n": text(public.n), "e": text(public.e)})
            }
            Pair::Ed(pair) => {
                json!({"kty": "OKP", "crv": "Ed25519", "x": text(pair.public_key().as_ref())})
            }
        };
        key["kid"] = json!(self.id);
        key["use"] = json!("sig");
        key
    }

    /// A token with these claims.
    #[must_use]
    pub fn token(&self, claims: &Value) -> String {
        self.token_with(&json!({"alg": self.algorithm(), "typ": "at+jwt", "kid": self.id}), claims)
    }

    /// A token with this header, whatever it says.
    ///
    /// # Panics
    /// If the key signs nothing.
    #[must_use]
    pub fn token_with(&self, header: &Value, claims: &Value) -> String {
        let rng = SystemRandom::new();
        signed(header, claims, |message| match &self.pair {
            Pair::Ec(pair) => pair.sign(&rng, message).expect("a signature").as_ref().to_vec(),
            Pair::Ed(pair) => pair.sign(message).as_ref().to_vec(),
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                let kind = &signature::RSA_PKCS1_SHA256;
                pair.sign(kind, &rng, message, &mut signature).expect("a signature");
                signature
            }
        })
    }

    /// A token whose signature is made with the public key, as if it were a secret.
    #[must_use]
    pub fn token_with_public_as_secret(&self, claims: &Value) -> Vec<String> {
        let header = json!({"alg": "HS256", "typ": "JWT", "kid": self.id});
        let public = match &self.pair {
            Pair::Ec(pair) => pair.public_key().as_ref().to_vec(),
            Pair::Ed(pair) => pair.public_key().as_ref().to_vec(),
            Pair::Rsa(pair) => pair.public().as_ref().to_vec(),
        };
        // The key as bytes, and as the set has it.
        let secrets = [public, self.public().to_string().into_bytes()];
        let hs256 = |secret: &Vec<u8>| {
            let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
            signed(&header, claims, |message| hmac::sign(&key, message).as_ref().to_vec())
        };
        secrets.iter().map(hs256).collect()
    }
}

fn signed(header: &Value, claims: &Value, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
    let message = format!("{}.{}", text(header.to_string()), text(claims.to_string()));
    let signature = text(sign(message.as_bytes()));
    format!("{message}.{signature}")
}

/// A token that nobody signed.
#[must_use]
pub fn unsigned(algorithm: &str, claims: &Value) -> String {
    signed(&json!({"alg": algorithm, "typ": "JWT"}), claims, |_| Vec::new())
}

/// A set of public keys.
#[must_use]
pub fn set(signers: &[&Signer]) -> Value {
    json!({"keys": signers.iter().map(|signer| signer.public()).collect::<Vec<_>>()})
}

/// So many seconds from now.
///
/// # Panics
/// If the clock is before 1970.
#[must_use]
pub fn in_seconds(seconds: i64) -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("a clock");
    i64::try_from(since.as_secs()).expect("seconds") + seconds
}

/// The SHA-256 of a text, as a server's file has it.
#[must_use]
pub fn sha256(text: &str) -> String {
    let hash = digest::digest(&digest::SHA256, text.as_bytes());
    hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Serves a set of keys over HTTPS on a loopback port. Dropping it ends it.
#[derive(Debug)]
pub struct KeyServer {
    address: SocketAddr,
    /// The answer: status and body.
    answer: Arc<Mutex<(u16, String)>>,
    asked: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl KeyServer {
    /// Starts with these keys.
    ///
    /// # Panics
    /// If it cannot listen.
    #[must_use]
    pub fn start(signers: &[&Signer]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let answer = Arc::new(Mutex::new((200, set(signers).to_string())));
        let (asked, stop) = (Arc::<AtomicUsize>::default(), Arc::<AtomicBool>::default());
        let tls = tls();
        let thread = std::thread::spawn({
            let (answer, asked, stop) = (answer.clone(), asked.clone(), stop.clone());
            move || {
                for stream in listener.incoming().flatten() {
                    if stop.load(Ordering::Acquire) {
                        break;
                    }
                    let said = answer.lock().unwrap_or_else(PoisonError::into_inner).clone();
                    asked.fetch_add(1, Ordering::AcqRel);
                    // A client that does not trust the certificate leaves.
                    let _may_leave = reply(stream, &tls, &said);
                }
            }
        });
        Self { address, answer, asked, stop, thread: Some(thread) }
    }

    /// Where the keys are.
    #[must_use]
    pub fn url(&self) -> String {
        format!("https://localhost:{}/keys", self.address.port())
    }

    /// How often somebody connected.
    #[must_use]
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::Acquire)
    }

    /// From now on it serves these keys.
    pub fn serve(&self, signers: &[&Signer]) {
        self.answer_with(200, &set(signers).to_string());
    }

    /// From now on it answers with this.
    pub fn answer_with(&self, status: u16, body: &str) {
        let mut answer = self.answer.lock().unwrap_or_else(PoisonError::into_inner);
        *answer = (status, body.to_owned());
    }
}

impl Drop for KeyServer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        let _wakes_it = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ended = thread.join();
        }
    }
}

fn tls() -> Arc<ServerConfig> {
    let chain = CertificateDer::from_pem_slice(LEAF.as_bytes()).expect("a certificate");
    let key = PrivateKeyDer::from_pem_slice(LEAF_KEY.as_bytes()).expect("a key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![chain], key)
        .expect("a certificate with its key");
    Arc::new(config)
}

fn reply(
    stream: TcpStream,
    tls: &Arc<ServerConfig>,
    (status, body): &(u16, String),
) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let connection = ServerConnection::new(Arc::clone(tls)).map_err(std::io::Error::other)?;
    let mut stream = StreamOwned::new(connection, stream);
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        head.extend(byte);
    }
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 {status} X\r\nLocation: /other\r\nContent-Length: {length}\r\n\r\n{body}"
    )?;
    stream.conn.send_close_notify();
    stream.flush()
}

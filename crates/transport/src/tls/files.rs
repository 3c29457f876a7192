//! A certificate and its key from PEM files (RFC 7468).

use std::path::Path;

use sdk_relay_files::read_text;
use tokio_rustls::rustls::crypto::CryptoProvider;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{Error, InconsistentKeys};
use zeroize::Zeroizing;

use super::TlsError;

const CERT: &str = "tls.cert";
const KEY: &str = "tls.key";
/// Largest file: a chain of certificates has some kilobytes.
pub(super) const MOST_BYTES: u64 = 1 << 20;
const CERT_EXPECTED: &str =
    "-----BEGIN CERTIFICATE----- … -----END CERTIFICATE-----, the relay's own first, then those of its issuers";
const KEY_EXPECTED: &str =
    "an RSA, ECDSA or Ed25519 key without a password, -----BEGIN PRIVATE KEY----- … -----END PRIVATE KEY-----";

/// Loads both files, and checks that the key matches the certificate.
pub(super) fn load(cert: &Path, key: &Path, provider: &CryptoProvider) -> Result<CertifiedKey, TlsError> {
    let wrong = |key: &'static str, path: &Path, found: String, expected| TlsError::Content {
        key,
        path: path.to_owned(),
        found,
        expected,
    };
    let bad_cert = |found| wrong(CERT, cert, found, CERT_EXPECTED);
    let bad_key = |found| wrong(KEY, key, found, KEY_EXPECTED);

    let text = read(CERT, cert)?;
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(text.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|e| bad_cert(plain(&e)))?;
    if chain.is_empty() {
        return Err(bad_cert(format!("it contains no certificate: {}", instead(&text))));
    }
    let text = Zeroizing::new(read(KEY, key)?);
    let private = PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|e| {
        bad_key(match e {
            pem::Error::NoItemsFound => format!("it contains no private key: {}", instead(&text)),
            other => plain(&other),
        })
    })?;
    let signing = provider
        .key_provider
        .load_private_key(private)
        .map_err(|_| bad_key("the type of its key is not supported".to_owned()))?;
    let certified = CertifiedKey::new(chain, signing);
    match certified.keys_match() {
        // A key type without access to its public key cannot be checked here: a mismatch shows in the first handshake.
        Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => Ok(certified),
        Err(Error::InconsistentKeys(_)) => Err(TlsError::Mismatch {
            cert: cert.to_owned(),
            key: key.to_owned(),
        }),
        Err(_) => Err(bad_cert("its first certificate cannot be parsed".to_owned())),
    }
}

fn read(key: &'static str, path: &Path) -> Result<String, TlsError> {
    read_text(path, MOST_BYTES).map_err(|source| TlsError::Unreadable {
        key,
        path: path.to_owned(),
        source,
    })
}

/// What a PEM file contains in place of what is expected, by its first label (RFC 7468).
fn instead(text: &str) -> &'static str {
    let label = text.split_once("-----BEGIN ").map_or("", |(_, rest)| rest);
    let is = |start: &str| label.starts_with(start);
    if text.trim().is_empty() {
        "it is empty"
    } else if is("ENCRYPTED PRIVATE KEY") {
        "its private key has a password"
    } else if is("CERTIFICATE REQUEST") || is("NEW CERTIFICATE REQUEST") {
        "it contains a certificate request, which an authority has not signed yet"
    } else if is("CERTIFICATE") || is("TRUSTED CERTIFICATE") {
        "it contains a certificate"
    } else if is("PUBLIC KEY") || is("RSA PUBLIC KEY") {
        "it contains a public key"
    } else if is("OPENSSH PRIVATE KEY") {
        "it contains a key of OpenSSH"
    } else if label
        .split("-----")
        .next()
        .is_some_and(|label| label.ends_with("PRIVATE KEY"))
    {
        "it contains a private key"
    } else if label.is_empty() {
        "it is not a PEM file"
    } else {
        "it is a PEM file of something else"
    }
}

/// A message without quotations: that of the library quotes the file, which may contain a secret.
fn plain(error: &pem::Error) -> String {
    match error {
        pem::Error::MissingSectionEnd { .. } => "a line -----END …----- is missing",
        pem::Error::IllegalSectionStart { .. } => "a line -----BEGIN …----- is malformed",
        pem::Error::Base64Decode(_) => "the content between BEGIN and END is not base64",
        _ => "it is not a PEM file",
    }
    .to_owned()
}

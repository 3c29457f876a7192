//! A self-signed certificate for development: created at the first start and kept, so that clients need to trust it
//! only once.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use rcgen::{CertificateParams, DnType, KeyPair};
use sdk_relay_files::{exposed, read_text, remove, replace};
use tokio_rustls::rustls::client::verify_server_name;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::server::ParsedCertificate;
use zeroize::Zeroizing;

use super::{TlsError, files};

/// Names of the files in the data directory.
const CERT_FILE: &str = "tls-self-signed.crt";
const KEY_FILE: &str = "tls-self-signed.key";
/// Names of the relay for clients on the same machine.
const NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// Path of the certificate.
pub(super) fn certificate(data_dir: &Path) -> PathBuf {
    data_dir.join(CERT_FILE)
}

/// Path of its key.
pub(super) fn key(data_dir: &Path) -> PathBuf {
    data_dir.join(KEY_FILE)
}

/// The files of a certificate for this machine and these addresses. An existing one is kept if it covers them and is
/// not damaged.
pub(super) fn ensure(data_dir: &Path, listen: &[IpAddr]) -> Result<(PathBuf, PathBuf), TlsError> {
    let (cert, key) = (data_dir.join(CERT_FILE), data_dir.join(KEY_FILE));
    let mut names: Vec<String> = NAMES.map(str::to_owned).to_vec();
    for address in listen.iter().filter(|a| !a.is_unspecified()).map(ToString::to_string) {
        if !names.contains(&address) {
            names.push(address);
        }
    }
    if sdk_relay_files::exists(&key).unwrap_or(false) && covers(&cert, &names) {
        let private = is_private(&key).map_err(|source| TlsError::Unreadable {
            key: "tls.key",
            path: key.clone(),
            source,
        })?;
        if !private {
            return Err(TlsError::Exposed { cert, key });
        }
        match files::load(&cert, &key, &ring::default_provider()) {
            Ok(_) => return Ok((cert, key)),
            Err(error) => tracing::warn!(%error, "the certificate for development is damaged"),
        }
    }
    make(&cert, &key, names)?;
    tracing::info!(file = %cert.display(), "created a self-signed certificate for development: clients must trust this file");
    Ok((cert, key))
}

fn covers(cert: &Path, names: &[String]) -> bool {
    let pem = read_text(cert, files::MOST_BYTES).map(|text| CertificateDer::from_pem_slice(text.as_bytes()));
    let Ok(Ok(der)) = pem else {
        return false;
    };
    ParsedCertificate::try_from(&der).is_ok_and(|parsed| {
        names
            .iter()
            .all(|n| ServerName::try_from(n.as_str()).is_ok_and(|name| verify_server_name(&parsed, &name).is_ok()))
    })
}

fn make(cert: &Path, key: &Path, names: Vec<String>) -> Result<(), TlsError> {
    let pair = KeyPair::generate()?;
    let mut params = CertificateParams::new(names)?;
    params
        .distinguished_name
        .push(DnType::CommonName, "sdk_relay, for development");
    let certificate = params.self_signed(&pair)?;
    let secret = Zeroizing::new(pair.serialize_pem());
    // The certificate is written last: if it is missing, both are created, so that a kill in between leaves no
    // mismatched pair.
    remove(cert).map_err(|source| unwritable(cert, source))?;
    replace(key, secret.as_bytes()).map_err(|source| unwritable(key, source))?;
    replace(cert, certificate.pem().as_bytes()).map_err(|source| unwritable(cert, source))
}

fn unwritable(path: &Path, source: std::io::Error) -> TlsError {
    TlsError::Unwritable {
        path: path.to_owned(),
        source,
    }
}

/// Whether only the owner can read a file.
pub(super) fn is_private(path: &Path) -> std::io::Result<bool> {
    exposed(path).map(|mode| mode.is_none())
}

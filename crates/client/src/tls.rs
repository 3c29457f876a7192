//! Trusted certificates for `wss://` and `https://`.

mod reason;
mod verifier;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore};

use crate::ConnectError;
use crate::certificates::certificates;
use verifier::Verifier;

pub use reason::{can_be_trusted, speaks_no_tls, tls_error, tls_reason};

/// The only protocol that a relay speaks over TLS.
const ALPN: &[u8] = b"http/1.1";

/// The certificates that a relay may have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Trust {
    /// Those that the authorities of the system have issued.
    #[default]
    System,
    /// Those of a PEM file, and those that they have issued, with the name of the relay.
    File(PathBuf),
    /// The first of a PEM file alone, whatever names it has: for a relay of which the file is known, such as the own
    /// one at an address of this machine.
    Exactly(PathBuf),
}

impl Trust {
    /// Settings of TLS without ALPN. Reads the file, and blocks while it does.
    pub fn config(&self) -> Result<ClientConfig, ConnectError> {
        let failed = |reason: String| ConnectError::Trust {
            file: self.file().map(Path::to_owned),
            reason: format!("cannot use the trusted certificates: {reason}"),
        };
        let provider = Arc::new(ring::default_provider());
        let named = match self.file() {
            Some(file) => certificates(file).map_err(|error| ConnectError::Trust {
                file: Some(file.to_owned()),
                reason: error.to_string(),
            })?,
            None => Vec::new(),
        };
        let (roots, first) = match self {
            Self::System => (system(), None),
            Self::File(_) => (all_of(&named), None),
            Self::Exactly(_) => (all_of(named.get(..1).unwrap_or_default()), named.first().cloned()),
        };
        let issuers = Verifier::issuers(roots.map_err(failed)?, Arc::clone(&provider));
        let issuers = issuers.map_err(|e| failed(e.to_string()))?;
        let verifier = match first {
            Some(first) => issuers.only(first),
            None => issuers.or(named),
        };
        Ok(ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|e| failed(e.to_string()))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth())
    }

    /// Reads the certificates for each connection, so that a client notices new ones.
    pub(crate) async fn connector(&self) -> Result<TlsConnector, ConnectError> {
        let trust = self.clone();
        let config = tokio::task::spawn_blocking(move || trust.config());
        let mut config = config.await.map_err(|e| ConnectError::Trust {
            file: self.file().map(Path::to_owned),
            reason: e.to_string(),
        })??;
        config.alpn_protocols = vec![ALPN.to_vec()];
        Ok(TlsConnector::from(Arc::new(config)))
    }

    fn file(&self) -> Option<&Path> {
        match self {
            Self::System => None,
            Self::File(file) | Self::Exactly(file) => Some(file),
        }
    }
}

/// Turns a failed TLS handshake into an error.
pub(crate) fn refused(address: &str, error: std::io::Error) -> ConnectError {
    let address = address.to_owned();
    let tls = error.get_ref().and_then(|e| e.downcast_ref::<rustls::Error>());
    match tls {
        Some(tls) if speaks_no_tls(tls) => ConnectError::SpeaksNoTls { address },
        Some(tls) => ConnectError::Tls {
            address,
            reason: tls_reason(tls),
            can_be_trusted: can_be_trusted(tls),
        },
        None if error.kind() == std::io::ErrorKind::UnexpectedEof => ConnectError::Tls {
            address,
            reason: "it ended the connection; if it does not speak TLS, use ws://".to_owned(),
            can_be_trusted: false,
        },
        None => ConnectError::Unreachable { address, source: error },
    }
}

fn all_of(certificates: &[CertificateDer<'static>]) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates {
        // They have been parsed when they were read.
        roots.add(certificate.clone()).map_err(|e| e.to_string())?;
    }
    Ok(roots)
}

fn system() -> Result<RootCertStore, String> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    // Certificates that the library cannot parse are common in system stores; the others suffice.
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let reasons: Vec<String> = found.errors.iter().map(ToString::to_string).collect();
        return Err(format!("the system has none {}", reasons.join("; "))
            .trim_end()
            .to_owned());
    }
    Ok(roots)
}

#[cfg(test)]
mod handshakes;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_without_certificates_is_reported() {
        let dir = std::env::temp_dir().join(format!("sdk-relay-client-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let file = dir.join("trust.pem");
        let trust = Trust::File(file.clone());
        let missing = trust.connector().await.err().unwrap().to_string();
        assert!(missing.contains("trust.pem"), "{missing}");
        std::fs::write(&file, "-----BEGIN CERTIFICATE-----\nSECRET").unwrap();
        let broken = trust.connector().await.err().unwrap().to_string();
        assert!(broken.contains("trust.pem") && !broken.contains("SECRET"), "{broken}");
        std::fs::write(&file, "").unwrap();
        let empty = trust.connector().await.err().unwrap().to_string();
        assert!(empty.contains("it is empty, and has no certificate;"), "{empty}");
        std::fs::write(
            &file,
            "-----BEGIN PRIVATE KEY-----\nU0VDUkVU\n-----END PRIVATE KEY-----\n",
        )
        .unwrap();
        let key = trust.connector().await.err().unwrap().to_string();
        assert!(key.contains("it contains a private key and no certificate"), "{key}");
        std::fs::remove_dir_all(dir).unwrap();
    }
}

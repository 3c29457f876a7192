//! Trusted certificates for `wss://`.

use std::path::PathBuf;
use std::sync::Arc;

use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore};

use crate::ConnectError;
use crate::certificates::certificates;

/// The only protocol that a relay speaks over TLS.
const ALPN: &[u8] = b"http/1.1";

/// Certificates that must have issued the relay's certificate.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trust {
    /// A PEM file; `None`: those that the system trusts.
    pub(crate) file: Option<PathBuf>,
}

impl Trust {
    /// Reads the certificates for each connection, so that a client notices new ones.
    pub(crate) async fn connector(&self) -> Result<TlsConnector, ConnectError> {
        let file = self.file.clone();
        let roots = tokio::task::spawn_blocking(move || match file {
            Some(file) => certificates(&file).map_err(|error| error.reason()),
            None => system(),
        });
        let failed = |reason: String| ConnectError::Trust {
            file: self.file.clone(),
            reason,
        };
        let roots = roots.await.map_err(|e| failed(e.to_string()))?.map_err(failed)?;
        let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|e| failed(e.to_string()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![ALPN.to_vec()];
        Ok(TlsConnector::from(Arc::new(config)))
    }
}

/// Turns a failed TLS handshake into an error.
pub(crate) fn refused(address: &str, error: std::io::Error) -> ConnectError {
    let tls = error.get_ref().and_then(|e| e.downcast_ref::<rustls::Error>());
    match tls {
        Some(tls) => ConnectError::Tls {
            address: address.to_owned(),
            reason: tls.to_string(),
        },
        None => ConnectError::Unreachable {
            address: address.to_owned(),
            source: error,
        },
    }
}

fn system() -> Result<RootCertStore, String> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    // Certificates that the library cannot parse are common in system stores; the others suffice.
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let reasons: Vec<String> = found.errors.iter().map(ToString::to_string).collect();
        return Err(format!("no certificates found {}", reasons.join("; "))
            .trim_end()
            .to_owned());
    }
    Ok(roots)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_without_certificates_is_reported() {
        let dir = std::env::temp_dir().join(format!("sdk-relay-client-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let file = dir.join("trust.pem");
        let trust = Trust {
            file: Some(file.clone()),
        };
        let missing = trust.connector().await.err().unwrap().to_string();
        assert!(missing.contains("trust.pem"), "{missing}");
        std::fs::write(&file, "-----BEGIN CERTIFICATE-----\nSECRET").unwrap();
        let broken = trust.connector().await.err().unwrap().to_string();
        assert!(broken.contains("trust.pem") && !broken.contains("SECRET"), "{broken}");
        std::fs::write(&file, "").unwrap();
        let empty = trust.connector().await.err().unwrap().to_string();
        assert!(empty.ends_with("it is empty, and has no certificate"), "{empty}");
        std::fs::write(
            &file,
            "-----BEGIN PRIVATE KEY-----\nU0VDUkVU\n-----END PRIVATE KEY-----\n",
        )
        .unwrap();
        let key = trust.connector().await.err().unwrap().to_string();
        assert!(key.ends_with("it contains a private key and no certificate"), "{key}");
        std::fs::remove_dir_all(dir).unwrap();
    }
}

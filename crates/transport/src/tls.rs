//! TLS on both ports: from PEM files to an acceptor whose certificate can be replaced while connections live.

mod error;
mod files;
mod self_signed;

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use bitcoin::hashes::{Hash, sha256};
use sdk_relay_config::{Config, TlsFiles};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::server::TlsStream;

pub use error::TlsError;

/// What both ports speak inside TLS (RFC 7301): a client that offers other protocols alone is refused in the handshake.
const ALPN: &[u8] = b"http/1.1";

/// TLS as this relay speaks it. Clones share the certificate.
#[derive(Clone)]
pub struct Tls {
    acceptor: TlsAcceptor,
    certificate: Arc<Certificate>,
    files: Arc<Files>,
}

/// The two PEM files.
#[derive(Debug)]
struct Files {
    cert: PathBuf,
    key: PathBuf,
}

/// The certificate of now: handshakes take it as they come, so that a new one touches no connection that lives.
#[derive(Debug)]
struct Certificate(RwLock<Arc<CertifiedKey>>);

impl Tls {
    /// What the configuration asks for; `None` for plain text. A certificate for development is made where there is
    /// none.
    pub fn open(config: &Config) -> Result<Option<Self>, TlsError> {
        let files = match &config.tls {
            None => return Ok(None),
            Some(TlsFiles::Given { cert, key }) => Files {
                cert: cert.clone(),
                key: key.clone(),
            },
            Some(TlsFiles::SelfSigned) => {
                let (cert, key) = self_signed::ensure(&config.data_dir, &listen_addresses(config))?;
                Files { cert, key }
            }
        };
        let provider = Arc::new(ring::default_provider());
        let loaded = Arc::new(files.load(&provider)?);
        tracing::info!(fingerprint = fingerprint(&loaded), file = %files.cert.display(), "serving TLS on both ports (SHA-256 fingerprint)");
        let certificate = Arc::new(Certificate(RwLock::new(loaded)));
        let mut server = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Library)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&certificate) as Arc<dyn ResolvesServerCert>);
        server.alpn_protocols = vec![ALPN.to_vec()];
        Ok(Some(Self {
            acceptor: TlsAcceptor::from(Arc::new(server)),
            certificate,
            files: Arc::new(files),
        }))
    }

    /// The certificate's file.
    pub fn certificate(&self) -> &Path {
        &self.files.cert
    }

    /// Reads the files anew. New connections get the new certificate; when it is wrong, the old one stays.
    pub fn reload(&self) -> Result<(), TlsError> {
        let new = self.files.load(self.acceptor.config().crypto_provider())?;
        let fingerprint = fingerprint(&new);
        *self.certificate.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(new);
        // After the change: whoever reads this line may rely on it.
        tracing::info!(fingerprint, file = %self.files.cert.display(), "reloaded the certificate");
        Ok(())
    }

    /// The server's side of a handshake. It takes as long as the client lets it: bound it.
    pub async fn accept<S: AsyncRead + AsyncWrite + Unpin>(&self, stream: S) -> std::io::Result<TlsStream<S>> {
        self.acceptor.accept(stream).await
    }
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls")
            .field("files", &self.files)
            .finish_non_exhaustive()
    }
}

/// Whether the files that the configuration names would do, without making any.
pub fn check(config: &Config) -> Result<(), TlsError> {
    let Some(TlsFiles::Given { cert, key }) = &config.tls else {
        return Ok(());
    };
    files::load(cert, key, &ring::default_provider()).map(drop)
}

/// The certificate that a program on this machine may trust without asking: the one that the relay has made itself.
pub fn own_certificate(config: &Config) -> Option<PathBuf> {
    (config.tls == Some(TlsFiles::SelfSigned)).then(|| self_signed::certificate(&config.data_dir))
}

impl Files {
    fn load(&self, provider: &CryptoProvider) -> Result<CertifiedKey, TlsError> {
        files::load(&self.cert, &self.key, provider)
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

/// SHA-256 over the certificate's bytes, as `openssl x509 -fingerprint -sha256` and browsers show it.
fn fingerprint(key: &CertifiedKey) -> String {
    let der = key.cert.first().map_or(&[][..], |der| der.as_ref());
    let hash = sha256::Hash::hash(der);
    let bytes: Vec<String> = hash.as_byte_array().iter().map(|b| format!("{b:02X}")).collect();
    bytes.join(":")
}

fn listen_addresses(config: &Config) -> Vec<IpAddr> {
    vec![config.ws_url.ip(), config.http_url.ip()]
}

#[cfg(test)]
mod tests;

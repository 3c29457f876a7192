//! TLS on the ports: an acceptor from PEM files, whose certificate can be replaced without affecting open connections.

mod error;
mod files;
mod self_signed;
mod validity;

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use bitcoin::hashes::{Hash, sha256};
use sdk_relay_config::{Config, TlsFiles};
use sdk_relay_platform::clock;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::server::TlsStream;

use validity::Validity;

pub use error::TlsError;
pub use validity::Dates;

/// ALPN protocol of the WebSocket and the HTTP port (RFC 7301): a client that offers only others is refused in the
/// handshake.
const ALPN: &[u8] = b"http/1.1";
/// The same of a port of HTTP/2.
const ALPN_HTTP2: &[u8] = b"h2";

/// TLS of this relay. Clones share the certificate.
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

/// The current certificate, used by new handshakes: replacing it does not affect open connections.
#[derive(Debug)]
struct Certificate(RwLock<Arc<CertifiedKey>>);

impl Tls {
    /// TLS as configured; `None` for plain text. Creates a missing development certificate.
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
        tracing::info!(fingerprint = fingerprint(&loaded), file = %files.cert.display(), "serving TLS on all ports (SHA-256 fingerprint)");
        warn_of_dates(&files.cert, &loaded);
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

    /// The same certificate, also after a reload, for a port of HTTP/2.
    pub(crate) fn for_http2(&self) -> Self {
        let mut server = ServerConfig::clone(self.acceptor.config());
        server.alpn_protocols = vec![ALPN_HTTP2.to_vec()];
        Self {
            acceptor: TlsAcceptor::from(Arc::new(server)),
            ..self.clone()
        }
    }

    /// The certificate's file.
    pub fn certificate(&self) -> &Path {
        &self.files.cert
    }

    /// Reloads the files. New connections use the new certificate; if it is invalid, the old one stays.
    pub fn reload(&self) -> Result<(), TlsError> {
        let new = self.files.load(self.acceptor.config().crypto_provider())?;
        let fingerprint = fingerprint(&new);
        warn_of_dates(&self.files.cert, &new);
        *self.certificate.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(new);
        // After the change: this line confirms that the certificate is in use.
        tracing::info!(fingerprint, file = %self.files.cert.display(), "reloaded the certificate");
        Ok(())
    }

    /// What is wrong with the dates of the current certificate, or will be soon: a sentence.
    pub fn problem(&self) -> Option<String> {
        let current = Arc::clone(&self.certificate.0.read().unwrap_or_else(PoisonError::into_inner));
        match dates(&current) {
            Dates::Valid => None,
            Dates::EndsSoon(sentence) | Dates::Refused(sentence) => {
                Some(format!("the TLS certificate {} {sentence}", self.files.cert.display()))
            }
        }
    }

    /// The server side of a handshake. Has no timeout of its own: the caller must set one.
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

/// Checks the configured files, without creating any. The dates are those of the certificate; of files that do not
/// exist yet, or without TLS, they are valid.
pub fn check(config: &Config) -> Result<Dates, TlsError> {
    let provider = ring::default_provider();
    match &config.tls {
        None => Ok(Dates::Valid),
        Some(TlsFiles::Given { cert, key }) => files::load(cert, key, &provider).map(|loaded| dates(&loaded)),
        Some(TlsFiles::SelfSigned) => {
            let [cert, key] = [self_signed::certificate, self_signed::key].map(|path| path(&config.data_dir));
            // Those that cannot be used are replaced at the start.
            let loaded = files::load(&cert, &key, &provider);
            Ok(loaded.map_or(Dates::Valid, |loaded| dates(&loaded)))
        }
    }
}

fn dates(key: &CertifiedKey) -> Dates {
    let validity = key.cert.first().and_then(Validity::of);
    validity.map_or(Dates::Valid, |validity| validity.dates(clock::now()))
}

fn warn_of_dates(file: &Path, key: &CertifiedKey) {
    if let Dates::EndsSoon(sentence) | Dates::Refused(sentence) = dates(key) {
        tracing::warn!(file = %file.display(), "the TLS certificate {sentence}");
    }
}

/// The file whose first certificate is that of this relay; `None` without TLS.
pub fn own_certificate(config: &Config) -> Option<PathBuf> {
    config.tls.as_ref().map(|files| match files {
        TlsFiles::Given { cert, .. } => cert.clone(),
        TlsFiles::SelfSigned => self_signed::certificate(&config.data_dir),
    })
}

/// The files of the self-signed certificate, which the start reads or creates; none with another certificate.
pub fn own_files(config: &Config) -> Vec<PathBuf> {
    match config.tls {
        Some(TlsFiles::SelfSigned) => vec![
            self_signed::certificate(&config.data_dir),
            self_signed::key(&config.data_dir),
        ],
        _ => Vec::new(),
    }
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
    let addresses = [
        Some(config.ws_url),
        Some(config.http_url),
        config.blindbit_grpc,
        config.electrum.tls_listen,
    ];
    addresses.into_iter().flatten().map(|address| address.ip()).collect()
}

#[cfg(test)]
mod tests;

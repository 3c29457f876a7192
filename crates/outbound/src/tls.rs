//! TLS with the servers.

use std::sync::Arc;

use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// The TLS library refuses its own defaults.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("TLS is not available for requests to URLs of clients")]
pub struct TlsError;

/// TLS with the certificates that the system trusts. Reads files.
///
/// # Errors
/// [`TlsError`].
pub fn system_tls() -> Result<Arc<ClientConfig>, TlsError> {
    let mut roots = RootCertStore::empty();
    // Certificates that the library cannot parse are common in system stores; the others suffice.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|_| TlsError)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(tls))
}

//! Errors of a certificate and its key.

use std::path::PathBuf;

use sdk_relay_files::reason;
use tokio_rustls::rustls;

/// Why TLS cannot be served: configuration key, file, and expectation. No error contains the content of a file.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {key} = {:?}: {}; expected a PEM file that this user may read", .path.display().to_string(), reason(.source))]
    Unreadable {
        /// `tls.cert` or `tls.key`.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// Error of the operating system.
        source: std::io::Error,
    },
    /// A file has another content.
    #[error("{key} = {:?}: {found}; expected {expected}", .path.display().to_string())]
    Content {
        /// `tls.cert` or `tls.key`.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// The problem.
        found: String,
        /// The expectation.
        expected: &'static str,
    },
    /// The key does not match the certificate.
    #[error(
        "tls.key = {:?} does not match the first certificate of tls.cert = {:?}; expected the private key of that certificate",
        .key.display().to_string(), .cert.display().to_string()
    )]
    Mismatch {
        /// The certificate's file.
        cert: PathBuf,
        /// The key's file.
        key: PathBuf,
    },
    /// The development certificate cannot be stored.
    #[error("--tls-self-signed: cannot write {}: {}", .path.display(), reason(.source))]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// Error of the operating system.
        source: std::io::Error,
    },
    /// Users other than the owner can read the development key.
    #[error("--tls-self-signed: {} can be read by other users: delete it and {}; the relay then creates new ones", .key.display(), .cert.display())]
    Exposed {
        /// The certificate's file.
        cert: PathBuf,
        /// The key's file.
        key: PathBuf,
    },
    /// The development certificate cannot be created.
    #[error("--tls-self-signed: cannot create a certificate: {0}")]
    Making(#[from] rcgen::Error),
    /// The TLS library refuses its own settings.
    #[error("cannot set up TLS: {0}")]
    Library(rustls::Error),
}

impl TlsError {
    /// The configuration key with the wrong value; `None` for other errors.
    pub fn key(&self) -> Option<&'static str> {
        match self {
            Self::Unreadable { key, .. } | Self::Content { key, .. } => Some(key),
            Self::Mismatch { .. } => Some("tls.key"),
            _ => None,
        }
    }
}

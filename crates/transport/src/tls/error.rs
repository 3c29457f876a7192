//! What can be wrong with a certificate and its key.

use std::path::PathBuf;

use tokio_rustls::rustls;

/// Why TLS cannot be served: which key of the configuration, which file, and what would be right. No error shows what
/// is in a file.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {key} = {:?}: {source}; expected a PEM file that this user may read", .path.display().to_string())]
    Unreadable {
        /// `tls.cert` or `tls.key`.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A file holds something else.
    #[error("{key} = {:?}: {found}; expected {expected}", .path.display().to_string())]
    Content {
        /// `tls.cert` or `tls.key`.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        found: String,
        /// What would be right.
        expected: &'static str,
    },
    /// The key is of another certificate.
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
    /// The certificate for development cannot be made or kept.
    #[error("--tls-self-signed: cannot write {}: {source}", .path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// Others than its owner may read the key that was made for development.
    #[error("--tls-self-signed: {} can be read by other users: delete it and {}; the relay then creates new ones", .key.display(), .cert.display())]
    Exposed {
        /// The certificate's file.
        cert: PathBuf,
        /// The key's file.
        key: PathBuf,
    },
    /// The certificate for development cannot be made.
    #[error("--tls-self-signed: cannot create a certificate: {0}")]
    Making(#[from] rcgen::Error),
    /// The TLS library refuses its own settings.
    #[error("cannot set up TLS: {0}")]
    Library(rustls::Error),
}

impl TlsError {
    /// The key whose value is wrong; `None` where it is none of the operator's.
    pub fn key(&self) -> Option<&'static str> {
        match self {
            Self::Unreadable { key, .. } | Self::Content { key, .. } => Some(key),
            Self::Mismatch { .. } => Some("tls.key"),
            _ => None,
        }
    }
}

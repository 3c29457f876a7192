//! `[tls]`: the certificate of both ports.

use std::path::PathBuf;

use super::checker::Checker;
use crate::error::ConfigError;
use crate::file::File;

/// Whence the certificate comes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TlsFiles {
    /// From the operator, as PEM files.
    Given {
        /// The chain, the relay's own certificate first.
        cert: PathBuf,
        /// Its private key.
        key: PathBuf,
    },
    /// From the relay itself, in the data directory: for development.
    SelfSigned,
}

impl TlsFiles {
    /// `None`: plain text.
    pub(super) fn check(at: &Checker<'_>, file: &File) -> Result<Option<Self>, ConfigError> {
        match (file.tls.cert.as_str(), file.tls.key.as_str(), file.tls.self_signed) {
            ("", "", false) => Ok(None),
            ("", "", true) => Ok(Some(Self::SelfSigned)),
            ("", _, _) => Err(at.wrong(
                "tls.cert",
                "",
                "expected the PEM file of a certificate, because tls.key is set",
            )),
            (_, "", _) => Err(at.wrong(
                "tls.key",
                "",
                "expected the PEM file of the certificate's private key, because tls.cert is set",
            )),
            (_, _, true) => Err(at.wrong(
                "tls.self_signed",
                "true",
                "expected either tls.self_signed, or tls.cert and tls.key",
            )),
            (cert, key, false) => Ok(Some(Self::Given {
                cert: PathBuf::from(cert),
                key: PathBuf::from(key),
            })),
        }
    }
}

//! PEM files of trusted certificates (RFC 7468).

use std::io;
use std::path::{Path, PathBuf};

use sdk_relay_files::read_text;
use tokio_rustls::rustls::RootCertStore;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;

/// Largest file: the authorities of a system have some 300 KB.
const MOST_BYTES: u64 = 16 << 20;

/// Why the certificates of a file cannot be used. Never contains the content of the file, which may be a key by
/// mistake.
#[derive(Debug, thiserror::Error)]
pub enum CertificatesError {
    /// It cannot be read.
    #[error("{0}")]
    Unreadable(io::Error),
    /// It contains something else.
    #[error("{} is not usable: {found}; expected -----BEGIN CERTIFICATE----- … -----END CERTIFICATE-----", .path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        found: &'static str,
    },
}

impl CertificatesError {
    /// The reason, for a message that names the file.
    pub fn reason(&self) -> String {
        match self {
            Self::Unreadable(error) => format!("cannot be read: {}", sdk_relay_files::reason(error)),
            Self::Content { found, .. } => (*found).to_owned(),
        }
    }
}

/// Reads the certificates of a PEM file: at least one, and each can be trusted.
pub fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, CertificatesError> {
    let text = read_text(path, MOST_BYTES).map_err(CertificatesError::Unreadable)?;
    let wrong = |found| CertificatesError::Content {
        path: path.to_owned(),
        found,
    };
    let mut found = Vec::new();
    for certificate in CertificateDer::pem_slice_iter(text.as_bytes()) {
        let certificate = certificate.map_err(|_| wrong("it is not a PEM file of certificates"))?;
        RootCertStore::empty()
            .add(certificate.clone())
            .map_err(|_| wrong("a certificate in it cannot be parsed"))?;
        found.push(certificate);
    }
    if found.is_empty() {
        return Err(wrong(if text.trim().is_empty() {
            "it is empty, and has no certificate"
        } else if text.contains("PRIVATE KEY-----") {
            "it contains a private key and no certificate"
        } else {
            "there is no certificate in it"
        }));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_with_a_byte_order_mark_and_crlf_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ca.pem");
        let pem = || {
            rcgen::generate_simple_self_signed(vec!["localhost".to_owned()])
                .unwrap()
                .cert
                .pem()
        };
        for (text, count) in [
            (pem(), 1),
            (format!("\u{feff}{}{}", pem(), pem()), 2),
            (format!("\u{feff}{}", pem().replace('\n', "\r\n")), 1),
            (format!("a comment\n{}", pem()), 1),
        ] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(certificates(&path).unwrap().len(), count);
        }
    }

    #[test]
    fn another_file_is_named_for_what_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ca.pem");
        for (text, found) in [
            ("", "it is empty, and has no certificate"),
            ("5ec2e7", "there is no certificate in it"),
            (
                "-----BEGIN PRIVATE KEY-----\n5ec2e7==\n-----END PRIVATE KEY-----\n",
                "it contains a private key and no certificate",
            ),
            (
                "-----BEGIN CERTIFICATE-----\n5ec2e7",
                "it is not a PEM file of certificates",
            ),
            (
                "-----BEGIN CERTIFICATE-----\nU0VD\n-----END CERTIFICATE-----\n",
                "a certificate in it cannot be parsed",
            ),
        ] {
            std::fs::write(&path, text).unwrap();
            let error = certificates(&path).unwrap_err();
            assert_eq!(error.reason(), found);
            let text = error.to_string();
            assert!(
                text.starts_with(&format!("{} is not usable: {found}", path.display())) && !text.contains("5ec2e7"),
                "{text}"
            );
        }
        let missing = certificates(&dir.path().join("x")).unwrap_err();
        assert!(
            missing.reason().starts_with("cannot be read: No such file"),
            "{missing}"
        );
    }
}

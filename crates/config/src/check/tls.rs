//! `[tls]`: the certificate of both ports.

use crate::config::TlsFiles;
use crate::error::ConfigError;
use crate::settings as key;
use crate::values::Values;

impl TlsFiles {
    /// `None`: plain text.
    pub(super) fn check(values: &Values) -> Result<Option<Self>, ConfigError> {
        let is_self_signed = values.get(&key::SELF_SIGNED)?;
        match (values.get(&key::CERT)?, values.get(&key::TLS_KEY)?) {
            (None, None) => Ok(is_self_signed.then_some(Self::SelfSigned)),
            (None, Some(_)) => {
                let why = "expected the PEM file of a certificate, because tls.key is set";
                Err(values.wrong(&key::CERT, why))
            }
            (Some(_), None) => {
                let why = "expected the PEM file of the certificate's private key, because tls.cert is set";
                Err(values.wrong(&key::TLS_KEY, why))
            }
            (Some(_), Some(_)) if is_self_signed => {
                let why = "expected either tls.self_signed, or tls.cert and tls.key";
                Err(values.wrong(&key::SELF_SIGNED, why))
            }
            (Some(cert), Some(key)) => Ok(Some(Self::Given { cert, key })),
        }
    }
}

//! Checks the certificate of a relay: by its issuer, or because a file has this very certificate.

use std::fmt;
use std::sync::Arc;

use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::client::{VerifierBuilderError, WebPkiServerVerifier, verify_server_name};
use tokio_rustls::rustls::crypto::CryptoProvider;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::server::ParsedCertificate;
use tokio_rustls::rustls::{
    CertificateError, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme,
};

/// Accepts what its issuers vouch for, and the named certificates themselves. Of the latter, only the dates matter and,
/// unless `any_name`, the name: a program like `openssl req -x509` makes them as those of an authority.
#[derive(Debug)]
pub(super) struct Verifier {
    issuers: Arc<WebPkiServerVerifier>,
    named: Vec<CertificateDer<'static>>,
    /// Accept the named certificates alone, and for any name.
    any_name: bool,
}

impl Verifier {
    /// Trusts the issuers alone.
    pub(super) fn issuers(roots: RootCertStore, provider: Arc<CryptoProvider>) -> Result<Self, VerifierBuilderError> {
        Ok(Self {
            issuers: WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build()?,
            named: Vec::new(),
            any_name: false,
        })
    }

    /// Also trusts these certificates themselves.
    pub(super) fn or(self, named: Vec<CertificateDer<'static>>) -> Self {
        Self { named, ..self }
    }

    /// Trusts this certificate alone, for any name.
    pub(super) fn only(self, named: CertificateDer<'static>) -> Self {
        Self {
            named: vec![named],
            any_name: true,
            ..self
        }
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let is_named = self.named.contains(end_entity);
        if self.any_name && !is_named {
            return Err(CertificateError::Other(OtherError(Arc::new(OtherCertificate))).into());
        }
        let by_issuer = self
            .issuers
            .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        match by_issuer {
            Err(error) if is_named && !is_about_dates(&error) => {
                if !self.any_name {
                    verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
                }
                Ok(ServerCertVerified::assertion())
            }
            result => result,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.issuers.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.issuers.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.issuers.supported_verify_schemes()
    }
}

/// Whether the certificate is not valid now, or cannot be read at all. `webpki` checks the dates before everything else
/// (`check_issuer_independent_properties`), so that no other error hides this one.
fn is_about_dates(error: &Error) -> bool {
    matches!(
        error,
        Error::InvalidCertificate(
            CertificateError::Expired
                | CertificateError::ExpiredContext { .. }
                | CertificateError::NotValidYet
                | CertificateError::NotValidYetContext { .. }
                | CertificateError::BadEncoding
        )
    )
}

/// The relay has another certificate than the file.
#[derive(Debug)]
pub(super) struct OtherCertificate;

impl fmt::Display for OtherCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("its certificate is another one than the first of the file")
    }
}

impl std::error::Error for OtherCertificate {}

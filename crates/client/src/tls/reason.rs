//! Sentences for failed TLS handshakes.

use std::fmt::Write as _;
use std::time::Duration;

use sdk_relay_echo::short;
use sdk_relay_platform::clock::date_and_minute;
use sdk_relay_platform::net::find_cause;
use tokio_rustls::rustls::pki_types::UnixTime;
use tokio_rustls::rustls::{AlertDescription, CertificateError, Error, ExtendedKeyPurpose, InvalidMessage, OtherError};

use super::verifier::OtherCertificate;

/// Most names of a certificate that a sentence lists.
const MOST_NAMES: usize = 5;
/// How to make a certificate that can be used.
const MAKE: &str = "make one with -addext basicConstraints=critical,CA:FALSE -addext subjectAltName=DNS:NAME (or IP:ADDRESS) in openssl req -x509";

/// The server has answered in another protocol than TLS.
pub fn speaks_no_tls(error: &Error) -> bool {
    matches!(
        error,
        Error::InvalidMessage(InvalidMessage::InvalidContentType | InvalidMessage::UnknownProtocolVersion)
    )
}

/// Whether the certificate is accepted by a client that trusts it: it is refused for its issuer or its purpose, and not
/// for its dates or its name.
pub fn can_be_trusted(error: &Error) -> bool {
    match error {
        Error::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature) => true,
        Error::InvalidCertificate(CertificateError::Other(OtherError(error))) => {
            error.is::<OtherCertificate>() || matches!(error.downcast_ref(), Some(webpki::Error::CaUsedAsEndEntity))
        }
        _ => false,
    }
}

/// What is wrong, in words, without the internal names of the library.
pub fn tls_reason(error: &Error) -> String {
    match error {
        error if speaks_no_tls(error) => "the server does not speak TLS: use ws:// (or http://)".to_owned(),
        Error::InvalidCertificate(error) => of_certificate(error),
        Error::NoCertificatesPresented => "it has no certificate".to_owned(),
        Error::AlertReceived(AlertDescription::HandshakeFailure | AlertDescription::ProtocolVersion)
        | Error::PeerIncompatible(_) => {
            "it shares no version or cipher of TLS with this program: expected TLS 1.2 or 1.3".to_owned()
        }
        Error::AlertReceived(AlertDescription::NoApplicationProtocol) | Error::NoApplicationProtocol => {
            "it does not speak HTTP/1.1 over TLS".to_owned()
        }
        Error::AlertReceived(AlertDescription::UnrecognisedName) => "it does not serve this name".to_owned(),
        Error::AlertReceived(alert) => format!("it refused the handshake (alert {})", u8::from(*alert)),
        Error::FailedToGetCurrentTime => "the clock of this machine cannot be read".to_owned(),
        Error::InvalidMessage(_)
        | Error::InappropriateMessage { .. }
        | Error::InappropriateHandshakeMessage { .. }
        | Error::PeerMisbehaved(_)
        | Error::DecryptError
        | Error::PeerSentOversizedRecord => "its answers are not valid TLS".to_owned(),
        Error::Other(error) => error.to_string(),
        _ => "the TLS library failed".to_owned(),
    }
}

fn of_certificate(error: &CertificateError) -> String {
    match error {
        CertificateError::ExpiredContext { not_after, .. } => {
            format!("its certificate expired on {}: renew it", date(*not_after))
        }
        CertificateError::Expired => "its certificate has expired: renew it".to_owned(),
        CertificateError::NotValidYetContext { not_before, .. } => format!(
            "its certificate is valid only from {}: check the clocks of both machines",
            date(*not_before)
        ),
        CertificateError::NotValidYet => "its certificate is not valid yet: check the clocks of both machines".to_owned(),
        CertificateError::NotValidForNameContext { expected, presented } if presented.is_empty() => format!(
            "its certificate has no name (subjectAltName; the CN does not count), and is not valid for {}: {MAKE}",
            expected.to_str()
        ),
        CertificateError::NotValidForNameContext { expected, presented } => format!(
            "its certificate is not valid for the name {}, only for {}: use one of these in the URL",
            expected.to_str(),
            names(presented)
        ),
        CertificateError::NotValidForName => "its certificate is not valid for the name in the URL".to_owned(),
        CertificateError::UnknownIssuer => "its certificate is not trusted: its issuer is not known".to_owned(),
        CertificateError::BadSignature => {
            "its certificate is not signed by the issuer that it names: is this the file of another certificate with the same name?".to_owned()
        }
        CertificateError::UnsupportedSignatureAlgorithmContext { .. }
        | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            "its certificate has a key or a signature of a type that is not supported: expected RSA of 2048 bits or more, ECDSA (P-256, P-384) or Ed25519, signed with SHA-256 or better".to_owned()
        }
        CertificateError::InvalidPurposeContext { required, .. } if *required == ExtendedKeyPurpose::ServerAuth => {
            "its certificate is not for servers (extendedKeyUsage has no serverAuth)".to_owned()
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "its certificate is not for servers (extendedKeyUsage)".to_owned()
        }
        CertificateError::Revoked => "its certificate has been revoked".to_owned(),
        CertificateError::BadEncoding => "its certificate cannot be parsed".to_owned(),
        CertificateError::UnhandledCriticalExtension => {
            "its certificate has a critical extension that is not known".to_owned()
        }
        CertificateError::Other(OtherError(error)) if error.is::<OtherCertificate>() => error.to_string(),
        CertificateError::Other(OtherError(error)) => of_webpki(error.downcast_ref()),
        _ => "its certificate cannot be used".to_owned(),
    }
}

/// Errors of the certificate that `rustls` passes on unchanged.
fn of_webpki(error: Option<&webpki::Error>) -> String {
    match error {
        Some(webpki::Error::CaUsedAsEndEntity) => {
            format!("its certificate is that of an authority (CA:TRUE), which cannot be a server's: {MAKE}")
        }
        Some(webpki::Error::UnsupportedCertVersion) => {
            format!("its certificate has an old version (X.509 v1), without names: {MAKE}")
        }
        Some(webpki::Error::EndEntityUsedAsCa) => {
            "a certificate in its chain is not that of an authority (CA:FALSE), but has issued another one".to_owned()
        }
        Some(webpki::Error::NameConstraintViolation) => {
            "its certificate has a name that its issuer may not vouch for".to_owned()
        }
        _ => "its certificate cannot be used".to_owned(),
    }
}

fn date(at: UnixTime) -> String {
    date_and_minute(Duration::from_secs(at.as_secs()))
}

/// The names of a certificate, without the notation of the library: `DnsName("localhost")`, `IpAddress(127.0.0.1)`.
fn names(presented: &[String]) -> String {
    let mut text = String::new();
    for (index, name) in presented.iter().take(MOST_NAMES).enumerate() {
        let inner = name
            .split_once('(')
            .map_or(name.as_str(), |(_, rest)| rest.trim_end_matches(')'));
        let comma = if index == 0 { "" } else { ", " };
        text.push_str(comma);
        // The owner of the certificate chose its names.
        text.push_str(&short(inner.trim_matches('"')));
    }
    if presented.len() > MOST_NAMES {
        // Writing to a string cannot fail.
        _ = write!(text, " and {} more", presented.len() - MOST_NAMES);
    }
    text
}

/// The failed handshake that caused an error of another library, such as `hyper`.
pub fn tls_error<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a Error> {
    find_cause(error)
}

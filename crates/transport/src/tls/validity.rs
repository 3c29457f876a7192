//! The time in which the certificate is valid.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sdk_relay_platform::clock::date_and_minute;
use tokio_rustls::rustls::pki_types::{CertificateDer, UnixTime};
use webpki::{EndEntityCert, KeyUsage};

/// An operator is warned this long before the end, or in the last third of a shorter life: some authorities issue
/// certificates for six days.
const WARN_BEFORE: Duration = Duration::from_secs(14 * 24 * 3600);
/// 31 December 9999: the last moment that a certificate can name (RFC 5280, section 4.1.2.5).
const LAST: Duration = Duration::from_secs(253_402_300_799);

/// When a certificate is valid, in time since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Validity {
    from: Duration,
    to: Duration,
}

/// What an operator has to do about the dates of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dates {
    /// Nothing for now.
    Valid,
    /// It is valid, and ends soon. A sentence.
    EndsSoon(String),
    /// Clients refuse it now. A sentence.
    Refused(String),
}

impl Validity {
    /// `None` if the certificate cannot be parsed.
    pub(super) fn of(certificate: &CertificateDer<'_>) -> Option<Self> {
        let certificate = EndEntityCert::try_from(certificate).ok()?;
        // The library has no function for the dates. Its check begins with them, and its errors have them.
        let at = |time: Duration| {
            let (server, time) = (KeyUsage::server_auth(), UnixTime::since_unix_epoch(time));
            certificate
                .verify_for_usage(&[], &[], &[], time, server, None, None)
                .err()
        };
        let to = match at(LAST + Duration::from_secs(1)) {
            Some(webpki::Error::CertExpired { not_after, .. }) => Duration::from_secs(not_after.as_secs()),
            _ => return None,
        };
        let from = match at(Duration::ZERO) {
            Some(webpki::Error::CertNotValidYet { not_before, .. }) => Duration::from_secs(not_before.as_secs()),
            _ => Duration::ZERO,
        };
        Some(Self { from, to })
    }

    pub(super) fn dates(self, now: SystemTime) -> Dates {
        // A clock before 1970 is before all certificates.
        let now = now.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        if now < self.from {
            return Dates::Refused(format!(
                "is valid only from {}, and clients refuse it until then: check the clock of this machine",
                date_and_minute(self.from)
            ));
        }
        if now > self.to {
            return Dates::Refused(format!(
                "expired on {}, and clients refuse it: renew it, then send SIGHUP to the relay",
                date_and_minute(self.to)
            ));
        }
        let lifetime = self.to.saturating_sub(self.from);
        let left = self.to - now;
        if left < WARN_BEFORE.min(lifetime / 3) {
            let days = left.as_secs() / (24 * 3600);
            return Dates::EndsSoon(format!(
                "expires on {} (in {days} days): renew it, then send SIGHUP to the relay",
                date_and_minute(self.to)
            ));
        }
        Dates::Valid
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    const DAY: u64 = 24 * 3600;
    /// 1 January 2020.
    const START: u64 = 1_577_836_800;

    fn validity(days: i64) -> Validity {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = params.not_before + time::Duration::days(days);
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        Validity::of(certificate.der()).unwrap()
    }

    fn dates(days: i64, second: u64) -> Dates {
        validity(days).dates(UNIX_EPOCH + Duration::from_secs(second))
    }

    #[test]
    fn the_dates_of_a_certificate_are_read() {
        let expected = Validity {
            from: Duration::from_secs(START),
            to: Duration::from_secs(START + 90 * DAY),
        };
        assert_eq!(validity(90), expected);
        assert_eq!(Validity::of(&CertificateDer::from(vec![1, 2, 3])), None);
    }

    #[test]
    fn an_operator_is_warned_before_the_end_and_told_after_it() {
        assert_eq!(
            dates(90, START - 1),
            Dates::Refused("is valid only from 2020-01-01 00:00 UTC, and clients refuse it until then: check the clock of this machine".to_owned())
        );
        assert_eq!(dates(90, START), Dates::Valid);
        assert_eq!(dates(90, START + 76 * DAY), Dates::Valid);
        assert_eq!(
            dates(90, START + 76 * DAY + 1),
            Dates::EndsSoon(
                "expires on 2020-03-31 00:00 UTC (in 13 days): renew it, then send SIGHUP to the relay".to_owned()
            )
        );
        assert_eq!(
            dates(90, START + 90 * DAY + 1),
            Dates::Refused(
                "expired on 2020-03-31 00:00 UTC, and clients refuse it: renew it, then send SIGHUP to the relay"
                    .to_owned()
            )
        );
        // Of six days, the last two.
        assert_eq!(dates(6, START + 4 * DAY), Dates::Valid);
        assert!(matches!(dates(6, START + 4 * DAY + 1), Dates::EndsSoon(_)));
    }
}

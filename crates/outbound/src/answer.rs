//! What a server has answered.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use hyper::StatusCode;
use hyper::header::{HeaderMap, RETRY_AFTER};
use sdk_relay_platform::clock;

/// The answer to a request. A redirect is an answer like any other: it is not followed.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its header fields, 16 KiB at most.
    pub headers: HeaderMap,
    /// Its body, up to the first 16 KiB.
    pub body: Bytes,
    /// Whether that is all of it.
    pub is_whole: bool,
}

impl Answer {
    /// The pause that the server asks for: `Retry-After` (RFC 9110, section 10.2.3) in seconds, or as a date.
    pub fn retry_after(&self) -> Option<Duration> {
        let text = self.headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
        if let Ok(seconds) = text.parse() {
            return Some(Duration::from_secs(seconds));
        }
        let at: SystemTime = httpdate::parse_http_date(text).ok()?;
        Some(at.duration_since(clock::now()).unwrap_or(Duration::ZERO))
    }
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    #[test]
    fn seconds_or_a_date() {
        let asked = |text: &'static str| {
            let answer = Answer {
                status: StatusCode::SERVICE_UNAVAILABLE,
                headers: HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static(text))]),
                body: Bytes::new(),
                is_whole: true,
            };
            answer.retry_after()
        };
        assert_eq!(asked("120"), Some(Duration::from_secs(120)));
        assert_eq!(
            asked("Wed, 21 Oct 2015 07:28:00 GMT"),
            Some(Duration::ZERO),
            "it is over"
        );
        assert!(asked("Fri, 31 Dec 9999 23:59:59 GMT").is_some_and(|pause| pause > Duration::from_secs(86_400)));
        for wrong in ["", "soon", "-5", "1.5"] {
            assert_eq!(asked(wrong), None, "{wrong}");
        }
    }
}

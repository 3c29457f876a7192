//! What the answer of a push service means.

use std::time::Duration;

use hyper::StatusCode;
use sdk_relay_outbound::{Answer, Failure};

/// What becomes of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The push service has it.
    Delivered,
    /// The subscription has ended: no further message is sent (RFC 8030, section 7.3).
    Gone,
    /// The push service does not take this message, and would not take it again.
    Rejected(String),
    /// It is tried again, not before the pause that the push service has asked for.
    Failed { reason: String, asked: Option<Duration> },
    /// Nothing was sent, because of a limit of the relay.
    Postponed(Duration),
}

impl Outcome {
    pub(crate) fn of(result: Result<Answer, Failure>) -> Self {
        match result {
            Ok(answer) => Self::of_answer(&answer),
            Err(Failure::Busy(busy)) => Self::Postponed(busy.retry_after),
            Err(failure) => Self::Failed {
                reason: failure.to_string(),
                asked: None,
            },
        }
    }

    fn of_answer(answer: &Answer) -> Self {
        let status = answer.status;
        let reason = || format!("the push service answered with status {}", status.as_u16());
        match status {
            _ if status.is_success() => Self::Delivered,
            StatusCode::NOT_FOUND | StatusCode::GONE => Self::Gone,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => Self::Failed {
                reason: reason(),
                asked: answer.retry_after(),
            },
            _ if status.is_server_error() => Self::Failed {
                reason: reason(),
                asked: answer.retry_after(),
            },
            // Redirects too: they are not followed.
            _ => Self::Rejected(reason()),
        }
    }

    /// For the counters.
    pub(crate) fn as_str(&self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Gone => "gone",
            Self::Rejected(_) => "rejected",
            Self::Failed { .. } => "failed",
            Self::Postponed(_) => "postponed",
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use hyper::header::{HeaderMap, HeaderValue, RETRY_AFTER};

    use super::*;

    fn answer(status: u16) -> Outcome {
        let headers = HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static("120"))]);
        Outcome::of(Ok(Answer {
            status: StatusCode::from_u16(status).unwrap(),
            headers,
            body: Bytes::new(),
            is_whole: true,
        }))
    }

    #[test]
    fn each_status_has_its_meaning() {
        for status in [200, 201, 202, 204] {
            assert_eq!(answer(status), Outcome::Delivered);
        }
        for status in [404, 410] {
            assert_eq!(answer(status), Outcome::Gone);
        }
        for status in [301, 307, 400, 401, 403, 405, 413] {
            let reason = format!("the push service answered with status {status}");
            assert_eq!(answer(status), Outcome::Rejected(reason));
        }
        for status in [408, 429, 500, 502, 503, 504] {
            let reason = format!("the push service answered with status {status}");
            let asked = Some(Duration::from_secs(120));
            assert_eq!(answer(status), Outcome::Failed { reason, asked });
        }
    }

    #[test]
    fn a_limit_of_the_relay_is_no_failure_of_the_push_service() {
        let busy = sdk_relay_outbound::Busy {
            of: "the relay",
            retry_after: Duration::from_secs(3),
        };
        assert_eq!(
            Outcome::of(Err(Failure::Busy(busy))),
            Outcome::Postponed(Duration::from_secs(3))
        );
        let outcome = Outcome::of(Err(Failure::Refused));
        assert!(
            matches!(outcome, Outcome::Failed { asked: None, .. }),
            "a name may lead elsewhere later"
        );
    }
}

//! `grpc-timeout`: how long a client waits for the end of its call.

use std::time::Duration;

use hyper::header::HeaderMap;
use tonic::Status;

/// Most digits of the number (gRPC over HTTP/2).
const DIGITS: usize = 8;

/// The time limit of a request; `None` if it has none.
pub(super) fn timeout_of(headers: &HeaderMap) -> Result<Option<Duration>, Status> {
    let Some(value) = headers.get("grpc-timeout") else {
        return Ok(None);
    };
    let limit = value.to_str().ok().and_then(parse);
    limit.map(Some).ok_or_else(|| {
        Status::invalid_argument("grpc-timeout is not 1 to 8 digits and one of the units H, M, S, m, u and n")
    })
}

fn parse(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let fits = (1..=DIGITS).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    let number: u64 = digits.parse().ok().filter(|_| fits)?;
    Some(match unit {
        "H" => Duration::from_secs(number * 3600),
        "M" => Duration::from_secs(number * 60),
        "S" => Duration::from_secs(number),
        "m" => Duration::from_millis(number),
        "u" => Duration::from_micros(number),
        "n" => Duration::from_nanos(number),
        _ => return None,
    })
}

/// The status of a call that has exceeded its limit.
pub(super) fn exceeded() -> Status {
    Status::deadline_exceeded("the call has reached the time limit of its client, or of this relay")
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    #[test]
    fn the_limit_has_a_number_and_a_unit() {
        for (text, limit) in [
            ("1H", Duration::from_secs(3600)),
            ("2M", Duration::from_secs(120)),
            ("10S", Duration::from_secs(10)),
            ("99999999m", Duration::from_millis(99_999_999)),
            ("5u", Duration::from_micros(5)),
            ("0n", Duration::ZERO),
        ] {
            assert_eq!(parse(text), Some(limit), "{text}");
        }
        for wrong in ["", "S", "1", "+1S", "1s", "123456789S", "1 S", "-1S", "1é"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
        let with = |value: &'static str| {
            HeaderMap::from_iter([("grpc-timeout".parse().unwrap(), HeaderValue::from_static(value))])
        };
        assert_eq!(timeout_of(&HeaderMap::new()).unwrap(), None);
        assert_eq!(timeout_of(&with("1S")).unwrap(), Some(Duration::from_secs(1)));
        assert_eq!(
            timeout_of(&with("soon")).unwrap_err().code(),
            tonic::Code::InvalidArgument
        );
    }
}

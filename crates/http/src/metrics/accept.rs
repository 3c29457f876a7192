//! Which format `Accept` prefers (RFC 9110, section 12.5.1).

use hyper::HeaderMap;
use hyper::header::ACCEPT;

/// Formats of `GET /metrics`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// As in the API reference. Also for requests that name no format.
    Json,
    /// The text format 0.0.4 of Prometheus.
    Text,
    /// OpenMetrics 1.0.0.
    OpenMetrics,
}

/// Each format with the media ranges that include it, the most specific first. In the order of preference where
/// `Accept` leaves it open.
const RANGES: [(Format, [&str; 3]); 3] = [
    (Format::Json, ["application/json", "application/*", "*/*"]),
    (Format::Text, ["text/plain", "text/*", "*/*"]),
    (
        Format::OpenMetrics,
        ["application/openmetrics-text", "application/*", "*/*"],
    ),
];

impl Format {
    pub(super) fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }

    /// The format with the highest quality; of equal ones, that which is listed first.
    pub(super) fn preferred(headers: &HeaderMap) -> Self {
        let accepted: Vec<_> = headers
            .get_all(ACCEPT)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .filter_map(entry)
            .collect();
        let mut best = (Self::Json, 0.0, usize::MAX);
        for (format, ranges) in RANGES {
            let Some((quality, position)) = rank(&accepted, &ranges).filter(|(quality, _)| *quality > 0.0) else {
                continue;
            };
            if quality > best.1 || (quality == best.1 && position < best.2) {
                best = (format, quality, position);
            }
        }
        best.0
    }
}

/// Quality and position of the most specific range that is accepted. Prometheus lists a format once for each version of
/// it; the best of them counts.
fn rank(accepted: &[(String, f64)], ranges: &[&str]) -> Option<(f64, usize)> {
    let of = |range: &&str| {
        let same = accepted.iter().enumerate().filter(|(_, (name, _))| name == range);
        // The first of equal ones.
        same.rev()
            .map(|(at, (_, quality))| (*quality, at))
            .max_by(|a, b| a.0.total_cmp(&b.0))
    };
    ranges.iter().find_map(of)
}

/// One entry of `Accept`: its media range, without parameters, and its quality. `None` if the quality is invalid.
fn entry(entry: &str) -> Option<(String, f64)> {
    let mut parts = entry.split(';').map(|part| part.trim().to_ascii_lowercase());
    let range = parts.next()?;
    let quality = parts
        .find_map(|part| part.strip_prefix("q=").map(str::parse))
        .unwrap_or(Ok(1.0))
        .ok()?;
    (0.0..=1.0).contains(&quality).then_some((range, quality))
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    fn of(accept: &str) -> Format {
        Format::preferred(&HeaderMap::from_iter([(
            ACCEPT,
            HeaderValue::from_str(accept).unwrap(),
        )]))
    }

    /// As the programs send it; `scripts/monitoring` asks with a real one.
    #[test]
    fn prometheus_gets_openmetrics_and_text_where_it_asks_for_it() {
        for openmetrics in [
            // 2.45
            "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            // 2.53
            "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
            // 3
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
            // With native histograms
            "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
        ] {
            assert_eq!(of(openmetrics), Format::OpenMetrics, "{openmetrics}");
        }
        for text in [
            // scrape_protocols: [PrometheusText0.0.4]
            "text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
            // Before 2.5, and the agents of others.
            "text/plain;version=0.0.4;q=1,*/*;q=0.1",
            "text/plain;version=0.0.4",
        ] {
            assert_eq!(of(text), Format::Text, "{text}");
        }
    }

    #[test]
    fn the_quality_decides_then_the_position() {
        for (accept, expected) in [
            ("text/plain, application/json", Format::Text),
            ("application/json, text/plain", Format::Json),
            ("text/plain;q=0.1, application/json;q=0.9", Format::Json),
            ("application/openmetrics-text;q=0.4, text/plain;q=0.5", Format::Text),
            (
                "text/plain;version=1.0.0;q=0.1, application/openmetrics-text;q=0.3, text/plain;q=0.5",
                Format::Text,
            ),
            ("Text/Plain; Q=0.5", Format::Text),
            ("text/*", Format::Text),
            // The most specific range has the quality.
            ("application/json;q=0, application/*", Format::OpenMetrics),
            ("text/*, text/plain;q=0, */*;q=0.1", Format::Json),
        ] {
            assert_eq!(of(accept), expected, "{accept}");
        }
    }

    #[test]
    fn without_a_preference_it_is_json() {
        for accept in [
            "",
            "*/*",
            "application/*",
            "application/json",
            "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8",
            "text/html",
            "text/plain;q=0",
            "text/plain;q=2",
            "text/plain;q=NaN",
            "text/plain;q=many",
            ";;,,q=",
        ] {
            assert_eq!(of(accept), Format::Json, "{accept}");
        }
        assert_eq!(Format::preferred(&HeaderMap::new()), Format::Json);
    }

    #[test]
    fn several_headers_are_one_list() {
        let mut headers = HeaderMap::new();
        headers.append(ACCEPT, HeaderValue::from_static("application/json;q=0.5"));
        headers.append(ACCEPT, HeaderValue::from_static("application/openmetrics-text"));
        assert_eq!(Format::preferred(&headers), Format::OpenMetrics);
    }
}

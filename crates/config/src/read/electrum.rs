//! The Electrum server behind this relay.

use crate::config::ElectrumBackend;
use crate::value::{Value, Wrong};

/// Longest DNS name (RFC 1035).
const MAX_NAME: usize = 253;

/// `None` for an empty text.
pub(crate) fn electrum_backend(value: &Value) -> Result<Option<ElectrumBackend>, Wrong> {
    let text = value.as_text();
    if text.is_empty() {
        return Ok(None);
    }
    parse(text).map(Some).ok_or(Wrong::unexpected())
}

fn parse(text: &str) -> Option<ElectrumBackend> {
    let (scheme, target) = text.split_once("://")?;
    let is_tls = match scheme {
        "tcp" => false,
        "ssl" => true,
        _ => return None,
    };
    let (host, port) = target.rsplit_once(':')?;
    let bare = match host.strip_prefix('[') {
        Some(inner) => inner.strip_suffix(']').filter(|inner| inner.contains(':'))?,
        None => host,
    };
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"-._:".contains(&b);
    let is_name = !bare.is_empty() && bare.len() <= MAX_NAME && bare.bytes().all(fits);
    let is_bracketed = bare.len() != host.len();
    let has_port = port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port != 0);
    (is_name && has_port && (is_bracketed || !bare.contains(':'))).then(|| ElectrumBackend {
        is_tls,
        host: bare.to_owned(),
        target: target.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_servers() {
        for (text, is_tls, host) in [
            ("tcp://127.0.0.1:50001", false, "127.0.0.1"),
            ("ssl://electrum.example.com:50002", true, "electrum.example.com"),
            ("tcp://[::1]:50001", false, "::1"),
        ] {
            let backend = parse(text).unwrap();
            assert_eq!((backend.is_tls, backend.host.as_str()), (is_tls, host), "{text}");
            assert!(text.ends_with(&backend.target), "{text}");
        }
        for text in [
            "127.0.0.1:50001",
            "http://a:1",
            "tcp://a",
            "tcp://a:0",
            "tcp://a:70000",
            "tcp://:1",
            "tcp://me:secret@a:1",
            "tcp://a/b:1",
            "tcp://::1:1",
            "tcp://[a]:1",
            "tcp://a:+1",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}

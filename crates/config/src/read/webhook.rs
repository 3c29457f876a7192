//! The settings of a webhook.

use std::time::Duration;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use hyper::Uri;
use sdk_relay_chain::rpc::has_usable_port;
use sdk_relay_protocol::http::WEBHOOK_TYPES;
use zeroize::Zeroizing;

use crate::config::WebhookUrl;
use crate::secret::Secret;
use crate::value::{Value, Wrong};

/// Some services leave out the padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);
/// Most secrets of one webhook: those in use and their successors, of both kinds.
const MAX_SECRETS: usize = 4;
/// Types of a webhook whose list is empty.
const DEFAULT: &str = "payment.*";

/// `None` for an empty text.
pub(crate) fn webhook_url(value: &Value) -> Result<Option<WebhookUrl>, Wrong> {
    let text = value.as_text();
    if text.is_empty() {
        return Ok(None);
    }
    // A path may hold a secret, and the error is logged.
    let hidden = |reason: &str| {
        Wrong::because(format!("expected the URL of an endpoint, https://HOST/PATH: {reason}")).found("…")
    };
    let uri: Uri = text.parse().map_err(|_| hidden("this is not a URL"))?;
    let (Some(scheme @ ("https" | "http")), Some(at)) = (uri.scheme_str(), uri.authority()) else {
        return Err(hidden("it must begin with https:// or http://"));
    };
    if at.as_str().contains('@') {
        return Err(hidden(
            "it must not have a user or password; the signature authenticates the relay",
        ));
    }
    if text.contains('#') {
        return Err(hidden("it must not have a fragment"));
    }
    if !has_usable_port(at) {
        return Err(hidden("the port must be a number from 1 to 65535"));
    }
    Ok(Some(WebhookUrl {
        whole: text.to_owned(),
        origin: format!("{scheme}://{at}"),
        host: at.host().to_owned(),
        is_https: scheme == "https",
    }))
}

/// Hours; `None` for 0.
pub(crate) fn webhook_disable_after(value: &Value) -> Result<Option<Duration>, Wrong> {
    let hours = value.as_whole();
    Ok((hours > 0).then(|| Duration::from_secs(hours.saturating_mul(3600))))
}

/// The types, without patterns, in the order of [`WEBHOOK_TYPES`].
pub(crate) fn webhook_events(value: &Value) -> Result<Vec<&'static str>, Wrong> {
    let default = [DEFAULT.to_owned()];
    let patterns: &[String] = match value.as_list() {
        [] => &default,
        patterns => patterns,
    };
    let fits = |pattern: &str, kind: &str| match pattern.strip_suffix('*') {
        Some(start) => start.ends_with('.') && kind.starts_with(start),
        None => kind == pattern,
    };
    if let Some(wrong) = patterns
        .iter()
        .find(|p| !WEBHOOK_TYPES.iter().any(|kind| fits(p, kind)))
    {
        let expected = format!(
            "expected payment.*, block.*, relay.*, or types: {}",
            WEBHOOK_TYPES.join(", ")
        );
        return Err(Wrong {
            expected: Some(expected),
            ..Wrong::entry(wrong)
        });
    }
    let wanted = WEBHOOK_TYPES
        .into_iter()
        .filter(|kind| patterns.iter().any(|p| fits(p, kind)));
    Ok(wanted.collect())
}

/// Secrets, with white space in between.
pub(crate) fn webhook_secrets(value: &Value) -> Result<Vec<Secret>, Wrong> {
    let secrets: Vec<_> = value.as_text().split_ascii_whitespace().collect();
    if secrets.len() > MAX_SECRETS || !secrets.iter().all(|secret| is_secret(secret)) {
        return Err(Wrong::unexpected());
    }
    Ok(secrets
        .into_iter()
        .map(|secret| Secret::new(secret.to_owned()))
        .collect())
}

fn is_secret(text: &str) -> bool {
    let bytes = |base64: &str| BASE64.decode(base64).map(Zeroizing::new).map_or(0, |bytes| bytes.len());
    match (text.strip_prefix("whsec_"), text.strip_prefix("whsk_")) {
        (Some(key), _) => (24..=64).contains(&bytes(key)),
        // The seed, or as other libraries keep it, with the public key.
        (_, Some(key)) => matches!(bytes(key), 32 | 64),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(entries: &[&str]) -> Value {
        Value::List(entries.iter().map(|entry| (*entry).to_owned()).collect())
    }

    #[test]
    fn urls_are_shown_without_what_may_be_secret() {
        let url = |text: &str| webhook_url(&Value::text(text)).map(|url| url.map(|url| url.to_string()));
        assert_eq!(url(""), Ok(None));
        for (text, shown) in [
            ("https://shop.example/hook/s3cret", "https://shop.example/…"),
            ("https://shop.example?token=s3cret", "https://shop.example/…"),
            ("https://shop.example:8443/", "https://shop.example:8443"),
            ("http://[::1]:1/x", "http://[::1]:1/…"),
        ] {
            assert_eq!(url(text), Ok(Some(shown.to_owned())), "{text}");
        }
        for text in [
            "shop.example/s3cret",
            "ftp://shop.example/s3cret",
            "https:///s3cret",
            "https://me:s3cret@shop.example/",
            "https://shop.example:0/s3cret",
            "https://shop.example/a b s3cret",
            "https://shop.example/#s3cret",
        ] {
            let wrong = url(text).unwrap_err();
            let said = format!("{wrong:?}");
            assert!(said.contains("expected the URL") && !said.contains("s3cret"), "{said}");
        }
    }

    #[test]
    fn types_and_patterns() {
        let of = |entries: &[&str]| webhook_events(&list(entries));
        assert_eq!(of(&[]).unwrap(), of(&["payment.*"]).unwrap());
        assert_eq!(of(&["block.mined", "block.mined"]).unwrap(), ["block.mined"]);
        let all = of(&["relay.*", "payment.*", "block.*"]).unwrap();
        assert_eq!(all, WEBHOOK_TYPES, "in the order of the list");
        for wrong in ["*", "payment", "payment.", "pay*", "payment_detected", "tweaks", ""] {
            let error = of(&["block.mined", wrong]).unwrap_err();
            assert_eq!(error.found, Some(format!("{wrong:?}")));
        }
    }

    #[test]
    fn secrets_of_both_kinds() {
        let of = |text: &str| webhook_secrets(&Value::text(text)).map(|secrets| secrets.len());
        let [short, least, most, long] = [23, 24, 64, 65].map(|n| format!("whsec_{}", BASE64.encode(vec![7; n])));
        let seed = format!("whsk_{}", BASE64.encode([7; 32]));
        assert_eq!(of(most.trim_end_matches('=')), Ok(1), "without the padding");
        assert_eq!(of(""), Ok(0));
        assert_eq!(of(&format!("{least} {most}\n{seed}")), Ok(3));
        for wrong in [
            &short,
            &long,
            &least[6..],
            "whsec_",
            "whsec_!",
            "whpk_AAAA",
            "whsk_AAAA",
        ] {
            assert!(of(wrong).is_err(), "{wrong}");
            assert!(of(&format!("{most} {wrong}")).is_err(), "{wrong}");
        }
        assert!(of(&[least.as_str(); 5].join(" ")).is_err());
    }
}

//! `[webhooks.NAME]`: the endpoints that events are posted to.

use std::net::IpAddr;

use sdk_relay_platform::net::is_onion;

use crate::config::{WebhookConfig, WebhookUrl};
use crate::error::ConfigError;
use crate::settings as key;
use crate::values::Values;

/// Most webhooks: each has a task and a connection.
const MAX_WEBHOOKS: usize = 64;

/// All webhooks, by their names.
pub(super) fn check(values: &Values) -> Result<Vec<WebhookConfig>, ConfigError> {
    let mut errors = Vec::new();
    let mut webhooks = Vec::new();
    for (name, of_webhook) in values.webhooks() {
        match one(name, of_webhook, values) {
            Ok(webhook) => webhooks.push(webhook),
            Err(error) => errors.push(error),
        }
    }
    ConfigError::all_of(errors)?;
    if webhooks.len() > MAX_WEBHOOKS {
        return Err(ConfigError::Value {
            origin: values.origin("webhooks"),
            key: "webhooks".to_owned(),
            found: format!("{} webhooks", webhooks.len()),
            expected: format!("expected at most {MAX_WEBHOOKS}"),
        });
    }
    Ok(webhooks)
}

fn one(name: &str, values: &Values, all: &Values) -> Result<WebhookConfig, ConfigError> {
    let missing = |setting: &str, expected: &str| ConfigError::Value {
        origin: values
            .any_origin()
            .map_or_else(|| all.origin("webhooks"), str::to_owned),
        key: format!("webhooks.{name}.{setting}"),
        found: "\"\"".to_owned(),
        expected: format!("expected {expected}"),
    };
    let wrong_url = |expected: String| ConfigError::Value {
        origin: values.origin(key::WEBHOOK_URL.setting.key),
        key: format!("webhooks.{name}.url"),
        // Its path may hold a secret.
        found: "…".to_owned(),
        expected,
    };
    let url = values.get(&key::WEBHOOK_URL)?;
    let url = url.ok_or_else(|| missing("url", "the URL of the endpoint, https://HOST/PATH"))?;
    let secrets = values.get(&key::WEBHOOK_SECRET)?;
    if secrets.is_empty() {
        return Err(missing(
            "secret",
            "a secret, because the endpoint could not tell the relay's messages from others: whsec_ and 24 to 64 random bytes in base64",
        ));
    }
    let proxy = values.get(&key::WEBHOOK_PROXY)?;
    let is_hidden_service = is_onion(&url.host);
    if is_hidden_service && proxy.is_none() {
        let why = format!(
            "expected another host, or a SOCKS proxy of Tor in webhooks.{name}.proxy, which reaches onion services"
        );
        return Err(wrong_url(why));
    }
    let is_protected = url.is_https || is_local(&url) || is_hidden_service;
    if !is_protected && !values.get(&key::WEBHOOK_PLAINTEXT)? {
        let why = format!(
            "expected https://, because everybody on the way could read the events; set webhooks.{name}.allow_plaintext = true if that is intended"
        );
        return Err(wrong_url(why));
    }
    Ok(WebhookConfig {
        name: name.to_owned(),
        url,
        events: values.get(&key::WEBHOOK_EVENTS)?,
        secrets,
        proxy,
        retry_interval: values.get(&key::WEBHOOK_RETRY)?,
        disable_after: values.get(&key::WEBHOOK_DISABLE)?,
    })
}

/// Whether the endpoint is on this machine.
fn is_local(url: &WebhookUrl) -> bool {
    let bare = url.host.trim_matches(['[', ']']);
    bare.eq_ignore_ascii_case("localhost") || bare.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use crate::layers::tests::{from, message};

    const SECRET: &str = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3";

    fn shop(url: &str, more: &str) -> String {
        format!("[webhooks.shop]\nsecret = \"{SECRET}\"\nurl = \"{url}\"\n{more}\n")
    }

    #[test]
    fn each_has_a_table_with_its_name() {
        let toml = format!(
            "{}[webhooks.a-2]\nurl = \"http://127.0.0.1:9/\"\n",
            shop("https://a.example/x", "")
        );
        let variables = [
            ("SDK_RELAY_WEBHOOKS__A-2__SECRET", SECRET),
            ("SDK_RELAY_WEBHOOKS__SHOP__EVENTS", "block.*, payment.spent"),
        ];
        let webhooks = from(&toml, &variables).unwrap().webhooks;
        let named: Vec<_> = webhooks.iter().map(|w| (w.name.as_str(), w.url.to_string())).collect();
        assert_eq!(
            named,
            [
                ("a-2", "http://127.0.0.1:9".to_owned()),
                ("shop", "https://a.example/…".to_owned())
            ]
        );
        assert_eq!(
            webhooks[1].events,
            ["payment.spent", "block.mined", "block.disconnected"]
        );
        assert!(from("", &[]).unwrap().webhooks.is_empty());
        assert!(!format!("{webhooks:?}").contains(&SECRET[6..]));
    }

    #[test]
    fn a_wrong_one_is_named_with_its_line_and_without_its_secret() {
        for (toml, expected) in [
            (
                "[webhooks.shop]\nurl = \"https://a.example/\"\n".to_owned(),
                "sdk_relay.toml:2: webhooks.shop.secret = \"\": expected a secret",
            ),
            (
                format!("[webhooks.shop]\nsecret = \"{SECRET}\"\n"),
                "sdk_relay.toml:2: webhooks.shop.url = \"\": expected the URL",
            ),
            (
                shop("https://a.example/", "urll = 1"),
                "sdk_relay.toml:4: unknown key webhooks.shop.urll; expected one of url, events",
            ),
            (
                shop("https://a.example/", "events = [\"tweaks\"]"),
                "sdk_relay.toml:4: webhooks.shop.events = \"tweaks\": expected payment.*",
            ),
            (
                "[webhooks.Shop]\n".to_owned(),
                "sdk_relay.toml:1: webhooks.Shop: expected a name",
            ),
            (
                "webhooks = 1\n".to_owned(),
                "sdk_relay.toml:1: webhooks = …: expected a table",
            ),
            (
                "[webhooks]\nshop = 1\n".to_owned(),
                "sdk_relay.toml:2: webhooks.shop = …: expected a table",
            ),
            (
                "[[webhooks]]\nurl = 1\n".to_owned(),
                "expected a table for each webhook: [webhooks.NAME]",
            ),
        ] {
            let error = message(&toml, &[]);
            assert!(error.contains(expected), "{expected}\nin {error}");
            assert!(!error.contains(&SECRET[6..]), "{error}");
        }
        let twice = [
            ("SDK_RELAY_WEBHOOKS__SHOP__URL", "a"),
            ("SDK_RELAY_webhooks__shop__url", "b"),
        ];
        assert!(message("", &twice).contains("all set webhooks.shop.url: unset all but one"));
    }

    #[test]
    fn events_cross_no_network_in_plain_text_by_accident() {
        for url in [
            "http://127.0.0.1:1/a",
            "http://[::1]/",
            "http://localhost/hook",
            "https://a.example/",
        ] {
            assert!(from(&shop(url, ""), &[]).is_ok(), "{url}");
        }
        for url in [
            "http://a.example/k3y",
            "http://10.0.0.1/k3y",
            "http://localhost.example/k3y",
        ] {
            let refused = message(&shop(url, ""), &[]);
            assert!(
                refused.contains("allow_plaintext = true") && !refused.contains("k3y"),
                "{refused}"
            );
            assert!(from(&shop(url, "allow_plaintext = true"), &[]).is_ok(), "{url}");
        }
    }

    #[test]
    fn an_onion_service_needs_a_proxy() {
        let url = "http://abcdefghijklmnop.onion/hook";
        let refused = message(&shop(url, ""), &[]);
        assert!(refused.contains("webhooks.shop.proxy"), "{refused}");
        assert!(from(&shop(url, "proxy = \"socks5://127.0.0.1:9050\""), &[]).is_ok());
    }
}

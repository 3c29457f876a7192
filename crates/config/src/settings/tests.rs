use std::collections::BTreeSet;
use std::fs;

use proptest::prelude::*;
use sdk_relay_bip352::Engine;
use serde_json::{Map, Value as Json, json};

use super::*;
use crate::layers::tests::{from, message};
use crate::setting::Kind;
use crate::{CHANGES_FILE, Config, Loader, Overrides, reference};

/// For each key a value other than its default, and the settings that it requires.
const SAMPLES: &[(&str, &str, &str)] = &[
    ("relay_id", "\"relay-1\"", ""),
    ("network", "\"signet\"", ""),
    ("data_dir", "\"elsewhere\"", ""),
    ("ws_url", "\"127.0.0.1:1\"", ""),
    ("http_url", "\"127.0.0.1:1\"", ""),
    ("scanner", "\"portable\"", ""),
    ("dev_mode", "true", "network = \"regtest\""),
    ("standalone", "true", ""),
    ("bitcoin_core.url", "\"http://node:1\"", ""),
    ("bitcoin_core.cookie_file", "\"cookie\"", ""),
    ("bitcoin_core.user", "\"me\"", "bitcoin_core.password = \"x\""),
    (
        "bitcoin_core.password",
        "\"correct horse\"",
        "bitcoin_core.user = \"me\"",
    ),
    ("bitcoin_core.wallet", "\"w\"", ""),
    ("bitcoin_core.zmq_url", "\"tcp://node:1\"", ""),
    ("bitcoin_core.proxy", "\"socks5://tor:9050\"", ""),
    ("blindbit.url", "\"http://oracle\"", ""),
    ("blindbit.proxy", "\"socks5://tor:9050\"", ""),
    ("blindbit.grpc_listen", "\"127.0.0.1:1\"", ""),
    ("index.enabled", "false", ""),
    ("index.start_height", "5", ""),
    ("index.scan_threads", "77", ""),
    ("sync.interval", "7", ""),
    ("sync.health_interval", "7", ""),
    ("sync.metrics_interval", "7", ""),
    ("mesh.peers", "[\"ws://a:1\"]", ""),
    ("mesh.advertise", "\"a:1\"", ""),
    ("mesh.proxy", "\"socks5://tor:9050\"", ""),
    ("mesh.secret", "\"0123456789abcdef\"", ""),
    ("mesh.max_links", "7", ""),
    ("mesh.allow_private", "\"no\"", ""),
    ("mesh.identity", "\"id\"", ""),
    ("mesh.trust", "\"pem\"", ""),
    ("wallet.mode", "\"off\"", ""),
    ("wallet.scan_private_key", SCAN, PLUS_SPEND),
    ("wallet.spend_public_key", SPEND, PLUS_SCAN),
    ("wallet.confirm_at", "[3, 6]", ""),
    ("retention.events", "7", ""),
    ("retention.megabytes", "7", ""),
    ("limits.connections", "7", ""),
    ("limits.connections_per_address", "7", ""),
    ("limits.http_connections_per_address", "7", ""),
    ("limits.input_memory", "7", ""),
    ("limits.watches", "7", ""),
    ("limits.watches_per_connection", "7", ""),
    ("limits.labels_per_watch", "7", ""),
    ("limits.detached_seconds", "7", ""),
    ("limits.detached_watches", "7", ""),
    ("limits.detached_watches_per_address", "7", ""),
    ("limits.detached_matches", "7", ""),
    ("limits.detached_memory", "7", ""),
    ("limits.requests_per_second", "7", ""),
    ("limits.blindbit_requests_per_second", "7", ""),
    ("auth.admin_token", "\"0123456789abcdef\"", ""),
    ("auth.read_token", "\"0123456789abcdef\"", ""),
    ("http.cors_origins", "[\"https://a\"]", ""),
    ("http.hosts", "[\"a\"]", ""),
    ("http.local_admin", "false", ""),
    ("http.trusted_proxies", "[\"10.0.0.0/8\"]", ""),
    ("http.forwarding_header", "\"forwarded\"", ""),
    ("electrum.listen", "\"127.0.0.1:1\"", ""),
    ("electrum.tls_listen", "\"127.0.0.1:1\"", "tls.self_signed = true"),
    ("electrum.allow_plaintext", "true", ""),
    ("electrum.open", "true", ""),
    ("electrum.backend", "\"tcp://a:1\"", ""),
    ("electrum.positional_notifications", "true", ""),
    ("electrum.subscriptions_per_connection", "7", ""),
    ("electrum.labels_per_subscription", "7", ""),
    ("tls.cert", "\"a\"", "tls.key = \"b\""),
    ("tls.key", "\"c\"", "tls.cert = \"b\""),
    ("tls.self_signed", "true", ""),
    ("dev.mine_interval", "7", "standalone = true"),
    ("log.level", "\"debug\"", ""),
    ("log.format", "\"json\"", ""),
];
const SCAN: &str = "\"0f694e068028a717f8af6b9411f9a133dd3565258714cc226594b34db90c1f2c\"";
const SPEND: &str = "\"025cc9856d6f8375350e123978daac200c260cb5b5ae83106cab90484dcd8fcf36\"";
const PLUS_SPEND: &str =
    "wallet.spend_public_key = \"025cc9856d6f8375350e123978daac200c260cb5b5ae83106cab90484dcd8fcf36\"";
const PLUS_SCAN: &str =
    "wallet.scan_private_key = \"0f694e068028a717f8af6b9411f9a133dd3565258714cc226594b34db90c1f2c\"";

/// A configuration without the origins of its values.
fn meaning(config: &Config) -> String {
    let all = format!("{config:?}");
    format!("{} {}", config.scanner.name(), all.split_once(", origins: ").unwrap().0)
}

#[test]
fn every_key_has_an_effect_from_the_file_and_from_the_environment() {
    let sampled: Vec<_> = SAMPLES.iter().map(|(key, _, _)| *key).collect();
    let known: BTreeSet<_> = TABLE.iter().map(|s| s.key).collect();
    assert_eq!(
        sampled.iter().copied().collect::<BTreeSet<_>>(),
        known,
        "a sample for each key"
    );
    for (key, value, beside) in SAMPLES {
        let setting = TABLE.iter().find(|s| s.key == *key).unwrap();
        let together = |line: &str| format!("{beside}\n{line}\n");
        let set = from(&together(&format!("{key} = {value}")), &[]).unwrap();
        let unset = from(&together(""), &[]);
        // A machine without vector instructions has one engine.
        let has_one = *key == "scanner" && Fast::all().len() == 1;
        assert!(
            has_one || unset.is_err() || meaning(&unset.unwrap()) != meaning(&set),
            "{key} has no effect"
        );
        let text = value.trim_matches(['[', ']', '"']);
        let by_variable = from(&together(""), &[(&setting.variable(), text)]).unwrap();
        assert_eq!(meaning(&by_variable), meaning(&set), "{key}");
        // A secret is never shown.
        assert!(!setting.is_secret || !format!("{set:?}").contains(text), "{key}");
        let origin = set.origin(key);
        assert!(origin.ends_with("sdk_relay.toml:2"), "{key}: {origin}");
    }
}

/// Other values of each setting of a webhook, and what makes them valid.
const WEBHOOK_SAMPLES: &[(&str, &str, &str)] = &[
    ("url", "\"https://other.example/\"", ""),
    ("events", "[\"block.mined\"]", ""),
    ("secret", "\"whsec_YWJjZGVmYWJjZGVmYWJjZGVmYWJjZGVm\"", ""),
    ("proxy", "\"socks5://tor:9050\"", ""),
    ("allow_plaintext", "true", "http://far.example/"),
    ("retry_interval", "60", ""),
    ("disable_after", "72", ""),
];

#[test]
fn every_key_of_a_webhook_has_an_effect_from_the_file_and_from_the_environment() {
    assert_eq!(WEBHOOK_SAMPLES.len(), WEBHOOK_TABLE.len());
    for ((key, value, url), setting) in WEBHOOK_SAMPLES.iter().zip(WEBHOOK_TABLE) {
        assert_eq!(setting.key, format!("webhooks.NAME.{key}"));
        let url = if url.is_empty() { "https://shop.example/" } else { url };
        let with = |line: &str| {
            let mut toml = format!("[webhooks.shop]\n{line}\n");
            for (other, value) in [("url", url), ("secret", "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3")] {
                if other != *key || line.is_empty() {
                    toml.push_str(&format!("{other} = \"{value}\"\n"));
                }
            }
            toml
        };
        let exposed = |config: &Config| {
            let secrets: Vec<_> = config.webhooks[0]
                .secrets
                .iter()
                .map(|s| s.expose().to_owned())
                .collect();
            format!("{} {secrets:?}", meaning(config))
        };
        let set = from(&with(&format!("{key} = {value}")), &[]).unwrap();
        let unset = from(&with(""), &[]);
        assert!(
            unset.is_err() || exposed(&unset.unwrap()) != exposed(&set),
            "{key} has no effect"
        );
        let variable = setting.variable().replace("NAME", "SHOP");
        let text = value.trim_matches(['[', ']', '"']);
        let by_variable = from(&with(""), &[(&variable, text)]).unwrap();
        assert_eq!(exposed(&by_variable), exposed(&set), "{key}");
        assert!(!setting.is_secret || !format!("{set:?}").contains(text), "{key}");
        let wrong = message(&with(""), &[(&variable, "5ec2e7")]);
        let start = format!("{variable}: webhooks.shop.{key} = ");
        assert!(wrong.contains(&start), "{wrong}");
    }
}

#[test]
fn every_row_is_complete() {
    let keys: BTreeSet<_> = TABLE.iter().map(|s| s.key).collect();
    assert_eq!(keys.len(), TABLE.len(), "a key stands once");
    for setting in TABLE {
        let key = setting.key;
        let is_group = |group: &str| GROUPS.iter().any(|(name, _)| *name == group);
        assert!(setting.group().is_empty() || is_group(setting.group()), "{key}");
        assert!(
            !is_group(setting.name()) || !setting.group().is_empty(),
            "{key} is a table too"
        );
        assert!(setting.description().ends_with(['.', ':']), "{key}");
        let sounds_secret = ["password", "secret", "token", "private_key"]
            .iter()
            .any(|word| key.contains(word));
        assert_eq!(setting.is_secret, sounds_secret, "{key}");
        assert!(
            setting.check(&setting.kind.default()).is_ok(),
            "{key}: the default is right"
        );
        if let Kind::Choice { of, .. } = &setting.kind {
            assert!(
                of.iter()
                    .all(|word| setting.check(&crate::value::Value::text(word)).is_ok()),
                "{key}"
            );
        }
        if let Kind::Whole { least, most, .. } = setting.kind {
            assert!(!setting.unit.is_empty(), "{key}");
            assert!(
                [least, most]
                    .map(crate::value::Value::Whole)
                    .iter()
                    .all(|v| setting.check(v).is_ok()),
                "{key}"
            );
        }
        if let Some(change) = &setting.change {
            assert_eq!(
                change.pattern.is_some(),
                matches!(setting.kind, Kind::Text { .. }) && key != "bitcoin_core.wallet",
                "{key}"
            );
        }
    }
    for setting in WEBHOOK_TABLE {
        let key = setting.key;
        assert!(
            key.starts_with("webhooks.NAME.") && setting.description().ends_with('.'),
            "{key}"
        );
        assert_eq!(setting.is_secret, key.ends_with("secret"), "{key}");
        assert!(
            setting.check(&setting.kind.default()).is_ok() && setting.change.is_none(),
            "{key}"
        );
    }
    for (group, about) in GROUPS {
        assert!(
            TABLE.iter().any(|s| s.group() == *group) && about.ends_with('.'),
            "{group}"
        );
    }
}

/// Run with UPDATE_DOCS=1, it writes the page.
#[test]
fn the_reference_is_that_of_the_table() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/configuration.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(path, reference()).unwrap();
    }
    let page = fs::read_to_string(path).unwrap();
    assert!(
        page == reference(),
        "docs/configuration.md is not that of the table of settings: run this test with UPDATE_DOCS=1"
    );
}

/// A value that no kind of setting accepts: each error has the key, and in a file the line.
#[test]
fn the_error_of_each_key_names_it() {
    for setting in TABLE {
        let key = setting.key;
        let wrong = match setting.kind {
            Kind::Bool { .. } => ["\"5ec2e7\"", "7", "[]"],
            Kind::Whole { .. } => ["\"5ec2e7\"", "-1", "0.5"],
            Kind::Choice { .. } => ["\"5ec2e7\"", "true", "[\"5ec2e7\"]"],
            Kind::Text { .. } => ["532277", "true", "[\"5ec2e7\"]"],
            Kind::Numbers { .. } => ["\"5ec2e7\"", "[6, 3]", "[\"5ec2e7\"]"],
            Kind::List { .. } => ["\"5ec2e7\"", "[1, 2]", "[\"5ec2e7 \", \"\\u0000\"]"],
        };
        for value in wrong {
            let error = message(&format!("\n{key} = {value}\n"), &[]);
            assert!(
                error.contains(&format!("sdk_relay.toml:2: {key} = ")) && error.contains("expected"),
                "{error}"
            );
            let hides = !error.contains("5ec2e7") && !error.contains("532277");
            assert!(hides || !setting.is_secret, "{error}");
        }
        if matches!(
            setting.kind,
            Kind::Bool { .. } | Kind::Whole { .. } | Kind::Choice { .. }
        ) {
            let error = message("", &[(&setting.variable(), "5ec2e7")]);
            let start = format!("{}: {key} = \"5ec2e7\": expected ", setting.variable());
            assert!(error.starts_with(&start), "{error}");
        }
    }
}

fn any_json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        any::<u64>().prop_map(Json::from),
        (-3_i64..200_000).prop_map(Json::from),
        any::<f64>().prop_map(Json::from),
        any_text().prop_map(Json::from),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Json::from),
            prop::collection::btree_map(any_text(), inner, 0..3)
                .prop_map(|m| m.into_iter().collect::<Map<_, _>>().into()),
        ]
    })
}

/// Texts that settings accept, and others. `hunter2` is a password.
fn any_text() -> impl Strategy<Value = String> {
    let known: Vec<&str> = [
        "",
        "auto",
        "yes",
        "json",
        "signet",
        "true",
        "5",
        "0.0.0.0:8090",
        "[::1]:1",
        "http://a:1",
        "ws://a:1",
        "wss://a",
        "tcp://a:1",
        "10.0.0.0/8",
        "https://a.example",
        "http://me:hunter2@a:1",
        "ws://me:hunter2@a:1",
        "tcp://me:hunter2@a:1",
        "info,a=debug",
        "a[b{c=d}]=trace",
        "../x",
        "0123456789abcdef",
    ]
    .to_vec();
    prop_oneof![
        prop::sample::select(known).prop_map(str::to_owned),
        any::<String>(),
        "\\PC{0,20}"
    ]
}

fn any_setting() -> impl Strategy<Value = &'static Setting> {
    prop::sample::select(TABLE).prop_map(|setting| setting)
}

/// Each error names the key that was set, or one that shares a rule with it, and contains no password.
fn right_or_named(
    result: Result<Config, crate::ConfigError>,
    setting: &Setting,
    secret: &str,
) -> Result<(), TestCaseError> {
    let Err(error) = result else { return Ok(()) };
    let error = error.to_string();
    let group = if setting.group().is_empty() {
        setting.key
    } else {
        setting.group()
    };
    prop_assert!(error.contains(setting.key) || error.contains(group), "{}", error);
    prop_assert!(!error.contains("hunter2"), "{}", error);
    let shows = setting.is_secret && secret.len() > 6 && error.contains(secret);
    prop_assert!(!shows, "{}", error);
    Ok(())
}

proptest! {
    #[test]
    fn any_value_in_a_file_is_right_or_named(setting in any_setting(), value in any_json()) {
        // Most JSON values are TOML values too; the rest is an error of the syntax, which has a line.
        let text = value.to_string();
        let secret = value.as_str().unwrap_or(&text).to_owned();
        match from(&format!("{} = {text}\n", setting.key), &[]) {
            Err(crate::ConfigError::Syntax { origin, reason }) => {
                prop_assert!(origin.contains("sdk_relay.toml"), "{}: {}", origin, reason);
                prop_assert!(!reason.contains("hunter2"), "{}", reason);
            }
            result => right_or_named(result, setting, &secret)?,
        }
    }

    #[test]
    fn any_text_in_a_variable_is_right_or_named(setting in any_setting(), text in any_text()) {
        let result = from("", &[(&setting.variable(), &text)]);
        right_or_named(result, setting, &text)?;
    }

    #[test]
    fn any_patch_is_right_or_named(setting in any_setting(), value in any_json()) {
        let dir = tempfile::tempdir().unwrap();
        let loader = Loader::new(Overrides::default().with_data_dir(dir.path()));
        let mut changes = Loader::changes(dir.path()).unwrap();
        let patch = match setting.group() {
            "" => json!({ setting.name(): value }),
            group => json!({ group: { setting.name(): value } }),
        };
        match changes.patch(patch.as_object().unwrap()) {
            Ok(()) => right_or_named(loader.load_with(&changes), setting, "")?,
            Err(wrong) => {
                prop_assert_eq!(&wrong[0].key, setting.key);
                prop_assert!(!wrong[0].reason.is_empty() && !wrong[0].reason.contains("hunter2"));
            }
        }
        prop_assert!(!dir.path().join(CHANGES_FILE).exists());
    }
}

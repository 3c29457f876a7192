use sdk_relay_config::{CHANGES_FILE, Overrides};
use serde_json::json;

use super::*;

struct Fixture {
    dir: tempfile::TempDir,
    settings: Settings,
}

fn fixture(toml: &str) -> Fixture {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(
        dir.path().join("sdk_relay.toml"),
        format!("network = \"signet\"\n{toml}"),
    )
    .unwrap();
    let loader = Loader::new(Overrides::default().with_data_dir(dir.path()));
    let config = loader.load().unwrap();
    Fixture {
        settings: Settings::new(loader, config),
        dir,
    }
}

async fn change(f: &Fixture, patch: Value) -> Result<Changed, Vec<FieldError>> {
    let Value::Object(patch) = patch else {
        panic!("no object")
    };
    match f.settings.change(&patch).await {
        Ok(changed) => Ok(changed),
        Err(ChangeError::Fields(fields)) => Err(fields),
        Err(other) => panic!("{other}"),
    }
}

#[tokio::test]
async fn the_reference_s_change() {
    let f = fixture("dev_mode = true\n");
    let changed = change(
        &f,
        json!({"sync": {"interval": 60, "health_interval": 120}, "dev_mode": false}),
    )
    .await
    .unwrap();
    assert_eq!(
        changed.changes,
        [
            "sync.interval: 30 -> 60",
            "sync.health_interval: 60 -> 120",
            "dev_mode: true -> false"
        ]
    );
    assert!(!changed.restart_required);
    assert_eq!(f.settings.now().sync_interval.as_secs(), 60);
    let kept = f.settings.reload().unwrap();
    assert_eq!(
        (kept.sync_interval.as_secs(), kept.dev_mode),
        (60, false),
        "kept for the next start"
    );
    let again = change(&f, json!({"sync": {"interval": 60}})).await.unwrap();
    assert!(again.changes.is_empty());
    let back = change(&f, json!({"sync": {"interval": null}})).await.unwrap();
    assert_eq!(back.changes, ["sync.interval: 60 -> 30"]);
}

#[tokio::test]
async fn addresses_wait_for_a_restart() {
    let f = fixture("");
    let changed = change(&f, json!({"ws_url": "127.0.0.1:9000"})).await.unwrap();
    assert_eq!((changed.changes.len(), changed.restart_required), (1, true));
    let back = change(&f, json!({"ws_url": "0.0.0.0:8090"})).await.unwrap();
    assert!(!back.restart_required, "the relay runs with this");
}

#[tokio::test]
async fn all_or_nothing() {
    let f = fixture("");
    let bad = [
        (
            json!({"sync": {"interval": 60, "health_interval": 0}}),
            "sync.health_interval",
        ),
        (json!({"sync": {"interval": "often"}}), "sync.interval"),
        (json!({"sync": {"interval": 1.5}}), "sync.interval"),
        (json!({"sync": {"interval": [1]}}), "sync.interval"),
        (json!({"sync": 3}), "sync"),
        (json!({"sync": {"colour": 3}}), "sync.colour"),
        (json!({"colour": 3, "dev_mode": true}), "colour"),
        (json!({"relay_id": "other"}), "relay_id"),
        (json!({"network": "regtest"}), "network"),
        (json!({"standalone": true}), "standalone"),
        (json!({"ws_url": "nowhere"}), "ws_url"),
        (json!({"bitcoin_core": {"url": "http://a b"}}), "bitcoin_core.url"),
        (
            json!({"bitcoin_core": {"url": "http://node:1/path"}}),
            "bitcoin_core.url",
        ),
        (json!({"auth": {"admin_token": "x"}}), "auth.admin_token"),
        (json!({"auth": {"password": "x"}}), "auth.password"),
        (json!({"sync": {"interval": -1}}), "sync.interval"),
        (json!({"sync": {"interval": 86_401}}), "sync.interval"),
        (json!({"timestamp": 1}), "timestamp"),
    ];
    for (patch, key) in bad {
        let fields = change(&f, patch.clone()).await.expect_err(&patch.to_string());
        assert_eq!(fields[0].field, key, "{patch}");
        assert!(!fields[0].message.is_empty());
    }
    let both = change(&f, json!({"relay_id": "x", "colour": 1})).await.unwrap_err();
    assert_eq!(both.len(), 2, "all mistakes at once");
    assert!(!f.dir.path().join(CHANGES_FILE).exists());
    assert_eq!(f.settings.now().sync_interval.as_secs(), 30);
}

#[tokio::test]
async fn values_are_checked_even_if_a_flag_overrides_them() {
    let f = fixture("");
    for (patch, name) in [
        (json!({"standalone": "yes"}), "standalone"),
        (json!({"dev_mode": 1}), "dev_mode"),
        (json!({"ws_url": true}), "ws_url"),
        (json!({"sync": {"interval": "60"}}), "sync.interval"),
        (json!({"sync": {"interval": 60.5}}), "sync.interval"),
        (json!({"bitcoin_core": {"wallet": ["w"]}}), "bitcoin_core.wallet"),
    ] {
        let wrong = change(&f, patch).await.unwrap_err();
        assert_eq!(wrong[0].field, name);
        assert!(wrong[0].message.starts_with("expected "), "{}", wrong[0].message);
    }
    let changed = change(&f, json!({"sync": {"interval": 60.0}})).await.unwrap();
    assert_eq!(changed.changes, ["sync.interval: 30 -> 60"]);
}

#[tokio::test]
async fn a_dotted_key_is_not_a_setting_and_each_unknown_key_is_named() {
    let f = fixture("");
    let patch = json!({
        "sync.interval": 5, "sync": {"health_interval.x": 1, "colour": 1}, "bitcoin_core.url": null, "": 1, "bitcoin_core": {"": 1}
    });
    let wrong = change(&f, patch).await.unwrap_err();
    let named: Vec<_> = wrong.iter().map(|w| w.field.as_str()).collect();
    let expected = [
        "sync.interval",
        "sync.health_interval.x",
        "sync.colour",
        "bitcoin_core.url",
        "",
        "bitcoin_core.",
    ];
    assert_eq!(named, expected);
    assert_eq!(f.settings.now().sync_interval.as_secs(), 30);
    assert!(!f.dir.path().join(CHANGES_FILE).exists());
}

#[tokio::test]
async fn credentials_are_sent_only_to_their_configured_address() {
    use sdk_relay_config::Credentials;

    let f = fixture("[bitcoin_core]\nurl = \"http://node:1\"\nuser = \"me\"\npassword = \"5ec2e7\"\n");
    let sends = |config: &Config| !matches!(config.bitcoin_core.credentials, Credentials::Withheld { .. });
    let to = async |url: Value| change(&f, json!({"bitcoin_core": {"url": url}})).await.unwrap();
    assert!(sends(&f.settings.now()));
    let changed = to(json!("http://thief:1")).await;
    assert!(
        changed.warnings.len() == 1 && changed.warnings[0].contains("http://node:1"),
        "{changed:?}"
    );
    assert!(!changed.warnings[0].contains("5ec2e7"));
    assert!(!sends(&f.settings.now()) && !sends(&f.settings.reload().unwrap()));
    // Another change repeats the warning, and another address does not circumvent it.
    assert_eq!(change(&f, json!({"dev_mode": true})).await.unwrap().warnings.len(), 1);
    assert_eq!(to(json!("http://node.thief:1")).await.warnings.len(), 1);
    // The operator's own address, whether written out or taken back, is no change.
    assert!(to(json!("http://node:1/")).await.warnings.is_empty());
    to(json!("http://thief:1")).await;
    assert!(to(Value::Null).await.warnings.is_empty());
    assert!(sends(&f.settings.now()));

    // The operator follows: the credentials in the file are now for the new address.
    to(json!("http://thief:1")).await;
    let file = f.dir.path().join("sdk_relay.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("http://node:1", "http://thief:1")).unwrap();
    assert!(sends(&f.settings.reload().unwrap()));
}

#[tokio::test]
async fn the_default_cookie_is_sent_only_to_the_default_address() {
    let f = fixture("");
    let changed = change(&f, json!({"bitcoin_core": {"url": "http://thief:1"}}))
        .await
        .unwrap();
    assert_eq!(changed.warnings.len(), 1);
    let back = change(&f, json!({"bitcoin_core": {"url": "http://127.0.0.1:38332"}})).await;
    assert!(back.unwrap().warnings.is_empty());
}

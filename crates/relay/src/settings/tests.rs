use serde_json::json;

use super::*;
use crate::config::{CHANGES_FILE, Overrides};

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
    let loader = Loader::new(Overrides {
        data_dir: Some(dir.path().to_owned()),
        ..Overrides::default()
    });
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
        (json!({"auth": {"admin_token": "x"}}), "auth"),
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
async fn values_are_of_their_kind_whatever_a_flag_lies_over() {
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

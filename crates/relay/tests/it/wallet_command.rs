//! The relay's own wallet: whether there is one, and its export and import.

use std::path::Path;
use std::process::{Command, Output};

use sdk_relay_bip352::{Network, Receiver};
use sdk_relay_descriptor::ScanDescriptor;
use serde_json::Value;
use testkit::{RelayOptions, RelayProcess, http_get};

const EXE: &str = env!("CARGO_BIN_EXE_sdk_relay");

fn wallet(data_dir: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(EXE);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("SDK_RELAY_")) {
        command.env_remove(name);
    }
    command.arg("wallet").args(arguments).arg("--data-dir").arg(data_dir);
    command.env("SDK_RELAY_NETWORK", "regtest").current_dir(data_dir);
    command.output().unwrap()
}

fn succeeded(output: &Output) -> &str {
    assert!(output.status.success(), "{output:?}");
    std::str::from_utf8(&output.stdout).unwrap().trim()
}

fn refused(output: &Output) -> &str {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    std::str::from_utf8(&output.stderr).unwrap().trim()
}

async fn address(relay: &RelayProcess) -> Value {
    http_get(&format!("{}/config", relay.http_url())).await.json()["silent_payment_address"].clone()
}

#[tokio::test]
async fn a_relay_on_mainnet_has_no_wallet_unasked() {
    let data = tempfile::tempdir().unwrap();
    let mainnet = || {
        RelayOptions::new(EXE)
            .data_dir(data.path())
            .set("NETWORK", "mainnet")
            .set("BITCOIN_CORE__URL", "http://127.0.0.1:1")
    };
    let mut relay = RelayProcess::start_listening(mainnet()).await;
    assert_eq!(address(&relay).await, Value::Null);
    assert!(!relay.data_dir().join("wallet.key").exists());
    let new = "the data directory is new: no relay has used it before";
    assert!(relay.stderr().contains(new), "{}", relay.stderr());
    let config: Value = http_get(&format!("{}/config", relay.http_url())).await.json();
    assert!(config["relay_id"].as_str().unwrap().starts_with("relay-"));
    relay.terminate().await;
    relay = RelayProcess::start_listening(mainnet()).await;
    let again: Value = http_get(&format!("{}/config", relay.http_url())).await.json();
    assert_eq!(again["relay_id"], config["relay_id"], "the name stays the same");
    assert!(!relay.stderr().contains(new), "{}", relay.stderr());
    relay.terminate().await;

    let mut hot = RelayProcess::start_listening(mainnet().set("WALLET__MODE", "hot")).await;
    assert!(address(&hot).await.as_str().unwrap().starts_with("sp1q"));
    assert!(hot.data_dir().join("wallet.key").exists());
    hot.terminate().await;
}

#[tokio::test]
async fn an_exported_wallet_is_restored_in_another_data_directory() {
    let mut relay = RelayProcess::start(RelayOptions::new(EXE).arg("--standalone")).await;
    let paid = address(&relay).await.as_str().unwrap().to_owned();
    let copies = tempfile::tempdir().unwrap();
    let copy = copies.path().join("copy.key");
    let copy = copy.to_str().unwrap();
    assert_eq!(succeeded(&wallet(relay.data_dir(), &["address"])), paid);
    assert!(succeeded(&wallet(relay.data_dir(), &["export", copy])).contains("spend its coins"));
    assert!(refused(&wallet(relay.data_dir(), &["export", copy])).contains("exists"));
    // The directory of a running relay.
    assert!(refused(&wallet(relay.data_dir(), &["import", copy])).contains("in use by another relay"));
    relay.terminate().await;

    let new = tempfile::tempdir().unwrap();
    assert!(refused(&wallet(new.path(), &["address"])).contains("there is no wallet"));
    assert!(succeeded(&wallet(new.path(), &["import", copy])).contains(&paid));
    assert_eq!(succeeded(&wallet(new.path(), &["address"])), paid);
    let printed = wallet(new.path(), &["descriptor"]);
    let descriptor: ScanDescriptor = succeeded(&printed).parse().unwrap();
    assert!(!descriptor.is_mainnet);
    let receiver = Receiver::new(descriptor.scan, descriptor.spend, []).unwrap();
    assert_eq!(receiver.address(Network::Regtest).to_string(), paid);

    let other = tempfile::tempdir().unwrap();
    std::fs::copy(relay.data_dir().join("wallet.key"), other.path().join("wallet.key")).unwrap();
    assert!(
        succeeded(&wallet(other.path(), &["import", copy])).contains(&paid),
        "the same wallet"
    );
    let text = std::fs::read_to_string(copy).unwrap();
    let changed = text.replace("scan_private_key = \"", "scan_private_key = \"0");
    std::fs::write(copy, changed).unwrap();
    let error = wallet(new.path(), &["import", copy]);
    assert!(refused(&error).contains("is not an exported wallet"), "{error:?}");
}

#[test]
fn a_mode_that_contradicts_the_keys_is_refused() {
    let home = tempfile::tempdir().unwrap();
    for (toml, expected) in [
        (
            "network = \"regtest\"\n[wallet]\nmode = \"watch-only\"\n",
            "expected auto, off or hot",
        ),
        (
            "network = \"regtest\"\n[wallet]\nmode = \"cold\"\n",
            "auto, off, watch-only",
        ),
        (
            "network = \"regtest\"\n[wallet]\nmode = \"hot\"\n\
             scan_private_key = \"0101010101010101010101010101010101010101010101010101010101010101\"\n\
             spend_public_key = \"0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798\"\n",
            "expected watch-only",
        ),
    ] {
        std::fs::write(home.path().join("sdk_relay.toml"), toml).unwrap();
        let output = wallet(home.path(), &["address"]);
        let error = refused(&output);
        assert!(error.contains("wallet.mode") && error.contains(expected), "{error}");
    }
}

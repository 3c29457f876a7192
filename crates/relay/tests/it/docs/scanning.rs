//! The scanners of `docs/write-a-client.md`: each finds a payment in the message `tweaks` of its block.

use std::path::PathBuf;

use serde_json::{Value, json};
use testkit::{RelayProcess, is_left_out};
use tokio::process::Command;

use super::clients::pay;
use super::{SCAN_KEY, SPEND_KEY, block};
use crate::support::program::{node_packages, python};
use crate::wire::{Wire, mine, standalone};

const PAGE: &str = "write-a-client.md";

/// The transactions of a block in a file, and the private tweak of the payment among them, found by the relay.
async fn paid(folder: &tempfile::TempDir) -> (PathBuf, Value) {
    let relay = RelayProcess::start(standalone()).await;
    let mut wire = Wire::connect(&relay.ws_url(), &["tweaks"]).await;
    let watch = json!({"type": "watch", "scan_private_key": SCAN_KEY, "spend_public_key": SPEND_KEY});
    let response = wire.request(watch).await;
    let txid = pay(&relay, response["address"].as_str().unwrap()).await;
    let payment = wire.notification().await;
    assert_eq!(payment["data"]["txid"], txid.as_str(), "{payment}");
    mine(&relay, 1).await;
    let transactions = loop {
        let message = wire.notification().await;
        if message["notification_type"] == "tweaks" {
            break message["data"]["transactions"].clone();
        }
    };
    let file = folder.path().join("transactions.json");
    std::fs::write(&file, transactions.to_string()).unwrap();
    (file, payment["data"]["tweak"].clone())
}

/// Runs the program, which prints all outputs found as JSON, and compares them with the payment.
async fn check(mut program: Command, tweak: &Value) {
    let done = program.output().await.unwrap();
    let errors = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{errors}");
    let found: Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(found.as_array().unwrap().len(), 1, "{found}");
    assert_eq!(
        (&found[0]["tweak"], &found[0]["amount_sats"]),
        (tweak, &json!(100_000)),
        "{found}"
    );
}

#[tokio::test]
async fn the_python_scanner_finds_the_payment() {
    let folder = tempfile::tempdir().unwrap();
    let (transactions, tweak) = paid(&folder).await;
    let end = format!(
        "\nimport json\nfound = []\nfor t in json.load(open({:?})):\n    found += scan(bytes.fromhex({SCAN_KEY:?}), bytes.fromhex({SPEND_KEY:?}), t)\nprint(json.dumps(found))\n",
        transactions.display().to_string()
    );
    let file = folder.path().join("scan.py");
    std::fs::write(&file, block(PAGE, "python scan") + &end).unwrap();
    let mut program = Command::new(python().await);
    program.arg(&file);
    check(program, &tweak).await;
}

#[tokio::test]
async fn the_javascript_scanner_finds_the_payment() {
    if is_left_out("javascript") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (transactions, tweak) = paid(&folder).await;
    let end = format!(
        "\nimport {{ readFileSync }} from \"node:fs\";\nconst found = JSON.parse(readFileSync({:?}, \"utf8\")).flatMap((t) => scan({SCAN_KEY:?}, {SPEND_KEY:?}, t));\nconsole.log(JSON.stringify(found));\n",
        transactions.display().to_string()
    );
    let packages = node_packages().await;
    std::fs::write(folder.path().join("scan.mjs"), block(PAGE, "js scan") + &end).unwrap();
    std::os::unix::fs::symlink(packages.join("node_modules"), folder.path().join("node_modules")).unwrap();
    let mut program = Command::new("node");
    program.arg(folder.path().join("scan.mjs"));
    check(program, &tweak).await;
}

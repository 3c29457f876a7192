//! The clients of `docs/write-a-client.md`: they watch, survive a restart of the relay, and resume after their own.

use std::path::Path;

use serde_json::{Value, json};
use testkit::{RelayProcess, eventually, http_post, is_left_out};
use tokio::process::Command;

use super::{SCAN_KEY, SPEND_KEY, block};
use crate::support::DEADLINE;
use crate::support::program::{Program, node, python};
use crate::wire::{Wire, mine, standalone};

const PAGE: &str = "write-a-client.md";

/// The address of two keys, as the relay says it.
pub(super) async fn address<'a>(relay: &RelayProcess, mut keys: impl Iterator<Item = &'a str>) -> String {
    let mut wire = Wire::connect(&relay.ws_url(), &[]).await;
    let watch = json!({"type": "watch", "scan_private_key": keys.next(), "spend_public_key": keys.next()});
    let response = wire.request(watch).await;
    response["address"]
        .as_str()
        .unwrap_or_else(|| panic!("{response}"))
        .to_owned()
}

pub(super) async fn pay(relay: &RelayProcess, address: &str) -> String {
    let body = json!({"address": address, "amount": "0.001"});
    let paid = http_post(&format!("{}/dev/pay", relay.http_url()), &body).await;
    assert_eq!(paid.status, 200, "{}", paid.text());
    paid.json()["txid"].as_str().unwrap().to_owned()
}

/// Runs the client, whose command line `start` makes from the file of its state.
async fn check(start: impl Fn(&Path) -> Command) {
    let relay = RelayProcess::start(standalone().fixed_ports()).await;
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state.json");
    let client = || {
        let mut command = start(&state);
        command
            .env("RELAYS", relay.ws_url())
            .env("WATCH", format!("{SCAN_KEY} {SPEND_KEY} 0"))
            .env("STATE", &state);
        Program::start(command)
    };
    let address = address(&relay, [SCAN_KEY, SPEND_KEY].into_iter()).await;
    let stored = || -> Value { serde_json::from_str(&std::fs::read_to_string(&state).unwrap()).unwrap() };

    let mut running = client();
    running.prints(&["resume: none", &format!("watching {address}")]).await;
    let first = pay(&relay, &address).await;
    running
        .prints(&[&format!("payment {first}:0 of 0.001 BTC, 0 confirmations")])
        .await;
    mine(&relay, 1).await;
    running
        .prints(&[&format!("payment {first}:0 of 0.001 BTC, 1 confirmations"), "block 120"])
        .await;

    let restarted = http_post(&format!("{}/restart", relay.http_url()), &json!({})).await;
    assert_eq!(restarted.status, 200, "{}", restarted.text());
    running.prints(&["1012", "resume: complete"]).await;
    let second = pay(&relay, &address).await;
    mine(&relay, 1).await;
    running
        .prints(&[
            &format!("payment {second}:0 of 0.001 BTC, 1 confirmations"),
            "block 121",
        ])
        .await;
    // It prints a block before it stores it, and would receive it again.
    eventually(DEADLINE, "block 121 in the file", async || {
        (stored()["blocks"][0]["height"] == 121).then_some(())
    })
    .await;
    running.kill().await;

    // Blocks and a payment while it is away.
    let third = pay(&relay, &address).await;
    mine(&relay, 2).await;
    let mut again = client();
    let payment = format!("payment {third}:0 of 0.001 BTC, 2 confirmations");
    again
        .prints(&["resume: complete", "block 122", "block 123", &payment])
        .await;
    assert!(
        !again.printed().contains("block 121\n"),
        "no block twice: {}",
        again.printed()
    );
    mine(&relay, 1).await;
    again.prints(&["block 124"]).await;
    again.kill().await;
    let payments = stored()["payments"].as_object().unwrap().clone();
    for txid in [first, second, third] {
        assert!(payments.contains_key(&format!("{txid}:0")), "{payments:?}");
    }
}

/// A client of the page as a file.
fn written(folder: &Path, words: &str, name: &str) -> std::path::PathBuf {
    let file = folder.join(name);
    std::fs::write(&file, block(PAGE, words)).unwrap();
    file
}

#[tokio::test]
async fn the_javascript_client_resumes_and_watches() {
    if is_left_out("javascript") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = written(folder.path(), "js client", "client.mjs");
    check(|_| {
        let mut command = node();
        command.arg(&file);
        command
    })
    .await;
}

#[tokio::test]
async fn the_python_client_resumes_and_watches() {
    let folder = tempfile::tempdir().unwrap();
    let file = written(folder.path(), "python client", "client.py");
    let python = python().await;
    check(|_| {
        let mut command = Command::new(&python);
        command.arg("-u").arg(&file);
        command
    })
    .await;
}

#[tokio::test]
async fn the_shortest_client_prints_notifications() {
    if is_left_out("javascript") {
        return;
    }
    let relay = RelayProcess::start(standalone().fixed_ports()).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("shortest.mjs");
    let text = block(PAGE, "js shortest").replace("ws://localhost:8090", &relay.ws_url());
    std::fs::write(&file, text).unwrap();
    let mut command = node();
    command.arg(&file);
    let mut client = Program::start(command);
    client.prints(&["handshake_response"]).await;
    mine(&relay, 1).await;
    client.prints(&["block_mined"]).await;
    client.kill().await;
}

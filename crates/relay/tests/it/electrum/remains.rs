//! A subscription leaves nothing behind in the memory of the relay.

use serde_json::{Value, json};
use testkit::{InputKind, Options, Payee, eventually};

use crate::electrum::wallet::{SUBSCRIBE, Wallet, keys};
use crate::payments::remains::{found, hex_and_bytes};
use crate::stage::{Stage, silent};
use crate::support::DEADLINE;

#[tokio::test]
async fn an_ended_subscription_leaves_neither_key_nor_address() {
    let mut stage = Stage::with(Options::default(), testkit::RelayOptions::electrum).await;
    let pid = stage.relay.pid();
    let payee = Payee::new(&[7]);
    let mut wallet = Wallet::connect(stage.relay.electrum()).await;
    // A line in two parts, as on a slow network: the first waits in memory for the second.
    let start = json!(stage.node.height().await);
    let params: Vec<Value> = keys(&payee).into_iter().chain([start, json!([7])]).collect();
    let line = json!({"id": 1, "method": SUBSCRIBE, "params": params}).to_string();
    let (first, second) = line.split_at(line.len() - 5);
    wallet.send_bytes(first.as_bytes()).await;
    tokio::task::yield_now().await;
    let answer = wallet.exchange(second).await;
    let object = answer.split_once(r#""result":"#).unwrap().1.strip_suffix('}').unwrap();
    wallet.subscribed(object.to_owned());
    // Lines with the key that are wrong.
    for wrong in [
        line.replace(SUBSCRIBE, "blockchain.silentpayment.subscribe"),
        line.replace(":1,", ":1"),
    ] {
        assert!(wallet.exchange(&wrong).await.contains("error"));
    }
    wallet.history().await;
    let tx = stage
        .payer
        .pay(&[InputKind::P2tr], &[silent(payee.labelled_address(7), 30_000)]);
    stage.node.send_raw(&tx).await;
    wallet.paid().await;
    // The blocks before the start are scanned too, with the same keys.
    let other = "00".repeat(32);
    wallet
        .refused("blockchain.scripthash.get_history", json!([other]))
        .await;

    let mut secrets = hex_and_bytes("the scan key", &payee.scan_hex());
    secrets.push(("an address", payee.address().to_string().into_bytes()));
    let there = found(pid, &secrets);
    for secret in ["the scan key", "an address"] {
        assert!(
            there.iter().any(|found| found.starts_with(secret)),
            "it is there: {there:?}"
        );
    }
    wallet
        .ask("blockchain.silentpayments.unsubscribe", json!(keys(&payee)))
        .await;
    drop(wallet);
    eventually(DEADLINE, "nothing in memory", async || {
        found(pid, &secrets).is_empty().then_some(())
    })
    .await;
}

//! `GET /tx/{txid}` and `POST /tx` beside a real node.

use bitcoin::consensus::encode::serialize_hex;
use bitcoin::{Amount, Txid};
use serde_json::{Value, json};
use testkit::{
    HttpReply, InputKind, Options, Payee, Payer, PooledNode, Recipient, RelayOptions, RelayProcess, eventually,
    http_get, http_post,
};

use crate::wire::DEADLINE;

const AMOUNT: Amount = Amount::from_sat(100_000);

async fn details(relay: &RelayProcess, txid: Txid) -> HttpReply {
    http_get(&format!("{}/tx/{txid}", relay.http_url())).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_is_followed_from_the_mempool_to_its_block_or_its_replacement() {
    let node = PooledNode::take(Options::default()).await;
    let mut payer = Payer::funded(&node).await;
    let relay = RelayProcess::start(RelayOptions::new(env!("CARGO_BIN_EXE_sdk_relay")).node(&node)).await;
    let to = [Recipient::Silent(Payee::new(&[]).address(), AMOUNT)];
    let url = format!("{}/tx", relay.http_url());

    let tx = payer.pay(&[InputKind::P2wpkh], &to);
    let txid = tx.compute_txid();
    let unknown = details(&relay, txid).await;
    assert_eq!(unknown.status, 404, "{}", unknown.text());
    assert!(unknown.text().contains("?block_hash="), "{}", unknown.text());
    let sent = http_post(&url, &json!({"hex": serialize_hex(&tx)})).await.json();
    assert_eq!((&sent["txid"], sent.get("txids")), (&json!(txid), None));
    let waiting = details(&relay, txid).await.json();
    assert_eq!(
        (&waiting["status"], &waiting["confirmations"], &waiting["block_height"]),
        (&json!("mempool"), &json!(0), &Value::Null)
    );
    assert_eq!(waiting["hex"], serialize_hex(&tx));
    assert!(
        waiting["fee_sats"].as_u64().unwrap() > 0 && waiting["vsize"] == tx.vsize(),
        "{waiting}"
    );

    // Once the relay has seen it, it knows what replaces it.
    eventually(DEADLINE, "the transaction in the mempool of the relay", async || {
        let metrics = http_get(&format!("{}/metrics", relay.http_url())).await.json();
        (metrics["bitcoin_metrics"]["mempool_size"].as_u64()? > 0).then_some(())
    })
    .await;
    let replacement = payer.replace(&tx, &to);
    node.send_raw(&replacement).await;
    let replaced = eventually(DEADLINE, "the replacement", async || {
        let reply = details(&relay, txid).await;
        (reply.status == 200 && reply.json()["status"] == "replaced").then(|| reply.json())
    })
    .await;
    let by = replacement.compute_txid();
    assert_eq!((&replaced["replaced_by"], &replaced["hex"]), (&json!(by), &Value::Null));
    let block = node.mine(2).await[0];
    let confirmed = details(&relay, by).await.json();
    assert_eq!(
        (
            &confirmed["status"],
            &confirmed["confirmations"],
            &confirmed["block_hash"]
        ),
        (&json!("confirmed"), &json!(2), &json!(block))
    );
    assert_eq!(confirmed["block_height"], node.height().await - 1);
}

#[tokio::test]
async fn a_package_that_the_node_rejects_is_answered_with_its_reasons() {
    let node = PooledNode::take(Options::default()).await;
    let mut payer = Payer::funded(&node).await;
    let relay = RelayProcess::start(RelayOptions::new(env!("CARGO_BIN_EXE_sdk_relay")).node(&node)).await;
    let url = format!("{}/tx", relay.http_url());
    let to = [Recipient::Silent(Payee::new(&[]).address(), AMOUNT)];
    let hex = [0, 1].map(|_| serialize_hex(&payer.pay(&[InputKind::P2wpkh], &to)));
    for (body, words) in [
        (
            json!({"package": hex}),
            "package: the node rejects the package: package topology",
        ),
        (json!({"package": [hex[0]]}), "package: expected 2 to 25 transactions"),
        (json!({"package": [hex[0], "00"]}), "package[1]: not a transaction"),
        (
            json!({"package": hex, "hex": hex[0]}),
            "package: expected hex or package, not both",
        ),
        (json!({}), "hex: missing: expected hex, or package"),
    ] {
        let reply = http_post(&url, &body).await;
        assert_eq!(reply.status, 422, "{}", reply.text());
        let detail = reply.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.starts_with(words), "{detail}");
    }
}

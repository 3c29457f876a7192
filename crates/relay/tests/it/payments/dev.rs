//! `dev_mode` on regtest: the node mines, and its wallet pays, on HTTP requests.

use http_body_util::Full;
use hyper::Request;
use sdk_relay_client::Event;
use serde_json::{Value, json};
use testkit::{Options, Payee, http_post, http_send};

use crate::stage::{MARKER, Stage};
use crate::support::recorder::{Recorder, by_watch, detected};

#[tokio::test]
async fn blocks_and_payments_on_request() {
    let node = Options {
        wallet: true,
        ..Options::default()
    };
    let stage = Stage::with(node, |relay| {
        relay.set("BITCOIN_CORE__WALLET", "faucet").set("DEV_MODE", "true")
    })
    .await;
    let payee = Payee::new(&[4]);
    let mut recorder = Recorder::open(&stage.relay, &["notifications", "tweaks"], None).await;
    recorder.watch(&payee).await;

    // Before it has a coin the wallet reports the reason.
    let (status, reply) = ask(
        &stage,
        "pay",
        json!({"address": stage.own.to_string(), "amount": "0.1"}),
    )
    .await;
    assert_eq!(status, 422, "{reply}");
    assert!(reply.to_string().contains("nsufficient"), "{reply}");

    // 101 blocks: the wallet, to which they pay, can spend the first.
    let before = stage.node.height().await;
    let (status, mined) = ask(&stage, "mine", json!({"blocks": 101})).await;
    assert_eq!(status, 200, "{mined}");
    assert_eq!(mined["height"], before + 101);
    let tip = stage.node.tip().await.to_string();
    let blocks: Vec<_> = mined["blocks"]
        .as_array()
        .expect("hashes")
        .iter()
        .map(|b| b.as_str().unwrap().to_owned())
        .collect();
    assert_eq!((blocks.len(), blocks.last()), (101, Some(&tip)));
    let messages = recorder.until_tweaks(&tip).await;
    let received = messages.iter().filter_map(|n| match &n.event {
        Event::BlockMined(block) => Some(block.block_hash.clone()),
        _ => None,
    });
    assert_eq!(received.collect::<Vec<_>>(), blocks);
    // Each of them pays the wallet, which is reported like any payment to it; a coinbase has no fee.
    let coinbases = detected(&messages);
    let places: Vec<_> = coinbases
        .iter()
        .map(|p| p.block_hash.clone().expect("a block"))
        .collect();
    assert_eq!(places, blocks);
    let first = stage.node.block(blocks[0].parse().unwrap()).await.txdata[0].clone();
    let expected = stage
        .confirmed(&first, 0, &coinbases[0].address, blocks[0].parse().unwrap())
        .await;
    assert_eq!((&coinbases[0], &expected.fee), (&expected, &None));

    // The relay's own wallet, a watch by its label, and a plain address of no client.
    let paid = pay(&stage, stage.own.to_string(), "0.001").await;
    let messages = detected(&recorder.until_paid(&paid, 0, None).await);
    let tx = transaction(&stage, &paid).await;
    let own = stage.waiting(&tx, 0, stage.own).await;
    assert_eq!(messages, [stage.seen_since(own, &messages[0])]);
    assert_eq!(messages[0].amount_sats, MARKER);

    let paid = pay(&stage, payee.labelled_address(4).to_string(), "1.5").await;
    let (of_watch, of_log) = by_watch(recorder.until_paid(&paid, 0, None).await);
    let received = detected(&of_watch);
    assert_eq!((received.len(), detected(&of_log).len()), (1, 0));
    assert_eq!(
        (received[0].amount.as_str(), received[0].label, &received[0].address),
        ("1.5", Some(4), &payee.labelled_address(4).to_string())
    );

    let plain = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080";
    let paid_plainly = pay(&stage, plain.to_owned(), "0.25").await;
    let tx = transaction(&stage, &paid_plainly).await;
    let script = plain
        .parse::<bitcoin::Address<_>>()
        .unwrap()
        .assume_checked()
        .script_pubkey();
    let outputs: Vec<_> = tx
        .output
        .iter()
        .filter(|o| o.script_pubkey == script)
        .map(|o| o.value.to_sat())
        .collect();
    assert_eq!(outputs, [25_000_000]);

    // One block by default; it contains all payments, and nothing for other clients.
    let request = Request::post(format!("{}/dev/mine", stage.relay.http_url()));
    let reply = http_send(request.body(Full::default()).unwrap()).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let block = reply.json()["blocks"][0].as_str().expect("a hash").to_owned();
    assert_eq!(stage.node.mempool().await, []);
    let confirmed = detected(&recorder.until_tweaks(&block).await);
    assert!(confirmed.iter().all(|p| p.block_hash.as_deref() == Some(&block)));
    assert_eq!(
        confirmed
            .iter()
            .filter(|p| p.txid == paid && p.label == Some(4))
            .count(),
        1
    );
    assert!(!confirmed.iter().any(|p| p.txid == paid_plainly), "{confirmed:#?}");
    // Coinbase, own wallet, watch.
    assert_eq!(confirmed.len(), 3, "{confirmed:#?}");

    let wrong = [
        (
            json!({"address": "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", "amount": "0.1"}),
            "address",
        ),
        (json!({"address": plain, "amount": "0.00000329"}), "amount"),
        (json!({"address": plain, "amount": "1000000"}), "amount"),
    ];
    for (body, field) in wrong {
        let (status, reply) = ask(&stage, "pay", body).await;
        assert_eq!((status, &reply["errors"][0]["field"]), (422, &json!(field)), "{reply}");
    }
}

#[tokio::test]
async fn without_a_wallet_there_are_blocks_and_no_payments() {
    let stage = Stage::with(Options::default(), |relay| relay.set("DEV_MODE", "true")).await;
    let (status, mined) = ask(&stage, "mine", json!({"blocks": 2})).await;
    assert_eq!((status, &mined["blocks"][1]), (200, &json!(stage.node.tip().await)));
    let (status, reply) = ask(
        &stage,
        "pay",
        json!({"address": stage.own.to_string(), "amount": "0.1"}),
    )
    .await;
    assert_eq!(status, 503, "{reply}");
    assert!(
        reply["detail"]
            .as_str()
            .is_some_and(|d| d.contains("bitcoin_core.wallet")),
        "{reply}"
    );
}

async fn pay(stage: &Stage, address: String, amount: &str) -> String {
    let (status, reply) = ask(stage, "pay", json!({"address": address, "amount": amount})).await;
    assert_eq!(status, 200, "{reply}");
    assert_eq!((&reply["address"], &reply["amount"]), (&json!(address), &json!(amount)));
    reply["txid"].as_str().expect("a txid").to_owned()
}

async fn ask(stage: &Stage, what: &str, body: Value) -> (u16, Value) {
    let reply = http_post(&format!("{}/dev/{what}", stage.relay.http_url()), &body).await;
    (reply.status.as_u16(), reply.json())
}

/// A transaction of the node's mempool.
async fn transaction(stage: &Stage, txid: &str) -> bitcoin::Transaction {
    let hex = stage.request("getrawtransaction", json!([txid])).await;
    bitcoin::consensus::encode::deserialize_hex(hex.as_str().expect("hex")).unwrap()
}

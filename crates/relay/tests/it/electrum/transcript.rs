//! What Sparrow asks, in its order, and the bytes of the answers.

use bitcoin::consensus::encode::serialize_hex;
use sdk_relay_telemetry::SOFTWARE_VERSION;
use serde_json::{Value, json};
use testkit::{InputKind, Options, Payee, http_get};

use crate::electrum::wallet::{SUBSCRIBE, Wallet, script_hash, status};
use crate::history::order::index_is_current;
use crate::stage::{Stage, silent};

/// Of regtest.
const GENESIS: &str = "0f9188f13cb7b2c71f2a335e3a4fc328bf5beb436012afca590b1a11466e2206";

#[tokio::test(flavor = "multi_thread")]
async fn the_requests_of_sparrow() {
    let mut stage = Stage::with(Options::default(), testkit::RelayOptions::electrum).await;
    let payee = Payee::new(&[]);
    let start = stage.node.height().await;
    let paid = stage
        .payer
        .pay(&[InputKind::P2wpkh], &[silent(payee.address(), 20_000)]);
    let block = stage.node.mine_with(std::slice::from_ref(&paid)).await;
    let (height, txid) = (stage.node.height().await, paid.compute_txid());
    index_is_current(&stage.relay, height).await;

    let mut wallet = Wallet::connect(stage.relay.electrum()).await;
    let name = format!("sdk_relay {SOFTWARE_VERSION}");
    let exchanges = [
        (
            r#"{"jsonrpc":"2.0","method":"server.version","params":["Sparrow",["1.3","1.4.2"]],"id":0}"#,
            format!(r#"{{"jsonrpc":"2.0","id":0,"result":["{name}","1.4.2"]}}"#),
        ),
        (
            r#"{"jsonrpc":"2.0","method":"server.features","id":1}"#,
            format!(
                r#"{{"jsonrpc":"2.0","id":1,"result":{{"hosts":{{}},"genesis_hash":"{GENESIS}","hash_function":"sha256","server_version":"{name}","protocol_max":"1.4.2","protocol_min":"1.4","pruning":null,"silent_payments":[0]}}}}"#
            ),
        ),
    ];
    for (request, answer) in exchanges {
        assert_eq!(wallet.exchange(request).await, answer);
    }
    let header = stage.request("getblockheader", json!([block, false])).await;
    let tip = wallet.ask("blockchain.headers.subscribe", json!([])).await;
    assert_eq!(tip, json!({"height": height, "hex": header}));
    let banner = wallet.ask("server.banner", json!([])).await;
    assert!(banner.as_str().unwrap().contains("scan keys"), "{banner}");
    for blocks in [1, 2, 3, 4, 5, 10, 25, 50] {
        // A node of regtest has seen too few transactions.
        assert_eq!(wallet.ask("blockchain.estimatefee", json!([blocks])).await, json!(-1));
    }
    assert_eq!(wallet.ask("mempool.get_fee_histogram", json!([])).await, json!([]));
    let minimum = stage.request("getmempoolinfo", json!([])).await["minrelaytxfee"].as_f64();
    assert_eq!(wallet.ask("blockchain.relayfee", json!([])).await.as_f64(), minimum);
    assert_eq!(wallet.ask("server.ping", json!([])).await, Value::Null);

    let (scan, spend, address) = (payee.scan_hex(), payee.spend_public_key(), payee.address());
    let request =
        format!(r#"{{"jsonrpc":"2.0","id":7,"method":"{SUBSCRIBE}","params":["{scan}","{spend}",{start},[]]}}"#);
    let object = format!(r#"{{"address":"{address}","labels":[0],"start_height":{start}}}"#);
    let answer = wallet.exchange(&request).await;
    assert_eq!(answer, format!(r#"{{"jsonrpc":"2.0","id":7,"result":{object}}}"#));
    wallet.subscribed(object);
    let history = wallet.history().await;
    let [entry] = history.as_slice() else {
        panic!("{history:?}")
    };
    let tweaks = http_get(&format!("{}/blindbit/v1/tweak-index/{height}", stage.relay.http_url()))
        .await
        .json();
    assert_eq!(tweaks, json!([entry.tweak_key]));
    assert_eq!(
        (entry.height, entry.txid.as_str()),
        (u64::from(height), txid.to_string().as_str())
    );

    // For each transaction.
    assert_eq!(wallet.ask("blockchain.block.header", json!([height])).await, header);
    assert_eq!(
        wallet.ask("blockchain.transaction.get", json!([txid, false])).await,
        json!(serialize_hex(&paid))
    );
    // For each owned output.
    let script = script_hash(&paid.output[0].script_pubkey);
    let expected = status(&[(&txid.to_string(), i64::from(height))]);
    assert_eq!(
        wallet.ask("blockchain.scripthash.subscribe", json!([script])).await,
        expected
    );
    let history = json!([{"height": height, "tx_hash": txid}]);
    assert_eq!(
        wallet.ask("blockchain.scripthash.get_history", json!([script])).await,
        history
    );
    assert_eq!(
        wallet.ask("blockchain.scripthash.get_mempool", json!([script])).await,
        json!([])
    );
    let balance = wallet.ask("blockchain.scripthash.get_balance", json!([script])).await;
    assert_eq!(balance, json!({"confirmed": 20_000, "unconfirmed": 0}));
    assert_eq!(
        wallet.ask("blockchain.scripthash.unsubscribe", json!([script])).await,
        json!(true)
    );

    let next = stage
        .payer
        .pay(&[InputKind::P2wpkh], &[silent(payee.address(), 30_000)]);
    let sent = wallet
        .ask("blockchain.transaction.broadcast", json!([serialize_hex(&next)]))
        .await;
    assert_eq!(sent, json!(next.compute_txid()));
    let entry = wallet.paid().await;
    assert_eq!((entry.height, json!(entry.txid)), (0, sent.clone()));
    assert_eq!(
        wallet.ask("blockchain.transaction.get", json!([sent])).await,
        json!(serialize_hex(&next))
    );

    let ended = wallet
        .ask(
            "blockchain.silentpayments.unsubscribe",
            json!([scan, spend.to_string()]),
        )
        .await;
    assert_eq!(ended, json!(address.to_string()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_other_clients_ask() {
    let mut stage = Stage::with(Options::default(), testkit::RelayOptions::electrum).await;
    let txs: Vec<_> = (0..4)
        .map(|_| stage.payer.pay(&[InputKind::P2wpkh], &[silent(stage.own, 20_000)]))
        .collect();
    let block = stage.node.mine_with(&txs).await;
    let height = stage.node.height().await;
    index_is_current(&stage.relay, height).await;
    let mut wallet = Wallet::connect(stage.relay.electrum()).await;

    let headers = wallet.ask("blockchain.block.headers", json!([height - 2, 5])).await;
    let mut expected = String::new();
    for at in height - 2..=height {
        let hash = stage.node.hash_at(at).await;
        let header = stage.request("getblockheader", json!([hash, false])).await;
        expected += header.as_str().unwrap();
    }
    assert_eq!(headers, json!({"count": 3, "hex": expected, "max": 2016}));

    let info = stage.request("getblock", json!([block, 1])).await;
    let txid = txs[2].compute_txid();
    let proof = wallet
        .ask("blockchain.transaction.get_merkle", json!([txid, height]))
        .await;
    let at = info["tx"]
        .as_array()
        .unwrap()
        .iter()
        .position(|id| *id == json!(txid))
        .unwrap();
    assert_eq!((&proof["pos"], &proof["block_height"]), (&json!(at), &json!(height)));
    assert_eq!(proof["merkle"].as_array().unwrap().len(), 3, "five transactions");
    let same = wallet
        .ask("blockchain.transaction.id_from_pos", json!([height, at, true]))
        .await;
    assert_eq!(same, json!({"tx_hash": txid, "merkle": proof["merkle"]}));

    // A batch, with named parameters, a notification and a mistake.
    let batch = format!(
        r#"[{{"id":"a","method":"server.ping"}},{{"method":"server.ping"}},{{"id":[1],"method":"blockchain.block.header","params":{{"height":{height}}}}},{{"id":2,"method":"nothing"}},7]"#
    );
    let answers: Value = serde_json::from_str(&wallet.exchange(&batch).await).unwrap();
    let header = stage.request("getblockheader", json!([block, false])).await;
    assert_eq!(answers[0], json!({"jsonrpc": "2.0", "id": "a", "result": null}));
    assert_eq!(answers[1], json!({"jsonrpc": "2.0", "id": [1], "result": header}));
    assert_eq!(
        (&answers[2]["id"], &answers[2]["error"]["code"]),
        (&json!(2), &json!(-32601))
    );
    assert_eq!(
        (&answers[3]["id"], &answers[3]["error"]["code"]),
        (&Value::Null, &json!(-32600))
    );
    assert_eq!(answers.as_array().unwrap().len(), 4);

    // Each new tip.
    wallet.ask("blockchain.headers.subscribe", json!([])).await;
    for _ in 0..3 {
        let hash = stage.node.mine(1).await[0];
        let header = stage.request("getblockheader", json!([hash, false])).await;
        let line = wallet.line().await.unwrap();
        let message: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(message["method"], "blockchain.headers.subscribe");
        assert_eq!(
            message["params"],
            json!([{"height": stage.node.height().await, "hex": header}])
        );
    }

    // What this relay cannot answer.
    let unknown = "00".repeat(32);
    let (code, reason) = wallet.refused("blockchain.transaction.get", json!([unknown])).await;
    assert!(code == 1 && reason.contains("electrum.backend"), "{code} {reason}");
    let (code, reason) = wallet
        .refused("blockchain.scripthash.get_history", json!([unknown]))
        .await;
    assert!(code == 1 && reason.contains("electrum.backend"), "{code} {reason}");
    let (code, reason) = wallet.refused("blockchain.block.header", json!([height + 100])).await;
    assert!(code == 1 && reason.contains("above the tip"), "{code} {reason}");
    let spent = serialize_hex(&txs[0]);
    let (code, reason) = wallet.refused("blockchain.transaction.broadcast", json!([spent])).await;
    assert!(code == 1 && reason.starts_with("the node rejects"), "{code} {reason}");
}

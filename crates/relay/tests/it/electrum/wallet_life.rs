//! A wallet over time: history, mempool, confirmation, a reorganisation, the end of its subscription, and another
//! connection.

use std::collections::BTreeMap;

use bitcoin::consensus::encode::serialize_hex;
use bitcoin::secp256k1::PublicKey;
use bitcoin::{OutPoint, Transaction};
use sdk_relay_bip352::{EligibleTx, scan};
use serde_json::{Value, json};
use testkit::{InputKind, Options, Payee};

use crate::electrum::wallet::{Wallet, counted, keys, script_hash, status};
use crate::history::order::index_is_current;
use crate::stage::{Stage, silent, unowned_script};

fn script_of(tx: &Transaction) -> String {
    script_hash(&tx.output[0].script_pubkey)
}

fn name(tx: &Transaction) -> String {
    tx.compute_txid().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wallet_is_told_of_each_transaction_once() {
    let mut stage = Stage::with(Options::default(), testkit::RelayOptions::electrum).await;
    let payee = Payee::new(&[4]);
    let start = stage.node.height().await;
    let pay = |stage: &mut Stage| {
        // Two outputs, one of them labelled: it is one transaction.
        let to = [
            silent(payee.address(), 20_000),
            silent(payee.labelled_address(4), 30_000),
        ];
        stage.payer.pay(&[InputKind::P2wpkh], &to)
    };
    let old = pay(&mut stage);
    stage.node.mine_with(std::slice::from_ref(&old)).await;
    let old_height = u64::from(stage.node.height().await);
    index_is_current(&stage.relay, stage.node.height().await).await;

    let mut wallet = Wallet::connect(stage.relay.electrum()).await;
    let answer = wallet.subscribe(&payee, json!(start)).await;
    assert_eq!(answer["labels"], json!([0, 4]));
    let history = wallet.history().await;
    assert_eq!(counted(&history), BTreeMap::from([((name(&old), old_height), 1)]));

    // In the mempool, then confirmed: the notification of its script says so.
    let waiting = pay(&mut stage);
    stage.node.send_raw(&waiting).await;
    let entry = wallet.paid().await;
    assert_eq!((entry.txid, entry.height), (name(&waiting), 0));
    let script = script_of(&waiting);
    let first = wallet.ask("blockchain.scripthash.subscribe", json!([script])).await;
    assert_eq!(first, status(&[(&name(&waiting), 0)]));
    stage.node.mine(1).await;
    let confirmed = i64::from(stage.node.height().await);
    wallet.status(&script, &status(&[(&name(&waiting), confirmed)])).await;

    // Found in a block only.
    let mined = pay(&mut stage);
    stage.node.mine_with(std::slice::from_ref(&mined)).await;
    let height = u64::from(stage.node.height().await);
    let entry = wallet.paid().await;
    assert_eq!(
        (entry.txid.clone(), entry.height),
        (name(&mined), height),
        "and nothing of {}",
        name(&waiting)
    );
    let script = script_of(&mined);
    wallet.ask("blockchain.scripthash.subscribe", json!([script])).await;

    // Six blocks are disconnected, with that one. Its transaction returns, and is mined in another block.
    let first_lost = stage.node.tip().await;
    stage.node.mine(5).await;
    stage.node.invalidate(first_lost).await;
    let entry = wallet.paid().await;
    assert_eq!((entry.txid, entry.height), (name(&mined), 0), "back in the mempool");
    wallet.status(&script, &status(&[(&name(&mined), 0)])).await;
    stage.node.mine(7).await;
    let entry = wallet.paid().await;
    assert_eq!((entry.txid, entry.height), (name(&mined), height), "in the new branch");
    wallet
        .status(&script, &status(&[(&name(&mined), i64::try_from(height).unwrap())]))
        .await;

    // Ended: another wallet is reported, this one is not.
    let mut other = Wallet::connect(stage.relay.electrum()).await;
    other.subscribe(&payee, json!(height + 1)).await;
    assert!(other.history().await.is_empty());
    let ended = wallet
        .ask("blockchain.silentpayments.unsubscribe", json!(keys(&payee)))
        .await;
    assert_eq!(ended, json!(payee.address().to_string()));
    let last = pay(&mut stage);
    stage.node.send_raw(&last).await;
    assert_eq!(other.paid().await.txid, name(&last));
    wallet.ask("server.ping", json!([])).await;
    assert!(wallet.notifications.is_empty(), "{:?}", wallet.notifications);
    drop(wallet);

    // It comes back from a hundred blocks below the last that it has seen.
    let tip = stage.node.height().await;
    index_is_current(&stage.relay, tip).await;
    let mut wallet = Wallet::connect(stage.relay.electrum()).await;
    let from = tip.saturating_sub(100);
    let answer = wallet.subscribe(&payee, json!(from)).await;
    assert_eq!(answer["start_height"], json!(from));
    let mut entries = wallet.history().await;
    entries.push(wallet.paid().await);
    let expected = [
        (name(&old), old_height),
        (name(&waiting), u64::try_from(confirmed).unwrap()),
        (name(&mined), height),
        (name(&last), 0),
    ];
    assert_eq!(counted(&entries), expected.map(|at| (at, 1)).into_iter().collect());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_later_subscription_widens_the_one_before() {
    let mut stage = Stage::with(Options::default(), testkit::RelayOptions::electrum).await;
    let payee = Payee::new(&[]);
    let start = stage.node.height().await + 1;
    let mut paid = Vec::new();
    for _ in 0..3 {
        let tx = stage
            .payer
            .pay(&[InputKind::P2wpkh], &[silent(payee.address(), 20_000)]);
        stage.node.mine_with(std::slice::from_ref(&tx)).await;
        paid.push(name(&tx));
    }
    index_is_current(&stage.relay, start + 2).await;
    let mut wallet = Wallet::connect(stage.relay.electrum()).await;
    wallet.subscribe(&payee, json!(start + 2)).await;
    let txids = |entries: Vec<crate::electrum::wallet::Entry>| entries.into_iter().map(|e| e.txid).collect::<Vec<_>>();
    assert_eq!(txids(wallet.history().await), paid[2..]);
    // A range, a time, and a height above: the answer says from where it is.
    for (asked, from, seen) in [
        (json!(format!("{}-{}", start + 1, start + 1)), start + 1, &paid[1..]),
        (json!(start + 2), start + 1, &paid[1..]),
        (json!(start), start, &paid[..]),
        (Value::Null, 0, &paid[..]),
        (json!(1_600_000_000), 0, &paid[..]),
    ] {
        let answer = wallet.subscribe(&payee, asked.clone()).await;
        assert_eq!(answer["start_height"], json!(from), "{asked}");
        assert_eq!(txids(wallet.history().await), seen, "{asked}");
    }
    let mut labelled = payee.clone();
    labelled.labels = vec![9, 2];
    let answer = wallet.subscribe(&labelled, json!(start)).await;
    assert_eq!(answer["labels"], json!([0, 2, 9]));
    let answer = wallet.subscribe(&payee, json!(start)).await;
    assert_eq!(answer["labels"], json!([0, 2, 9]), "labels stay");
    let above = json!(format!("0-{}", start + 100));
    let params: Vec<_> = keys(&payee).into_iter().chain([above]).collect();
    let (code, reason) = wallet
        .refused("blockchain.silentpayments.subscribe", json!(params))
        .await;
    assert!(code == -32_602 && reason.contains("the tip"), "{code} {reason}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wallet_that_comes_back_gets_the_history_of_its_old_outputs() {
    let mut stage = Stage::with(Options::default(), testkit::RelayOptions::electrum).await;
    let payee = Payee::new(&[2]);
    let old = stage
        .payer
        .pay(&[InputKind::P2wpkh], &[silent(payee.labelled_address(2), 20_000)]);
    stage.node.mine_with(std::slice::from_ref(&old)).await;
    let height = stage.node.height().await;
    stage.node.mine(3).await;
    index_is_current(&stage.relay, height + 3).await;
    let mut wallet = Wallet::connect(stage.relay.electrum()).await;
    wallet.subscribe(&payee, json!(height + 2)).await;
    assert!(wallet.history().await.is_empty(), "it was reported before");
    // It asks for all outputs that it has.
    let (script, txid) = (script_of(&old), name(&old));
    let expected = status(&[(&txid, i64::from(height))]);
    assert_eq!(
        wallet.ask("blockchain.scripthash.subscribe", json!([script])).await,
        expected
    );
    let history = wallet.ask("blockchain.scripthash.get_history", json!([script])).await;
    assert_eq!(history, json!([{"height": height, "tx_hash": txid}]));
    let hex = serialize_hex(&old);
    assert_eq!(
        wallet.ask("blockchain.transaction.get", json!([txid])).await,
        json!(hex)
    );
    // Another script is none of its outputs, which is known once all blocks are scanned.
    let other = "00".repeat(32);
    let (code, reason) = wallet.refused("blockchain.scripthash.subscribe", json!([other])).await;
    assert!(code == 1 && reason.contains("electrum.backend"), "{code} {reason}");
    // A new payment is reported once.
    let new = stage
        .payer
        .pay(&[InputKind::P2wpkh], &[silent(payee.address(), 20_000)]);
    stage.node.send_raw(&new).await;
    assert_eq!(wallet.paid().await.txid, name(&new));
    stage.node.mine(1).await;
    let last = stage
        .payer
        .pay(&[InputKind::P2wpkh], &[silent(payee.address(), 20_000)]);
    stage.node.send_raw(&last).await;
    assert_eq!(wallet.paid().await.txid, name(&last));
    // It subscribes again, with the same labels and with another one: its old output stays.
    stage.node.mine(1).await;
    index_is_current(&stage.relay, stage.node.height().await).await;
    let mut wider = payee.clone();
    wider.labels.push(3);
    for payee in [&payee, &wider] {
        wallet.subscribe(payee, json!(height + 2)).await;
        wallet.history().await;
        assert_eq!(
            wallet.ask("blockchain.scripthash.subscribe", json!([script])).await,
            expected
        );
        stage.node.mine(1).await;
        index_is_current(&stage.relay, stage.node.height().await).await;
        let history = wallet.ask("blockchain.scripthash.get_history", json!([script])).await;
        assert_eq!(history, json!([{"height": height, "tx_hash": txid}]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_may_subscribe_and_ask_for_what_is_found() {
    let mut stage = Stage::with(Options::default(), testkit::RelayOptions::electrum).await;
    let payee = Payee::new(&[]);
    let paid = stage
        .payer
        .pay(&[InputKind::P2wpkh], &[silent(payee.address(), 20_000)]);
    stage.node.mine_with(std::slice::from_ref(&paid)).await;
    let height = stage.node.height().await;
    stage.node.mine(3).await;
    index_is_current(&stage.relay, height + 3).await;
    let history = "blockchain.scripthash.get_history";
    // The payment is in the history of the subscription, or before its start.
    for start in [height, height + 2] {
        let mut wallet = Wallet::connect(stage.relay.electrum()).await;
        let [scan, spend] = keys(&payee);
        let batch = json!([
            {"id": 1, "method": history, "params": [script_of(&paid)]},
            {"id": 2, "method": "blockchain.silentpayments.subscribe", "params": [scan, spend, start]},
            {"id": 3, "method": history, "params": [script_of(&paid)]},
        ]);
        let answers: Value = serde_json::from_str(&wallet.exchange(&batch.to_string()).await).unwrap();
        let expected = json!([{"height": height, "tx_hash": name(&paid)}]);
        assert_eq!(
            (&answers[0]["id"], &answers[0]["result"]),
            (&json!(1), &expected),
            "{answers}"
        );
        assert_eq!(answers[1]["result"]["start_height"], json!(start), "{answers}");
        assert_eq!(answers[2]["result"], expected, "{answers}");
        wallet.subscribed(answers[1]["result"].to_string());
        assert_eq!(wallet.history().await.len(), usize::from(start == height));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wallet_learns_from_the_script_what_spends_its_output() {
    let mut stage = Stage::with(Options::default(), testkit::RelayOptions::electrum).await;
    let payee = Payee::new(&[]);
    let tx = stage
        .payer
        .pay(&[InputKind::P2wpkh], &[silent(payee.address(), 20_000)]);
    let (outpoint, txid, script) = (OutPoint::new(tx.compute_txid(), 0), name(&tx), script_of(&tx));
    let mut wallet = Wallet::connect(stage.relay.electrum()).await;
    let start = stage.node.height().await;
    wallet.subscribe(&payee, json!(start)).await;
    wallet.history().await;
    stage.node.mine_with(std::slice::from_ref(&tx)).await;
    let height = i64::from(stage.node.height().await);
    // The tweak key of the notification is all that a wallet needs to spend.
    let tweak_key: PublicKey = wallet.paid().await.tweak_key.parse().unwrap();
    let found = scan(&payee.receiver(), &EligibleTx::with_tweak(&tx, tweak_key));
    let spending = payee.spend(
        &[(outpoint, tx.output[0].clone(), found[0].tweak.clone())],
        unowned_script(),
    );
    let spender = name(&spending);
    wallet.ask("blockchain.scripthash.subscribe", json!([script])).await;

    stage.node.send_raw(&spending).await;
    wallet.status(&script, &status(&[(&txid, height), (&spender, 0)])).await;
    let balance = wallet.ask("blockchain.scripthash.get_balance", json!([script])).await;
    assert_eq!(balance, json!({"confirmed": 20_000, "unconfirmed": -20_000}));
    assert_eq!(
        wallet.ask("blockchain.scripthash.listunspent", json!([script])).await,
        json!([])
    );
    let hex = json!(serialize_hex(&spending));
    assert_eq!(wallet.ask("blockchain.transaction.get", json!([spender])).await, hex);
    let block = stage.node.mine(1).await[0];
    let confirmed = status(&[(&txid, height), (&spender, height + 1)]);
    wallet.status(&script, &confirmed).await;
    assert_eq!(wallet.ask("blockchain.transaction.get", json!([spender])).await, hex);
    stage.node.invalidate(block).await;
    wallet.status(&script, &status(&[(&txid, height), (&spender, 0)])).await;
    stage.node.mine(2).await;
    wallet.status(&script, &confirmed).await;
    wallet.ask("server.ping", json!([])).await;
    let payments = wallet
        .notifications
        .iter()
        .filter(|(_, line)| line.contains("silentpayments"));
    assert_eq!(payments.count(), 0, "{:?}", wallet.notifications);

    // Another connection finds the payment and its spend in the history.
    index_is_current(&stage.relay, stage.node.height().await).await;
    let mut other = Wallet::connect(stage.relay.electrum()).await;
    other.subscribe(&payee, json!(start)).await;
    assert_eq!(other.history().await.len(), 1);
    assert_eq!(
        other.ask("blockchain.scripthash.subscribe", json!([script])).await,
        confirmed
    );
}

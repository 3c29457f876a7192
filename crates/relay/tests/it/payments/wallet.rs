//! Payments to the node's own wallet (`bitcoin_core.wallet`) are reported like those to the relay's own silent-payment
//! wallet.

use bitcoin::{Address, Amount, ScriptBuf};
use sdk_relay_client::Event;
use serde_json::json;
use testkit::InputKind::{P2pkh, P2wpkh};
use testkit::{Options, Recipient};

use crate::stage::{MARKER, Stage, silent};
use crate::support::recorder::{Recorder, detected};
use crate::support::step::{Step, steps};

const NAME: &str = "takings";

#[tokio::test]
async fn payments_to_the_nodes_wallet_are_sent_to_every_subscriber() {
    let node = Options {
        wallet: true,
        ..Options::default()
    };
    let mut stage = Stage::with(node, |relay| relay.set("BITCOIN_CORE__WALLET", NAME)).await;
    assert_eq!(
        stage.request("listwallets", json!([])).await,
        json!([NAME]),
        "the relay made it"
    );
    let mut recorders = [
        Recorder::open(&stage.relay, &["notifications"], None).await,
        Recorder::open(&stage.relay, &["notifications"], None).await,
    ];

    // Every kind of address of the wallet, and the silent-payment address, in one transaction.
    let mut addresses = Vec::new();
    for kind in ["legacy", "p2sh-segwit", "bech32", "bech32m"] {
        let address = stage.request("getnewaddress", json!(["", kind])).await;
        addresses.push(address.as_str().expect("an address").to_owned());
    }
    let mut to: Vec<_> = (1..)
        .zip(&addresses)
        .map(|(n, a)| Recipient::Script(script(a), Amount::from_sat(n * 10_000)))
        .collect();
    to.push(silent(stage.own, MARKER));
    let tx = stage.payer.pay(&[P2wpkh, P2pkh], &to);
    stage.node.send_raw(&tx).await;
    let txid = tx.compute_txid().to_string();
    addresses.push(stage.own.to_string());

    let mut expected = Vec::new();
    for (vout, address) in (0..).zip(&addresses) {
        expected.push(stage.waiting(&tx, vout, address).await);
    }
    for recorder in &mut recorders {
        let received = detected(&recorder.until_paid(&txid, 4, None).await);
        let expected: Vec<_> = expected
            .iter()
            .zip(&received)
            .map(|(e, received)| stage.seen_since(e.clone(), received))
            .collect();
        assert_eq!(received, expected);
    }

    let block = stage.node.mine(1).await[0];
    let mut expected = Vec::new();
    for (vout, address) in (0..).zip(&addresses) {
        expected.push(stage.confirmed(&tx, vout, address, block).await);
    }
    for recorder in &mut recorders {
        assert_eq!(
            detected(&recorder.until_paid(&txid, 4, Some(&block.to_string())).await),
            expected
        );
        let ids: Vec<_> = recorder
            .notifications
            .iter()
            .map(|n| n.event_id.expect("of the log"))
            .collect();
        assert!(ids.is_sorted_by(|a, b| a < b), "{ids:?}");
    }
    assert_eq!(recorders[0].texts, recorders[1].texts);

    // A payment by the wallet is no payment to it, and its change neither; a payment to itself is.
    let outside = ScriptBuf::new_p2wpkh(&bitcoin::WPubkeyHash::from_raw_hash(bitcoin::hashes::Hash::hash(
        b"outside",
    )));
    let outside = Address::from_script(&outside, bitcoin::Network::Regtest)
        .unwrap()
        .to_string();
    let spent = stage.request("sendtoaddress", json!([outside, 0.00005])).await;
    let spent = stage.request("gettransaction", json!([spent])).await;
    assert!(!spent["hex"].as_str().expect("hex").is_empty());
    let inside = stage.request("getnewaddress", json!([])).await;
    let itself = stage.request("sendtoaddress", json!([inside, 0.0001])).await;
    let marker = stage.pay_relay(MARKER).await.compute_txid().to_string();
    let messages = recorders[0].until_paid(&marker, 0, None).await;
    let paid: Vec<_> = detected(&messages)
        .into_iter()
        .map(|p| (p.txid, p.address, p.amount))
        .collect();
    let itself = itself.as_str().expect("a txid").to_owned();
    let inside = inside.as_str().expect("an address").to_owned();
    let own = (marker.clone(), stage.own.to_string(), "0.001".to_owned());
    assert_eq!(paid, [(itself.clone(), inside, "0.0001".to_owned()), own]);

    // A reorganisation reverts them and reports them again, like every payment.
    let end = stage.node.mine(1).await[0];
    recorders[0].until_paid(&marker, 0, Some(&end.to_string())).await;
    stage.node.invalidate(end).await;
    let messages = steps(&recorders[0].until_disconnected(&end.to_string()).await);
    let reverted = messages
        .iter()
        .filter(|step| matches!(step, Step::Reverted((txid, _), Some(_), None) if *txid == itself));
    assert_eq!(reverted.count(), 1, "{messages:#?}");
    let repeated = recorders[0].until(
        "the wallet's payment in the mempool again",
        |event| matches!(event, Event::PaymentDetected(p) if p.txid == itself && p.confirmations == 0),
    );
    repeated.await;
}

fn script(address: &str) -> ScriptBuf {
    let address: Address<_> = address.parse().unwrap();
    address
        .require_network(bitcoin::Network::Regtest)
        .unwrap()
        .script_pubkey()
}

//! The setting `scanner`: each engine of this machine finds payments, and the log says which one scans.

use sdk_relay_bip352::{Engine, Fast};
use sdk_relay_client::Event;
use testkit::{InputKind, Options, Payee};

use crate::stage::{Stage, silent};
use crate::support::recorder::Recorder;

#[tokio::test]
async fn the_configured_engine_finds_payments() {
    for engine in Fast::all() {
        let name = engine.name();
        let mut stage = Stage::with(Options::default(), |options| options.set("SCANNER", name)).await;
        let log = stage.relay.stderr();
        assert!(log.contains(&format!("scanner=\"{name}\"")), "{log}");
        let payee = Payee::new(&[3]);
        let mut recorder = Recorder::open(&stage.relay, &["notifications"], None).await;
        recorder.watch(&payee).await;
        // Twelve outputs in as many transactions: enough for a batch of the engine, in the block that confirms them.
        let mut last = None;
        for sats in 0..12 {
            let outputs = [silent(payee.labelled_address(3), 20_000 + sats)];
            let tx = stage.payer.pay(&[InputKind::P2tr], &outputs);
            stage.node.send_raw(&tx).await;
            last = Some(tx.compute_txid().to_string());
        }
        let txid = last.expect("a transaction");
        recorder.until_paid(&txid, 0, None).await;
        stage.node.mine(1).await;
        let block = stage.node.tip().await.to_string();
        let mut confirmed = 0;
        while confirmed < 12 {
            let payment = recorder.next().await;
            if let Event::PaymentDetected(payment) = payment.event
                && payment.block_hash.as_deref() == Some(block.as_str())
                && payment.label == Some(3)
            {
                confirmed += 1;
            }
        }
    }
}

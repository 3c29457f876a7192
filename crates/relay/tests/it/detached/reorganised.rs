//! A reorganisation while nobody is connected.

use sdk_relay_client::Payment;
use serde_json::json;
use testkit::{InputKind, Options, Payee};

use super::app::App;
use crate::stage::{Stage, outpoint, silent, tweak, unowned_script};

#[tokio::test]
async fn a_reorganisation_while_nobody_is_connected_is_reported_in_order() {
    let mut stage = Stage::with(Options::default(), |options| options).await;
    let payee = Payee::new(&[]);
    let mut app = App::watch(&stage.relay, &payee, json!({"detach": 600, "confirm_at": [2]})).await;
    app.leave(&stage.relay).await;
    app.until_detached(&stage.relay).await;
    let tx = stage.payer.pay(&[InputKind::P2tr], &[silent(payee.address(), 20_000)]);
    let txid = tx.compute_txid().to_string();
    stage.node.send_raw(&tx).await;
    app.until_found(&stage.relay, 1).await;
    let blocks = stage.node.mine(2).await;
    // In the block, and two deep.
    app.until_found(&stage.relay, 3).await;
    stage.node.invalidate(blocks[0]).await;
    // The payment is reverted with its block, and reported in the mempool.
    app.until_found(&stage.relay, 5).await;
    let again = stage.node.mine(1).await[0].to_string();
    app.until_found(&stage.relay, 6).await;

    app.attach(&stage.relay, 0).await;
    let first = blocks[0].to_string();
    let mut last = json!(null);
    for (seq, kind, block) in [
        (1, "payment_detected", None),
        (2, "payment_detected", Some(&first)),
        (3, "payment_confirmed", Some(&first)),
        (4, "payment_reverted", Some(&first)),
        (5, "payment_detected", None),
        (6, "payment_detected", Some(&again)),
    ] {
        let message = app.wire.receive().await;
        assert_eq!(
            (
                &message["watch_seq"],
                &message["notification_type"],
                &message["data"]["txid"]
            ),
            (&json!(seq), &json!(kind), &json!(txid))
        );
        assert_eq!(message["data"]["block_hash"], json!(block), "{message}");
        last = message;
    }
    let state = app.state(&stage.relay).await;
    assert_eq!(
        (&state["last_watch_seq"], &state["height"]),
        (&json!(6), &json!(stage.node.height().await))
    );
    // A spend is a match too, whoever is connected.
    app.leave(&stage.relay).await;
    app.until_detached(&stage.relay).await;
    let paid: Payment = serde_json::from_value(last["data"].clone()).unwrap();
    let vout = paid.vout as usize;
    let received = (outpoint(&paid), tx.output[vout].clone(), tweak(&paid));
    let spending = payee.spend(&[received], unowned_script());
    stage.node.send_raw(&spending).await;
    app.until_found(&stage.relay, 7).await;
    app.attach(&stage.relay, 6).await;
    let spent = app.wire.receive().await;
    assert_eq!(
        (&spent["watch_seq"], &spent["notification_type"]),
        (&json!(7), &json!("payment_spent"))
    );
    assert_eq!(spent["data"]["spent_by"], json!(spending.compute_txid().to_string()));
}

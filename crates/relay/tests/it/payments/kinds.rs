//! Every kind of input, every kind of address, seen waiting and then confirmed; and spent.

use bitcoin::Transaction;
use sdk_relay_client::Payment;
use testkit::InputKind::{P2pkh, P2shP2wpkh, P2tr, P2wpkh};
use testkit::{InputKind, Payee};

use crate::stage::{Stage, outpoint, silent, tweak, unowned_script};
use crate::support::recorder::{Recorder, by_watch, detected};

const INPUTS: [&[InputKind]; 6] = [
    &[P2wpkh],
    &[P2pkh],
    &[P2shP2wpkh],
    &[P2tr],
    &[P2tr, P2pkh, P2tr, P2wpkh, P2shP2wpkh],
    &[P2wpkh, P2wpkh],
];

/// A payment, with its expected notifications.
struct Made {
    tx: Transaction,
    /// To the watch: all outputs but the first, which belongs to the relay's own wallet.
    watched: Vec<Payment>,
}

#[tokio::test]
async fn payments_from_every_kind_of_input_to_every_kind_of_address() {
    let mut stage = Stage::new().await;
    let payee = Payee::new(&[1, 7]);
    let mut owner = Recorder::open(&stage.relay, &["notifications"], None).await;
    let watch = owner.watch(&payee).await;
    assert_eq!(watch.address, payee.address().to_string());

    let mut made = Vec::new();
    for kinds in INPUTS {
        made.push(waiting(&mut stage, &mut owner, &payee, &watch.watch_id, kinds).await);
    }

    let block = stage.node.mine(1).await[0];
    let last = made.iter().map(|made| made.tx.compute_txid()).collect::<Vec<_>>();
    // The block has a different order.
    let order: Vec<_> = stage
        .node
        .block(block)
        .await
        .txdata
        .iter()
        .map(Transaction::compute_txid)
        .collect();
    let last = order
        .iter()
        .rfind(|txid| last.contains(txid))
        .expect("they are in the block");
    let messages = owner.until_paid(&last.to_string(), 0, Some(&block.to_string())).await;
    let (of_watch, of_log) = by_watch(messages);
    let (of_watch, of_log) = (detected(&of_watch), detected(&of_log));
    assert_eq!((of_watch.len(), of_log.len()), (INPUTS.len() * 5, INPUTS.len()));
    for made in &made {
        let txid = made.tx.compute_txid().to_string();
        let of = |payments: &[Payment]| payments.iter().filter(|p| p.txid == txid).cloned().collect::<Vec<_>>();
        let own = stage.confirmed(&made.tx, 0, stage.own, block).await;
        assert_eq!(of(&of_log), [own]);
        // The same outputs with the same tweaks, except for the block.
        let mut expected = made.watched.clone();
        for payment in &mut expected {
            let confirmed = stage.confirmed(&made.tx, payment.vout, &payment.address, block).await;
            *payment = Payment {
                tweak: payment.tweak.clone(),
                label: payment.label,
                watch_id: payment.watch_id.clone(),
                ..confirmed
            };
        }
        assert_eq!(of(&of_watch), expected);
    }

    // The notifications are sufficient to spend every output, which the node accepts.
    let received: Vec<_> = of_watch
        .iter()
        .map(|payment| {
            let tx = &made
                .iter()
                .find(|m| m.tx.compute_txid().to_string() == payment.txid)
                .expect("ours")
                .tx;
            (
                outpoint(payment),
                tx.output[payment.vout as usize].clone(),
                tweak(payment),
            )
        })
        .collect();
    let spend = payee.spend(&received, unowned_script());
    assert_eq!(stage.node.accepts(&spend).await, Ok(()));
    stage.node.send_raw(&spend).await;
    stage.node.mine(1).await;
    for (outpoint, ..) in received {
        assert_eq!(stage.node.txout(outpoint).await, None, "{outpoint} is spent");
    }
}

/// Pays, and checks the notification with 0 confirmations.
async fn waiting(stage: &mut Stage, owner: &mut Recorder, payee: &Payee, watch_id: &str, kinds: &[InputKind]) -> Made {
    let to = [
        silent(stage.own, 123_456),
        silent(payee.address(), 20_000),
        silent(payee.labelled_address(1), 30_000),
        silent(payee.address(), 100_000),
        silent(payee.labelled_address(7), 40_001),
        silent(payee.change_address(), 50_000),
    ];
    let tx = stage.payer.pay(kinds, &to);
    stage.node.send_raw(&tx).await;
    let (of_watch, of_log) = by_watch(owner.until_paid(&tx.compute_txid().to_string(), 0, None).await);
    let (watched, of_log) = (detected(&of_watch), detected(&of_log));

    let own = stage.waiting(&tx, 0, stage.own).await;
    let own = stage.seen_since(own, &of_log[0]);
    assert_eq!(of_log, std::slice::from_ref(&own), "{kinds:?}");
    assert_eq!((own.amount.as_str(), own.fee.is_some()), ("0.00123456", true));

    // Change is reported with the plain address: that of label 0 must not be published.
    let labels = [None, Some(1), None, Some(7), Some(0)];
    let addresses = [
        payee.address(),
        payee.labelled_address(1),
        payee.address(),
        payee.labelled_address(7),
        payee.address(),
    ];
    assert_eq!(watched.len(), labels.len(), "{kinds:?}: {watched:#?}");
    for (((vout, reported), label), address) in (1..).zip(&watched).zip(labels).zip(addresses) {
        let expected = stage.seen_since(stage.waiting(&tx, vout, address).await, reported);
        let expected = Payment {
            // It is verified when the output is spent.
            tweak: reported.tweak.clone(),
            label,
            watch_id: Some(watch_id.to_owned()),
            ..expected
        };
        assert_eq!(*reported, expected, "{kinds:?}");
    }
    assert_eq!(watched[2].amount, "0.001");
    Made { tx, watched }
}

#[tokio::test]
async fn a_payment_that_is_first_seen_in_its_block() {
    let mut stage = Stage::new().await;
    let payee = Payee::new(&[3]);
    let mut owner = Recorder::open(&stage.relay, &["notifications"], None).await;
    let watch = owner.watch(&payee).await;
    let to = [silent(stage.own, 10_000), silent(payee.labelled_address(3), 20_000)];
    let tx = stage.payer.pay(&[P2tr], &to);
    let block = stage.node.mine_with(std::slice::from_ref(&tx)).await;

    let messages = owner
        .until_paid(&tx.compute_txid().to_string(), 0, Some(&block.to_string()))
        .await;
    let (of_watch, of_log) = by_watch(messages);
    assert_eq!(detected(&of_log), [stage.confirmed(&tx, 0, stage.own, block).await]);
    let reported = detected(&of_watch);
    let expected = Payment {
        tweak: reported[0].tweak.clone(),
        label: Some(3),
        watch_id: Some(watch.watch_id),
        ..stage.confirmed(&tx, 1, payee.labelled_address(3), block).await
    };
    assert_eq!(reported, [expected]);
    let received = (outpoint(&reported[0]), tx.output[1].clone(), tweak(&reported[0]));
    assert_eq!(
        stage.node.accepts(&payee.spend(&[received], unowned_script())).await,
        Ok(())
    );
}

//! Payments in the mempool, alone and behind a transaction that pays the attacker's labels.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use bitcoin::{Amount, Transaction};
use sdk_relay_client::Events;
use serde_json::json;
use testkit::{Bitcoind, InputKind, Payee, Payer, Recipient, RelayProcess};
use tokio::time::interval;

use super::common::{Arguments, LABELS, LOST_AFTER, Measured, connect, pay, watch};
use crate::report::Table;
use crate::stats::{Samples, ms};
use crate::watches::seen_at;

/// Outputs of the largest transaction that a node relays.
const OUTPUTS: usize = 2_290;
const DUST: Amount = Amount::from_sat(330);

/// Times of the honest client alone, and behind transactions that pay 2,290 outputs to the attacker's labels.
pub(super) async fn measure(
    relay: &RelayProcess,
    node: &Bitcoind,
    payer: &mut Payer,
    arguments: &Arguments,
) -> Result<Measured> {
    let honest = Payee::new(&[]);
    let (client, mut events) = connect(relay, "honest").await?;
    client.watch(watch(&honest, None)).await?;
    let (mut alone, mut beside) = (Vec::new(), Vec::new());
    for _ in 0..arguments.rounds {
        let tx = pay(payer, honest.address());
        alone.push(seen(node, &mut events, &tx).await?);
    }
    let (attacker, mut received) = connect(relay, "attacker").await?;
    // The same keys with a different set of labels each, so that no scan is shared.
    let greedy = Payee::new(&[]);
    for n in 0..u32::from(arguments.watches) {
        let labels: Vec<u32> = (0..LABELS)
            .map(|m| if m == 0 { 1 } else { 1_000 * n + m + 1 })
            .collect();
        let keys = Payee {
            labels,
            ..greedy.clone()
        };
        attacker.watch(watch(&keys, None)).await?;
    }
    let reading = tokio::spawn(async move { while received.recv().await.is_some() {} });
    let of_label = Payee {
        labels: vec![1],
        ..greedy.clone()
    }
    .labelled_address(1);
    let mut ticks = interval(Duration::from_millis(500));
    for _ in 0..arguments.rounds {
        ticks.tick().await;
        let large = payer.pay(&[InputKind::P2tr], &vec![Recipient::Silent(of_label, DUST); OUTPUTS]);
        let tx = pay(payer, honest.address());
        node.send_raw(&large).await;
        beside.push(seen(node, &mut events, &tx).await?);
    }
    drop(attacker);
    reading.await?;
    let (alone, beside) = (
        Samples::new(alone).context("no payment")?,
        Samples::new(beside).context("no payment")?,
    );
    Ok(Measured {
        tables: vec![
            Table::new(["a payment in the mempool, ms", "p50", "p90", "p99", "max"])
                .row("alone", &alone.summary(), 1)
                .row("with the attacker", &beside.summary(), 1),
        ],
        json: json!({"alone_ms": alone.json(), "beside_ms": beside.json()}),
    })
}

/// Milliseconds from sending a payment to the client's message.
async fn seen(node: &Bitcoind, events: &mut Events, tx: &Transaction) -> Result<f64> {
    let sent = Instant::now();
    node.send_raw(tx).await;
    let at = seen_at(events, tx.compute_txid(), LOST_AFTER).await?;
    Ok(ms(at.duration_since(sent)))
}

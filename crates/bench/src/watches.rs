//! `watches`: the default maximum number of watches; a payment to one of them in the mempool, and a block full of
//! payments to others.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use bitcoin::{Amount, Transaction, Txid};
use sdk_relay_client::{Client, ClientEvent, Event, Events, Watch, protocol::SecretHex};
use serde_json::json;
use testkit::{Bitcoind, InputKind, Options, Payee, Payer, RelayOptions, RelayProcess, relay_exe};
use tokio::time::{interval, timeout};

use crate::report::{Report, Table};
use crate::stats::{Samples, ms, thousandths};

/// Default limit of one connection.
const WATCHES_PER_CONNECTION: usize = 100;
/// Warm-up transactions: the subscription of the relay may not be effective yet.
const WARM_UP: usize = 10;
/// Value of a coin, and of a payment.
const COIN: Amount = Amount::from_sat(100_000);
const PAYMENT: Amount = Amount::from_sat(10_000);
/// Timeout, far above any expected value: the payment is lost, and the bench fails.
const LOST_AFTER: Duration = Duration::from_secs(600);

/// Many watches, one block.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Watches, over connections of 100.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    watches: u16,
    /// Transactions of the block, each eligible.
    #[arg(long, default_value_t = 2_500, value_parser = clap::value_parser!(u16).range(1..=5_000))]
    block: u16,
    /// Payments to one of the watches in the mempool.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u16).range(1..=2_000))]
    payments: u16,
    /// Transactions a second.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u8).range(1..=100))]
    rate: u8,
}

pub(crate) async fn run(arguments: Arguments) -> Result<Report> {
    let (block, payments) = (usize::from(arguments.block), usize::from(arguments.payments));
    let node = Bitcoind::start(Options::default()).await;
    let mut payer = Payer::funded(&node).await;
    payer
        .split(&node, InputKind::P2wpkh, block + payments + WARM_UP, COIN)
        .await;
    let mut relay = RelayProcess::start(RelayOptions::new(relay_exe()).node(&node)).await;
    let payee = Payee::new(&[]);
    let mut watching = watch(&relay, usize::from(arguments.watches), &payee).await?;
    let (_, events) = watching.last_mut().context("no connection")?;

    let pays: Vec<Transaction> = (0..WARM_UP + payments)
        .map(|_| payer.pay(&[InputKind::P2wpkh], &[(payee.address(), PAYMENT)]))
        .collect();
    let mut ticks = interval(Duration::from_secs(1) / u32::from(arguments.rate));
    let mut times = Vec::new();
    for (n, tx) in pays.iter().enumerate() {
        ticks.tick().await;
        let sent = Instant::now();
        node.send_raw(tx).await;
        let seen = seen_at(events, tx.compute_txid(), LOST_AFTER).await?;
        if n >= WARM_UP {
            times.push(ms(seen.duration_since(sent)));
        }
    }
    let mempool = Samples::new(times).context("no payment")?;

    // The block is new to the relay: nothing of it was in the mempool. Its last transaction pays the watch.
    let stranger = Payee::new(&[]);
    let mut txs: Vec<Transaction> = (1..block)
        .map(|_| payer.pay(&[InputKind::P2wpkh], &[(stranger.address(), PAYMENT)]))
        .collect();
    txs.push(payer.pay(&[InputKind::P2wpkh], &[(payee.address(), PAYMENT)]));
    let last = txs.last().context("an empty block")?.compute_txid();
    let start = Instant::now();
    node.mine_with(&txs).await;
    let mined = start.elapsed();
    let seen = seen_at(events, last, LOST_AFTER).await?.duration_since(start);
    relay.terminate().await;
    drop(watching);

    let seconds = seen.as_secs_f64();
    let table = Table::new(["milliseconds", "p50", "p90", "p99", "max"]).row(
        "a payment in the mempool, from sending to the client",
        &mempool.summary(),
        1,
    );
    let rest = Table::new(["seconds", "measured", "aim"])
        .row("a block, from mining it to the client", &[seconds, 60.0], 2)
        .row(
            "of which the node creates the block",
            &[mined.as_secs_f64(), f64::NAN],
            2,
        );
    Ok(Report {
        title: format!(
            "{} watches, {} transactions a second, then a block of {block} eligible transactions, on {} processors",
            arguments.watches,
            arguments.rate,
            std::thread::available_parallelism()?
        ),
        tables: vec![table, rest],
        json: json!({
            "bench": "watches",
            "watches": arguments.watches,
            "mempool_ms": mempool.json(),
            "block_transactions": block,
            "block_seconds": thousandths(seconds),
        }),
    })
}

/// The last watch is that of the payee.
async fn watch(relay: &RelayProcess, watches: usize, payee: &Payee) -> Result<Vec<(Client, Events)>> {
    let mut connections = Vec::new();
    let mut left = watches;
    while left > 0 {
        let connection = Client::builder(&relay.ws_url())
            .client_id(format!("bench-watches-{}", connections.len()))
            .connect()
            .await?;
        for _ in 0..left.min(WATCHES_PER_CONNECTION) {
            left -= 1;
            let keys = if left == 0 { payee.clone() } else { Payee::new(&[]) };
            connection.0.watch(order(&keys)).await?;
        }
        connections.push(connection);
    }
    Ok(connections)
}

fn order(payee: &Payee) -> Watch {
    Watch::of_keys(SecretHex::new(payee.scan_hex()), payee.spend_public_key().to_string())
}

/// The time at which the client is notified of a payment in this transaction; an error after `within`.
pub(crate) async fn seen_at(events: &mut Events, txid: Txid, within: Duration) -> Result<Instant> {
    let txid = txid.to_string();
    timeout(within, async {
        while let Some(event) = events.recv().await {
            let at = Instant::now();
            if let ClientEvent::Notification(n) = event
                && let Event::PaymentDetected(payment) = n.event
                && payment.txid == txid
            {
                return Ok(at);
            }
        }
        bail!("the client ended")
    })
    .await
    .context("a payment was not reported")?
}

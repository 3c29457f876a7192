//! `fairness`: an honest client beside one that does its worst, at the same relay: payments beside labels without end, history beside thousands of watches,
//! memory under watches that come and go.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use bitcoin::{Amount, Transaction};
use sdk_relay_bip352::SilentPaymentAddress;
use sdk_relay_client::protocol::{ErrorCode, SecretHex};
use sdk_relay_client::{Client, ClientEvent, Events, RequestError, Watch};
use serde_json::json;
use testkit::{Bitcoind, InputKind, Options, Payee, Payer, Recipient, RelayOptions, RelayProcess, relay_exe};
use tokio::time::{interval, sleep, timeout};

use crate::report::{Report, Table};
use crate::stats::{Samples, ms};
use crate::watches::told;

/// Labels of each of the attacker's watches, as many as the default allows.
const LABELS: u32 = 100;
/// Outputs of the largest transaction that a node relays.
const OUTPUTS: usize = 2_290;
const DUST: Amount = Amount::from_sat(330);
/// Worth of a coin that pays, and of a payment.
const COIN: Amount = Amount::from_sat(100_000);
const LARGE_COIN: Amount = Amount::from_sat(3_000_000);
const PAYMENT: Amount = Amount::from_sat(10_000);
/// Transactions in the mempool while watches come and go.
const MEMPOOL: usize = 500;
/// Far beyond what would be reported: it is lost, and the bench has failed.
const LOST_AFTER: Duration = Duration::from_secs(300);
/// After the end of the churn, before memory is looked at.
const REST: Duration = Duration::from_secs(5);

/// An honest client beside an attacker.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Watches of the attacker, with 100 labels each.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=100))]
    watches: u16,
    /// Large transactions, each with a payment of the honest client behind it.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=200))]
    rounds: u16,
    /// Watches of the attacker with a history, all of one client.
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    histories: u16,
    /// Eligible transactions of the history.
    #[arg(long, default_value_t = 8_000, value_parser = clap::value_parser!(u16).range(100..=20_000))]
    rows: u16,
    /// Seconds of watches that come and go.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u16).range(1..=600))]
    churn: u16,
}

pub(crate) async fn run(arguments: Arguments) -> Result<Report> {
    let (rounds, rows) = (usize::from(arguments.rounds), usize::from(arguments.rows));
    let node = Bitcoind::start(Options::default()).await;
    let mut payer = Payer::funded(&node).await;
    payer
        .split(&node, InputKind::P2wpkh, 2 * rounds + rows + MEMPOOL, COIN)
        .await;
    payer.split(&node, InputKind::P2tr, rounds, LARGE_COIN).await;
    let stranger = Payee::new(&[]).address();
    for block in (0..rows).collect::<Vec<_>>().chunks(2_000) {
        let txs: Vec<Transaction> = block.iter().map(|_| pay(&mut payer, stranger)).collect();
        node.mine_with(&txs).await;
    }
    let options = RelayOptions::new(relay_exe()).node(&node).set(
        "LIMITS__WATCHES_PER_CONNECTION",
        arguments.histories.max(100).to_string(),
    );
    let relay = RelayProcess::start(options).await;
    let idle = relay.resident_bytes();

    let (alone, beside) = payments(&relay, &node, &mut payer, &arguments).await?;
    let histories = histories(&relay, &node, usize::from(arguments.histories)).await?;
    let memory = churn(&relay, &node, &mut payer, Duration::from_secs(arguments.churn.into())).await?;

    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    let times = Table::new(["a payment in the mempool, ms", "p50", "p90", "p99", "max"])
        .row("alone", &alone.summary(), 1)
        .row("beside the attacker", &beside.summary(), 1);
    let history =
        Table::new(["a history, ms", "alone", "beside"]).row(&format!("of {rows} transactions"), &histories.map(ms), 1);
    let resident = Table::new(["resident memory, MiB", "value"])
        .row("idle", &[mib(idle)], 1)
        .row("before the churn", &[mib(memory.before)], 1)
        .row("most during the churn", &[mib(memory.most)], 1)
        .row("5 s after it", &[mib(memory.after)], 1);
    Ok(Report {
        title: format!(
            "An honest client beside {} watches of {LABELS} labels, {} histories, and watches that come and go for {} s",
            arguments.watches, arguments.histories, arguments.churn
        ),
        tables: vec![times, history, resident],
        json: json!({
            "bench": "fairness",
            "alone_ms": alone.json(),
            "beside_ms": beside.json(),
            "history_alone_ms": ms(histories[0]),
            "history_beside_ms": ms(histories[1]),
            "memory_before": memory.before,
            "memory_most": memory.most,
            "memory_after": memory.after,
            "watches_churned": memory.watches,
        }),
    })
}

/// The honest client's times, alone and each behind a transaction that pays 2,290 outputs to the attacker's labels.
async fn payments(
    relay: &RelayProcess,
    node: &Bitcoind,
    payer: &mut Payer,
    arguments: &Arguments,
) -> Result<(Samples, Samples)> {
    let honest = Payee::new(&[]);
    let (client, mut events) = connect(relay, "honest").await?;
    client.watch(watch(&honest, None)).await?;
    let (mut alone, mut beside) = (Vec::new(), Vec::new());
    for _ in 0..arguments.rounds {
        let tx = pay(payer, honest.address());
        alone.push(seen(node, &mut events, &tx).await?);
    }
    let (attacker, mut told) = connect(relay, "attacker").await?;
    // The same keys with another set of labels each: none of them is scanned for another.
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
    let reading = tokio::spawn(async move { while told.recv().await.is_some() {} });
    let of_label = Payee {
        labels: vec![1],
        ..greedy.clone()
    }
    .labelled_address(1);
    let mut pace = interval(Duration::from_millis(500));
    for _ in 0..arguments.rounds {
        pace.tick().await;
        let large = payer.pay(&[InputKind::P2tr], &vec![Recipient::Silent(of_label, DUST); OUTPUTS]);
        let tx = pay(payer, honest.address());
        node.send_raw(&large).await;
        beside.push(seen(node, &mut events, &tx).await?);
    }
    drop(attacker);
    reading.await?;
    Ok((
        Samples::new(alone).context("no payment")?,
        Samples::new(beside).context("no payment")?,
    ))
}

/// How long a history takes alone, and beside those of the attacker.
async fn histories(relay: &RelayProcess, node: &Bitcoind, count: usize) -> Result<[Duration; 2]> {
    node.mine(1).await;
    let (client, mut events) = connect(relay, "historian").await?;
    // The first one waits for the index, which may still be at work.
    scanned(&client, &mut events).await?;
    let alone = scanned(&client, &mut events).await?;
    let (attacker, mut told) = connect(relay, "attacker").await?;
    let reading = tokio::spawn(async move { while told.recv().await.is_some() {} });
    let mut ordered = Vec::new();
    for _ in 0..count {
        ordered.push(watch(&Payee::new(&[]), Some(0)));
    }
    for order in ordered {
        // The relay takes a hundred messages a second of a connection.
        while let Err(error) = attacker.watch(order.clone()).await {
            let RequestError::Refused {
                code: ErrorCode::RateLimited,
                ..
            } = error
            else {
                return Err(error.into());
            };
            sleep(Duration::from_millis(50)).await;
        }
    }
    let beside = scanned(&client, &mut events).await?;
    drop(attacker);
    reading.await?;
    Ok([alone, beside])
}

struct Memory {
    before: u64,
    most: u64,
    after: u64,
    watches: u64,
}

/// Watches that come and go for so long, before a mempool of some hundreds of transactions.
async fn churn(relay: &RelayProcess, node: &Bitcoind, payer: &mut Payer, time: Duration) -> Result<Memory> {
    let stranger = Payee::new(&[]).address();
    for _ in 0..MEMPOOL {
        node.send_raw(&pay(payer, stranger)).await;
    }
    let mut memory = Memory {
        before: relay.resident_bytes(),
        most: 0,
        after: 0,
        watches: 0,
    };
    let orders: Vec<Watch> = (0..100).map(|_| watch(&Payee::new(&[]), None)).collect();
    let began = Instant::now();
    while began.elapsed() < time {
        let (client, events) = connect(relay, "churn").await?;
        for order in &orders {
            client.watch(order.clone()).await?;
            memory.watches += 1;
        }
        drop((client, events));
        memory.most = memory.most.max(relay.resident_bytes());
    }
    sleep(REST).await;
    memory.after = relay.resident_bytes();
    Ok(memory)
}

async fn connect(relay: &RelayProcess, name: &str) -> Result<(Client, Events)> {
    let builder = Client::builder(&relay.ws_url()).client_id(name).reconnect(false);
    Ok(builder.connect().await?)
}

fn pay(payer: &mut Payer, to: SilentPaymentAddress) -> Transaction {
    payer.pay(&[InputKind::P2wpkh], &[(to, PAYMENT)])
}

fn watch(payee: &Payee, from_height: Option<u32>) -> Watch {
    Watch {
        scan_private_key: SecretHex::new(payee.scan_hex()),
        spend_public_key: payee.spend_public_key().to_string(),
        labels: Some(payee.labels.clone()),
        from_height,
        to_height: None,
        message_id: None,
    }
}

/// Milliseconds from sending a payment to the client's message.
async fn seen(node: &Bitcoind, events: &mut Events, tx: &Transaction) -> Result<f64> {
    let sent = Instant::now();
    node.send_raw(tx).await;
    let at = told(events, tx.compute_txid(), LOST_AFTER).await?;
    Ok(ms(at.duration_since(sent)))
}

/// The time of a new watch's whole history.
async fn scanned(client: &Client, events: &mut Events) -> Result<Duration> {
    let began = Instant::now();
    let watching = client.watch(watch(&Payee::new(&[]), Some(0))).await?;
    timeout(LOST_AFTER, async {
        while let Some(event) = events.recv().await {
            if let ClientEvent::WatchProgress(progress) = event
                && progress.watch_id == watching.watch_id
                && progress.progress >= 1.0
            {
                return Ok(began.elapsed());
            }
        }
        bail!("the client ended")
    })
    .await
    .context("a history did not end")?
}

//! `fairness`: an honest client beside one that does its worst, at the same relay: payments beside labels without end, history beside thousands of watches,
//! memory under watches that come and go, `/health/live` beside requests and messages that never end.

mod churn;
mod histories;
mod payments;
mod unfinished;

use std::time::Duration;

use anyhow::Result;
use bitcoin::{Amount, Transaction};
use sdk_relay_bip352::SilentPaymentAddress;
use sdk_relay_client::protocol::SecretHex;
use sdk_relay_client::{Client, Events, Watch};
use serde_json::{Map, Value, json};
use testkit::{Bitcoind, InputKind, Options, Payee, Payer, RelayOptions, RelayProcess, relay_exe};

use crate::report::{Report, Table};

/// Labels of each of the attacker's watches, as many as the default allows.
const LABELS: u32 = 100;
/// Worth of a coin that pays, and of a payment.
const COIN: Amount = Amount::from_sat(100_000);
const LARGE_COIN: Amount = Amount::from_sat(3_000_000);
const PAYMENT: Amount = Amount::from_sat(10_000);
/// Far beyond what would be reported: it is lost, and the bench has failed.
const LOST_AFTER: Duration = Duration::from_secs(300);

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
    /// Histories of the honest client, alone and beside those of the attacker.
    #[arg(long, default_value_t = 11, value_parser = clap::value_parser!(u16).range(1..=100))]
    samples: u16,
    /// Eligible transactions of the history.
    #[arg(long, default_value_t = 8_000, value_parser = clap::value_parser!(u16).range(100..=20_000))]
    rows: u16,
    /// Seconds of watches that come and go.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u16).range(1..=600))]
    churn: u16,
    /// WebSocket messages of 1 MB without their end, beside 1,024 requests without theirs.
    #[arg(long, default_value_t = 1_500, value_parser = clap::value_parser!(u16).range(1..=3_000))]
    unfinished: u16,
    /// What is measured.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Part::Payments, Part::Histories, Part::Churn, Part::Unfinished])]
    parts: Vec<Part>,
}

/// A part of the bench.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    Payments,
    Histories,
    Churn,
    Unfinished,
}

/// What a part has measured.
struct Measured {
    tables: Vec<Table>,
    json: Value,
}

pub(crate) async fn run(arguments: Arguments) -> Result<Report> {
    let (rounds, rows) = (usize::from(arguments.rounds), usize::from(arguments.rows));
    let node = Bitcoind::start(Options::default()).await;
    let mut payer = Payer::funded(&node).await;
    payer
        .split(&node, InputKind::P2wpkh, 2 * rounds + rows + churn::MEMPOOL, COIN)
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

    let mut tables = Vec::new();
    let mut figures = Map::new();
    for part in &arguments.parts {
        let measured = match part {
            Part::Payments => payments::measure(&relay, &node, &mut payer, &arguments).await?,
            Part::Histories => histories::measure(&relay, &node, &arguments).await?,
            Part::Churn => churn::measure(&relay, &node, &mut payer, &arguments).await?,
            Part::Unfinished => unfinished::measure(&node, arguments.unfinished.into()).await?,
        };
        tables.extend(measured.tables);
        figures.insert(format!("{part:?}").to_lowercase(), measured.json);
    }
    Ok(Report {
        title: format!(
            "An honest client beside {} watches of {LABELS} labels, {} histories, watches that come and go for {} s, {} unfinished messages",
            arguments.watches, arguments.histories, arguments.churn, arguments.unfinished
        ),
        tables,
        json: json!({ "bench": "fairness", "parts": figures }),
    })
}

/// Bytes as MiB.
fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
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

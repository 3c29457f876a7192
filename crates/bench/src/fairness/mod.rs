//! `fairness`: an honest client beside one that does its worst, at the same relay: payments beside labels without end,
//! history beside thousands of watches, memory under watches registered and ended, `/health/live` beside requests and
//! messages that never end.

mod churn;
mod common;
mod histories;
mod payments;
mod unfinished;

use anyhow::Result;
use bitcoin::Transaction;
use serde_json::{Map, json};
use testkit::{Bitcoind, InputKind, Options, Payee, Payer, RelayOptions, RelayProcess, relay_exe};

pub(crate) use common::Arguments;

use crate::report::Report;
use common::{COIN, LABELS, LARGE_COIN, Part, pay};

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
            "An honest client with an attacker of {} watches of {LABELS} labels, {} histories, watches registered and ended for {} s, {} unfinished messages",
            arguments.watches, arguments.histories, arguments.churn, arguments.unfinished
        ),
        tables,
        json: json!({ "bench": "fairness", "parts": figures }),
    })
}

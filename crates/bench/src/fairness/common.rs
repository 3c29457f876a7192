//! Common definitions of the parts of the bench.

use std::time::Duration;

use anyhow::Result;
use bitcoin::{Amount, Transaction};
use sdk_relay_bip352::SilentPaymentAddress;
use sdk_relay_client::protocol::SecretHex;
use sdk_relay_client::{Client, Events, Watch};
use serde_json::Value;
use testkit::{InputKind, Payee, Payer, RelayProcess};

use crate::report::Table;

/// Labels of each of the attacker's watches, as many as the default allows.
pub(super) const LABELS: u32 = 100;
/// Value of a coin, and of a payment.
pub(super) const COIN: Amount = Amount::from_sat(100_000);
pub(super) const LARGE_COIN: Amount = Amount::from_sat(3_000_000);
pub(super) const PAYMENT: Amount = Amount::from_sat(10_000);
/// Timeout, far above any expected value: the message is lost, and the bench fails.
pub(super) const LOST_AFTER: Duration = Duration::from_secs(300);

/// An honest client together with an attacker.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Watches of the attacker, with 100 labels each.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=100))]
    pub(super) watches: u16,
    /// Large transactions, each with a payment of the honest client behind it.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=200))]
    pub(super) rounds: u16,
    /// Watches of the attacker with a history, all of one client.
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub(super) histories: u16,
    /// Histories of the honest client, alone and with those of the attacker.
    #[arg(long, default_value_t = 11, value_parser = clap::value_parser!(u16).range(1..=100))]
    pub(super) samples: u16,
    /// Eligible transactions of the history.
    #[arg(long, default_value_t = 8_000, value_parser = clap::value_parser!(u16).range(100..=20_000))]
    pub(super) rows: u16,
    /// Seconds of watches registered and ended.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u16).range(1..=600))]
    pub(super) churn: u16,
    /// Incomplete WebSocket messages of 1 MB, together with 1,024 incomplete requests
    #[arg(long, default_value_t = 1_500, value_parser = clap::value_parser!(u16).range(1..=3_000))]
    pub(super) unfinished: u16,
    /// Parts to measure
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Part::Payments, Part::Histories, Part::Churn, Part::Unfinished])]
    pub(super) parts: Vec<Part>,
}

/// A part of the bench.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Part {
    Payments,
    Histories,
    Churn,
    Unfinished,
}

/// Result of a part.
pub(super) struct Measured {
    pub(super) tables: Vec<Table>,
    pub(super) json: Value,
}

/// Bytes as MiB.
pub(super) fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

pub(super) async fn connect(relay: &RelayProcess, name: &str) -> Result<(Client, Events)> {
    let builder = Client::builder(&relay.ws_url()).client_id(name).reconnect(false);
    Ok(builder.connect().await?)
}

pub(super) fn pay(payer: &mut Payer, to: SilentPaymentAddress) -> Transaction {
    payer.pay(&[InputKind::P2wpkh], &[(to, PAYMENT)])
}

pub(super) fn watch(payee: &Payee, from_height: Option<u32>) -> Watch {
    Watch {
        labels: Some(payee.labels.clone()),
        from_height,
        ..Watch::of_keys(SecretHex::new(payee.scan_hex()), payee.spend_public_key().to_string())
    }
}

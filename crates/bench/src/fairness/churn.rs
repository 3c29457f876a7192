//! Memory while watches are registered and ended.

use std::time::{Duration, Instant};

use anyhow::Result;
use sdk_relay_client::Watch;
use serde_json::json;
use testkit::{Bitcoind, Payee, Payer, RelayProcess};
use tokio::time::sleep;

use super::common::{Arguments, Measured, connect, mib, pay, watch};
use crate::report::Table;

/// Transactions in the mempool.
pub(super) const MEMPOOL: usize = 500;
/// Delay after the churn, before memory is measured.
const REST: Duration = Duration::from_secs(5);

/// Registers and ends watches for the given time, with a mempool of several hundred transactions.
pub(super) async fn measure(
    relay: &RelayProcess,
    node: &Bitcoind,
    payer: &mut Payer,
    arguments: &Arguments,
) -> Result<Measured> {
    let time = Duration::from_secs(arguments.churn.into());
    let stranger = Payee::new(&[]).address();
    for _ in 0..MEMPOOL {
        node.send_raw(&pay(payer, stranger)).await;
    }
    let before = relay.resident_bytes();
    let (mut most, mut watches) = (0, 0_u64);
    let orders: Vec<Watch> = (0..100).map(|_| watch(&Payee::new(&[]), None)).collect();
    let began = Instant::now();
    while began.elapsed() < time {
        let (client, events) = connect(relay, "churn").await?;
        for order in &orders {
            client.watch(order.clone()).await?;
            watches += 1;
        }
        drop((client, events));
        most = most.max(relay.resident_bytes());
    }
    sleep(REST).await;
    let after = relay.resident_bytes();
    Ok(Measured {
        tables: vec![
            Table::new(["watches registered and ended", "value"])
                .row("watches", &[watches as f64], 0)
                .row("resident memory before, MiB", &[mib(before)], 1)
                .row("peak, MiB", &[mib(most)], 1)
                .row("5 s after, MiB", &[mib(after)], 1),
        ],
        json: json!({"watches": watches, "before": before, "most": most, "after": after}),
    })
}

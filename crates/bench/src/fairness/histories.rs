//! Histories, alone and together with thousands of another client.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use sdk_relay_client::protocol::ErrorCode;
use sdk_relay_client::{Client, ClientEvent, Events, RequestError, Watch};
use serde_json::json;
use testkit::{Bitcoind, Payee, RelayProcess};
use tokio::time::{sleep, timeout};

use super::common::{Arguments, LOST_AFTER, Measured, connect, watch};
use crate::report::Table;
use crate::stats::{Samples, ms, thousandths};

/// Times of a history alone, and together with those of the attacker.
pub(super) async fn measure(relay: &RelayProcess, node: &Bitcoind, arguments: &Arguments) -> Result<Measured> {
    node.mine(1).await;
    let (client, mut events) = connect(relay, "historian").await?;
    // The first one waits for the index, which may still be building.
    scanned(&client, &mut events).await?;
    let mut alone = Vec::new();
    for _ in 0..arguments.samples {
        alone.push(ms(scanned(&client, &mut events).await?));
    }
    let (attacker, received) = connect(relay, "attacker").await?;
    let count = usize::from(arguments.histories);
    let done = Arc::new(AtomicUsize::new(0));
    let reading = tokio::spawn(count_ended(received, Arc::clone(&done)));
    let ordered: Vec<Watch> = (0..count).map(|_| watch(&Payee::new(&[]), Some(0))).collect();
    for order in ordered {
        // The relay accepts a hundred messages per second from a connection.
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
    let (mut beside, mut done_at_last) = (Vec::new(), 0);
    for _ in 0..arguments.samples {
        done_at_last = done.load(Ordering::Relaxed);
        if done_at_last == count {
            break;
        }
        beside.push(ms(scanned(&client, &mut events).await?));
    }
    drop(attacker);
    reading.await?;
    let alone = Samples::new(alone).context("no history")?;
    let beside = Samples::new(beside).context("the attacker's histories ended first")?;
    let ratio = beside.percentile(50) / alone.percentile(50);
    let name = format!("a history of {} transactions, ms", arguments.rows);
    Ok(Measured {
        tables: vec![
            Table::new([name.as_str(), "p50", "p90", "p99", "max"])
                .row("alone", &alone.summary(), 1)
                .row("with the attacker", &beside.summary(), 1),
            Table::new(["a history", "value"])
                .row("medians, beside ÷ alone", &[ratio], 2)
                .row("samples beside", &[beside.len() as f64], 0)
                .row(
                    "histories of the attacker that had ended by the last",
                    &[done_at_last as f64],
                    0,
                ),
        ],
        json: json!({
            "alone_ms": alone.json(),
            "beside_ms": beside.json(),
            "ratio": thousandths(ratio),
            "attacker_ended": done_at_last,
        }),
    })
}

async fn count_ended(mut events: Events, done: Arc<AtomicUsize>) {
    while let Some(event) = events.recv().await {
        if let ClientEvent::WatchProgress(progress) = event
            && progress.progress >= 1.0
        {
            done.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Time of the complete history of a new watch.
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

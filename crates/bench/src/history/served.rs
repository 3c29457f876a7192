//! The rows of `history` as a relay serves them: a relay on its embedded chain, whose index has the blocks of that
//! chain with synthetic rows.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use bitcoin::BlockHash;
use sdk_relay_client::protocol::SecretHex;
use sdk_relay_client::{Client, ClientEvent, Watch};
use sdk_relay_store::TweakIndex;
use serde_json::{Value, json};
use testkit::{Payee, RelayOptions, RelayProcess, eventually, http_get, http_post, relay_exe};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::report::Table;
use crate::stats::{Samples, ms, thousandths};

/// Blocks that the embedded chain mines for one request.
const MINED_AT_ONCE: u32 = 1_000;
/// Far above any expected time.
const LOST_AFTER: Duration = Duration::from_secs(600);
const SUBSCRIBE: &str = "blockchain.silentpayments.subscribe";

pub(super) struct Served {
    pub(super) table: Table,
    pub(super) json: Value,
}

/// Appends rows to an index, on top of a block: in blocks from a height, with these hashes.
type Fill = fn(&TweakIndex, BlockHash, u32, &[BlockHash]) -> Result<()>;

/// Scans alternately over WebSocket and over Electrum. `seconds`: the scan of the same `rows` without a relay.
pub(super) async fn measure(blocks: u32, fill: Fill, samples: u16, (rows, seconds): (f64, f64)) -> Result<Served> {
    let relay = relay(blocks, fill).await?;
    let (mut watches, mut subscriptions) = (Vec::new(), Vec::new());
    // The first of each is not counted: it reads the rows from disk.
    for n in 0..=samples {
        let (watch, subscription) = (watch(&relay).await?, subscribe(&relay).await?);
        if n > 0 {
            watches.push(ms(watch));
            subscriptions.push(ms(subscription));
        }
    }
    let watches = Samples::new(watches).context("no sample")?;
    let subscriptions = Samples::new(subscriptions).context("no sample")?;
    let ratio = subscriptions.percentile(50) / watches.percentile(50);
    let to_plain = subscriptions.percentile(50) / (seconds * 1e3);
    let per_s = |samples: &Samples| rows / samples.percentile(50) * 1e3;
    let table = Table::new(["through a relay", "value"])
        .row("watch over WebSocket, s", &[watches.percentile(50) / 1e3], 2)
        .row(
            "subscription over Electrum, s",
            &[subscriptions.percentile(50) / 1e3],
            2,
        )
        .row("watch, rows/s", &[per_s(&watches)], 0)
        .row("subscription, rows/s", &[per_s(&subscriptions)], 0)
        .row("subscription ÷ watch", &[ratio], 3)
        .row("subscription ÷ without a relay", &[to_plain], 3);
    Ok(Served {
        table,
        json: json!({
            "watch_ms": watches.json(),
            "subscription_ms": subscriptions.json(),
            "subscription_to_watch": thousandths(ratio),
            "subscription_to_plain": thousandths(to_plain),
        }),
    })
}

/// A relay whose index has this many blocks with rows.
async fn relay(blocks: u32, fill: Fill) -> Result<RelayProcess> {
    let options = RelayOptions::new(relay_exe()).set("STANDALONE", "true").electrum();
    let mut relay = RelayProcess::start(options).await;
    let mut left = blocks;
    while left > 0 {
        let now = left.min(MINED_AT_ONCE);
        let mined = http_post(&format!("{}/dev/mine", relay.http_url()), &json!({"blocks": now})).await;
        ensure!(mined.status == 200, "{}", mined.text());
        left -= now;
    }
    let health = format!("{}/health", relay.http_url());
    let is_healthy = async || (http_get(&health).await.json()["status"] == "healthy").then_some(());
    eventually(LOST_AFTER, "the index", is_healthy).await;
    ensure!(
        relay.terminate().await.success(),
        "the relay failed:\n{}",
        relay.stderr()
    );
    let index = TweakIndex::open(&relay.data_dir().join("index"), "regtest", 0)?;
    let tip = index.tip()?.context("an empty index")?;
    let base = tip.height.checked_sub(blocks).context("fewer blocks than were mined")?;
    let hash = |height| index.hash_at(height)?.context("a block is missing");
    let below = hash(base)?;
    let hashes: Vec<BlockHash> = (base + 1..=tip.height).map(hash).collect::<Result<_>>()?;
    index.rewind(base)?;
    fill(&index, below, base + 1, &hashes)?;
    drop(index);
    relay.start_again().await;
    Ok(relay)
}

/// Time of a watch, until its history is complete.
async fn watch(relay: &RelayProcess) -> Result<Duration> {
    let client = Client::builder(&relay.ws_url()).client_id("bench").reconnect(false);
    let (client, mut events) = client.connect().await?;
    let payee = Payee::new(&[]);
    let order = Watch {
        from_height: Some(0),
        ..Watch::of_keys(SecretHex::new(payee.scan_hex()), payee.spend_public_key().to_string())
    };
    let began = Instant::now();
    client.watch(order).await?;
    let complete = async {
        while let Some(event) = events.recv().await {
            if matches!(event, ClientEvent::WatchProgress(progress) if progress.progress >= 1.0) {
                return Ok(began.elapsed());
            }
        }
        bail!("the client ended")
    };
    timeout(LOST_AFTER, complete).await.context("a watch did not end")?
}

/// Time of a subscription, until its history is complete.
async fn subscribe(relay: &RelayProcess) -> Result<Duration> {
    let mut stream = BufReader::new(TcpStream::connect(relay.electrum()).await?);
    let payee = Payee::new(&[]);
    let params = json!([payee.scan_hex(), payee.spend_public_key().to_string(), 0]);
    let request = json!({"id": 1, "method": SUBSCRIBE, "params": params});
    let began = Instant::now();
    stream.get_mut().write_all(format!("{request}\n").as_bytes()).await?;
    let complete = async {
        let mut line = String::new();
        loop {
            line.clear();
            ensure!(
                stream.read_line(&mut line).await? > 0,
                "the relay has closed the connection"
            );
            let message: Value = serde_json::from_str(&line)?;
            ensure!(message.get("error").is_none(), "{line}");
            if message["params"]["progress"] == json!(1.0) {
                return Ok(began.elapsed());
            }
        }
    };
    timeout(LOST_AFTER, complete)
        .await
        .context("a subscription did not end")?
}

//! `index`: build time of the index over realistic blocks of a real node, its size, and what the build waits for.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use axum::http::Request;
use futures_util::{StreamExt, TryStreamExt};
use http_body_util::Full;
use sdk_relay_chain::rpc::{Auth, RpcClient};
use serde_json::{json, value::RawValue};
use testkit::{Bitcoind, Options, RelayOptions, RelayProcess, http_get, relay_exe};
use tokio::time::interval;

use crate::blocks::Generator;
use crate::report::{Report, Table};

/// Poll interval during the build.
const POLL_INTERVAL: Duration = Duration::from_millis(50);
/// Blocks that the relay's builder fetches at once.
const FETCHES: usize = 2;
/// Timeout of a build.
const LONGEST: Duration = Duration::from_secs(600);

/// Building the tweak index.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Blocks to index.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1000))]
    blocks: u32,
    /// Transactions of each; half of them are eligible.
    #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u32).range(2..=4000))]
    transactions: u32,
    /// Threads of the relay's index (`index.scan_threads`); by default as many as the relay takes by itself.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=64))]
    threads: Option<u32>,
    /// Use a node without REST, like those before Bitcoin Core 30: blocks are read with `getblock` verbosity 3
    #[arg(long)]
    rpc: bool,
}

pub(crate) async fn run(arguments: Arguments) -> Result<Report> {
    // Built before the measurement starts.
    let exe = relay_exe();
    let node = Bitcoind::start(Options {
        rest: !arguments.rpc,
        ..Options::default()
    })
    .await;
    let mut generator = Generator::new(&node, usize::try_from(arguments.transactions)?).await?;
    let start = node.height().await + 1;
    for _ in 0..arguments.blocks {
        generator.block(&node).await?;
    }
    let tip = node.height().await;
    let alone = node_alone(&node, start, tip, arguments.rpc).await?;
    let began = Instant::now();
    let mut options = RelayOptions::new(exe)
        .node(&node)
        .set("INDEX__START_HEIGHT", start.to_string());
    if let Some(threads) = arguments.threads {
        options = options.set("INDEX__SCAN_THREADS", threads.to_string());
    }
    let relay = RelayProcess::start_listening(options).await;
    let mut look = interval(POLL_INTERVAL);
    loop {
        look.tick().await;
        let health = http_get(&format!("{}/health", relay.http_url())).await.json();
        if health["index"]["state"] == "current" && health["index"]["height"] == tip {
            break;
        }
        if began.elapsed() > LONGEST {
            bail!("the index is not built within {LONGEST:?}: {health}");
        }
    }
    let seconds = began.elapsed().as_secs_f64();
    let metrics = text_metrics(&relay).await?;
    let figure = |name: &str| -> Result<f64> {
        let line = metrics
            .lines()
            .find_map(|l| l.strip_prefix(&format!("sdk_relay_index_{name} ")));
        line.with_context(|| format!("no figure {name}"))?
            .parse()
            .context("a number")
    };
    let eligible = figure("transactions_added")?;
    let (node_s, tweaks_s, disk_s) = (
        figure("waited_for_node_seconds")?,
        figure("waited_for_tweaks_seconds")?,
        figure("waited_for_disk_seconds")?,
    );
    let waited = node_s + tweaks_s + disk_s;
    let dir = relay.data_dir().join("index");
    let (rows, all) = (size_of(&dir, true)?, size_of(&dir, false)?);
    let peak = peak_bytes(relay.pid())?;
    let blocks = f64::from(arguments.blocks);
    let transactions = blocks * f64::from(arguments.transactions + 1);
    let table = Table::new(["building", "value"])
        .row("seconds", &[seconds], 2)
        .row("blocks/s", &[blocks / seconds], 1)
        .row("transactions/s", &[transactions / seconds], 0)
        .row("eligible transactions", &[eligible], 0)
        .row("bytes per eligible transaction, segments", &[rows / eligible], 1)
        .row("bytes per eligible transaction, all files", &[all / eligible], 1)
        .row(
            "blocks/s that the node serves to a reader that drops them",
            &[blocks / alone],
            1,
        )
        .row("time beside that reader's", &[seconds / alone], 2)
        .row("share waiting for the node %", &[node_s / waited * 100.0], 1)
        .row("share waiting for tweaks %", &[tweaks_s / waited * 100.0], 1)
        .row("share waiting for the disk %", &[disk_s / waited * 100.0], 1)
        .row("peak memory MB", &[peak / 1e6], 1);
    Ok(Report {
        title: format!(
            "Index of {} blocks of {} transactions, half of them eligible, every fourth spending a taproot output \
             (aims: 80 % waiting for the node, 120 bytes, 300 MB)",
            arguments.blocks, arguments.transactions
        ),
        tables: vec![table],
        json: json!({
            "seconds": seconds, "blocks_per_s": blocks / seconds, "transactions_per_s": transactions / seconds,
            "bytes_per_eligible_segments": rows / eligible, "bytes_per_eligible_all": all / eligible,
            "node_alone_blocks_per_s": blocks / alone, "node_share_percent": node_s / waited * 100.0, "peak_bytes": peak,
        }),
    })
}

/// Seconds to read the same blocks and prevouts the same way and drop them: the baseline.
async fn node_alone(node: &Bitcoind, start: u32, tip: u32, rpc: bool) -> Result<f64> {
    let client = RpcClient::new(&node.rpc_url(), Auth::CookieFile(node.cookie_file()))?;
    let began = Instant::now();
    let reads = futures_util::stream::iter(start..=tip).map(|height| {
        let client = client.clone();
        async move {
            let hash: String = client.call("getblockhash", json!([height])).await?;
            if rpc {
                let [raw, verbose] = [0, 3].map(|verbosity| json!([hash, verbosity]));
                tokio::try_join!(
                    client.call::<Box<RawValue>>("getblock", raw),
                    client.call::<Box<RawValue>>("getblock", verbose)
                )?;
                return Ok(());
            }
            let (block, spent) = (
                format!("/rest/block/{hash}.bin"),
                format!("/rest/spenttxouts/{hash}.bin"),
            );
            let (block, spent) = tokio::try_join!(client.rest_get(&block), client.rest_get(&spent))?;
            block.zip(spent).context("the node does not offer REST")?;
            Ok(())
        }
    });
    reads
        .buffered(FETCHES)
        .try_for_each(|()| std::future::ready(anyhow::Ok(())))
        .await?;
    Ok(began.elapsed().as_secs_f64())
}

async fn text_metrics(relay: &RelayProcess) -> Result<String> {
    let request = Request::get(format!("{}/metrics", relay.http_url())).header("accept", "text/plain");
    let reply = testkit::http_send(request.body(Full::default())?).await;
    Ok(reply.text().to_owned())
}

fn size_of(dir: &Path, segments: bool) -> Result<f64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        if !segments || entry.path().extension().is_some_and(|x| x == "rows") {
            bytes += entry.metadata()?.len();
        }
    }
    Ok(bytes as f64)
}

/// `VmHWM` of a process: peak resident memory.
fn peak_bytes(pid: u32) -> Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).context("VmHWM")?;
    let kilobytes: f64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kilobytes * 1024.0)
}

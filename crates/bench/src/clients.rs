//! `clients`: many clients that wait for events; the memory of the relay for each, and the time until all of them have
//! an event.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use sdk_relay_client::{Frame, RawClient};
use sdk_relay_config::{Loader, Overrides};
use sdk_relay_transport::open_files;
use serde_json::{Value, json};
use testkit::{RelayOptions, RelayProcess, http_post, relay_exe};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::report::{Report, Table};
use crate::stats::{Samples, ms, thousandths};

/// Connections that are opened at once: fewer than the backlog of a listener.
const AT_ONCE: usize = 64;
/// Timeout, far above any expected value: an event is lost, and the bench fails.
const LOST_AFTER: Duration = Duration::from_secs(60);

/// Memory for each client, and the time until all of them have an event.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Clients, each subscribed to notifications.
    #[arg(long, default_value_t = 5_000, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    clients: u16,
    /// Blocks that are mined, one after another.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    blocks: u16,
}

pub(crate) async fn run(arguments: Arguments) -> Result<Report> {
    let count = usize::from(arguments.clients);
    let dir = tempfile::tempdir()?;
    open_files::raise(&Loader::new(Overrides::default().with_data_dir(dir.path()).with_standalone()).load()?);
    let options = RelayOptions::new(relay_exe())
        .arg("--standalone")
        .set("DEV__MINE_INTERVAL", "86400");
    let mut relay = RelayProcess::start(options).await;

    let before = relay.resident_bytes();
    let began = Instant::now();
    let mut connected = connect(&relay.ws_url(), count).await?;
    let opened = began.elapsed();
    let (arrived, mut arrivals) = mpsc::channel(count);
    let mut readers = JoinSet::new();
    while let Some(client) = connected.pop() {
        readers.spawn(read_blocks(client, arrived.clone()));
    }
    drop(arrived);
    let idle = relay.resident_bytes();

    let (mut firsts, mut lasts) = (Vec::new(), Vec::new());
    for _ in 0..arguments.blocks {
        let sent = Instant::now();
        let url = format!("{}/dev/mine", relay.http_url());
        let mined = tokio::spawn(async move { http_post(&url, &json!({"blocks": 1})).await.status });
        let mut times = Vec::with_capacity(count);
        while times.len() < count {
            let arrival = timeout(LOST_AFTER, arrivals.recv()).await;
            let at: Instant = arrival
                .context("a client has not received a block")?
                .context("a client was closed")?;
            times.push(ms(at.duration_since(sent)));
        }
        ensure!(mined.await? == 200, "no block was mined");
        let times = Samples::new(times).context("no client")?;
        firsts.push(times.percentile(0));
        lasts.push(times.max());
    }
    let after = relay.resident_bytes();
    readers.shutdown().await;
    relay.terminate().await;

    let each = |bytes: u64| bytes.saturating_sub(before) as f64 / count as f64 / 1024.0;
    let [firsts, lasts] = [firsts, lasts].map(Samples::new);
    let (firsts, lasts) = (firsts.context("no block")?, lasts.context("no block")?);
    let memory = Table::new(["KiB for a client", ""])
        .row("connected", &[each(idle)], 1)
        .row("after the events", &[each(after)], 1);
    let delay = Table::new(["milliseconds from the request for a block", "p50", "p90", "p99", "max"])
        .row("the first client has it", &firsts.summary(), 1)
        .row("the last client has it", &lasts.summary(), 1);
    Ok(Report {
        title: format!(
            "{count} clients on {} processors; {:.1} MiB before the first, all connected in {:.1} s; {} blocks",
            std::thread::available_parallelism()?,
            before as f64 / 1024.0 / 1024.0,
            opened.as_secs_f64(),
            arguments.blocks,
        ),
        tables: vec![memory, delay],
        json: json!({
            "bench": "clients",
            "clients": count,
            "resident_before_bytes": before,
            "client_kib": thousandths(each(idle)),
            "client_kib_after": thousandths(each(after)),
            "connect_seconds": thousandths(opened.as_secs_f64()),
            "first_ms": firsts.json(),
            "last_ms": lasts.json(),
        }),
    })
}

async fn connect(url: &str, count: usize) -> Result<Vec<RawClient>> {
    let (mut connecting, mut connected) = (JoinSet::new(), Vec::with_capacity(count));
    for n in 0..count {
        if connecting.len() == AT_ONCE {
            connected.push(next(&mut connecting).await?);
        }
        connecting.spawn(subscribed(url.to_owned(), n));
    }
    while !connecting.is_empty() {
        connected.push(next(&mut connecting).await?);
    }
    Ok(connected)
}

async fn next(connecting: &mut JoinSet<Result<RawClient>>) -> Result<RawClient> {
    timeout(LOST_AFTER, connecting.join_next())
        .await
        .context("a connection was not answered")?
        .context("no connection")??
}

/// A client that has its first messages, up to the answer to its subscription.
async fn subscribed(url: String, number: usize) -> Result<RawClient> {
    let mut client = RawClient::connect(&url).await?;
    let handshake = json!({
        "type": "handshake", "client_id": format!("bench-{number}"), "version": "1.0.0",
        "capabilities": [], "timestamp": 0,
    });
    client.send_text(handshake.to_string()).await?;
    let subscribe = json!({"type": "subscribe", "subscriptions": ["notifications"]});
    client.send_text(subscribe.to_string()).await?;
    loop {
        match message(&mut client).await?["type"].as_str() {
            Some("subscribe_response") => return Ok(client),
            Some("error") => bail!("the subscription was refused"),
            _ => {}
        }
    }
}

/// Reports the arrival of each `block_mined`, until the connection ends.
async fn read_blocks(mut client: RawClient, arrived: mpsc::Sender<Instant>) {
    while let Ok(message) = message(&mut client).await {
        let at = Instant::now();
        if message["notification_type"] == "block_mined" && arrived.send(at).await.is_err() {
            return;
        }
    }
}

async fn message(client: &mut RawClient) -> Result<Value> {
    loop {
        match client.next().await? {
            Frame::Text(text) => return Ok(serde_json::from_str(&text)?),
            Frame::Close(..) => bail!("the relay closed the connection"),
            _ => {}
        }
    }
}

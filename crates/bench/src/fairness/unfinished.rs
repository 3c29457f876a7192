//! `/health/live` and memory with incomplete requests and messages.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::json;
use testkit::{Bare, Bitcoind, Probe, RelayOptions, RelayProcess, frame, relay_exe};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{interval, sleep};

use super::common::{LOST_AFTER, Measured, mib};
use crate::report::Table;
use crate::stats::{Samples, ms};

/// Concurrent requests: one per HTTP connection slot.
const REQUESTS: usize = 1024;
/// Size of an incomplete message, close to the maximum.
const MESSAGE: usize = 1_040_000;
const LIVE: &str = "/health/live";
/// Time to probe without other load.
const QUIET: Duration = Duration::from_secs(5);
/// Reconnect delay of a closed connection.
const RETRY_AFTER: Duration = Duration::from_millis(500);
const REQUEST: &[u8] =
    b"POST /tx HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{";
const HANDSHAKE: &[u8] = br#"{"type":"handshake","client_id":"attacker","version":"1.0.0","capabilities":[]}"#;

pub(super) async fn measure(node: &Bitcoind, messages: usize) -> Result<Measured> {
    sdk_relay_transport::open_files::to_the_most();
    let relay = RelayProcess::start(RelayOptions::new(relay_exe()).node(node)).await;
    let (http, ws) = (address(&relay.http_url())?, relay.ws_url());
    let alone = Probe::begin(&relay.http_url(), LIVE);
    sleep(QUIET).await;
    let alone = samples(alone.end().await)?;

    let idle = relay.resident_bytes();
    let probe = Probe::begin(&relay.http_url(), LIVE);
    let mut requests = JoinSet::new();
    for _ in 0..REQUESTS {
        requests.spawn(keep_posting(http));
    }
    let mut unfinished = JoinSet::new();
    for _ in 0..messages {
        unfinished.spawn(unfinished_message(ws.clone()));
    }
    let (mut most, mut ticks) = (0, interval(Duration::from_millis(100)));
    let ended = async {
        while !unfinished.is_empty() {
            tokio::select! {
                Some(message) = unfinished.join_next() => message??,
                _ = ticks.tick() => most = most.max(relay.resident_bytes()),
            }
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(LOST_AFTER, ended)
        .await
        .context("unfinished messages were not dropped")??;
    let beside = samples(probe.end().await)?;
    requests.shutdown().await;
    let above = most.saturating_sub(idle);
    Ok(Measured {
        tables: vec![
            Table::new(["/health/live, ms", "p50", "p90", "p99", "max"])
                .row("alone", &alone.summary(), 1)
                .row("with the attacker", &beside.summary(), 1),
            Table::new(["unfinished input", "value"])
                .row("requests beside", &[beside.len() as f64], 0)
                .row("resident memory when idle, MiB", &[mib(idle)], 1)
                .row("the most above it, MiB", &[mib(above)], 1),
        ],
        json: json!({"alone_ms": alone.json(), "beside_ms": beside.json(), "idle": idle, "most_above_idle": above}),
    })
}

/// Sends a request with one byte of a thousand; reconnects when it is closed.
async fn keep_posting(http: SocketAddr) -> Result<()> {
    loop {
        let mut stream = TcpStream::connect(http).await?;
        // The close is detected by reading.
        if stream.write_all(REQUEST).await.is_ok() {
            read_to_end(&mut stream).await;
        }
        sleep(RETRY_AFTER).await;
    }
}

/// Sends an incomplete message, and waits until the relay closes the connection.
async fn unfinished_message(ws: String) -> Result<()> {
    let mut bare = Bare::connect(&ws).await.upgrade().await;
    let mut message = frame(0x81, HANDSHAKE);
    message.extend(frame(0x81, &vec![b' '; MESSAGE]));
    message.pop();
    if bare.send(&message).await {
        read_to_end(&mut bare.stream).await;
    }
    Ok(())
}

/// Reads until the relay ends the connection.
async fn read_to_end(stream: &mut TcpStream) {
    let mut part = [0; 4096];
    while stream.read(&mut part).await.is_ok_and(|n| n > 0) {}
}

fn samples(looks: Vec<Duration>) -> Result<Samples> {
    Samples::new(looks.into_iter().map(ms).collect()).context("no request")
}

fn address(url: &str) -> Result<SocketAddr> {
    Ok(url.split("//").nth(1).context("a URL")?.parse()?)
}

//! Measures the highest request rate: with `wrk` if installed, else with a built-in loop.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// Load of a measurement.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) connections: usize,
    pub(crate) seconds: u64,
}

/// Tool used by [`rate`].
pub(crate) fn tool() -> &'static str {
    if has_wrk() { "wrk" } else { "a built-in loop" }
}

/// Answers per second with status 200; any other status is an error.
pub(crate) async fn rate(url: &str, load: Load) -> Result<f64> {
    if has_wrk() {
        let url = url.to_owned();
        return tokio::task::spawn_blocking(move || wrk(&url, load)).await?;
    }
    own(url, load).await
}

fn has_wrk() -> bool {
    let found = Command::new("wrk")
        .arg("-v")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    found.is_ok()
}

fn wrk(url: &str, load: Load) -> Result<f64> {
    let threads = load.connections.min(2);
    let output = Command::new("wrk")
        .args([
            format!("-t{threads}"),
            format!("-c{}", load.connections),
            format!("-d{}s", load.seconds),
        ])
        .arg(url)
        .output()
        .context("cannot start wrk")?;
    let text = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() || text.contains("Non-2xx") || text.contains("Socket errors") {
        bail!("wrk {url}: {text}{}", String::from_utf8_lossy(&output.stderr));
    }
    let rate = text.lines().find_map(|line| line.strip_prefix("Requests/sec:"));
    rate.and_then(|rate| rate.trim().parse().ok())
        .with_context(|| format!("wrk {url}: no rate in {text}"))
}

async fn own(url: &str, load: Load) -> Result<f64> {
    let (address, path) = url
        .strip_prefix("http://")
        .and_then(|rest| rest.split_once('/'))
        .context("expected http://HOST:PORT/PATH")?;
    let request = format!("GET /{path} HTTP/1.1\r\nHost: {address}\r\n\r\n");
    let began = Instant::now();
    let until = began + Duration::from_secs(load.seconds);
    let mut clients = JoinSet::new();
    for _ in 0..load.connections {
        let mut stream = BufReader::new(TcpStream::connect(address).await?);
        let request = request.clone();
        clients.spawn(async move {
            let mut answers = 0_u64;
            while Instant::now() < until {
                stream.get_mut().write_all(request.as_bytes()).await?;
                answer(&mut stream).await?;
                answers += 1;
            }
            anyhow::Ok(answers)
        });
    }
    let mut answers = 0;
    while let Some(client) = clients.join_next().await {
        answers += client??;
    }
    Ok(answers as f64 / began.elapsed().as_secs_f64())
}

/// Reads one answer with a length.
async fn answer(stream: &mut BufReader<TcpStream>) -> Result<()> {
    let mut line = String::new();
    let (mut length, mut first) = (None, true);
    loop {
        line.clear();
        stream.read_line(&mut line).await?;
        if first && !line.starts_with("HTTP/1.1 200") {
            bail!("expected 200, got {line:?}");
        }
        first = false;
        match line.split_once(':') {
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => length = Some(value.trim().parse()?),
            None if line.trim().is_empty() => break,
            _ => {}
        }
    }
    let mut body = vec![0; length.context("the response has no Content-Length")?];
    stream.read_exact(&mut body).await?;
    Ok(())
}

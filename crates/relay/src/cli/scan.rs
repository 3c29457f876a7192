//! `sdk_relay scan`: the history of a wallet, from a relay that runs.
//!
//! The relay does the work; this is a client of its WebSocket API like any other. The key comes from a file or is typed in: the arguments
//! of a process are there for everybody to see.

use std::io::{BufRead, IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use sdk_relay_client::protocol::{SecretHex, Watch, encode_text};
use sdk_relay_client::{Client, ClientEvent, Event, Events, HistoryState, Topic};
use sdk_relay_config::{Loader, Secret};
use tokio::time::error::Elapsed;
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::{Settings, say};
use crate::progress::new_bar;

/// Longest key file: two keys and some words around them.
const MAX_KEY_FILE: u64 = 4096;
/// Positions of the progress bar.
const STEPS: u64 = 10_000;
/// A scan that has begun is given up after so long without a message. A hundredth of the longest history, on an index that is being built,
/// takes some minutes.
const SILENCE: Duration = Duration::from_secs(15 * 60);
/// After so long it is said where to look for the reason.
const QUIET: Duration = Duration::from_secs(10);

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// First block, the wallet's birthday
    #[arg(long, value_name = "HEIGHT")]
    from: u32,
    /// Last block [default: the tip]
    #[arg(long, value_name = "HEIGHT")]
    to: Option<u32>,
    /// File with the scan private key and the spend public key, in hex. Without it they are asked for
    #[arg(long, value_name = "FILE")]
    keys: Option<PathBuf>,
    /// How long the relay may take to begin: its node may be away, or its index not have come to the first block
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    wait: u64,
    /// Labels in use, such as 1,2,3
    #[arg(long, value_delimiter = ',')]
    labels: Vec<u32>,
    /// WebSocket address of the relay [default: where the configuration has it listen, on this machine]
    #[arg(long, value_name = "URL")]
    relay: Option<String>,
    #[command(flatten)]
    settings: Settings,
}

/// Prints each payment as a line of JSON on standard output; the progress is on standard error.
pub(super) fn scan(arguments: Arguments) -> anyhow::Result<()> {
    let keys = match &arguments.keys {
        Some(file) => from_file(file)?,
        None => typed()?,
    };
    let mut words = keys.split_whitespace();
    let (Some(scan), Some(spend), None) = (words.next(), words.next(), words.next()) else {
        bail!("expected two keys in hex: the scan private key (32 bytes), then the spend public key (33 bytes)");
    };
    let watch = Watch {
        scan_private_key: SecretHex::new(scan.to_owned()),
        spend_public_key: spend.to_owned(),
        labels: Some(arguments.labels),
        from_height: Some(arguments.from),
        to_height: arguments.to,
        message_id: None,
    };
    let (url, token) = match arguments.relay {
        // Our own token is not for another relay.
        Some(url) => (url, None),
        None => {
            let config = Loader::new(arguments.settings.overrides()).load()?;
            let scheme = if config.tls.is_some() { "wss" } else { "ws" };
            let url = format!("{scheme}://127.0.0.1:{}", config.ws_url.port());
            (url, config.auth.read_token)
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("no runtime")?;
    let wait = Duration::from_secs(arguments.wait);
    runtime.block_on(follow(&url, token.as_ref(), wait, watch))
}

async fn follow(url: &str, token: Option<&Secret>, wait: Duration, watch: Watch) -> anyhow::Result<()> {
    let from = watch.from_height.unwrap_or_default();
    let mut builder = Client::builder(url)
        .client_id("sdk_relay scan")
        .topics([] as [Topic; 0]);
    if let Some(token) = token {
        builder = builder.token(token.expose());
    }
    let (client, mut events) = builder
        .reconnect(false)
        .connect()
        .await
        .with_context(|| format!("no relay answers at {url}: start one, or name another with --relay"))?;
    let registered = client.watch(watch).await?;
    let mut waits = registered.history == Some(HistoryState::Waiting);
    let mut missing = registered.missing;
    let bar = new_bar(0);
    bar.set_length(STEPS);
    bar.set_message("history");
    let mut payments = 0u64;
    let mut hinted = false;
    loop {
        let deadline = if waits { wait } else { SILENCE };
        let hint = || {
            if !std::mem::replace(&mut hinted, true) {
                bar.suspend(|| super::say_error("the relay is silent: its /health says what it waits for"));
            }
        };
        let Ok(event) = next(&mut events, deadline, hint).await else {
            bar.finish_and_clear();
            if waits {
                bail!(
                    "the relay has not begun within {} s: its node is away or synchronises, or its tweak index has not come to block {from} \
                     yet (see /health); try again later, or wait longer with --wait",
                    wait.as_secs()
                );
            }
            bail!(
                "the relay has sent nothing for {} s: the history is not complete",
                SILENCE.as_secs()
            );
        };
        let Some(event) = event else { break };
        match event {
            ClientEvent::WatchProgress(progress) => {
                waits &= progress.progress <= 0.0;
                if !progress.missing.is_empty() {
                    missing = progress.missing;
                }
                bar.set_position((progress.progress * STEPS as f64) as u64);
                bar.set_message(format!("block {}", progress.height));
                if progress.progress >= 1.0 {
                    bar.finish_and_clear();
                    if progress.height < from {
                        bail!("there is no block {from} yet");
                    }
                    super::say_error(&format!("{payments} payments up to block {}", progress.height));
                    client.close().await;
                    if !missing.is_empty() {
                        let ranges: Vec<_> = missing.iter().map(ToString::to_string).collect();
                        bail!(
                            "not scanned: {}; ask a relay that has them (--relay)",
                            ranges.join(", ")
                        );
                    }
                    return Ok(());
                }
            }
            ClientEvent::Notification(notification) => match notification.event {
                Event::PaymentDetected(payment) if payment.historical => {
                    payments += 1;
                    let line = encode_text(&payment)?;
                    bar.suspend(|| say(&line));
                }
                // A reorganisation took back what was printed.
                Event::PaymentReverted(payment) => {
                    payments = payments.saturating_sub(1);
                    bar.suspend(|| super::say_error(&format!("taken back: {}:{}", payment.txid, payment.vout)));
                }
                _ => {}
            },
            ClientEvent::Disconnected { reason, .. } | ClientEvent::Closed { reason } => {
                bail!("the connection ended before the history did: {reason}");
            }
            _ => {}
        }
    }
    bail!("the connection ended before the history did")
}

/// The next event within the deadline; `hint` is called once where it is long in coming.
async fn next(events: &mut Events, deadline: Duration, hint: impl FnOnce()) -> Result<Option<ClientEvent>, Elapsed> {
    let soon = QUIET.min(deadline);
    match timeout(soon, events.recv()).await {
        Err(_) if deadline > soon => {
            hint();
            timeout(deadline - soon, events.recv()).await
        }
        event => event,
    }
}

fn from_file(path: &Path) -> anyhow::Result<Zeroizing<String>> {
    let cannot = || format!("the key file {} cannot be read", path.display());
    let mut text = Zeroizing::new(String::with_capacity(usize::try_from(MAX_KEY_FILE)?));
    let file = std::fs::File::open(path).with_context(cannot)?;
    file.take(MAX_KEY_FILE).read_to_string(&mut text).with_context(cannot)?;
    Ok(text)
}

/// Nothing that is typed is shown, from before the question on: a key may be pasted faster than the answer is read.
#[cfg(unix)]
struct Unseen(rustix::termios::Termios);

#[cfg(unix)]
impl Unseen {
    fn now() -> Option<Self> {
        use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
        let before = tcgetattr(std::io::stdin()).ok()?;
        let mut unseen = before.clone();
        unseen.local_modes.remove(LocalModes::ECHO);
        tcsetattr(std::io::stdin(), OptionalActions::Now, &unseen).ok()?;
        Some(Self(before))
    }
}

#[cfg(unix)]
impl Drop for Unseen {
    fn drop(&mut self) {
        #[expect(clippy::let_underscore_must_use, reason = "it fails only when the terminal is gone")]
        let _ = rustix::termios::tcsetattr(std::io::stdin(), rustix::termios::OptionalActions::Now, &self.0);
    }
}

/// Asks without showing what is typed; from a pipe, reads two lines.
fn typed() -> anyhow::Result<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::with_capacity(usize::try_from(MAX_KEY_FILE)?));
    if std::io::stdin().is_terminal() {
        #[cfg(unix)]
        let _unseen = Unseen::now();
        let scan = Zeroizing::new(rpassword::prompt_password("Scan private key (not shown): ").context("no key")?);
        let spend = rpassword::prompt_password("Spend public key: ").context("no key")?;
        text.push_str(&scan);
        text.push(' ');
        text.push_str(&spend);
    } else {
        let mut stdin = std::io::stdin().lock().take(MAX_KEY_FILE);
        while text.split_whitespace().count() < 2 && stdin.read_line(&mut text).context("no key")? > 0 {}
    }
    Ok(text)
}

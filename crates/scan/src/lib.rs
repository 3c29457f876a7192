//! `sdk_relay scan`: the history of a wallet, from a running relay.
//!
//! A client of the WebSocket API; the relay scans. The keys come from a file or are typed in, because other users can
//! read the arguments of a process.

mod proxy;

use std::io::{BufRead, IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use sdk_relay_client::protocol::{SecretHex, Watch, encode_text};
use sdk_relay_client::{Client, ClientEvent, ConnectError, Event, Events, HistoryState, Topic};
use sdk_relay_config::{Loader, Overrides};
use sdk_relay_console::{new_bar, say, say_error};
use sdk_relay_platform::net::Proxy;
use sdk_relay_transport::tls;
use tokio::time::error::Elapsed;
use tokio::time::timeout;
use zeroize::Zeroizing;

use proxy::ThroughProxy;

/// Maximum size of the key file: two keys and some whitespace.
const MAX_KEY_FILE: u64 = 4096;
/// Positions of the progress bar.
const STEPS: u64 = 10_000;
/// A scan that has begun fails after this time without a message. On an index that is being built, a hundredth of the
/// longest history takes some minutes.
const SILENCE: Duration = Duration::from_secs(15 * 60);
/// After this time without a message, a hint points to the reason.
const QUIET: Duration = Duration::from_secs(10);

#[derive(Debug, Args)]
#[expect(missing_docs, reason = "a doc comment would be a part of the help")]
pub struct Arguments {
    /// First block to scan: the birthday of the wallet
    #[arg(long, value_name = "HEIGHT")]
    from: u32,
    /// Last block to scan [default: the tip]
    #[arg(long, value_name = "HEIGHT")]
    to: Option<u32>,
    /// File with the keys of the wallet [default: prompt for them, or read them from a pipe]
    ///
    /// The scan private key (32 bytes) and then the spend public key (33 bytes, compressed), both in hex, separated by
    /// a blank or a line break, and nothing else. Keep the file private: anyone who has the scan key can see all
    /// payments of the wallet.
    #[arg(long, value_name = "FILE")]
    keys: Option<PathBuf>,
    /// Seconds to wait until the relay starts to scan: its node may be unavailable, or its index may not have reached
    /// the first block
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    wait: u64,
    /// Labels in use, for example 1,2,3
    #[arg(long, value_delimiter = ',')]
    labels: Vec<u32>,
    /// WebSocket URL of the relay [default: the configured listen address, on this machine]
    #[arg(long, value_name = "URL")]
    relay: Option<String>,
    /// PEM file of certificates to trust for a wss:// relay, in place of those of the system: the relay's own, or that
    /// of a private authority
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// File with the relay's read token [default with this machine's relay: auth.read_token of the configuration]
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// SOCKS proxy on the way to the relay of --relay, for example Tor: socks5://127.0.0.1:9050
    #[arg(long, value_name = "URL", requires = "relay")]
    proxy: Option<Proxy>,
}

/// Prints each payment as a line of JSON on standard output, and the progress on standard error.
pub fn scan(arguments: Arguments, settings: Overrides) -> anyhow::Result<()> {
    let keys = match &arguments.keys {
        Some(file) => from_file("key", file)?,
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
    let given = arguments.token_file.as_deref().map(token_from_file).transpose()?;
    let (url, token, own_ca) = match arguments.relay {
        // The token of this relay must not be sent to another one.
        Some(url) => (url, None, None),
        None => {
            let config = Loader::new(settings).load()?;
            let scheme = if config.tls.is_some() { "wss" } else { "ws" };
            let url = format!("{scheme}://127.0.0.1:{}", config.ws_url.port());
            let token = config
                .auth
                .read_token
                .as_ref()
                .map(|token| Zeroizing::new(token.expose().to_owned()));
            (url, token, tls::own_certificate(&config))
        }
    };
    if arguments.ca.is_some() && !url.starts_with("wss://") {
        bail!("--ca is for a wss:// relay, and {url} is not one: its connection is not encrypted");
    }
    let access = Access {
        url: &url,
        token: given.or(token),
        ca: arguments.ca.or(own_ca),
        proxy: arguments.proxy,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the asynchronous runtime")?;
    let wait = Duration::from_secs(arguments.wait);
    runtime.block_on(follow(access, wait, watch))
}

/// How to connect to the relay.
struct Access<'a> {
    url: &'a str,
    token: Option<Zeroizing<String>>,
    ca: Option<PathBuf>,
    proxy: Option<Proxy>,
}

async fn follow(access: Access<'_>, wait: Duration, watch: Watch) -> anyhow::Result<()> {
    let Access { url, token, ca, proxy } = access;
    let from = watch.from_height.unwrap_or_default();
    let mut builder = Client::builder(url)
        .client_id("sdk_relay scan")
        .topics([] as [Topic; 0]);
    if let Some(token) = token {
        builder = builder.token(token.as_str());
    }
    if let Some(ca) = ca {
        builder = builder.trust(ca);
    }
    if let Some(proxy) = proxy {
        builder = builder.dialer(Arc::new(ThroughProxy(proxy)));
    }
    let (client, mut events) = builder.reconnect(false).connect().await.map_err(|error| {
        let todo = match &error {
            ConnectError::Tls { .. } | ConnectError::Trust { .. } => {
                format!("the certificate of {url} is not trusted: name it, or that of its authority, with --ca")
            }
            ConnectError::Rejected { .. } => {
                format!("{url} refuses the scan: if it needs a token, give it with --token-file")
            }
            _ => format!("cannot connect to a relay at {url}: start one, or choose another with --relay"),
        };
        anyhow::Error::new(error).context(todo)
    })?;
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
                bar.suspend(|| {
                    say_error("the relay has not sent anything yet: GET /health of the relay reports the reason");
                });
            }
        };
        let Ok(event) = next(&mut events, deadline, hint).await else {
            bar.finish_and_clear();
            if waits {
                bail!(
                    "the relay has not started to scan within {} s: its node is unavailable or synchronising, or its tweak index has not reached block {from} \
                     yet (see GET /health of the relay); try again later, or wait longer with --wait",
                    wait.as_secs()
                );
            }
            bail!(
                "the relay has sent nothing for {} s: the scan is incomplete; try again",
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
                        bail!("block {from} does not exist yet");
                    }
                    say_error(&format!("{payments} payments up to block {}", progress.height));
                    client.close().await;
                    if !missing.is_empty() {
                        let ranges: Vec<_> = missing.iter().map(ToString::to_string).collect();
                        bail!(
                            "not scanned: {}; use a relay that has these blocks (--relay)",
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
                // A reorganisation reverted a printed payment.
                Event::PaymentReverted(payment) => {
                    payments = payments.saturating_sub(1);
                    bar.suspend(|| say_error(&format!("reverted: {}:{}", payment.txid, payment.vout)));
                }
                _ => {}
            },
            ClientEvent::Disconnected { reason, .. } | ClientEvent::Closed { reason } => {
                bail!("the connection ended before the scan was complete: {reason}");
            }
            _ => {}
        }
    }
    bail!("the connection ended before the scan was complete")
}

/// Returns the next event within the deadline. Calls `hint` if it takes longer than `QUIET`.
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

/// Reads a file with an access token: one word.
pub fn token_from_file(path: &Path) -> anyhow::Result<Zeroizing<String>> {
    let text = from_file("token", path)?;
    let token = text.trim();
    if token.is_empty() || token.contains(char::is_whitespace) {
        bail!(
            "the token file {} is wrong: expected one word, the auth.read_token of the relay",
            path.display()
        );
    }
    Ok(Zeroizing::new(token.to_owned()))
}

fn from_file(kind: &str, path: &Path) -> anyhow::Result<Zeroizing<String>> {
    let cannot = || format!("cannot read the {kind} file {}", path.display());
    let mut text = Zeroizing::new(String::with_capacity(usize::try_from(MAX_KEY_FILE)?));
    let file = std::fs::File::open(path).with_context(cannot)?;
    file.take(MAX_KEY_FILE).read_to_string(&mut text).with_context(cannot)?;
    Ok(text)
}

/// Turns off echo before the prompt, because a key may be pasted before the prompt is read.
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

/// Prompts without echo; reads two lines from a pipe.
fn typed() -> anyhow::Result<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::with_capacity(usize::try_from(MAX_KEY_FILE)?));
    if std::io::stdin().is_terminal() {
        #[cfg(unix)]
        let _unseen = Unseen::now();
        let scan = Zeroizing::new(
            rpassword::prompt_password("Scan private key (not shown): ").context("cannot read the key")?,
        );
        let spend = rpassword::prompt_password("Spend public key: ").context("cannot read the key")?;
        text.push_str(&scan);
        text.push(' ');
        text.push_str(&spend);
    } else {
        let mut stdin = std::io::stdin().lock().take(MAX_KEY_FILE);
        while text.split_whitespace().count() < 2 && stdin.read_line(&mut text).context("cannot read the key")? > 0 {}
    }
    Ok(text)
}

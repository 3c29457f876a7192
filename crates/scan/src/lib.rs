//! `sdk_relay scan`: the history of a wallet, from a running relay.
//!
//! A client of the WebSocket API; the relay scans. The keys come from a file or are typed in, because other users can
//! read the arguments of a process.

mod address;
mod birthday;
mod numbers;
mod proxy;
mod token;
mod trust;
mod wallet;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use sdk_relay_client::protocol::{ErrorCode, Watch, encode_text};
use sdk_relay_client::{
    Client, ClientEvent, ConnectError, Event, Events, HistoryState, RequestError, Topic, Trust, check_url,
};
use sdk_relay_config::{Loader, Overrides};
use sdk_relay_console::{new_bar, say, say_error};
use sdk_relay_echo::short;
use sdk_relay_platform::clock::unix_now;
use sdk_relay_platform::net::Proxy;
use tokio::time::error::Elapsed;
use tokio::time::timeout;
use zeroize::Zeroizing;

use birthday::birthday;
use numbers::{height, label, seconds};
use proxy::ThroughProxy;
use wallet::WalletInput;

pub use address::own_http_url;
pub use birthday::Birthday;
pub use token::token_from_file;
pub use trust::{advice, trust, unusable};
pub use wallet::is_key;

/// A scan that has begun fails after this time without a message. On an index that is being built, a hundredth of the
/// longest history takes some minutes.
const SILENCE: Duration = Duration::from_secs(15 * 60);
/// After this time without a message, a hint points to the reason.
const QUIET: Duration = Duration::from_secs(10);

#[derive(Debug, Args)]
#[expect(missing_docs, reason = "a doc comment would be a part of the help")]
pub struct Arguments {
    /// First block to scan: the birthday of the wallet, as a height (800000), a date in UTC (2024-01-31) or a time
    /// (2024-01-31T12:00:00Z, or Unix seconds) [default: the birthday (bh) of the descriptor, if it has one]
    ///
    /// For a date the relay begins at the first block that can be of that time. The times in blocks are up to two hours
    /// wrong: the scan begins that much earlier, and misses no payment.
    #[arg(long, value_name = "HEIGHT|DATE", value_parser = birthday)]
    from: Option<Birthday>,
    /// Last block to scan [default: the tip]
    #[arg(long, value_name = "HEIGHT", value_parser = height)]
    to: Option<u32>,
    /// File with the descriptor or the keys of the wallet [default: prompt for them, or read them from a pipe]
    ///
    /// Either a descriptor that cannot spend, sp(spscan1…), as wallets export it (BIP392); or the scan private key (32
    /// bytes) and then the spend public key (33 bytes, compressed), both in hex, separated by a space or a line break;
    /// and nothing else. Keep the file private: anyone who has the scan key can see all payments of the wallet.
    #[arg(long, value_name = "FILE")]
    keys: Option<PathBuf>,
    /// Seconds to wait until the relay starts to scan: its node may be unavailable, or its index may not have reached
    /// the first block
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = seconds)]
    wait: u64,
    /// Labels in use, for example 1,2,3 [default: those up to the highest one (ml) of the descriptor]
    #[arg(long, value_name = "LABELS", value_delimiter = ',', value_parser = label)]
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
    if let Some(Birthday::Time(time)) = arguments.from
        && time.0 > unix_now()
    {
        bail!(
            "--from is a time in the future: expected the height or the date from which the wallet may have payments"
        );
    }
    let input = WalletInput::read(arguments.keys.as_deref())?;
    let wallet = input.parse()?;
    let (from_height, from_time) = match arguments.from {
        Some(Birthday::Height(height)) => (Some(height), None),
        Some(Birthday::Time(time)) => (None, Some(time)),
        None => match wallet.birthday {
            Some(height) => (Some(height), None),
            None => bail!(
                "--from is missing: the height or the date from which the wallet may have payments{}",
                input.hint()
            ),
        },
    };
    if let (Some(from), Some(to)) = (from_height, arguments.to)
        && to < from
    {
        bail!("--to {to} is below the first block to scan, {from}: expected at least {from}");
    }
    let given = arguments.token_file.as_deref().map(token_from_file).transpose()?;
    let (url, token, trust) = match arguments.relay {
        // The token of this relay must not be sent to another one.
        Some(url) => {
            check_url(&url)?;
            (url, None, trust(arguments.ca.clone(), None))
        }
        None => {
            let config = Loader::new(settings).load()?;
            let token = config
                .auth
                .read_token
                .as_ref()
                .map(|token| Zeroizing::new(token.expose().to_owned()));
            let url = address::own_ws_url(&config);
            (url, token, trust(arguments.ca.clone(), Some(&config)))
        }
    };
    if arguments.ca.is_some() && !url.starts_with("wss://") {
        bail!(
            "--ca is for a wss:// relay, and {} is not one: its connection is not encrypted",
            short(&url)
        );
    }
    let token = given.or(token);
    let watch = Watch {
        labels: (!arguments.labels.is_empty()).then_some(arguments.labels),
        from_height,
        from_time,
        to_height: arguments.to,
        ..wallet.watch
    };
    let access = Access {
        url: &url,
        token,
        trust,
        proxy: arguments.proxy,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the asynchronous runtime")?;
    let wait = Duration::from_secs(arguments.wait);
    let scanned = runtime.block_on(follow(access, wait, watch));
    scanned.map_err(|error| match error.downcast_ref() {
        // The relay names the field, not the file that it comes from.
        Some(RequestError::Refused {
            code: ErrorCode::InvalidField,
            message,
            ..
        }) if message.contains("_key") || message.starts_with("descriptor") => {
            error.context(format!("{} is wrong", input.origin))
        }
        _ => error,
    })
}

/// How to connect to the relay.
struct Access<'a> {
    url: &'a str,
    token: Option<Zeroizing<String>>,
    trust: Trust,
    proxy: Option<Proxy>,
}

async fn follow(access: Access<'_>, wait: Duration, watch: Watch) -> anyhow::Result<()> {
    let Access {
        url,
        token,
        trust,
        proxy,
    } = access;
    let shown = short(url);
    let asked = watch.from_time.is_some();
    let from_height = watch.from_height;
    let mut builder = Client::builder(url)
        .client_id("sdk_relay scan")
        .topics([] as [Topic; 0]);
    if let Some(token) = token {
        builder = builder.token(token.as_str());
    }
    builder = builder.trusting(trust.clone());
    if let Some(proxy) = proxy {
        builder = builder.dialer(Arc::new(ThroughProxy(proxy)));
    }
    let (client, mut events) = builder.reconnect(false).connect().await.map_err(|error| {
        let todo = match &error {
            // They say what is expected.
            ConnectError::Url { .. } | ConnectError::SpeaksTls { .. } | ConnectError::SpeaksNoTls { .. } => {
                return anyhow::Error::new(error);
            }
            ConnectError::Trust { .. } => return unusable(&trust, &error),
            ConnectError::Tls { can_be_trusted, .. } => {
                return anyhow::anyhow!("{error}{}", advice(&trust, *can_be_trusted));
            }
            ConnectError::Rejected { .. } => {
                format!("{shown} refuses the scan: if it needs a token, give it with --token-file")
            }
            ConnectError::NotWebSocket { .. } => format!("there is no WebSocket API of a relay at {shown}"),
            _ => format!("cannot connect to a relay at {shown}: start one, or choose another with --relay"),
        };
        anyhow::Error::new(error).context(todo)
    })?;
    let registered = client.watch(watch).await?;
    let from = from_height.or(registered.from_height).unwrap_or_default();
    if asked {
        say_error(&format!("scanning from block {from}"));
    }
    let mut waits = registered.history == Some(HistoryState::Waiting);
    let mut missing = registered.missing;
    let bar = new_bar(&format!("history: block {from}"), 0.0);
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
            bar.clear();
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
                bar.set(&format!("history: block {}", progress.height), progress.progress);
                if progress.progress >= 1.0 {
                    bar.clear();
                    if progress.height < from {
                        bail!("block {from} does not exist yet");
                    }
                    let payments = match payments {
                        1 => "1 payment".to_owned(),
                        count => format!("{count} payments"),
                    };
                    say_error(&format!("{payments} up to block {}", progress.height));
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

//! `sdk_relay status`: a running relay, in the terminal.

mod fetch;
mod view;

use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use sdk_relay_config::{Config, Loader, Overrides};
use sdk_relay_console::{say, say_error};
use sdk_relay_echo::short;
use sdk_relay_platform::net::Proxy;
use sdk_relay_protocol::encode_text;
use sdk_relay_scan::{own_http_url, token_from_file, trust};
use zeroize::Zeroizing;

use crate::text::with_causes;
use fetch::{Answers, Relay, http_url};
use view::{Paint, view};

/// Interval of `--watch`. The relay measures itself every few seconds.
const WATCH_INTERVAL: Duration = Duration::from_secs(2);
/// Clears the terminal, and puts the cursor at its top.
const CLEAR: &str = "\x1b[H\x1b[2J";

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// HTTP URL of the relay [default: the configured listen address, on this machine]
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// Show it again every two seconds, until Ctrl-C
    #[arg(long)]
    watch: bool,
    /// Print the answers of the relay as JSON, in one line
    #[arg(long)]
    json: bool,
    /// File with the relay's read token or administrator's token [default with this machine's relay: the token of the
    /// configuration]
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// The token itself, for scripts: only as an environment variable, because other users can read arguments
    #[arg(long, env = "SDK_RELAY_TOKEN", hide = true, hide_env_values = true)]
    token: Option<String>,
    /// PEM file of certificates to trust for an https:// relay, in place of those of the system
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// SOCKS proxy on the way to the relay of --url, for example Tor: socks5://127.0.0.1:9050
    #[arg(long, value_name = "URL", requires = "url")]
    proxy: Option<Proxy>,
}

/// Prints the status. Fails if the relay does not answer, or is critical.
pub(super) fn status(arguments: Arguments, settings: Overrides) -> anyhow::Result<()> {
    let relay = relay(&arguments, settings)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the asynchronous runtime")?;
    runtime.block_on(show(&arguments, &relay))
}

/// The relay that the arguments name, and how to access it.
fn relay(arguments: &Arguments, settings: Overrides) -> anyhow::Result<Relay> {
    let given = match (&arguments.token_file, &arguments.token) {
        (Some(file), _) => Some(token_from_file(file)?),
        (None, token) => token.clone().map(Zeroizing::new),
    };
    // The token of this relay must not be sent to another one.
    let (url, token, trust) = match &arguments.url {
        Some(url) => (http_url(url)?, None, trust(arguments.ca.clone(), None)),
        None => {
            let config = Loader::new(settings).load()?;
            let trust = trust(arguments.ca.clone(), Some(&config));
            (own_http_url(&config), own_token(&config), trust)
        }
    };
    if arguments.ca.is_some() && !url.starts_with("https://") {
        bail!(
            "--ca is for an https:// relay, and {} is not one: its connection is not encrypted",
            short(&url)
        );
    }
    Relay::new(url, given.or(token), trust, arguments.proxy.clone())
}

fn own_token(config: &Config) -> Option<Zeroizing<String>> {
    let token = config.auth.admin_token.as_ref().or(config.auth.read_token.as_ref())?;
    Some(Zeroizing::new(token.expose().to_owned()))
}

async fn show(arguments: &Arguments, relay: &Relay) -> anyhow::Result<()> {
    let is_terminal = io::stdout().is_terminal();
    let paint = Paint::new(is_terminal);
    if !arguments.watch {
        let answers = relay.fetch().await?;
        print(arguments, relay, &answers, &paint)?;
        if answers.health["status"] == "critical" {
            bail!("the relay is critical");
        }
        return Ok(());
    }
    loop {
        let answers = relay.fetch().await;
        if is_terminal && !arguments.json {
            say(CLEAR);
        }
        match answers {
            Ok(answers) => print(arguments, relay, &answers, &paint)?,
            // It may be restarting.
            Err(error) => say_error(&with_causes(&error)),
        }
        tokio::time::sleep(WATCH_INTERVAL).await;
    }
}

fn print(arguments: &Arguments, relay: &Relay, answers: &Answers, paint: &Paint) -> anyhow::Result<()> {
    if arguments.json {
        say(&encode_text(answers)?);
    } else {
        say(&view(relay.url(), answers, paint));
    }
    Ok(())
}

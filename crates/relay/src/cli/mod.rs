//! The command line.

mod init;
mod run;
mod scan;
mod signals;
mod welcome;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use sdk_relay_config::{Config, Loader, Overrides};
use sdk_relay_transport::tls;

pub use run::run_with;

/// A relay between Bitcoin and silent-payment (BIP352) apps.
///
/// It follows a Bitcoin node, finds silent payments in the mempool and in blocks, and tells its clients over a WebSocket API (port 8090) and
/// an HTTP API (port 8091). To try it without a node: sdk_relay --standalone
#[derive(Debug, Parser)]
#[command(
    name = "sdk_relay",
    version,
    args_conflicts_with_subcommands = true,
    after_help = "Every setting can also be given in the environment: SDK_RELAY_NETWORK=signet, SDK_RELAY_BITCOIN_CORE__URL=http://127.0.0.1:38332.\n\
                  Flags go over the environment, the environment over the file."
)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    settings: Settings,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the relay; the same as no command at all
    Run(Settings),
    /// Tell whether the configuration is right, and end
    CheckConfig(Settings),
    /// Write a commented configuration file, and end
    Init(Settings),
    /// Find the payments of a wallet in the history that a running relay holds, and end
    Scan(scan::Arguments),
}

#[derive(Debug, Args)]
struct Settings {
    /// Configuration file [default: sdk_relay.toml in the data directory]
    #[arg(long, value_name = "FILE", env = "SDK_RELAY_CONFIG")]
    config: Option<PathBuf>,
    /// Where the relay keeps its log of events and its wallet key [default: ~/.sdk_relay]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Run on an embedded development chain, with no node
    #[arg(long)]
    standalone: bool,
    /// Speak TLS on both ports with a certificate of the relay's own making (for development)
    #[arg(long)]
    tls_self_signed: bool,
}

impl Cli {
    /// Does what the command line says. Errors are one message on standard error and exit code 1.
    pub fn run(self) -> ExitCode {
        let done = match self.command {
            None => run::run(self.settings.overrides()),
            Some(Command::Run(settings)) => run::run(settings.overrides()),
            Some(Command::CheckConfig(settings)) => check(settings.overrides()),
            Some(Command::Init(settings)) => init::init(&settings.overrides()),
            Some(Command::Scan(arguments)) => scan::scan(arguments),
        };
        match done {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                say_error(&format!("sdk_relay: {}", with_causes(&error)));
                ExitCode::FAILURE
            }
        }
    }
}

impl Settings {
    fn overrides(self) -> Overrides {
        Overrides {
            config: self.config,
            data_dir: self.data_dir,
            standalone: self.standalone,
            tls_self_signed: self.tls_self_signed,
        }
    }
}

fn check(overrides: Overrides) -> anyhow::Result<()> {
    let loader = Loader::new(overrides);
    for variable in loader.unknown_variables() {
        say_error(&format!("sdk_relay: warning: {variable}"));
    }
    let config = loader.load()?;
    tls::check(&config)?;
    say(&format!(
        "The configuration is right: {} on {}, data in {}",
        config.network,
        source(&config),
        config.data_dir.display()
    ));
    Ok(())
}

/// An error with its causes, each said once: some messages contain that of their cause.
fn with_causes(error: &anyhow::Error) -> String {
    error.chain().skip(1).fold(error.to_string(), |text, cause| {
        let cause = cause.to_string();
        if text.contains(&cause) {
            text
        } else {
            format!("{text}: {cause}")
        }
    })
}

fn source(config: &Config) -> String {
    if config.standalone {
        "the embedded development chain".to_owned()
    } else {
        config.bitcoin_core.url.clone()
    }
}

#[allow(clippy::print_stdout, reason = "this is the command line")]
fn say(text: &str) {
    println!("{text}");
}

#[allow(clippy::print_stderr, reason = "this is the command line")]
fn say_error(text: &str) {
    eprintln!("{text}");
}

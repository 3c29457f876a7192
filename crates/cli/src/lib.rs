//! The command line of `sdk_relay`: its commands and flags.
//!
//! [`Cli::run`] runs them; the relay itself is the caller's.

mod check_config;
mod flags;
mod init;
mod package_files;
mod status;
mod text;
mod wallet;
mod wrong_arguments;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory, Parser, Subcommand};
use sdk_relay_config::Overrides;
use sdk_relay_console::say_error;

use flags::{AllFlags, DataDirFlag};

use wrong_arguments::wrong_arguments;

pub use text::{source, with_causes};

/// With the commit in a package (scripts/release).
const VERSION: &str = match option_env!("SDK_RELAY_BUILD") {
    Some(build) => build,
    None => env!("CARGO_PKG_VERSION"),
};

/// A relay between a Bitcoin node and silent-payment (BIP352) apps.
///
/// It follows a Bitcoin node, finds silent payments in the mempool and in blocks, and notifies its clients over a
/// WebSocket API (port 8090). State and administration are available over an HTTP API (port 8091). To try it without
/// a node: sdk_relay --standalone --data-dir try
#[derive(Debug, Parser)]
#[command(
    name = "sdk_relay",
    version = VERSION,
    args_conflicts_with_subcommands = true,
    after_help = "Environment variables can set every setting: SDK_RELAY_NETWORK=signet, SDK_RELAY_BITCOIN_CORE__URL=http://127.0.0.1:38332.\n\
                  Flags override the changes made with PUT /config (settings.toml in the data directory), which override the \
                  environment; the environment overrides the file."
)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    settings: Settings,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the relay (the default command)
    Run(Settings),
    /// Check the configuration, this machine and the node, print what to do, and exit
    CheckConfig(CheckArguments),
    /// Write a configuration file with every setting and its explanation, and exit
    Init(Place),
    /// Show the status of a running relay, and exit
    #[command(
        after_help = "Exit status: 0 if the relay is healthy or degraded; 1 if it is critical, or if there is no answer of a relay that accepts the token. With --watch the command runs until it is interrupted."
    )]
    Status(StatusArguments),
    /// Scan the history of a running relay for payments to a wallet, print them, and exit
    Scan(ScanArguments),
    /// Write the manual pages and shell completions to a directory, for a package
    #[command(hide = true)]
    PackageFiles {
        /// The directory; created if it does not exist
        directory: PathBuf,
    },
    /// Print the address or the descriptor of the relay's own wallet, export its keys or import them, and exit
    #[command(subcommand)]
    Wallet(WalletCommand),
}

#[derive(Debug, Subcommand)]
enum WalletCommand {
    /// Print the silent-payment address of the relay's own wallet
    Address(Settings),
    /// Print the descriptor of the relay's own wallet (BIP392), with which other programs can see its payments and not
    /// spend them
    Descriptor(Settings),
    /// Write the private keys of the hot wallet to a new file, which can be imported elsewhere
    Export(Transfer),
    /// Make the wallet of an exported file the hot wallet of this data directory; the relay must not run
    Import(Transfer),
}

#[derive(Debug, Args)]
struct Transfer {
    /// The exported file
    file: PathBuf,
    #[command(flatten)]
    settings: Settings,
}

#[derive(Debug, Args)]
struct File {
    /// Configuration file [default: sdk_relay.toml in the data directory]
    #[arg(long, value_name = "FILE", env = "SDK_RELAY_CONFIG")]
    config: Option<PathBuf>,
}

/// Where the configuration file is.
#[derive(Debug, Args)]
struct Place {
    #[command(flatten)]
    file: File,
    #[command(flatten)]
    data_dir: DataDirFlag,
}

#[derive(Debug, Args)]
struct Settings {
    #[command(flatten)]
    file: File,
    #[command(flatten)]
    flags: AllFlags,
}

#[derive(Debug, Args)]
struct CheckArguments {
    /// Do not ask the node
    #[arg(long)]
    offline: bool,
    #[command(flatten)]
    settings: Settings,
}

#[derive(Debug, Args)]
struct StatusArguments {
    #[command(flatten)]
    status: status::Arguments,
    #[command(flatten)]
    settings: Settings,
}

#[derive(Debug, Args)]
struct ScanArguments {
    #[command(flatten)]
    scan: sdk_relay_scan::Arguments,
    #[command(flatten)]
    settings: Settings,
}

impl Cli {
    /// Parses the command line of this process. A wrong one, `--help` and `--version` are printed, and the error is the
    /// exit code.
    pub fn from_command_line() -> Result<Self, ExitCode> {
        Self::try_parse().map_err(|error| {
            if error.use_stderr() {
                say_error(wrong_arguments(&error).trim_end());
            } else if error.print().is_err() {
                // The pipe is closed.
                return ExitCode::FAILURE;
            }
            ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(1))
        })
    }

    /// Runs the command. An error is one message on standard error, and exit code 1.
    ///
    /// `run_relay` runs the relay until a signal ends it.
    pub fn run(self, run_relay: impl FnOnce(Overrides) -> anyhow::Result<()>) -> ExitCode {
        let done = match self.command {
            None => run_relay(self.settings.overrides()),
            Some(Command::Run(settings)) => run_relay(settings.overrides()),
            Some(Command::CheckConfig(arguments)) => {
                check_config::check(arguments.settings.overrides(), arguments.offline)
            }
            Some(Command::Init(place)) => init::init(place.overrides()),
            Some(Command::Status(arguments)) => status::status(arguments.status, arguments.settings.overrides()),
            Some(Command::Scan(arguments)) => sdk_relay_scan::scan(arguments.scan, arguments.settings.overrides()),
            Some(Command::PackageFiles { directory }) => package_files::write(&directory, Self::command()),
            Some(Command::Wallet(WalletCommand::Address(settings))) => wallet::address(settings.overrides()),
            Some(Command::Wallet(WalletCommand::Descriptor(settings))) => wallet::descriptor(settings.overrides()),
            Some(Command::Wallet(WalletCommand::Export(Transfer { file, settings }))) => {
                wallet::export(settings.overrides(), &file)
            }
            Some(Command::Wallet(WalletCommand::Import(Transfer { file, settings }))) => {
                wallet::import(settings.overrides(), &file)
            }
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

impl File {
    fn overrides(self) -> Overrides {
        let none = Overrides::default();
        match self.config {
            Some(file) => none.with_config(file),
            None => none,
        }
    }
}

impl Place {
    fn overrides(self) -> Overrides {
        self.data_dir.0.over(self.file.overrides())
    }
}

impl Settings {
    fn overrides(self) -> Overrides {
        self.flags.0.over(self.file.overrides())
    }
}

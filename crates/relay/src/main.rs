//! The program: configuration, log, relay, signals.

use std::process::ExitCode;

use clap::Parser;
use sdk_relay::cli::Cli;

fn main() -> ExitCode {
    Cli::parse().run()
}

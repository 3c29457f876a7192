//! Prints what a relay notifies, one line for each event: `cargo run -p sdk-relay-client --example listen -- --help`.
// A command-line program: its output belongs on the terminal.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod line;
mod trouble;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use sdk_relay_client::{Client, Topic};
use sdk_relay_files::read_text;

/// A token is one word.
const MOST_TOKEN_BYTES: u64 = 4096;

/// Prints the notifications of a relay: payments, blocks, and relays that join or leave the mesh.
#[derive(Debug, Parser)]
#[command(name = "listen")]
struct Arguments {
    /// WebSocket URL of the relay
    #[arg(default_value = "ws://127.0.0.1:8090")]
    url: String,
    /// PEM file of the certificates to trust for wss://, in place of those of the system
    pem: Option<PathBuf>,
    /// Print the messages of the relay as they are, one JSON object on each line
    #[arg(long)]
    json: bool,
    /// File with the relay's read token (auth.read_token), for a relay that needs one
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> ExitCode {
    match listen(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(trouble) => {
            eprintln!("listen: {trouble}");
            ExitCode::FAILURE
        }
    }
}

async fn listen(arguments: Arguments) -> Result<(), String> {
    let mut builder = Client::builder(&arguments.url)
        .client_id("listen")
        .topics([Topic::Notifications]);
    if let Some(pem) = arguments.pem {
        builder = builder.trust(pem);
    }
    if let Some(file) = arguments.token_file {
        let token = read_text(&file, MOST_TOKEN_BYTES).map_err(|error| error.to_string())?;
        builder = builder.token(token.trim());
    }
    let (client, mut events) = builder.connect().await.map_err(|error| trouble::sentence(&error))?;
    let relay = client.relay();
    if arguments.json {
        print(&line::json_of_relay(&relay));
    } else {
        print(&format!("connected to {} on {}", relay.relay_id, relay.network));
        if let Some(address) = &relay.silent_payment_address {
            print(&format!("waiting for payments to {address}"));
        }
    }
    while let Some(event) = events.recv().await {
        if !arguments.json {
            print(&line::text(&event));
        } else if let Some(message) = line::json(&event) {
            print(&message);
        } else {
            // The state of the connection is no message of the relay.
            eprintln!("{}", line::text(&event));
        }
    }
    Ok(())
}

/// Prints a line. Ends the program if nobody reads it any more (`listen | head`), where `println!` panics.
fn print(line: &str) {
    let mut out = std::io::stdout().lock();
    if writeln!(out, "{line}").and_then(|()| out.flush()).is_err() {
        std::process::exit(1);
    }
}

//! Prints the notifications of a relay: `cargo run -p sdk-relay-client --example listen [URL [PEM]]`. With a PEM
//! file, only the certificates in it are trusted.
// A command-line program: its output belongs on the terminal.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::process::ExitCode;

use sdk_relay_client::{Client, ClientEvent, Topic};

#[tokio::main]
async fn main() -> ExitCode {
    match listen().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("listen: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn listen() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "ws://127.0.0.1:8090".to_owned());
    let mut builder = Client::builder(&url).client_id("listen").topics([Topic::Notifications]);
    if let Some(pem) = std::env::args_os().nth(2) {
        builder = builder.trust(pem);
    }
    let (client, mut events) = builder.connect().await?;
    let relay = client.relay();
    println!("connected to {} on {}", relay.relay_id, relay.network);
    if let Some(address) = &relay.silent_payment_address {
        println!("waiting for payments to {address}");
    }
    while let Some(event) = events.recv().await {
        match event {
            ClientEvent::Notification(n) => println!("{}", sdk_relay_protocol::encode_text(&n)?),
            ClientEvent::Disconnected { reason, .. } => println!("disconnected: {reason}"),
            ClientEvent::Reconnected { resume, .. } => println!("reconnected: {resume:?}"),
            other => println!("{other:?}"),
        }
    }
    Ok(())
}

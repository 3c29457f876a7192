//! Load generator and reports: `cargo run --release -p bench -- NAME`.
//!
//! Each bench is one file with its arguments and a `run` that returns a [`report::Report`]. They run against real
//! processes, a bitcoind on regtest and the relay, on loopback; `scan`, `tweaks` and `mesh` only compute. Each is
//! bounded, and leaves no process or file behind.

mod blocks;
mod clients;
mod fairness;
mod history;
mod http;
mod index;
mod latency;
mod load;
mod mesh;
mod processor;
mod report;
mod scan;
mod stats;
mod tweaks;
mod watches;
mod zmq;

use clap::{Parser, Subcommand};

/// Measures sdk_relay against a real node.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    bench: Bench,
    /// Also print the figures as JSON, on the last line
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Subcommand)]
enum Bench {
    Clients(clients::Arguments),
    Fairness(fairness::Arguments),
    History(history::Arguments),
    Http(http::Arguments),
    Index(index::Arguments),
    Latency(latency::Arguments),
    Mesh(mesh::Arguments),
    Scan(scan::Arguments),
    Tweaks(tweaks::Arguments),
    Watches(watches::Arguments),
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let report = match arguments.bench {
        Bench::Clients(arguments) => clients::run(arguments).await?,
        Bench::Fairness(arguments) => fairness::run(arguments).await?,
        Bench::History(arguments) => history::run(arguments).await?,
        Bench::Index(arguments) => index::run(arguments).await?,
        Bench::Http(arguments) => http::run(arguments).await?,
        Bench::Latency(arguments) => latency::run(arguments).await?,
        Bench::Mesh(arguments) => mesh::run(&arguments)?,
        Bench::Scan(arguments) => scan::run(&arguments)?,
        Bench::Tweaks(arguments) => tweaks::run(&arguments)?,
        Bench::Watches(arguments) => watches::run(arguments).await?,
    };
    report.print(arguments.json);
    Ok(())
}

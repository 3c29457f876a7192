//! `http`: requests per second of `GET /health` and `GET /metrics`, compared with an axum route of the same server that
//! returns the same bytes as a constant. The measurements alternate, so that other load affects both.

use std::sync::Arc;

use anyhow::Result;
use axum::Router;
use axum::body::Bytes;
use axum::routing::get;
use sdk_relay_config::{Loader, Overrides};
use sdk_relay_supervisor::Supervisor;
use sdk_relay_transport::{InputBudget, ListenerState, Ports, Timeouts, serve_http};
use serde_json::{Value, json};
use testkit::{RelayOptions, RelayProcess, http_get, relay_exe};
use tokio::sync::watch;

use crate::load::{self, Load};
use crate::report::{Report, Table};
use crate::stats::Samples;

/// Measured paths.
const PATHS: [&str; 2] = ["/health", "/metrics"];
/// Target, in percent of the rate of the constant.
const AIM: f64 = 80.0;

/// Rates of the HTTP API compared with a constant.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Connections at once, each with one request at a time.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=1000))]
    connections: u16,
    /// Seconds of each measurement.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=60))]
    seconds: u64,
    /// Measurements of each kind; their median is reported.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=20))]
    rounds: u16,
}

pub(crate) async fn run(arguments: Arguments) -> Result<Report> {
    let load = Load {
        connections: arguments.connections.into(),
        seconds: arguments.seconds,
    };
    let relay = RelayProcess::start(RelayOptions::new(relay_exe()).arg("--standalone")).await;
    let mut table = Table::new(["requests/s", "constant", "relay", "relay/constant %"]);
    let mut figures = serde_json::Map::new();
    for path in PATHS {
        let url = format!("{}{path}", relay.http_url());
        let constant = Constant::serve(path, http_get(&url).await.body).await?;
        let (mut constants, mut relays) = (Vec::new(), Vec::new());
        for _ in 0..arguments.rounds {
            constants.push(load::rate(&constant.url, load).await?);
            relays.push(load::rate(&url, load).await?);
        }
        let [constant, relay] = [median(constants), median(relays)];
        let share = relay / constant * 100.0;
        table = table.row(&format!("GET {path}"), &[constant, relay, share], 0);
        let figure =
            json!({"constant_per_s": constant.round(), "relay_per_s": relay.round(), "share_percent": share.round()});
        figures.insert(path.to_owned(), figure);
    }
    let Load { connections, seconds } = load;
    let title = format!(
        "HTTP with {connections} connections, {} times {seconds} s each in turns, by {} (aim: {AIM} % of a constant)",
        arguments.rounds,
        load::tool()
    );
    Ok(Report {
        title,
        tables: vec![table],
        json: Value::Object(figures),
    })
}

fn median(rates: Vec<f64>) -> f64 {
    Samples::new(rates).map_or(f64::NAN, |samples| samples.percentile(50))
}

/// The server of the relay with a single route, without middleware.
struct Constant {
    url: String,
    /// Dropping it ends the server.
    _ending: watch::Sender<Option<sdk_relay_client::protocol::CloseCode>>,
}

impl Constant {
    async fn serve(path: &str, body: Bytes) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let config = Loader::new(Overrides::default().with_data_dir(dir.path()).with_standalone()).load()?;
        let listener = Ports::default().listen("127.0.0.1:0".parse()?)?;
        let url = format!("http://{}{path}", listener.local_addr()?);
        let answer = || async move { ([("content-type", "application/json")], body) };
        let router = Router::new().route(path, get(answer));
        let (ending, ends) = watch::channel(None);
        let listeners = ListenerState::new(
            &config,
            InputBudget::new(config.input_memory, Default::default()),
            None,
            ends,
            Arc::new(Supervisor::default()),
            Timeouts::default(),
        );
        tokio::spawn(serve_http(router, listener, listeners));
        Ok(Self { url, _ending: ending })
    }
}

//! A dependency of the relay is missing, wrong, or fails: the relay reports it in a sentence, continues as far as
//! possible, and loses nothing.

mod away;
mod credentials;
mod damaged_files;
mod data_dir;
#[cfg(unix)]
mod descriptors;
mod mempool;
mod network;
mod operator;
mod shutdown;
mod signals;

use crate::story::scene::DEADLINE;
use sdk_relay_client::protocol::http::Health;
use testkit::{RelayOptions, RelayProcess, eventually, http_get};

/// A relay of the binary built by `cargo test`.
fn options() -> RelayOptions {
    RelayOptions::new(env!("CARGO_BIN_EXE_sdk_relay"))
}

/// `GET /health`: its status code and body.
async fn health(relay: &RelayProcess) -> (u16, Health) {
    let reply = http_get(&format!("{}/health", relay.http_url())).await;
    (reply.status.as_u16(), serde_json::from_value(reply.json()).unwrap())
}

/// Waits for this health status and a problem with these words. Returns the problem.
async fn unwell(relay: &RelayProcess, status: &str, words: &str) -> String {
    let what = format!("/health with {status:?} and a problem with {words:?}");
    eventually(DEADLINE, what, async || {
        let (code, health) = health(relay).await;
        assert_eq!(code, if health.status == "critical" { 503 } else { 200 });
        let problem = health.problems.into_iter().find(|problem| problem.contains(words))?;
        // A node that answers and is still loading is reported as such.
        let loading = words == "mempool";
        let shown = if loading {
            health.services.bitcoin_core == "syncing" && health.checks.bitcoin_rpc
        } else {
            health.services.bitcoin_core == "disconnected" && !health.checks.bitcoin_rpc
        };
        (health.status == status && shown).then_some(problem)
    })
    .await
}

/// Waits until `/health` has no problems and `/health/ready` is 200.
pub(crate) async fn well(relay: &RelayProcess) {
    eventually(DEADLINE, "a healthy and ready relay", async || {
        let (code, health) = health(relay).await;
        let ready = http_get(&format!("{}/health/ready", relay.http_url())).await.status;
        let connected = health.services.bitcoin_core == "connected" && health.checks.bitcoin_rpc;
        let fine = health.status == "healthy" && health.problems.is_empty() && connected;
        (code == 200 && ready == 200 && fine).then_some(())
    })
    .await;
}

/// Number of log lines of the relay with these words.
fn logged(relay: &RelayProcess, words: &str) -> usize {
    relay.stderr().lines().filter(|line| line.contains(words)).count()
}

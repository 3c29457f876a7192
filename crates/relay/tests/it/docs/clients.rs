//! The clients of `docs/write-a-client.md`: they lose no payment, and print none twice, whatever ends their watch.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::{InputKind, Options, Payee, RelayOptions, RelayProcess, eventually, http_post, is_left_out};
use tokio::process::Command;

use super::{SCAN_KEY, SPEND_KEY, block};
use crate::stage::{MARKER, Stage, silent};
use crate::support::DEADLINE;
use crate::support::program::{Program, node, python};
use crate::wire::{Wire, get, mine, standalone};

const PAGE: &str = "write-a-client.md";

/// The address of two keys, as the relay says it.
pub(super) async fn address<'a>(relay: &RelayProcess, mut keys: impl Iterator<Item = &'a str>) -> String {
    let mut wire = Wire::connect(&relay.ws_url(), &[]).await;
    let watch = json!({"type": "watch", "scan_private_key": keys.next(), "spend_public_key": keys.next()});
    let response = wire.request(watch).await;
    response["address"]
        .as_str()
        .unwrap_or_else(|| panic!("{response}"))
        .to_owned()
}

pub(super) async fn pay(relay: &RelayProcess, address: &str) -> String {
    let body = json!({"address": address, "amount": "0.001"});
    let paid = http_post(&format!("{}/dev/pay", relay.http_url()), &body).await;
    assert_eq!(paid.status, 200, "{}", paid.text());
    paid.json()["txid"].as_str().unwrap().to_owned()
}

/// A client of the page, which is started again and again with the same state.
struct Client<F> {
    /// Its command line.
    start: F,
    watch: String,
    folder: TempDir,
}

impl<F: Fn() -> Command> Client<F> {
    fn new(start: F, watch: String) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Client { start, watch, folder }
    }

    fn state(&self) -> PathBuf {
        self.folder.path().join("state.json")
    }

    fn start(&self, relay: &RelayProcess) -> Program {
        let mut command = (self.start)();
        command
            .env("RELAYS", relay.ws_url())
            .env("WATCH", &self.watch)
            .env("STATE", self.state());
        Program::start(command)
    }

    fn stored(&self) -> Value {
        serde_json::from_str(&std::fs::read_to_string(self.state()).unwrap()).unwrap()
    }

    /// Waits until everything up to this block is stored: it prints a block before it stores it, and would receive it
    /// again.
    async fn has_stored(&self, height: u64) {
        eventually(DEADLINE, "the block in the file", async || {
            let stored = self.stored();
            (stored["height"] == height && stored["blocks"][0]["height"] == height).then_some(())
        })
        .await;
    }

    /// Waits until the history is scanned up to this block: one that is mined before does not raise the height.
    async fn has_scanned(&self, height: u64) {
        eventually(DEADLINE, "the end of the scan", async || {
            (self.stored()["height"] == height).then_some(())
        })
        .await;
    }

    /// The stored payments are those of these transactions.
    fn has_payments(&self, txids: &[&String]) {
        let stored = self.stored()["payments"].as_object().unwrap().clone();
        let mut wanted: Vec<_> = txids.iter().map(|txid| format!("{txid}:0")).collect();
        wanted.sort();
        let mut keys: Vec<_> = stored.keys().cloned().collect();
        keys.sort();
        assert_eq!(keys, wanted, "{stored:?}");
    }
}

/// Payments to the wallet of the relay and to the watch survive a restart of either, a relay that refuses the watch,
/// and a lost log; and nothing is printed twice.
async fn check(start: impl Fn() -> Command) {
    // One watch, so that another client can take it.
    let mut relay = RelayProcess::start(standalone().fixed_ports().set("LIMITS__WATCHES", "1")).await;
    let keys = json!({"type": "watch", "scan_private_key": SCAN_KEY, "spend_public_key": SPEND_KEY});
    let address = address(&relay, [SCAN_KEY, SPEND_KEY].into_iter()).await;
    let config = get(&relay, "/config").await;
    let own_address = config["silent_payment_address"].as_str().unwrap();
    let client = Client::new(start, format!("{SCAN_KEY} {SPEND_KEY} 0"));

    let mut first = client.start(&relay);
    let watching = |height: u64| format!("watching {address} from block {height}\n");
    first.prints(&["resume: none", &watching(0)]).await;
    client.has_scanned(119).await;
    let payment =
        |txid: &str, confirmations: u32| format!("payment {txid}:0 of 0.001 BTC, {confirmations} confirmations\n");
    let watched = pay(&relay, &address).await;
    let own = pay(&relay, own_address).await;
    first.prints(&[&payment(&watched, 0), &payment(&own, 0)]).await;
    mine(&relay, 1).await;
    first
        .prints(&[&payment(&watched, 1), "block 120\n", &payment(&own, 1)])
        .await;

    let restarted = http_post(&format!("{}/restart", relay.http_url()), &json!({})).await;
    assert_eq!(restarted.status, 200, "{}", restarted.text());
    first.prints(&["1012", "resume: complete", &watching(121)]).await;
    let second = pay(&relay, &address).await;
    first.prints(&[&payment(&second, 0)]).await;
    mine(&relay, 1).await;
    first.prints(&[&payment(&second, 1), "block 121\n"]).await;
    client.has_stored(121).await;
    client.has_payments(&[&watched, &own, &second]);
    let first = first.kill().await;

    // Blocks and a payment while it is away, and another client that takes the only watch.
    let third = pay(&relay, &address).await;
    mine(&relay, 2).await;
    let mut other = Wire::connect(&relay.ws_url(), &[]).await;
    eventually(DEADLINE, "the end of the first client's watch", async || {
        (other.request(keys.clone()).await["status"] == "watching").then_some(())
    })
    .await;
    let mut again = client.start(&relay);
    again
        .prints(&["resume: complete", "block 122\n", "block 123\n", "error unavailable"])
        .await;
    client.has_payments(&[&watched, &own, &second]);
    assert_eq!(client.stored()["height"], 121, "no block without a watch");
    drop(other);
    again.prints(&[&watching(122), &payment(&third, 2)]).await;
    client.has_scanned(123).await;
    mine(&relay, 1).await;
    again.prints(&["block 124\n"]).await;
    client.has_stored(124).await;

    assert!(relay.terminate().await.success());
    std::fs::rename(relay.data_dir().join("relay.redb"), client.folder.path().join("lost")).unwrap();
    relay.start_again().await;
    again.prints(&["resume: gap", &watching(25)]).await;
    client.has_scanned(124).await;
    mine(&relay, 1).await;
    again.prints(&["block 125\n"]).await;
    client.has_stored(125).await;
    // What it has printed until now is before this in the pipe.
    mine(&relay, 1).await;
    again.prints(&["block 126\n"]).await;
    client.has_stored(126).await;
    client.has_payments(&[&watched, &own, &second, &third]);

    let printed = first + &again.kill().await;
    let news = ["payment ", "reverted ", "block "];
    let lines = printed
        .lines()
        .filter(|line| news.iter().any(|begin| line.starts_with(begin)));
    let mut seen = HashSet::new();
    for line in lines {
        assert!(seen.insert(line), "{line:?} is printed twice in:\n{printed}");
    }
}

/// A block below the first one of the new watch is replaced while the client is away.
async fn check_reorg(start: impl Fn() -> Command) {
    let mut stage = Stage::with(Options::default(), RelayOptions::fixed_ports).await;
    let payee = Payee::new(&[]);
    let birthday = stage.node.height().await;
    let keys = (payee.scan_hex(), payee.spend_public_key());
    let client = Client::new(start, format!("{} {} {birthday}", keys.0, keys.1));
    let mut running = client.start(&stage.relay);
    running.prints(&["watching "]).await;
    client.has_scanned(u64::from(birthday)).await;
    let to = [silent(payee.address(), MARKER)];
    let gone = stage.payer.pay(&[InputKind::P2wpkh], &to);
    let old = stage.node.mine_with(std::slice::from_ref(&gone)).await;
    let height = u64::from(stage.node.height().await);
    let gone_id = gone.compute_txid();
    running
        .prints(&[
            &format!("payment {gone_id}:0 of 0.001 BTC, 1 confirmations"),
            &format!("block {height}\n"),
        ])
        .await;
    client.has_stored(height).await;
    running.kill().await;

    // The block in its place pays the wallet too, with the same coins.
    let kept = stage.payer.replace(&gone, &to);
    stage.node.invalidate(old).await;
    stage.node.mine_with(std::slice::from_ref(&kept)).await;
    stage.node.mine_with(&[]).await;
    eventually(DEADLINE, "the new branch at the relay", async || {
        let metrics = get(&stage.relay, "/metrics").await;
        (metrics["relay_metrics"]["tip_height"] == height + 1).then_some(())
    })
    .await;
    let mut again = client.start(&stage.relay);
    let kept_id = kept.compute_txid();
    again
        .prints(&[
            &format!("reverted {gone_id}:0\n"),
            &format!("block {height} disconnected\n"),
            &format!("from block {height}\n"),
            &format!("payment {kept_id}:0 of 0.001 BTC, 2 confirmations"),
        ])
        .await;
    client.has_scanned(height + 1).await;
    stage.node.mine_with(&[]).await;
    again.prints(&[&format!("block {}\n", height + 2)]).await;
    client.has_stored(height + 2).await;
    client.has_payments(&[&kept_id.to_string()]);
    again.kill().await;
}

/// A client of the page as a file.
fn written(folder: &Path, words: &str, name: &str) -> PathBuf {
    let file = folder.join(name);
    std::fs::write(&file, block(PAGE, words)).unwrap();
    file
}

#[tokio::test]
async fn the_javascript_client_resumes_and_watches() {
    if is_left_out("javascript") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = written(folder.path(), "js client", "client.mjs");
    let start = || {
        let mut command = node();
        command.arg(&file);
        command
    };
    check(start).await;
    check_reorg(start).await;
}

#[tokio::test]
async fn the_python_client_resumes_and_watches() {
    let folder = tempfile::tempdir().unwrap();
    let file = written(folder.path(), "python client", "client.py");
    let python = python().await;
    let start = || {
        let mut command = Command::new(&python);
        command.arg("-u").arg(&file);
        command
    };
    check(start).await;
    check_reorg(start).await;
}

#[tokio::test]
async fn the_shortest_client_prints_notifications() {
    if is_left_out("javascript") {
        return;
    }
    let relay = RelayProcess::start(standalone().fixed_ports()).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("shortest.mjs");
    let text = block(PAGE, "js shortest").replace("ws://localhost:8090", &relay.ws_url());
    std::fs::write(&file, text).unwrap();
    let mut command = node();
    command.arg(&file);
    let mut client = Program::start(command);
    client.prints(&["handshake_response"]).await;
    mine(&relay, 1).await;
    client.prints(&["block_mined"]).await;
    client.kill().await;
}

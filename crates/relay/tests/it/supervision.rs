//! A failed part of the relay ends the relay immediately and is named; a hanging one does not prevent the shutdown.
//!
//! The faults are those of an engine that only this program has: it starts itself again as a relay with that engine.

mod parts;

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bitcoin::secp256k1::PublicKey;
use sdk_relay::Timeouts;
use sdk_relay::relay::Relay;
use sdk_relay::run::run_with;
use sdk_relay_bip352::{EligibleTx, Engine, EngineError, Hit, Prepared, TxWithPrevouts};
use sdk_relay_client::protocol::CloseCode;
use sdk_relay_config::{Loader, Overrides};
use sdk_relay_telemetry::LogTap;
use sdk_relay_transport::Ports;
use serde_json::json;
use testkit::{RelayOptions, RelayProcess, eventually, http_get, http_post};

const DEADLINE: Duration = Duration::from_secs(60);
/// The variable that makes this program a relay with such an engine.
const ENGINE: &str = "SUPERVISION_ENGINE";

struct Panics;

impl Engine for Panics {
    fn name(&self) -> &'static str {
        "panics"
    }

    fn scan(&self, _: &[&Prepared], rows: &[&EligibleTx]) -> Result<Vec<Hit>, EngineError> {
        panic!("a fault of the test at {} rows", rows.len())
    }
}

/// The index computes with it, and detection does not.
struct PanicsInTweaks;

impl Engine for PanicsInTweaks {
    fn name(&self) -> &'static str {
        "panics in tweaks"
    }

    fn tweaks(&self, txs: &[TxWithPrevouts<'_>]) -> Result<Vec<Option<PublicKey>>, EngineError> {
        panic!("a fault of the test at {} transactions", txs.len())
    }

    fn scan(&self, _: &[&Prepared], _: &[&EligibleTx]) -> Result<Vec<Hit>, EngineError> {
        Ok(Vec::new())
    }
}

/// Never returns.
struct Hangs;

/// The log line of [`Hangs`].
const HANGS: &str = "this scan never ends";

impl Engine for Hangs {
    fn name(&self) -> &'static str {
        "hangs"
    }

    fn scan(&self, _: &[&Prepared], _: &[&EligibleTx]) -> Result<Vec<Hit>, EngineError> {
        eprintln!("{HANGS}");
        loop {
            std::thread::park();
        }
    }
}

#[test]
#[ignore = "the relay that the other tests start"]
fn child() {
    let engine: Arc<dyn Engine> = match std::env::var(ENGINE).as_deref() {
        Ok("panics") => Arc::new(Panics),
        Ok("panics in tweaks") => Arc::new(PanicsInTweaks),
        Ok("hangs") => Arc::new(Hangs),
        _ => return,
    };
    match run_with(Overrides::default(), Some(engine), Timeouts::default()) {
        Ok(()) => std::process::exit(0),
        Err(error) => {
            eprintln!("{error:#}");
            std::process::exit(1);
        }
    }
}

async fn relay_whose_engine(engine: &str) -> RelayProcess {
    RelayProcess::start(relay_with(engine, "false")).await
}

fn relay_with(engine: &str, index: &str) -> RelayOptions {
    let options = RelayOptions::new(std::env::current_exe().unwrap())
        .set("STANDALONE", "true")
        .set("INDEX__ENABLED", index)
        .env(ENGINE, engine)
        .env("RUST_BACKTRACE", "0");
    ["supervision::child", "--exact", "--ignored", "--nocapture"]
        .into_iter()
        .fold(options, RelayOptions::arg)
}

/// A transaction that detection scans.
async fn pay(http: &str) {
    let config = http_get(&format!("{http}/config")).await.json();
    let body = json!({ "address": config["silent_payment_address"], "amount": "0.01" });
    let reply = http_post(&format!("{http}/dev/pay"), &body).await;
    assert!(reply.status.is_success(), "{}", reply.text());
}

fn signal(relay: &RelayProcess, name: &str) {
    let sent = Command::new("sh")
        .args(["-c", &format!("kill -{name} {}", relay.pid())])
        .status();
    assert!(sent.unwrap().success());
}

#[tokio::test]
async fn a_panic_of_detection_ends_the_process_within_a_second_and_names_it() {
    let mut relay = relay_whose_engine("panics").await;
    let began = Instant::now();
    pay(&relay.http_url()).await;
    let status = relay.wait().await;
    // A second, and what a busy machine takes to notice.
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    let log = relay.stderr();
    assert_eq!(status.code(), Some(1), "{log}");
    assert!(
        log.contains("\"detect\" panicked") && log.contains("a fault of the test"),
        "{log}"
    );
    assert!(!log.contains("stack backtrace"), "{log}");
}

#[tokio::test]
async fn a_panic_of_an_index_thread_ends_the_process_and_names_it() {
    let options = relay_with("panics in tweaks", "true");
    let ended = match RelayProcess::try_start(options).await {
        Ok(mut relay) => (relay.wait().await, relay.stderr()),
        Err(ended) => (ended.status, ended.stderr),
    };
    assert_eq!(ended.0.code(), Some(1), "{}", ended.1);
    for words in ["\"index threads\" panicked", "a fault of the test", "thread=\"index-"] {
        assert!(ended.1.contains(words), "{words} is missing in {}", ended.1);
    }
}

#[tokio::test]
async fn a_panic_of_detection_makes_health_critical_immediately() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("sdk_relay.toml");
    // Without an index nothing else would notice.
    let config = "standalone = true\nws_url = \"127.0.0.1:0\"\nhttp_url = \"127.0.0.1:0\"\n[index]\nenabled = false\n";
    std::fs::write(&file, config).unwrap();
    let loader = Loader::new(Overrides::default().with_config(file).with_data_dir(dir.path()));
    let config = loader.load().unwrap();
    let relay = Relay::start_with(
        loader,
        config,
        LogTap::default(),
        Arc::new(Panics),
        &Ports::default(),
        Timeouts::default(),
    )
    .await
    .unwrap();
    let http = format!("http://{}", relay.http_addr());
    eventually(DEADLINE, "a relay that is ready", async || {
        (http_get(&format!("{http}/health/ready")).await.status == 200).then_some(())
    })
    .await;
    pay(&http).await;
    let failure = tokio::time::timeout(DEADLINE, relay.failed()).await.expect("a failure");
    assert_eq!((failure.part, failure.panicked), ("detect", true));
    let health = http_get(&format!("{http}/health")).await;
    assert_eq!(health.status, 503);
    assert_eq!(health.json()["status"], "critical");
    assert!(health.text().contains("detect"), "{}", health.text());
    assert_eq!(http_get(&format!("{http}/health/ready")).await.status, 503);
    relay.shut_down(CloseCode::Server).await;
}

#[tokio::test]
async fn a_hanging_part_does_not_prevent_the_exit() {
    let mut relay = relay_whose_engine("hangs").await;
    pay(&relay.http_url()).await;
    eventually(DEADLINE, "a scan that hangs", async || {
        relay.stderr().contains(HANGS).then_some(())
    })
    .await;
    let status = relay.terminate().await;
    let log = relay.stderr();
    assert!(status.success(), "{status}: {log}");
    assert!(log.contains("did not end in time") && log.contains("detect"), "{log}");
}

#[tokio::test]
async fn a_second_signal_ends_the_process_immediately() {
    for (first, second, code) in [("TERM", "TERM", 143), ("INT", "INT", 130)] {
        let mut relay = relay_whose_engine("hangs").await;
        pay(&relay.http_url()).await;
        eventually(DEADLINE, "a scan that hangs", async || {
            relay.stderr().contains(HANGS).then_some(())
        })
        .await;
        signal(&relay, first);
        eventually(DEADLINE, "a shutdown", async || {
            relay.stderr().contains("shutting down").then_some(())
        })
        .await;
        signal(&relay, second);
        let status = relay.wait().await;
        assert_eq!(status.code(), Some(code), "{}", relay.stderr());
    }
}

/// What the start has spawned ends with it: a part that ended alone would be an error of the log.
#[test]
fn a_signal_during_the_start_ends_it_without_an_error() {
    for _ in 0..5 {
        let dir = tempfile::tempdir().unwrap();
        let mut relay = Command::new(env!("CARGO_BIN_EXE_sdk_relay"))
            .args(["--standalone", "--data-dir"])
            .arg(dir.path())
            .envs([
                ("SDK_RELAY_WS_URL", "127.0.0.1:0"),
                ("SDK_RELAY_HTTP_URL", "127.0.0.1:0"),
            ])
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(relay.stderr.take().unwrap()).lines().map(Result::unwrap);
        let mut log: Vec<String> = Vec::new();
        // The follower is the first part that the start spawns.
        while !log.last().is_some_and(|line| line.contains("following the chain")) {
            log.push(lines.next().unwrap_or_else(|| panic!("the relay ended: {log:#?}")));
        }
        let sent = Command::new("sh")
            .args(["-c", &format!("kill -TERM {}", relay.id())])
            .status();
        assert!(sent.unwrap().success());
        log.extend(lines);
        assert_eq!(relay.wait().unwrap().code(), Some(0), "{log:#?}");
        assert!(!log.iter().any(|line| line.contains("ERROR")), "{log:#?}");
    }
}

/// A file with other content: an error of one line, which names the file and the remedy.
#[test]
fn a_damaged_store_is_named_once_with_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let file = "relay.redb";
    for content in [&b"garbage"[..], &[0x5a; 100_000]] {
        std::fs::write(dir.path().join(file), content).unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_sdk_relay"))
            .args(["--standalone", "--data-dir"])
            .arg(dir.path())
            .envs([
                ("SDK_RELAY_WS_URL", "127.0.0.1:0"),
                ("SDK_RELAY_HTTP_URL", "127.0.0.1:0"),
            ])
            .output()
            .unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{text}");
        let line = text.lines().last().unwrap();
        assert!(line.starts_with("sdk_relay: ") && line.contains(file), "{text}");
        assert_eq!(
            line.matches("magic number")
                .count()
                .max(line.matches("is not a database").count()),
            1,
            "{line}"
        );
        assert!(
            line.contains("and start the relay") && !text.contains("backtrace"),
            "{text}"
        );
    }
}

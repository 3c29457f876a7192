//! `docs/first-payment.md`, step by step.

use std::path::Path;

use serde_json::Value;
use testkit::{RelayOptions, RelayProcess};
use tokio::process::Command;

use super::block;
use crate::support::program::Program;
use crate::wire::get;

const PAGE: &str = "first-payment.md";

/// A command of the page, in the folder of the test, with the ports of the relay and its program on the `PATH`.
fn shell(words: &str, relay: &RelayProcess, address: &str, folder: &Path) -> Command {
    let port = |url: String| url.rsplit_once(':').unwrap().1.trim_end_matches('/').to_owned();
    let http = format!("localhost:{}", port(relay.http_url()));
    let text = block(PAGE, words)
        .replace("localhost:8091", &http)
        .replace("ADDRESS", address);
    let program = Path::new(env!("CARGO_BIN_EXE_sdk_relay")).parent().unwrap();
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap());
    let mut shell = Command::new("sh");
    // `-e` before the last: the first command that fails ends the shell.
    shell
        .args(["-e", "-c", &text])
        .current_dir(folder)
        .env("PATH", path)
        .env("SDK_RELAY_DATA_DIR", folder.join("none"))
        .env("SDK_RELAY_WS_URL", format!("127.0.0.1:{}", port(relay.ws_url())));
    shell
}

async fn run(words: &str, relay: &RelayProcess, address: &str, folder: &Path) -> String {
    let done = shell(words, relay, address, folder).output().await.unwrap();
    let errors = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{words}: {errors}");
    String::from_utf8(done.stdout).unwrap()
}

#[tokio::test]
async fn the_first_payment_arrives_as_the_page_says() {
    // The page starts it without a configuration, and with a data directory of its own.
    assert_eq!(block(PAGE, "sh start"), "sdk_relay --standalone --data-dir try\n");
    let options = RelayOptions::new(env!("CARGO_BIN_EXE_sdk_relay"))
        .arg("--standalone")
        .fixed_ports();
    let relay = RelayProcess::start(options).await;
    let folder = tempfile::tempdir().unwrap();
    let config = get(&relay, "/config").await;
    let address = config["silent_payment_address"].as_str().unwrap();
    assert!(address.starts_with("sprt1q"), "{address}");

    let mut events = Program::start(shell("sh listen", &relay, address, folder.path()));
    events.prints(&[": welcome"]).await;
    run("sh pay", &relay, address, folder.path()).await;
    events
        .prints(&["\"confirmations\":0", "\"block_mined\"", "\"confirmations\":1"])
        .await;
    events.kill().await;

    let mut resumed = Program::start(shell("sh resume", &relay, address, folder.path()));
    resumed.prints(&["\"block_mined\"", "\"confirmations\":1"]).await;
    assert!(
        !resumed.printed().contains("\"confirmations\":0"),
        "{}",
        resumed.printed()
    );
    resumed.kill().await;

    run("sh keys", &relay, address, folder.path()).await;
    assert_eq!(
        run("sh scan", &relay, address, folder.path()).await,
        "",
        "no payment yet"
    );
    let keys = std::fs::read_to_string(folder.path().join("keys")).unwrap();
    let to_the_keys = super::clients::address(&relay, keys.split_whitespace()).await;
    run("sh pay", &relay, &to_the_keys, folder.path()).await;
    let found = run("sh scan", &relay, address, folder.path()).await;
    let payment: Value = serde_json::from_str(&found).unwrap_or_else(|e| panic!("{found:?}: {e}"));
    assert_eq!(payment["address"], to_the_keys);
}

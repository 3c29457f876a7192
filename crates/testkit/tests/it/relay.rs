//! A relay process is awaited until its ready line, its end is reported with its output, and it ends with its handle.
//!
//! The programs here are shell scripts that behave like the relay; the tests of the relay start the real one this way.

use std::path::PathBuf;

use tempfile::TempDir;
use testkit::{RelayOptions, RelayProcess};

const READY: &str =
    "echo \"INFO sdk_relay: ready ws=$SDK_RELAY_WS_URL http=127.0.0.1:2 network=$SDK_RELAY_NETWORK\" >&2";

fn script(body: &str) -> RelayOptions {
    RelayOptions::new("/bin/sh").arg("-c").arg(body).arg("relay")
}

fn process(relay: &RelayProcess) -> PathBuf {
    PathBuf::from(format!("/proc/{}", relay.pid()))
}

#[tokio::test]
async fn becomes_ready_and_is_ended_by_each_signal() {
    // It waits by reading a pipe without a writer: a child such as `sleep` would outlive it.
    let wait = "rm -f pipe; mkfifo pipe; exec 3<>pipe; read -r line <&3; exit 4";
    let body = format!("trap 'echo bye >&2; exit 3' TERM\n{READY}\n{wait}");
    let mut relay = RelayProcess::start(script(&body).set("WS_URL", "127.0.0.1:1")).await;
    assert_eq!(
        (relay.ws_url(), relay.http_url()),
        ("ws://127.0.0.1:1".to_owned(), "http://127.0.0.1:2".to_owned())
    );
    assert!(relay.stderr().contains("network=regtest"));
    assert!(relay.resident_bytes() > 0);
    assert_eq!(relay.terminate().await.code(), Some(3));
    assert!(relay.stderr().ends_with("bye\n"));

    relay.start_again().await;
    let first = process(&relay);
    assert!(first.exists());
    relay.kill9();
    assert!(!first.exists());

    relay.start_again().await;
    let (second, data) = (process(&relay), relay.data_dir().to_owned());
    drop(relay);
    assert!(!second.exists() && !data.exists());
}

#[tokio::test]
async fn reports_why_it_ended_instead() {
    let options = script("echo \"$1 is in use\" >&2; exit 2").arg("it");
    let ended = RelayProcess::try_start(options).await.unwrap_err();
    assert_eq!(
        (ended.status.code(), ended.stderr.as_str()),
        (Some(2), "it is in use\n")
    );
}

#[tokio::test]
async fn a_given_data_directory_stays() {
    let dir = TempDir::new().unwrap();
    let body = format!("pwd > \"$SDK_RELAY_DATA_DIR/kept\"\n{READY}\nexec sleep 60");
    drop(RelayProcess::start(script(&body).data_dir(dir.path())).await);
    assert!(dir.path().join("kept").exists());
}

//! `sdk_relay status`: a running relay in the terminal.

use std::process::{Command, Output};

use serde_json::Value;
use testkit::{RelayOptions, RelayProcess};

const TOKEN: &str = "a-token-to-read-with";

/// The command, without colours: its output is a pipe.
async fn status(args: &[&str], token: Option<&str>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sdk_relay"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("SDK_RELAY_")) {
        command.env_remove(name);
    }
    command.arg("status").args(args);
    if let Some(token) = token {
        command.env("SDK_RELAY_TOKEN", token);
    }
    tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap()
}

fn text(output: &Output) -> (&str, &str) {
    let text = |bytes| std::str::from_utf8(bytes).unwrap();
    (text(&output.stdout), text(&output.stderr))
}

#[tokio::test]
async fn a_relay_is_shown_as_text_and_as_json() {
    let options = RelayOptions::new(env!("CARGO_BIN_EXE_sdk_relay")).arg("--standalone");
    let relay = RelayProcess::start(options.set("RELAY_ID", "relay-1").set("AUTH__READ_TOKEN", TOKEN)).await;
    let url = relay.http_url();
    let shown = status(&["--url", &url], Some(TOKEN)).await;
    let (out, err) = text(&shown);
    assert!(shown.status.success(), "{err}");
    for words in [
        &format!(" · relay-1 · regtest · {url} · healthy"),
        "Ready       yes: it follows the tip, and knows the mempool",
        "events: embedded",
        "Mesh        no other relays",
        "Problems    none",
    ] {
        assert!(out.contains(words), "{words:?} is missing in:\n{out}");
    }
    assert!(!out.contains('\u{1b}'), "no colours without a terminal: {out}");

    let json = status(&["--url", &url, "--json"], Some(TOKEN)).await;
    let answers: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(answers["health"]["status"], "healthy");
    assert_eq!(answers["metrics"]["relay_metrics"]["event_source"], "embedded");

    let refused = status(&["--url", &url], None).await;
    let expected =
        format!("sdk_relay: {url} needs a token: name a file with it (--token-file), or set SDK_RELAY_TOKEN\n");
    assert_eq!((text(&refused).1, refused.status.code()), (expected.as_str(), Some(1)));
    let wrong = status(&["--url", &url], Some("another-token-of-somebody")).await;
    assert!(
        text(&wrong).1.contains("refuses the token: expected auth.read_token"),
        "{wrong:?}"
    );
}

#[tokio::test]
async fn a_relay_that_does_not_run_is_said() {
    // A privileged port, where nothing listens.
    let shown = status(&["--url", "http://127.0.0.1:1"], None).await;
    let (out, err) = text(&shown);
    assert_eq!((out, shown.status.code()), ("", Some(1)));
    assert!(
        err.starts_with("sdk_relay: no relay answers at http://127.0.0.1:1 (")
            && err.contains("start it, or name another one with --url"),
        "{err}"
    );
}

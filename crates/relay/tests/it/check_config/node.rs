//! The node of the configuration, and a node that is found without one.

use std::path::Path;
use std::process::Output;

use testkit::{Bitcoind, Options, RelayOptions, RelayProcess, http_get};

use super::{refused, sdk_relay};
use crate::outages::well;

/// The lines of `check-config` for this node.
async fn checked(node: &Bitcoind, more: &[(&str, &str)]) -> (Output, String) {
    let home = tempfile::tempdir().unwrap();
    let (url, cookie) = (node.rpc_url(), node.cookie_file());
    let env = [
        ("SDK_RELAY_NETWORK", "regtest"),
        ("SDK_RELAY_WS_URL", "127.0.0.1:0"),
        ("SDK_RELAY_HTTP_URL", "127.0.0.1:0"),
        ("SDK_RELAY_BITCOIN_CORE__URL", url.as_str()),
        ("SDK_RELAY_BITCOIN_CORE__COOKIE_FILE", cookie.to_str().unwrap()),
    ];
    let env = [&env[..], more].concat();
    let output = sdk_relay(home.path(), &["check-config"], &env);
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    (output, text)
}

fn has_lines(text: &str, starts: &[&str]) {
    for start in starts {
        assert!(
            text.lines().any(|line| line.starts_with(start)),
            "{start:?} is missing in:\n{text}"
        );
    }
}

#[tokio::test]
async fn each_check_is_a_line_with_what_to_do() {
    let mut node = Bitcoind::start(Options::default()).await;
    node.mine(1).await;
    let (output, text) = checked(&node, &[]).await;
    assert!(output.status.success(), "{text}");
    let zmq = format!("✓ ZMQ: {} publishes sequence, rawtx and hashblock", node.zmq_url());
    has_lines(
        &text,
        &[
            "✓ The configuration is valid: regtest on http://127.0.0.1:",
            "✓ Data directory:",
            "✓ Disk:",
            "✓ Port: ws_url 127.0.0.1:0 is free",
            "✓ Node: 127.0.0.1:",
            "✓ Version: Satoshi:",
            "✓ Network: the node is on regtest",
            "✓ Blocks: the node is at block 1",
            "✓ Pruning: the node keeps all blocks",
            &zmq,
            "✓ REST:",
            "✓ Clock: this machine and the node agree",
        ],
    );

    let (output, text) = checked(&node, &[("SDK_RELAY_NETWORK", "signet")]).await;
    has_lines(&text, &["✗ Network: 127.0.0.1:"]);
    assert!(
        text.contains("is a node of the chain regtest, and the relay is configured for signet"),
        "{text}"
    );
    assert_eq!(refused(&output), "1 check failed: see the line with ✗");

    let password = [
        ("SDK_RELAY_BITCOIN_CORE__COOKIE_FILE", ""),
        ("SDK_RELAY_BITCOIN_CORE__USER", "me"),
        ("SDK_RELAY_BITCOIN_CORE__PASSWORD", "5ec2e7"),
    ];
    let (output, text) = checked(&node, &password).await;
    has_lines(&text, &["✗ Node: 127.0.0.1:"]);
    assert!(
        text.contains("refuses the credentials: user \"me\" and its password: correct bitcoin_core.user or")
            && !text.contains("5ec2e7"),
        "{text}"
    );
    refused(&output);

    node.stop().await;
    let only_blocks = format!("-zmqpubhashblock={}", node.zmq_url());
    let plain = Options {
        zmq: false,
        rest: false,
        args: vec![only_blocks],
        ..Options::default()
    };
    node.start_again_with(plain).await;
    let (output, text) = checked(&node, &[]).await;
    assert!(output.status.success(), "a node that is polled can be used: {text}");
    has_lines(
        &text,
        &[
            "! ZMQ: the node does not publish all ZMQ topics at tcp://127.0.0.1:",
            "! REST: the node does not serve it",
        ],
    );
    assert!(
        text.contains("add zmqpubsequence=") && text.contains("add rest=1 to bitcoin.conf"),
        "{text}"
    );

    node.stop().await;
    let (output, text) = checked(&node, &[]).await;
    has_lines(&text, &["✗ Node: 127.0.0.1:"]);
    assert!(
        text.contains(" does not answer: connection refused: no program listens there")
            && text.contains("start the node, or correct bitcoin_core.url"),
        "{text}"
    );
    refused(&output);
}

/// The home directory of an operator whose node keeps its data in `~/.bitcoin`, on another port than the default.
fn home_with(node: &Bitcoind, home: &Path) {
    let data = home.join(".bitcoin");
    std::fs::create_dir_all(data.join("regtest")).unwrap();
    std::os::unix::fs::symlink(node.cookie_file(), data.join("regtest/.cookie")).unwrap();
    let port = node.rpc_url().rsplit_once(':').unwrap().1.to_owned();
    std::fs::write(data.join("bitcoin.conf"), format!("[regtest]\nrpcport={port}\n")).unwrap();
}

#[tokio::test]
async fn a_local_node_and_its_zmq_address_are_found_without_configuration() {
    let node = Bitcoind::start(Options::default()).await;
    let home = tempfile::tempdir().unwrap();
    home_with(&node, home.path());
    let options = RelayOptions::new(env!("CARGO_BIN_EXE_sdk_relay")).env("HOME", home.path());
    let relay = RelayProcess::start(options).await;
    well(&relay).await;
    let health = http_get(&format!("{}/health", relay.http_url())).await.json();
    assert_eq!(health["event_source"], "zmq", "{health}");
    let log = relay.stderr();
    for words in [
        "found the cookie file",
        ".bitcoin/regtest/.cookie of a node on regtest; its RPC port is",
        "bitcoin.conf configures",
        "the node publishes ZMQ messages",
        "events=\"zmq\"",
    ] {
        assert!(log.contains(words), "{words:?} is missing in:\n{log}");
    }

    // For another network, the check says which one is there.
    let env = [
        ("SDK_RELAY_WS_URL", "127.0.0.1:0"),
        ("SDK_RELAY_HTTP_URL", "127.0.0.1:0"),
    ];
    let output = sdk_relay(home.path(), &["check-config", "--network", "testnet4"], &env);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains("there is a node on regtest (") && text.contains("start with --network regtest"),
        "{text}"
    );
}

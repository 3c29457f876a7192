//! The node of the configuration, and a node that is found without one.

use std::path::Path;
use std::process::Output;

use sdk_relay_chain::node::METHODS;
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

    let elsewhere = [("SDK_RELAY_BITCOIN_CORE__ZMQ_URL", "tcp://127.0.0.1:1")];
    let (output, text) = checked(&node, &elsewhere).await;
    has_lines(&text, &["✗ ZMQ: tcp://127.0.0.1:1 cannot be reached ("]);
    assert!(
        text.contains(&format!("(the node reports {})", node.zmq_url())),
        "{text}"
    );
    refused(&output);

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
            && text.contains("start the node (bitcoin-qt needs server=1 in bitcoin.conf), or correct bitcoin_core.url"),
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

/// A node may limit what a user calls: `rpcwhitelist`.
#[tokio::test]
async fn methods_that_the_node_does_not_allow_are_named() {
    let node_with = |methods: &[&str]| Options {
        user: Some(("me".to_owned(), "secret".to_owned())),
        args: vec![format!(
            "-rpcwhitelist=me:getblockcount,getnettotals,{}",
            methods.join(",")
        )],
        ..Options::default()
    };
    let login = [
        ("SDK_RELAY_BITCOIN_CORE__COOKIE_FILE", ""),
        ("SDK_RELAY_BITCOIN_CORE__USER", "me"),
        ("SDK_RELAY_BITCOIN_CORE__PASSWORD", "secret"),
    ];
    let node = Bitcoind::start(node_with(&METHODS)).await;
    let (output, text) = checked(&node, &login).await;
    assert!(output.status.success() && !text.contains("RPC methods"), "{text}");

    let is_left_out = |method: &&&str| !["gettxout", "submitpackage"].contains(*method);
    let some: Vec<&str> = METHODS.iter().filter(is_left_out).copied().collect();
    let node = Bitcoind::start(node_with(&some)).await;
    let (_, text) = checked(&node, &login).await;
    has_lines(
        &text,
        &["✗ RPC methods: the node does not allow gettxout, submitpackage: add them to rpcwhitelist"],
    );
}

#[test]
fn the_documentation_lists_the_methods() {
    for page in ["connect-your-node.md", "fr/connect-your-node.md"] {
        let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
        let text = std::fs::read_to_string(docs.join(page)).unwrap();
        let line = text.lines().find(|line| line.starts_with("rpcwhitelist=")).unwrap();
        assert_eq!(
            line,
            format!("rpcwhitelist=sdk_relay:{},getnettotals", METHODS.join(",")),
            "{page}"
        );
    }
}

//! A restart keeps the port, and check-config knows it.

use std::net::{SocketAddr, TcpListener};
use std::process::Command;

use serde_json::json;
use testkit::{RelayOptions, RelayProcess, eventually, http_post};

use crate::blindbit::scene::INDEXED;
use crate::grpc::client::{client_at, range};

fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_keeps_the_port_and_a_client_connects_again() {
    let options = RelayOptions::new(env!("CARGO_BIN_EXE_sdk_relay"))
        .arg("--standalone")
        .fixed_ports()
        .set("BLINDBIT__GRPC_LISTEN", "127.0.0.1:0");
    let relay = RelayProcess::start(options).await;
    let url = relay.grpc_url();
    let mut client = client_at(&url);
    eventually(INDEXED, "the index", async || client.get_info(()).await.ok()).await;
    let answer = http_post(&format!("{}/restart", relay.http_url()), &json!({})).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let port = url.strip_prefix("http://").unwrap();
    eventually(INDEXED, "the relay to be ready again on the same port", async || {
        let log = relay.stderr();
        let ready = log.lines().filter(|line| line.contains(" ready ws="));
        (ready.filter(|line| line.contains(&format!("grpc={port}"))).count() == 2).then_some(())
    })
    .await;
    // The same client, whose connection was closed.
    eventually(INDEXED, "the blocks again", async || {
        let mut blocks = client.stream_compute_index(range(0, 3)).await.ok()?.into_inner();
        let mut count = 0;
        while blocks.message().await.ok()?.is_some() {
            count += 1;
        }
        (count == 4).then_some(())
    })
    .await;
}

#[test]
fn check_config_looks_at_the_port() {
    let dir = tempfile::tempdir().unwrap();
    let check = |grpc: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_sdk_relay"))
            .args(["check-config", "--standalone"])
            .env("SDK_RELAY_DATA_DIR", dir.path())
            .env("SDK_RELAY_WS_URL", "127.0.0.1:0")
            .env("SDK_RELAY_HTTP_URL", "127.0.0.1:8091")
            .env("SDK_RELAY_BLINDBIT__GRPC_LISTEN", grpc)
            .output()
            .unwrap();
        let text = [output.stdout, output.stderr].concat();
        String::from_utf8(text).unwrap()
    };
    let free = free_address().to_string();
    assert!(
        check(&free).contains(&format!("blindbit.grpc_listen {free} is free")),
        "{}",
        check(&free)
    );
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let text = check(&address);
    assert!(
        text.contains("blindbit.grpc_listen") && text.contains("cannot listen there"),
        "{text}"
    );
    let text = check("0.0.0.0:8091");
    assert!(text.contains("expected another port than that of http_url"), "{text}");
    let text = check("nowhere");
    assert!(
        text.contains("blindbit.grpc_listen") && text.contains("expected an address to listen on"),
        "{text}"
    );
}

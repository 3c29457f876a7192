//! Half-closed clients, and disconnected ones.

use std::time::Duration;

use testkit::{Bare, RelayOptions, RelayProcess, eventually};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::wire::{DEADLINE, standalone, start};

/// Much shorter than the timeout of a request to the node.
const SOON: Duration = Duration::from_secs(20);

async fn ask(url: &str, request: &str) -> Bare {
    let mut bare = Bare::connect(url).await;
    assert!(bare.send(request.as_bytes()).await);
    bare
}

#[tokio::test(flavor = "multi_thread")]
async fn a_half_closed_client_receives_its_answer() {
    let relay = start().await;
    let body = r#"{"hex":"00"}"#;
    let post = format!(
        "POST /tx HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let requests = [
        ("GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned(), "200"),
        (
            "GET /bitcoin/info HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned(),
            "200",
        ),
        (
            "GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned(),
            "200",
        ),
        ("GET /nowhere HTTP/1.0\r\n\r\n".to_owned(), "404"),
        (post, "422"),
    ];
    for round in 0..20 {
        for (request, status) in &requests {
            let mut bare = ask(&relay.http_url(), request).await;
            bare.stream.shutdown().await.expect("half a connection");
            let answer = String::from_utf8(bare.read_to_end(DEADLINE).await).expect("text");
            assert!(
                answer.split(' ').nth(1) == Some(status),
                "round {round}: {request:?}: {answer:?}"
            );
            let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            assert!(length.is_none_or(|length| length == body.len().to_string()), "{head}");
        }
    }
}

#[tokio::test]
async fn a_stream_of_a_disconnected_client_ends() {
    let relay = RelayProcess::start(standalone().set("LIMITS__CONNECTIONS", "1")).await;
    for _ in 0..3 {
        eventually(DEADLINE, "the slot of the one before", async || {
            let request = "GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n";
            let mut bare = ask(&relay.http_url(), request).await;
            let head = bare.read_head().await;
            head.starts_with("HTTP/1.1 200 ").then_some(())
        })
        .await;
    }
}

/// A node that answers nothing. A request to it for a disconnected client is cancelled.
#[tokio::test]
async fn work_for_a_disconnected_client_is_cancelled() {
    let node = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let block = "ab".repeat(32);
    let options = RelayOptions::new(env!("CARGO_BIN_EXE_sdk_relay"))
        .set(
            "BITCOIN_CORE__URL",
            format!("http://{}", node.local_addr().expect("an address")),
        )
        .set("BITCOIN_CORE__USER", "somebody")
        .set("BITCOIN_CORE__PASSWORD", "anything");
    let wanted = block.clone();
    let (requested, is_requested) = tokio::sync::oneshot::channel();
    let serving = tokio::spawn(async move {
        let (mut requested, mut connections) = (Some(requested), JoinSet::new());
        loop {
            tokio::select! {
                accepted = node.accept() => {
                    let (mut stream, _) = accepted.expect("a connection");
                    let wanted = wanted.clone();
                    connections.spawn(async move {
                        let (mut text, mut part) = (String::new(), [0; 4096]);
                        // All other requests of the relay fail immediately.
                        while !text.contains("\"method\"") {
                            match stream.read(&mut part).await {
                                Ok(0) | Err(_) => return None,
                                Ok(n) => text.push_str(&String::from_utf8_lossy(&part[..n])),
                            }
                        }
                        text.contains(&wanted).then_some(stream)
                    });
                }
                Some(found) = connections.join_next() => {
                    if let Some(mut stream) = found.expect("no panic") {
                        requested.take().expect("asked once").send(()).expect("the test");
                        // The relay ends the connection.
                        drop(stream.read_to_end(&mut Vec::new()).await);
                        return;
                    }
                }
            }
        }
    });
    let relay = RelayProcess::start_listening(options).await;
    let request = format!("GET /bitcoin/blocks/{block} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let client = ask(&relay.http_url(), &request).await;
    timeout(DEADLINE, is_requested)
        .await
        .expect("in time")
        .expect("the node");
    drop(client);
    timeout(SOON, serving)
        .await
        .expect("the relay gives it up")
        .expect("no panic");
}

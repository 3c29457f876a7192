//! A thousand connections that send what no wallet sends, beside one that only follows the chain.

use serde_json::{Value, json};
use testkit::{Payee, RelayProcess};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::electrum::wallet::Wallet;
use crate::support::DEADLINE;
use crate::wire::{get, mine, standalone};

const CONNECTIONS: usize = 1_000;
const AT_ONCE: usize = 100;
/// More than a relay with a few hundred connections needs.
const MEMORY: u64 = 300_000_000;

/// What one of them sends.
fn input(n: usize, payee: &Payee) -> Vec<u8> {
    let (scan, spend) = (payee.scan_hex(), payee.spend_public_key());
    let subscribe = |start: &str| {
        format!(
            r#"{{"id":1,"method":"blockchain.silentpayments.subscribe","params":["{scan}","{spend}",{start}]}}{}"#,
            "\n"
        )
    };
    match n % 10 {
        0 => vec![0xff; 1_000],
        1 => b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(),
        // Longer than a line may be.
        2 => vec![b'['; 1_000_002],
        3 => "[1,2,3]\n{}\n\n\n7\n\"\"\nnull\n".repeat(50).into_bytes(),
        4 => format!("[{}]\n", vec![r#"{"id":1,"method":"server.ping"}"#; 101].join(",")).into_bytes(),
        5 => subscribe("\"soon\"").replace(&scan[..60], "zz").into_bytes(),
        6 => subscribe("0").into_bytes(),
        // Many requests, and no answer is read.
        7 => "{\"id\":1,\"method\":\"server.features\"}\n".repeat(200).into_bytes(),
        // A line that is not complete.
        8 => b"{\"id\":1,".to_vec(),
        _ => vec![22, 3, 1, 2, 0, 1, 0, 1, 252],
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_hostile_connections_change_nothing_for_an_honest_one() {
    let relay = RelayProcess::start(standalone().electrum()).await;
    let mut honest = Wallet::connect(relay.electrum()).await;
    let first = honest.ask("blockchain.headers.subscribe", json!([])).await["height"]
        .as_u64()
        .unwrap();
    let payee = Payee::new(&[]);
    honest.subscribe(&payee, json!(0)).await;
    let mut mined = 0;
    for round in (0..CONNECTIONS).step_by(AT_ONCE) {
        let clients: Vec<_> = (round..round + AT_ONCE)
            .map(|n| {
                let (address, bytes) = (relay.electrum().to_owned(), input(n, &payee));
                tokio::spawn(async move {
                    let mut stream = TcpStream::connect(address).await.unwrap();
                    // It may be closed before all is written.
                    drop(stream.write_all(&bytes).await);
                    if n % 10 == 7 {
                        return;
                    }
                    drop(stream.shutdown().await);
                    let mut answer = Vec::new();
                    drop(
                        timeout(DEADLINE, stream.read_to_end(&mut answer))
                            .await
                            .expect("its end"),
                    );
                    let text = String::from_utf8(answer).expect("text");
                    for line in text.lines() {
                        serde_json::from_str::<Value>(line).unwrap_or_else(|e| panic!("{e}: {line}"));
                    }
                })
            })
            .collect();
        mine(&relay, 1).await;
        mined += 1;
        for client in clients {
            client.await.unwrap();
        }
    }
    // It has received each block, and the end of its history.
    honest.history().await;
    let mut heights = Vec::new();
    while heights.len() < mined {
        let line = match honest.notifications.is_empty() {
            true => honest.line().await.expect("a notification"),
            false => honest.notifications.remove(0).1,
        };
        let message: Value = serde_json::from_str(&line).unwrap();
        if message["method"] == "blockchain.headers.subscribe" {
            heights.push(message["params"][0]["height"].as_u64().unwrap());
        }
    }
    let expected: Vec<u64> = (1..=mined as u64).map(|n| first + n).collect();
    assert_eq!(heights, expected);
    assert_eq!(get(&relay, "/health").await["status"], "healthy");
    let log = relay.stderr();
    for word in ["panicked", "ERROR", &payee.scan_hex()] {
        assert!(!log.contains(word), "{word}:\n{log}");
    }
    let memory = relay.resident_bytes();
    assert!(memory < MEMORY, "{memory} bytes of memory");
}

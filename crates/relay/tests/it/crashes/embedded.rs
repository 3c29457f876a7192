//! With the embedded chain, which is killed with the relay: its file must survive.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sdk_relay_client::protocol::http::{BitcoinInfo, BlockDetails, MineResponse, PayResponse};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use testkit::{RelayOptions, RelayProcess, eventually, http_get};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::crashes::{Chance, KILL_AFTER, KILLS, kill_after, start_again};
use crate::story::listener::Listener;
use crate::story::scene::DEADLINE;
use crate::story::{SLACK, World, fold};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chain_wallet_and_log_survive() {
    let mut chance = Chance::new();
    let options = RelayOptions::new(env!("CARGO_BIN_EXE_sdk_relay"))
        .arg("--standalone")
        .fixed_ports();
    let mut relay = RelayProcess::start(options).await;
    let http = Arc::<str>::from(relay.http_url());
    let address = address(&http).await;
    let start = World {
        blocks: chain(&http, 0).await.blocks,
        ..World::default()
    };
    let listener = Listener::start(relay.ws_url());
    // Confirmed answers, which must be durable.
    let mut paid = BTreeSet::new();
    let mut mined = Vec::new();

    for _ in 0..KILLS {
        let delay = chance.delay(KILL_AFTER);
        let killed = tokio::spawn(kill_after(delay, relay));
        // Until the relay does not answer.
        loop {
            if chance.percent(60) {
                let amount = format!("0.000{}", chance.of(10..99));
                let pay = json!({"address": address, "amount": amount});
                let Some(answer) = post::<PayResponse>(&http, "/dev/pay", pay).await else {
                    break;
                };
                paid.insert(answer.txid);
            } else {
                let mine = json!({"blocks": chance.of(1..=2)});
                let Some(answer) = post::<MineResponse>(&http, "/dev/mine", mine).await else {
                    break;
                };
                mined.extend(answer.blocks);
            }
        }
        relay = killed.await.expect("a killed relay");
        start_again(&mut relay, &mut chance).await;
        assert_eq!(self::address(&http).await, address, "the same wallet");
        listener.check();
    }

    let last: Option<MineResponse> = post(&http, "/dev/mine", json!({})).await;
    mined.extend(last.expect("a living relay").blocks);
    let truth = chain(&http, start.lowest()).await;
    for hash in &mined {
        assert!(
            truth.blocks.values().any(|block| block == hash),
            "{hash} was mined, and is gone"
        );
    }
    for txid in &paid {
        assert!(truth.txids.contains(txid), "{txid} was paid, and is gone");
    }
    eventually(DEADLINE, "the listener receives the last block", async || {
        listener.check();
        (fold(&start, &listener.received()).blocks == truth.blocks).then_some(())
    })
    .await;
    // The wallet of the chain pays only the relay: output 0 of each transaction is a payment.
    let reported = fold(&start, &listener.received()).payments;
    assert!(
        reported.values().all(|(block, _)| block.is_some()),
        "the mempool is empty: {reported:?}"
    );
    let reported: BTreeSet<_> = reported.into_keys().collect();
    let made: BTreeSet<_> = truth.txids.into_iter().map(|txid| (txid, 0)).collect();
    assert_eq!(reported, made);
    assert!(!made.is_empty(), "the chain was not idle");
}

/// The best chain from a height up: its blocks, and the transactions that are not coinbases.
struct Chain {
    blocks: BTreeMap<u32, String>,
    txids: BTreeSet<String>,
}

/// Walks from the tip down, at most to `lowest`, but no further than a few blocks below the first tip.
async fn chain(http: &str, lowest: u32) -> Chain {
    let info: BitcoinInfo = get(http, "/bitcoin/info").await;
    let mut next = Some(info.blockchain_info.bestblockhash);
    let mut chain = Chain {
        blocks: BTreeMap::new(),
        txids: BTreeSet::new(),
    };
    while let Some(hash) = next {
        let block: BlockDetails = get(http, &format!("/bitcoin/blocks/{hash}")).await;
        let height = u32::try_from(block.height).unwrap();
        if height < lowest || (lowest == 0 && chain.blocks.len() > SLACK as usize) {
            break;
        }
        assert!(block.confirmations > 0, "{hash} is in the best chain");
        chain.blocks.insert(height, block.hash);
        chain.txids.extend(block.tx.into_iter().skip(1));
        next = block.previousblockhash;
    }
    chain
}

async fn address(http: &str) -> String {
    let config: Value = get(http, "/config").await;
    config["silent_payment_address"]
        .as_str()
        .expect("an address")
        .to_owned()
}

async fn get<T: DeserializeOwned>(http: &str, path: &str) -> T {
    let reply = http_get(&format!("{http}{path}")).await;
    assert_eq!(reply.status, 200, "{path}: {}", reply.text());
    serde_json::from_value(reply.json()).unwrap()
}

/// `None` if the relay was killed before its answer was complete.
pub(crate) async fn post<T: DeserializeOwned>(http: &str, path: &str, body: Value) -> Option<T> {
    let host = http.strip_prefix("http://").expect("a URL");
    let body = body.to_string();
    let mut stream = TcpStream::connect(host).await.ok()?;
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all((head + &body).as_bytes()).await.ok()?;
    let mut reply = String::new();
    stream.read_to_string(&mut reply).await.ok()?;
    let (head, body) = reply.split_once("\r\n\r\n")?;
    let body = serde_json::from_str(body).ok()?;
    assert!(head.starts_with("HTTP/1.1 200"), "{path}: {reply}");
    Some(serde_json::from_value(body).unwrap())
}

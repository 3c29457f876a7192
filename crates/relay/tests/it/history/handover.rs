//! Histories during new blocks and reorganisations: nothing is missed or reported twice.

use std::collections::BTreeMap;

use testkit::{InputKind, Payee, http_get};
use tokio::time::{interval, timeout};

use crate::history::watch_client::{Received, WatchClient};
use crate::stage::{Stage, silent};
use crate::support::DEADLINE;

/// Clients connect at various moments of a growing and reorganised chain. In the end each of them has the state of the
/// final chain.
#[tokio::test(flavor = "multi_thread")]
async fn during_reorganisations_each_payment_is_reported_once() {
    let mut stage = Stage::new().await;
    let payee = Payee::new(&[]);
    let mut clients: Vec<WatchClient> = Vec::new();
    let mut paid: BTreeMap<(String, u32), String> = BTreeMap::new();
    let mut chain: Vec<(bitcoin::BlockHash, String)> = Vec::new();
    for round in 0..12usize {
        let tx = stage.payer.pay(
            &[InputKind::ALL[round % 4]],
            &[silent(payee.address(), 20_000 + round as u64)],
        );
        let block = stage.node.mine_with(std::slice::from_ref(&tx)).await;
        chain.push((block, tx.compute_txid().to_string()));
        clients.push(WatchClient::open(&stage.relay, &payee, 0, None).await);
        if round % 3 == 2 {
            let depth = 1 + round / 3;
            let (fork, _) = chain[chain.len() - depth];
            stage.node.invalidate(fork).await;
            chain.truncate(chain.len() - depth);
            // Transactions of the blocks are back in the mempool, and are mined in the next block.
            clients.push(WatchClient::open(&stage.relay, &payee, 0, None).await);
            let blocks = stage.node.mine(u32::try_from(depth).unwrap() + 1).await;
            for hash in blocks {
                for tx in stage.node.block(hash).await.txdata.iter().skip(1) {
                    chain.push((hash, tx.compute_txid().to_string()));
                }
            }
            clients.push(WatchClient::open(&stage.relay, &payee, 0, None).await);
        }
    }
    let last = stage.payer.pay(&[InputKind::P2tr], &[silent(payee.address(), 99_000)]);
    let end = stage.node.mine_with(std::slice::from_ref(&last)).await;
    chain.push((end, last.compute_txid().to_string()));
    for (block, txid) in chain {
        paid.insert((txid, 0), block.to_string());
    }
    let (last, end) = (last.compute_txid().to_string(), end.to_string());
    assert_eq!(clients.len(), 20);
    for client in &mut clients {
        client.until_paid(&last, Some(&end)).await;
        let is_complete = |h: &WatchClient| {
            h.received
                .iter()
                .any(|m| matches!(m, Received::Progress(p) if p.progress >= 1.0))
        };
        if !is_complete(client) {
            client.until_complete().await;
        }
        assert_eq!(client.holds(), paid);
    }
    // A disconnect ends the watch and its scan.
    drop(clients);
    let gone = async {
        let mut ticks = interval(std::time::Duration::from_millis(20));
        loop {
            ticks.tick().await;
            let metrics = http_get(&format!("{}/metrics", stage.relay.http_url())).await.json();
            if metrics["relay_metrics"]["watches"] == 0 {
                return;
            }
        }
    };
    timeout(DEADLINE, gone).await.expect("all watches end");
}

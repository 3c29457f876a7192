//! The history of a watch, and its order.

use sdk_relay_client::protocol::{ErrorCode, Watch};
use sdk_relay_client::{Client, Payment, RequestError};
use serde_json::Value;
use testkit::{InputKind, Options, Payee, RelayProcess, http_get};
use tokio::time::{interval, timeout};

use crate::history::watch_client::{Received, WatchClient};
use crate::stage::{Stage, outpoint, silent, tweak, unowned_script};
use crate::support::DEADLINE;
use crate::support::recorder::watch_of;

/// Waits until the index has reached the tip of the node.
pub(crate) async fn index_is_current(relay: &RelayProcess, height: u32) {
    let mut health = Value::Null;
    let looking = async {
        let mut ticks = interval(std::time::Duration::from_millis(20));
        loop {
            ticks.tick().await;
            health = http_get(&format!("{}/health", relay.http_url())).await.json();
            if health["index"]["state"] == "current" && health["index"]["height"] == height {
                return;
            }
        }
    };
    if timeout(DEADLINE, looking).await.is_err() {
        panic!("the index does not come to {height}: {health}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wallet_with_a_birthday_receives_its_history_and_then_live_payments() {
    let mut stage = Stage::new().await;
    let payee = Payee::new(&[3]);
    let birthday = stage.node.height().await + 1;
    let mut blocks = Vec::new();
    let mut paid = Vec::new();
    for (n, kind) in InputKind::ALL.into_iter().enumerate() {
        let to = [
            silent(payee.address(), 20_000 + n as u64),
            silent(payee.labelled_address(3), 30_000),
            silent(Payee::new(&[]).address(), 40_000),
        ];
        let tx = stage.payer.pay(&[kind], &to);
        blocks.push(stage.node.mine_with(std::slice::from_ref(&tx)).await);
        stage.node.mine(2).await;
        paid.push(tx);
    }
    let height = stage.node.height().await;
    index_is_current(&stage.relay, height).await;
    let waiting = stage
        .payer
        .pay(&[InputKind::P2wpkh], &[silent(payee.address(), 50_000)]);
    stage.node.send_raw(&waiting).await;
    // Another client receives it first, so that the watch below finds it in the mempool.
    let mut first = WatchClient::open(&stage.relay, &payee, height, None).await;
    first.until_paid(&waiting.compute_txid().to_string(), None).await;

    let mut client = WatchClient::open(&stage.relay, &payee, birthday, None).await;
    client.until_complete().await;
    assert!(
        matches!(client.received.first(), Some(Received::Progress(p)) if p.progress == 0.0 && p.height == birthday - 1),
        "{:#?}",
        client.received
    );
    let mut expected = Vec::new();
    for (tx, block) in paid.iter().zip(&blocks) {
        for (vout, label, address) in [(0, None, payee.address()), (1, Some(3), payee.labelled_address(3))] {
            let payment = stage.confirmed(tx, vout, address, *block).await;
            expected.push(Payment {
                confirmations: height - payment.block_height.unwrap() + 1,
                watch_id: Some(client.watch_id.clone()),
                historical: true,
                label,
                ..payment
            });
        }
    }
    let reported = client.detected();
    let without_tweak = |p: &Payment| Payment {
        tweak: None,
        ..p.clone()
    };
    assert_eq!(reported.iter().map(without_tweak).collect::<Vec<_>>(), expected);

    // Then the mempool, and then new payments: not historical, and each once.
    client.until_paid(&waiting.compute_txid().to_string(), None).await;
    let block = stage.node.mine(1).await[0].to_string();
    client
        .until_paid(&waiting.compute_txid().to_string(), Some(&block))
        .await;
    assert!(client.detected()[expected.len()..].iter().all(|p| !p.historical));
    assert_eq!(client.holds().len(), expected.len() + 1);

    // A spent output is found too.
    let received = (outpoint(&reported[0]), paid[0].output[0].clone(), tweak(&reported[0]));
    stage.node.send_raw(&payee.spend(&[received], unowned_script())).await;
    stage.node.mine(1).await;
    index_is_current(&stage.relay, height + 2).await;
    // A part of the history; its progress ends at the given height.
    let to = reported[2].block_height.unwrap();
    let mut part = WatchClient::open(&stage.relay, &payee, birthday, Some(to)).await;
    part.until_complete().await;
    let heights: Vec<_> = part.detected().iter().map(|p| p.block_height.unwrap()).collect();
    assert_eq!(heights, [birthday, birthday, to, to]);
    assert!(matches!(part.received.last(), Some(Received::Progress(p)) if p.height == to));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_without_an_index_is_reported() {
    let stage = Stage::with(Options::default(), |options| options.set("INDEX__ENABLED", "false")).await;
    let health = http_get(&format!("{}/health", stage.relay.http_url())).await.json();
    assert_eq!((&health["index"], &health["status"]), (&Value::Null, &"healthy".into()));
    assert!(!stage.relay.data_dir().join("index").exists());
    let (client, _events) = Client::builder(&stage.relay.ws_url()).connect().await.unwrap();
    let watch = |from_height| Watch {
        from_height,
        ..watch_of(&Payee::new(&[]))
    };
    let refused = client.watch(watch(Some(0))).await.unwrap_err();
    assert!(
        matches!(&refused, RequestError::Refused { code: ErrorCode::Unavailable, message, .. } if message.contains("index.enabled")),
        "{refused:?}"
    );
    client.watch(watch(None)).await.unwrap();
}

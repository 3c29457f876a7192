//! A newly started relay queues requests, and sends events.

use sdk_relay_client::protocol::{ErrorCode, HistoryState, Resume};
use sdk_relay_client::{Client, Event, RequestError};
use testkit::{
    Bitcoind, InputKind, Options, Payee, Payer, PooledNode, RelayOptions, RelayProcess, eventually, http_get,
};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};

use crate::history::watch_client::WatchClient;
use crate::stage::silent;
use crate::support::DEADLINE;
use crate::support::recorder::{Recorder, watch_of};

fn options(node: &Bitcoind) -> RelayOptions {
    RelayOptions::new(env!("CARGO_BIN_EXE_sdk_relay")).node(node)
}

/// Payments to the payee, each in its own block.
async fn paid(node: &Bitcoind, payer: &mut Payer, payee: &Payee) -> Vec<String> {
    let mut txids = Vec::new();
    for kind in [InputKind::P2wpkh, InputKind::P2tr] {
        let tx = payer.pay(&[kind], &[silent(payee.address(), 20_000)]);
        node.mine_with(std::slice::from_ref(&tx)).await;
        txids.push(tx.compute_txid().to_string());
    }
    txids
}

async fn gets_all(client: &mut WatchClient, txids: &[String]) {
    client.until_complete().await;
    let reported: Vec<_> = client.detected().into_iter().map(|p| p.txid).collect();
    assert_eq!(reported, txids);
    let progress = client.progress();
    assert_eq!(progress.first().map(|p| p.progress), Some(0.0), "{progress:?}");
    assert!(progress.iter().all(|p| p.missing.is_empty()), "{progress:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_requested_while_the_node_is_unreachable_waits_for_it() {
    // Of its own: it is restarted.
    let mut node = Bitcoind::start(Options::default()).await;
    let mut payer = Payer::funded(&node).await;
    let payee = Payee::new(&[]);
    let txids = paid(&node, &mut payer, &payee).await;
    node.stop().await;
    let relay = RelayProcess::start_listening(options(&node)).await;
    let mut client = WatchClient::open(&relay, &payee, 1, None).await;
    assert_eq!(
        (client.response.history, client.response.start_height),
        (Some(HistoryState::Waiting), None)
    );
    // A client without a history is notified that the log has not started.
    let recorder = Recorder::open(&relay, &["notifications"], None).await;
    assert_eq!(recorder.relay.resume, Some(Resume::Gap));
    node.start_again().await;
    gets_all(&mut client, &txids).await;
}

/// The wallet of the node is opened before detection takes its first command.
#[tokio::test(flavor = "multi_thread")]
async fn a_history_requested_immediately_after_the_start_is_scanned() {
    // Of its own: it gets a wallet.
    let node = Bitcoind::start(Options {
        wallet: true,
        ..Options::default()
    })
    .await;
    let mut payer = Payer::funded(&node).await;
    let payee = Payee::new(&[]);
    let txids = paid(&node, &mut payer, &payee).await;
    let relay = RelayProcess::start_listening(options(&node).set("BITCOIN_CORE__WALLET", "w")).await;
    let mut client = WatchClient::open(&relay, &payee, 1, None).await;
    gets_all(&mut client, &txids).await;
}

/// A proxy of the node that delays each connection.
async fn slow_proxy_to(node: &Bitcoind) -> String {
    const DELAY: std::time::Duration = std::time::Duration::from_millis(500);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let to = node.rpc_url().replace("http://", "");
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let to = to.clone();
            tokio::spawn(async move {
                tokio::time::sleep(DELAY).await;
                let mut node = TcpStream::connect(to).await.unwrap();
                // Either side may disconnect.
                drop(copy_bidirectional(&mut client, &mut node).await);
            });
        }
    });
    url
}

#[tokio::test(flavor = "multi_thread")]
async fn events_after_the_first_handshake_of_a_new_relay_are_sent() {
    let node = PooledNode::take(Options::default()).await;
    let mut payer = Payer::funded(&node).await;
    let payee = Payee::new(&[]);
    let url = slow_proxy_to(&node).await;
    let relay = RelayProcess::start_listening(options(&node).set("BITCOIN_CORE__URL", &url)).await;
    let mut recorder = Recorder::open(&relay, &["notifications"], None).await;
    assert_eq!(recorder.relay.resume, None);
    let watching = recorder.watch(&payee).await;
    let tx = payer.pay(&[InputKind::P2wpkh], &[silent(payee.address(), 20_000)]);
    let block = node.mine_with(std::slice::from_ref(&tx)).await.to_string();
    let message = recorder
        .until(
            "the first block",
            |event| matches!(event, Event::BlockMined(b) if b.block_hash == block),
        )
        .await;
    let txid = tx.compute_txid().to_string();
    let is_paid = |event: &Event| {
        matches!(event, Event::PaymentDetected(p) if p.txid == txid && p.block_hash.as_deref() == Some(&block)
            && p.watch_id.as_deref() == Some(&watching.watch_id))
    };
    if !message.iter().any(|n| is_paid(&n.event)) {
        recorder.until("the payment in it", is_paid).await;
    }
}

/// A node in its initial block download: a new one without peers, on a network with an old chain.
#[tokio::test(flavor = "multi_thread")]
async fn an_index_of_a_synchronising_node_is_not_current() {
    // Of its own: it is on another network.
    let node = Bitcoind::start(Options {
        user: Some(("user".to_owned(), "password".to_owned())),
        args: vec!["-regtest=0".to_owned(), "-signet".to_owned()],
        ..Options::default()
    })
    .await;
    let relay = RelayProcess::start_listening(options(&node).set("NETWORK", "signet")).await;
    let health = eventually(DEADLINE, "the genesis block in the index", async || {
        let health = http_get(&format!("{}/health", relay.http_url())).await.json();
        (health["index"]["height"] == 0 && health["index"]["state"] != "starting").then_some(health)
    })
    .await;
    assert_eq!(health["index"]["state"], "building", "{health}");
    assert!(health["index"]["progress"].as_f64().unwrap() < 1.0, "{health}");
    assert_ne!(health["status"], "healthy", "{health}");
    let client = WatchClient::open(&relay, &Payee::new(&[]), 0, None).await;
    assert_eq!(
        (client.response.history, client.response.start_height),
        (Some(HistoryState::Waiting), Some(0))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_above_the_tip_ends_at_a_block_that_exists() {
    let node = PooledNode::take(Options::default()).await;
    let mut payer = Payer::funded(&node).await;
    let payee = Payee::new(&[]);
    let relay = RelayProcess::start(options(&node)).await;
    let height = node.height().await;
    let mut client = WatchClient::open(&relay, &payee, height + 2, None).await;
    assert_eq!(
        (client.response.history, client.response.start_height),
        (Some(HistoryState::None), Some(height + 2))
    );
    client.until_complete().await;
    let [last] = client.progress()[..] else {
        panic!("{:?}", client.received)
    };
    assert_eq!((last.progress, last.height), (1.0, height));
    // New payments are live, even within the requested range.
    let txids = paid(&node, &mut payer, &payee).await;
    client.until_paid(&txids[1], Some(&node.tip().await.to_string())).await;
    assert!(client.detected().iter().all(|p| !p.historical));
}

/// The queue of scans has no limit that could drop one.
#[tokio::test(flavor = "multi_thread")]
async fn a_scan_is_never_lost_however_fast_watches_start_and_end() {
    let node = PooledNode::take(Options::default()).await;
    let mut payer = Payer::funded(&node).await;
    let payee = Payee::new(&[]);
    let txids = paid(&node, &mut payer, &payee).await;
    let relay = RelayProcess::start(options(&node).set("LIMITS__WATCHES", "1")).await;
    crate::history::order::index_is_current(&relay, node.height().await).await;
    for _ in 0..20 {
        let mut client = WatchClient::open(&relay, &payee, 1, None).await;
        for _ in 0..3 {
            client.renew(&payee, 1).await;
        }
        client.until_complete().await;
        let reported: Vec<_> = client.detected().into_iter().map(|p| p.txid).collect();
        assert_eq!(reported, txids);
        client.end().await;
    }
    // One over the limit is refused with the reason, and not dropped.
    let _one = WatchClient::open(&relay, &payee, 1, None).await;
    let (client, _events) = Client::builder(&relay.ws_url()).connect().await.unwrap();
    let refused = client.watch(watch_of(&payee)).await.unwrap_err();
    assert!(
        matches!(
            &refused,
            RequestError::Refused {
                code: ErrorCode::Unavailable,
                ..
            }
        ),
        "{refused:?}"
    );
}

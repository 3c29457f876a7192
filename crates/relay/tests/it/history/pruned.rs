//! Unavailable blocks: a client is notified which, and why.

use sdk_relay_client::protocol::{
    API_VERSION, ClientMessage, CloseCode, Handshake, HistoryState, MissingBlocks, MissingReason,
};
use sdk_relay_client::{Frame, RawClient};
use serde_json::json;
use testkit::{Bitcoind, InputKind, Options, Payee, Payer, PooledNode, RelayOptions, RelayProcess, http_get};
use tokio::time::timeout;

use crate::history::order::index_is_current;
use crate::history::tweaks::missing_and_scanned;
use crate::history::watch_client::{Received, WatchClient};
use crate::stage::silent;
use crate::support::DEADLINE;

/// Prunes the node; returns the lowest block that it keeps.
async fn prune(node: &Bitcoind) -> u32 {
    node.rpc().call("pruneblockchain", json!([600])).await.unwrap();
    let info = node.rpc().call("getblockchaininfo", json!([])).await.unwrap();
    u32::try_from(info["pruneheight"].as_u64().unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn pruned_blocks_are_reported_as_missing_without_degrading() {
    // Block files are pruned as a whole; this test option of the node limits them to 64 KiB.
    // Of its own: it is pruned.
    let node = Bitcoind::start(Options {
        prune: Some(1),
        args: vec!["-fastprune".to_owned()],
        ..Options::default()
    })
    .await;
    let mut payer = Payer::funded(&node).await;
    node.mine(800).await;
    let payee = Payee::new(&[]);
    let tx = payer.pay(&[InputKind::P2wpkh], &[silent(payee.address(), 20_000)]);
    node.mine_with(std::slice::from_ref(&tx)).await;
    let kept = prune(&node).await;
    let tip = node.height().await;
    let options = RelayOptions::new(env!("CARGO_BIN_EXE_sdk_relay")).node(&node);
    let relay = RelayProcess::start_listening(options).await;
    // Requested immediately after the start, when nothing is known yet, and later.
    let mut early = WatchClient::open(&relay, &payee, 10, None).await;
    index_is_current(&relay, tip).await;
    let mut late = WatchClient::open(&relay, &payee, 10, None).await;
    let pruned = MissingBlocks {
        from: 10,
        to: kept - 1,
        reason: MissingReason::Pruned,
    };
    assert_eq!(
        (
            late.response.history,
            late.response.start_height,
            &late.response.missing
        ),
        (Some(HistoryState::Scanning), Some(kept), &vec![pruned])
    );
    for client in [&mut early, &mut late] {
        client.until_complete().await;
        let progress = client.progress();
        let (first, last) = (progress[0], progress[progress.len() - 1]);
        assert_eq!((first.progress, first.height), (0.0, kept - 1), "{progress:?}");
        assert_eq!((last.height, &last.missing), (tip, &vec![pruned]), "{progress:?}");
        assert_eq!(client.detected().len(), 1);
    }
    // No requested block is available.
    let mut none = WatchClient::open(&relay, &payee, 10, Some(20)).await;
    let all = MissingBlocks { to: 20, ..pruned };
    assert_eq!(
        (
            none.response.history,
            none.response.start_height,
            &none.response.missing
        ),
        (Some(HistoryState::None), Some(tip + 1), &vec![all])
    );
    none.until_complete().await;
    let [last] = none.progress()[..] else {
        panic!("{:?}", none.received)
    };
    assert_eq!((last.height, &last.missing), (20, &vec![all]));

    // A client that scans itself receives the same.
    let (left_out, heights) = missing_and_scanned(&relay, 10, tip).await;
    let range = format!("blocks 10 to {} (pruned", kept - 1);
    assert!(matches!(&left_out[..], [one] if one.contains(&range)), "{left_out:?}");
    assert_eq!(heights, (kept..=tip).collect::<Vec<_>>());

    let health = http_get(&format!("{}/health", relay.http_url())).await.json();
    assert_eq!(
        (&health["status"], &health["index"]["first_height"]),
        (&json!("healthy"), &json!(kept)),
        "{health}"
    );
}

/// The relay is suspended while its node mines and prunes: the unseen blocks become history of a watch without one.
#[tokio::test(flavor = "multi_thread")]
async fn blocks_pruned_before_the_relay_saw_them_are_reported_to_every_watch() {
    // Of its own: it is pruned.
    let node = Bitcoind::start(Options {
        prune: Some(1),
        args: vec!["-fastprune".to_owned()],
        ..Options::default()
    })
    .await;
    let mut payer = Payer::funded(&node).await;
    let payee = Payee::new(&[]);
    let options = RelayOptions::new(env!("CARGO_BIN_EXE_sdk_relay")).node(&node);
    let relay = RelayProcess::start(options).await;
    let seen = node.height().await;
    index_is_current(&relay, seen).await;
    let mut client = WatchClient::open(&relay, &payee, seen + 1, None).await;
    client.until_complete().await;
    let handshake = Handshake {
        client_id: "listener".to_owned(),
        version: API_VERSION.to_owned(),
        capabilities: vec!["notifications".to_owned()],
        ..Handshake::default()
    };
    let mut listener = RawClient::connect(&relay.ws_url()).await.unwrap();
    listener.send(&ClientMessage::Handshake(handshake)).await.unwrap();
    let answer = listener.next().await.unwrap();
    assert!(matches!(answer, Frame::Text(_)), "{answer:?}");
    signal(&relay, "STOP");
    node.mine(800).await;
    let kept = prune(&node).await;
    signal(&relay, "CONT");
    let named =
        |message: &Received| matches!(message, Received::Progress(p) if p.progress >= 1.0 && !p.missing.is_empty());
    client.until("the hole", named).await;
    let hole = MissingBlocks {
        from: seen + 1,
        to: kept - 1,
        reason: MissingReason::Pruned,
    };
    assert_eq!(client.progress()[client.progress().len() - 1].missing, [hole]);
    // A client of blocks is closed, so that it reconnects and receives the gap: no block event reports missing ones.
    let code = loop {
        let frame = timeout(DEADLINE, listener.next()).await.expect("a close").unwrap();
        if let Frame::Close(code, _) = frame {
            break code;
        }
    };
    assert_eq!(code, CloseCode::TryAgain.code());
    // After it the watch is live as before.
    let tx = payer.pay(&[InputKind::P2wpkh], &[silent(payee.address(), 20_000)]);
    let block = node.mine_with(std::slice::from_ref(&tx)).await.to_string();
    client.until_paid(&tx.compute_txid().to_string(), Some(&block)).await;
    // An index has no gaps: it has restarted at the first block that the node keeps, and reports all lower blocks as
    // missing.
    let tip = node.height().await;
    index_is_current(&relay, tip).await;
    let health = http_get(&format!("{}/health", relay.http_url())).await.json();
    assert_eq!(health["index"]["first_height"], json!(kept), "{health}");
    assert_eq!(health["status"], "healthy", "{health}");
    let mut late = WatchClient::open(&relay, &payee, 1, None).await;
    let below = MissingBlocks { from: 1, ..hole };
    assert_eq!(
        (late.response.start_height, &late.response.missing),
        (Some(kept), &vec![below])
    );
    late.until_complete().await;
    assert_eq!(late.progress()[late.progress().len() - 1].missing, [below]);
}

fn signal(relay: &RelayProcess, name: &str) {
    let sent = std::process::Command::new("sh")
        .args(["-c", &format!("kill -{name} {}", relay.pid())])
        .status();
    assert!(sent.unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn blocks_below_the_start_height_of_the_index_are_reported_as_missing() {
    let node = PooledNode::take(Options::default()).await;
    let mut payer = Payer::funded(&node).await;
    let payee = Payee::new(&[]);
    let below = payer.pay(&[InputKind::P2wpkh], &[silent(payee.address(), 20_000)]);
    node.mine_with(std::slice::from_ref(&below)).await;
    let start = node.height().await + 1;
    let options = RelayOptions::new(env!("CARGO_BIN_EXE_sdk_relay"))
        .node(&node)
        .set("INDEX__START_HEIGHT", start.to_string());
    let relay = RelayProcess::start(options).await;
    let mut nothing = WatchClient::open(&relay, &payee, start - 1, None).await;
    let missing = vec![MissingBlocks {
        from: start - 1,
        to: start - 1,
        reason: MissingReason::BelowStartHeight,
    }];
    nothing.until_complete().await;
    assert_eq!(nothing.progress()[nothing.progress().len() - 1].missing, missing);
    assert!(nothing.detected().is_empty());

    let tx = payer.pay(&[InputKind::P2wpkh], &[silent(payee.address(), 20_000)]);
    node.mine_with(std::slice::from_ref(&tx)).await;
    index_is_current(&relay, start).await;
    let mut client = WatchClient::open(&relay, &payee, start - 1, None).await;
    assert_eq!(
        (client.response.start_height, &client.response.missing),
        (Some(start), &missing)
    );
    client.until_complete().await;
    assert_eq!(client.detected().len(), 1);
    assert_eq!(client.progress()[client.progress().len() - 1].missing, missing);
}

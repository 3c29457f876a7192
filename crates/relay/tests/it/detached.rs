//! Detached watches: clients that leave, and come back.

mod app;
mod buffer;
mod crowd;
mod ends;
mod reorganised;
mod sdk;
mod tokens;

use serde_json::{Value, json};
use testkit::{Payee, RelayProcess, eventually};

use self::app::{App, paid, start};
use crate::wire::{DEADLINE, Wire, mine};

#[tokio::test]
async fn a_payment_while_nobody_is_connected_waits_for_the_client() {
    let relay = start(|options| options).await;
    let payee = Payee::new(&[]);
    let mut app = App::watch(&relay, &payee, json!({"detach": 600})).await;
    assert_eq!(app.token.len(), 64);
    assert!(
        app.token
            .bytes()
            .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    );
    let first = paid(&relay, &payee).await;
    assert_eq!(app.next().await, (1, first.clone(), 0));

    app.leave(&relay).await;
    let second = paid(&relay, &payee).await;
    app.until_found(&relay, 2).await;
    let block = mine(&relay, 1).await.remove(0);
    app.until_found(&relay, 4).await;
    let state = app.state(&relay).await;
    assert_eq!(
        (&state["attached"], &state["buffered"], &state["gap"]),
        (&json!(false), &json!(4), &Value::Null)
    );
    assert_eq!(
        (&state["first_watch_seq"], &state["history"]),
        (&json!(1), &json!("none"))
    );
    assert!(state["expires_at"].as_u64().is_some(), "{state}");

    // It has stored the first before it went to sleep.
    let response = app.attach(&relay, 1).await;
    assert_eq!(
        (&response["first_watch_seq"], &response["last_watch_seq"]),
        (&json!(2), &json!(4))
    );
    assert_eq!(response["height"], relay_tip(&relay).await);
    assert_eq!(app.next().await, (2, second.clone(), 0));
    let confirmed = [app.next().await, app.next().await];
    let mut txids: Vec<_> = confirmed.iter().map(|(_, txid, _)| txid.clone()).collect();
    txids.sort();
    let mut expected = vec![first, second];
    expected.sort();
    assert_eq!(txids, expected);
    assert!(
        confirmed.iter().all(|(_, _, confirmations)| *confirmations == 1),
        "{confirmed:?}"
    );
    assert_eq!((confirmed[0].0, confirmed[1].0), (3, 4));

    // Live again, and in order with the block.
    let third = paid(&relay, &payee).await;
    assert_eq!(app.next().await, (5, third.clone(), 0));
    app.wire
        .request(json!({"type": "subscribe", "subscriptions": ["notifications"]}))
        .await;
    let next = mine(&relay, 1).await.remove(0);
    assert_ne!(next, block);
    assert_eq!(app.next().await, (6, third, 1));
    let mined = app.wire.notification().await;
    assert_eq!(
        mined["data"]["block_hash"],
        next.as_str(),
        "the block follows what it adds to the watch"
    );
    assert!(mined.get("watch_seq").is_none());

    // On the same connection it releases, and nothing is sent again.
    let released = app.release(6).await;
    assert_eq!(
        (&released["first_watch_seq"], &released["last_watch_seq"]),
        (&Value::Null, &json!(6))
    );
    app.wire.assert_open().await;
    let state = app.state(&relay).await;
    assert_eq!((&state["attached"], &state["buffered"]), (&json!(true), &json!(0)));
    assert_eq!(state["expires_at"], Value::Null);
}

#[tokio::test]
async fn the_newest_attachment_wins() {
    let relay = start(|options| options).await;
    let payee = Payee::new(&[]);
    let mut first = App::watch(&relay, &payee, json!({"detach": 600})).await;
    let txid = paid(&relay, &payee).await;
    assert_eq!(first.next().await, (1, txid.clone(), 0));

    let mut second = first.elsewhere(&relay).await;
    second.attach_here(0).await;
    assert_eq!(second.next().await, (1, txid, 0));
    let ended = first.wire.receive().await;
    assert_eq!(
        (&ended["type"], &ended["watch_id"], &ended["reason"]),
        (&json!("watch_ended"), &json!(first.id), &json!("attached_elsewhere"))
    );
    // It is not its watch any more.
    let refused = first
        .wire
        .request(json!({"type": "unwatch", "watch_id": first.id}))
        .await;
    assert_eq!(refused["code"], "invalid_field", "{refused}");
    let txid = paid(&relay, &payee).await;
    assert_eq!(second.next().await, (2, txid.clone(), 0));
    first.wire.assert_open().await;
    // The first comes back, and the end of its connection is not that of the second.
    first.attach_here(1).await;
    assert_eq!(first.next().await, (2, txid, 0));
    second.wire.receive().await;
    drop(second);
    let txid = paid(&relay, &payee).await;
    assert_eq!(first.next().await, (3, txid, 0));
    assert_eq!(first.state(&relay).await["attached"], true);
    // Its own end over the connection.
    let ended = first
        .wire
        .request(json!({"type": "unwatch", "watch_id": first.id}))
        .await;
    assert_eq!(ended["type"], "unwatch_response", "{ended}");
    assert_eq!(first.http(&relay, "GET").await.status, 404);
}

#[tokio::test]
async fn a_history_goes_on_without_its_client() {
    let relay = start(|options| options).await;
    let payee = Payee::new(&[]);
    let mut txids = Vec::new();
    for _ in 0..3 {
        txids.push(paid(&relay, &payee).await);
        mine(&relay, 1).await;
    }
    let tip = relay_tip(&relay).await;
    // Blocks that the relay has not seen yet would be live.
    eventually(DEADLINE, "the newest block", async || {
        let metrics = crate::wire::get(&relay, "/metrics").await;
        (metrics["relay_metrics"]["tip_height"] == tip).then_some(())
    })
    .await;
    let mut app = App::watch(&relay, &payee, json!({"detach": 600, "from_height": 0})).await;
    app.leave(&relay).await;
    app.until_found(&relay, 3).await;
    app.attach(&relay, 0).await;
    let (mut received, mut progress) = (Vec::new(), json!(null));
    // Its end is reported to the next client, whoever has seen it before.
    while progress["progress"] != 1.0 {
        let message = app.wire.receive().await;
        match message["type"].as_str() {
            Some("notification") => {
                assert_eq!(message["data"]["historical"], true, "{message}");
                assert_eq!(message["watch_seq"], received.len() + 1);
                received.push(message["data"]["txid"].as_str().unwrap().to_owned());
            }
            Some("watch_progress") => progress = message,
            _ => panic!("{message}"),
        }
    }
    assert_eq!(received, txids, "in the order of the chain, and before the end");
    assert_eq!(progress["height"], tip);
}

async fn relay_tip(relay: &RelayProcess) -> u64 {
    let info = crate::wire::get(relay, "/bitcoin/info").await;
    info["blockchain_info"]["blocks"].as_u64().expect("a height")
}

/// A connection that has completed its handshake.
async fn connection(relay: &RelayProcess) -> Wire {
    Wire::connect(&relay.ws_url(), &[]).await
}

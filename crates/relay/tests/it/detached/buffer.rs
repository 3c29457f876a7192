//! Matches that do not fit.

use serde_json::json;
use testkit::Payee;

use super::app::{App, paid, start};
use crate::wire::mine;

#[tokio::test]
async fn a_full_buffer_names_what_is_lost_and_where_to_find_it() {
    let relay = start(|options| options.set("LIMITS__DETACHED_MATCHES", "2")).await;
    let payee = Payee::new(&[]);
    let mut app = App::watch(&relay, &payee, json!({"detach": 600})).await;
    app.leave(&relay).await;
    app.until_detached(&relay).await;
    let mut txids = Vec::new();
    for n in 1..=4 {
        txids.push(paid(&relay, &payee).await);
        app.until_found(&relay, n).await;
    }
    let tip = super::relay_tip(&relay).await;
    let state = app.state(&relay).await;
    let gap = json!({"first_watch_seq": 3, "last_watch_seq": 4, "from_height": tip + 1});
    assert_eq!((&state["buffered"], &state["gap"]), (&json!(2), &gap));

    app.attach(&relay, 0).await;
    assert_eq!(app.next().await, (1, txids[0].clone(), 0));
    assert_eq!(app.next().await, (2, txids[1].clone(), 0));
    let lost = app.wire.receive().await;
    assert_eq!(lost["type"], "watch_gap", "{lost}");
    for field in ["first_watch_seq", "last_watch_seq", "from_height"] {
        assert_eq!(lost[field], gap[field], "{lost}");
    }
    // Connected, it misses nothing, although it releases nothing.
    for n in 5..=8 {
        let txid = paid(&relay, &payee).await;
        assert_eq!(app.next().await, (n, txid.clone(), 0));
        txids.push(txid);
    }
    // A watch from there on finds what was lost.
    mine(&relay, 1).await;
    let mut again = App::watch(&relay, &payee, json!({"detach": 600, "from_height": tip + 1})).await;
    let mut found = Vec::new();
    while found.len() < txids.len() {
        let message = again.wire.receive().await;
        if message["notification_type"] == "payment_detected" {
            found.push(message["data"]["txid"].as_str().unwrap().to_owned());
        }
    }
    found.sort();
    txids.sort();
    assert_eq!(found, txids);
    // What it has got, or has been told to be lost, it releases.
    app.release(8).await;
    let state = app.state(&relay).await;
    assert_eq!(state["gap"]["first_watch_seq"].as_u64().unwrap_or(9), 9, "{state}");
}

#[tokio::test]
async fn what_the_relay_does_not_offer_is_refused_with_the_limit() {
    let relay = start(|options| {
        options
            .set("LIMITS__DETACHED_SECONDS", "100")
            .set("LIMITS__DETACHED_WATCHES", "1")
    })
    .await;
    let payee = Payee::new(&[]);
    let mut app = App::watch(&relay, &payee, json!({"detach": 100})).await;
    for (detach, code, named) in [
        (101, "invalid_field", "1 to 100 seconds (limits.detached_seconds)"),
        (0, "invalid_field", "limits.detached_seconds"),
        (1, "unavailable", "limits.detached_watches"),
    ] {
        let refused = app
            .wire
            .request(super::app::watch(&payee, json!({"detach": detach})))
            .await;
        assert_eq!(
            (&refused["type"], &refused["code"]),
            (&json!("error"), &json!(code)),
            "{refused}"
        );
        assert!(refused["message"].as_str().unwrap().contains(named), "{refused}");
    }
    // One that has ended makes way for the next.
    app.wire.request(json!({"type": "unwatch", "watch_id": app.id})).await;
    App::watch(&relay, &payee, json!({"detach": 1})).await;

    let relay = start(|options| options.set("LIMITS__DETACHED_SECONDS", "0")).await;
    let mut wire = super::connection(&relay).await;
    let refused = wire.request(super::app::watch(&payee, json!({"detach": 1}))).await;
    assert_eq!(refused["code"], "unavailable", "{refused}");
}

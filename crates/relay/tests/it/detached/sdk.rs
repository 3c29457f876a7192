//! Detached watches with the Rust client.

use sdk_relay_client::protocol::Watch;
use sdk_relay_client::{Client, ClientEvent, Event, Events, Topic};
use testkit::{Payee, RelayOptions};
use tokio::time::timeout;

use super::app::{paid, start};
use crate::support::recorder::watch_of;
use crate::wire::{DEADLINE, mine};

async fn connect(url: &str) -> (Client, Events) {
    Client::builder(url)
        .topics([Topic::Notifications])
        .connect()
        .await
        .unwrap()
}

/// The next event that is wanted.
async fn until<T>(events: &mut Events, what: &str, wanted: impl Fn(ClientEvent) -> Option<T>) -> T {
    let found = timeout(DEADLINE, async {
        loop {
            let event = events.recv().await.expect("an event");
            if let Some(found) = wanted(event) {
                return found;
            }
        }
    });
    found.await.unwrap_or_else(|_| panic!("not received: {what}"))
}

/// The next payment of a watch: its watch, its number, and its transaction.
async fn payment(events: &mut Events) -> (String, u64, String) {
    until(events, "a payment", |event| match event {
        ClientEvent::Notification(n) => match n.event {
            Event::PaymentDetected(p) => Some((p.watch_id?, n.watch_seq?, p.txid)),
            _ => None,
        },
        _ => None,
    })
    .await
}

#[tokio::test]
async fn an_app_comes_back_in_another_process_and_after_a_restart_of_the_relay() {
    let mut relay = start(RelayOptions::fixed_ports).await;
    let payee = Payee::new(&[]);
    let (client, mut events) = connect(&relay.ws_url()).await;
    let watch = Watch {
        detach: Some(600),
        ..watch_of(&payee)
    };
    let watching = client.watch(watch).await.unwrap();
    let (id, token) = (watching.watch_id, watching.watch_token.expect("a token"));
    let first = paid(&relay, &payee).await;
    assert_eq!(payment(&mut events).await, (id.clone(), 1, first.clone()));
    // It ends without having stored the payment.
    client.close().await;
    let second = paid(&relay, &payee).await;

    let (client, mut events) = connect(&relay.ws_url()).await;
    let response = client.attach(&id, token.clone(), 0).await.unwrap();
    assert_eq!((response.watch_id, response.first_watch_seq), (id.clone(), Some(1)));
    assert_eq!(payment(&mut events).await, (id.clone(), 1, first));
    assert_eq!(payment(&mut events).await, (id.clone(), 2, second));
    let released = client.release(&id, 2).await.unwrap();
    assert_eq!((released.first_watch_seq, released.last_watch_seq), (None, 2));

    // A second app, which gives its keys.
    let (keys, mut of_keys) = connect(&relay.ws_url()).await;
    let watch = Watch {
        detach: Some(600),
        from_height: Some(0),
        ..watch_of(&payee)
    };
    let of_watch = keys.watch(watch).await.unwrap();
    relay.kill9();
    relay.start_again().await;
    // The first cannot watch again without the keys; the second does by itself.
    let lost = until(&mut events, "the loss of the watch", |event| match event {
        ClientEvent::WatchLost { watch_id, .. } => Some(watch_id),
        _ => None,
    })
    .await;
    assert_eq!(lost, id);
    let renewed = until(&mut of_keys, "the new watch", |event| match event {
        ClientEvent::WatchRenewed { watch_id, response } => Some((watch_id, *response)),
        _ => None,
    })
    .await;
    assert_eq!(renewed.0, of_watch.watch_id);
    assert_ne!(renewed.1.watch_token, of_watch.watch_token);
    assert!(renewed.1.watch_token.is_some());
    mine(&relay, 101).await;
    let third = paid(&relay, &payee).await;
    loop {
        let (watch_id, _, txid) = payment(&mut of_keys).await;
        assert_eq!(watch_id, of_watch.watch_id);
        if txid == third {
            break;
        }
    }
}

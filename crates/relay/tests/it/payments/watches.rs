//! Which clients receive a payment.

use sdk_relay_client::{Client, ClientEvent, Event, Notification, Payment, Topic};
use testkit::{InputKind, Payee};
use tokio::time::timeout;

use crate::stage::{MARKER, Stage, outpoint, silent, tweak, unowned_script};
use crate::support::DEADLINE;
use crate::support::recorder::{Recorder, by_watch, detected, watch_of};

#[tokio::test]
async fn watch_payments_are_sent_to_the_owner_and_own_payments_to_all() {
    let mut stage = Stage::new().await;
    let payee = Payee::new(&[]);
    let mut owner = Recorder::open(&stage.relay, &["notifications"], None).await;
    let watch = owner.watch(&payee).await;
    // The same spend key with another scan key is another wallet.
    let mut rival = Recorder::open(&stage.relay, &["notifications"], None).await;
    rival
        .watch(&Payee {
            spend: payee.spend,
            ..Payee::new(&[])
        })
        .await;
    let mut subscriber = Recorder::open(&stage.relay, &["notifications", "tweaks"], None).await;
    // Without the topic it receives only payments of its own watches.
    let mut quiet = Recorder::open(&stage.relay, &["tweaks"], None).await;
    let theirs = Payee::new(&[]);
    quiet.watch(&theirs).await;

    let tx = stage.payer.pay(&[InputKind::P2tr], &[silent(payee.address(), 20_000)]);
    stage.node.send_raw(&tx).await;
    let watched = tx.compute_txid().to_string();
    owner.until_paid(&watched, 0, None).await;
    let block = stage.node.mine(1).await[0].to_string();
    owner.until_paid(&watched, 0, Some(&block)).await;
    let marker = stage.pay_relay(MARKER).await.compute_txid().to_string();
    // Wait: otherwise it could be reported first with its block.
    subscriber.until_paid(&marker, 0, None).await;
    let end = stage.node.mine(1).await[0].to_string();

    // Sent to the owner only.
    for recorder in [&mut owner, &mut rival] {
        recorder.until_paid(&marker, 0, Some(&end)).await;
    }
    for recorder in [&mut subscriber, &mut quiet] {
        recorder.until_tweaks(&end).await;
    }
    let to_watch = |recorder: &Recorder| -> Vec<Payment> { detected(&by_watch(recorder.notifications.clone()).0) };
    let places: Vec<_> = to_watch(&owner).into_iter().map(|p| (p.txid, p.block_hash)).collect();
    assert_eq!(
        places,
        [(watched.clone(), None), (watched.clone(), Some(block.clone()))]
    );
    assert!(
        to_watch(&owner)
            .iter()
            .all(|p| p.watch_id.as_ref() == Some(&watch.watch_id))
    );
    for recorder in [&rival, &subscriber, &quiet] {
        assert_eq!(to_watch(recorder), []);
        // The topic `tweaks` is public, and contains every eligible transaction; nothing else does.
        let reported = recorder
            .texts
            .iter()
            .filter(|text| !text.contains(r#""notification_type":"tweaks""#));
        assert!(
            !reported.into_iter().any(|text| text.contains(&watched)),
            "{:#?}",
            recorder.texts
        );
    }
    assert!(!quiet.notifications.iter().any(|n| !matches!(n.event, Event::Tweaks(_))));

    // The payment to the relay's wallet: the same text for all, without private data of the wallet.
    let of_log = |recorder: &Recorder, topic: bool| -> Vec<String> {
        let pairs = recorder.notifications.iter().zip(&recorder.texts);
        let wanted = pairs.filter(|(n, _)| n.event_id.is_some() && matches!(n.event, Event::Tweaks(_)) == topic);
        wanted.map(|(_, text)| text.clone()).collect()
    };
    assert_eq!(of_log(&owner, false), of_log(&subscriber, false));
    assert_eq!(of_log(&rival, false), of_log(&subscriber, false));
    assert_eq!(of_log(&quiet, true), of_log(&subscriber, true));
    let own = detected(&by_watch(subscriber.notifications.clone()).1);
    assert_eq!(own.len(), 2, "{own:#?}");
    assert!(
        own.iter()
            .all(|p| p.txid == marker && p.tweak.is_none() && p.watch_id.is_none() && p.label.is_none())
    );
    let ids: Vec<_> = subscriber
        .notifications
        .iter()
        .map(|n| n.event_id.expect("of the log"))
        .collect();
    let first = subscriber.relay.last_event_id + 1;
    assert_eq!(ids, (first..first + ids.len() as u64).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_new_watch_is_scanned_against_the_current_mempool() {
    let mut stage = Stage::new().await;
    let payee = Payee::new(&[5]);
    let mut subscriber = Recorder::open(&stage.relay, &["notifications"], None).await;
    // One payment is mined before the watch begins, one is unconfirmed.
    let to = [silent(stage.own, MARKER), silent(payee.labelled_address(5), 30_000)];
    let mined = stage.payer.pay(&[InputKind::P2wpkh], &to);
    let before = stage.node.mine_with(std::slice::from_ref(&mined)).await.to_string();
    subscriber
        .until_paid(&mined.compute_txid().to_string(), 0, Some(&before))
        .await;
    let waiting = stage.payer.pay(&[InputKind::P2shP2wpkh], &to);
    let other = stage
        .payer
        .pay(&[InputKind::P2tr], &[silent(Payee::new(&[]).address(), 30_000)]);
    stage.node.send_raw(&other).await;
    stage.node.send_raw(&waiting).await;
    let txid = waiting.compute_txid().to_string();
    subscriber.until_paid(&txid, 0, None).await;

    let builder = Client::builder(&stage.relay.ws_url()).topics([Topic::Notifications]);
    let (client, mut events) = builder.reconnect(false).connect().await.unwrap();
    let first = client.watch(watch_of(&payee)).await.unwrap();
    let reported = next_of_watch(&mut events).await;
    let expected = Payment {
        tweak: reported.tweak.clone(),
        label: Some(5),
        watch_id: Some(first.watch_id.clone()),
        ..stage.seen_since(stage.waiting(&waiting, 1, payee.labelled_address(5)).await, &reported)
    };
    assert_eq!(reported, expected);
    // A second watch for the same keys is another watch.
    let second = client.watch(watch_of(&payee)).await.unwrap();
    let repeated = next_of_watch(&mut events).await;
    assert_eq!(repeated.watch_id, Some(second.watch_id.clone()));
    assert_eq!(outpoint(&repeated), outpoint(&reported));
    client.unwatch(&second.watch_id).await.unwrap();

    // It is confirmed: reported once, to the remaining watch.
    let block = stage.node.mine(1).await[0];
    let confirmed = next_of_watch(&mut events).await;
    let expected = Payment {
        tweak: reported.tweak.clone(),
        label: Some(5),
        watch_id: Some(first.watch_id),
        ..stage.confirmed(&waiting, 1, payee.labelled_address(5), block).await
    };
    assert_eq!(confirmed, expected);
    let received = (outpoint(&confirmed), waiting.output[1].clone(), tweak(&confirmed));
    let spending = payee.spend(&[received], unowned_script());
    stage.node.send_raw(&spending).await;
    let Event::PaymentSpent(spent) = next_event_of_watch(&mut events).await else {
        panic!("a spend")
    };
    assert_eq!(spent.spent_by, Some(spending.compute_txid().to_string()));
    // The next message is the next payment, and none in earlier blocks.
    let next = stage.payer.pay(&[InputKind::P2pkh], &[silent(payee.address(), 40_000)]);
    stage.node.send_raw(&next).await;
    let messages = next_of_watch(&mut events).await;
    assert_eq!((messages.txid, messages.label), (next.compute_txid().to_string(), None));
}

/// The next payment to a watch.
async fn next_of_watch(events: &mut sdk_relay_client::Events) -> Payment {
    match next_event_of_watch(events).await {
        Event::PaymentDetected(payment) => *payment,
        event => panic!("a payment to a watch: {event:?}"),
    }
}

/// The next event of a watch.
async fn next_event_of_watch(events: &mut sdk_relay_client::Events) -> Event {
    loop {
        let event = timeout(DEADLINE, events.recv()).await.expect("an event in time");
        let Some(ClientEvent::Notification(notification)) = event else {
            panic!("a notification, not {event:?}");
        };
        if let Notification {
            event_id: None, event, ..
        } = *notification
        {
            return event;
        }
    }
}

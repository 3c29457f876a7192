//! The relay is killed in a loop, and its endpoint fails half of the time: every event is delivered, in order, and one
//! that comes again has the same id.

use std::collections::BTreeMap;

use bitcoin::secp256k1::rand::rngs::StdRng;
use bitcoin::secp256k1::rand::{Rng as _, SeedableRng as _};
use serde_json::json;
use testkit::{RelayProcess, http_get};

use super::receiver::{Message, Receiver};
use super::{logged_after, posting_to, until_delivered};
use crate::crashes::embedded::post;
use crate::crashes::{Chance, KILL_AFTER, kill_after, start_again};

/// Number of kills, unless `RELAY_TEST_WEBHOOK_KILLS` says another one (`scripts/soak`: 200).
const KILLS: usize = 10;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_event_is_delivered_in_order_over_kills_and_failures() {
    let kills = match std::env::var("RELAY_TEST_WEBHOOK_KILLS") {
        Ok(text) => text.parse().expect("RELAY_TEST_WEBHOOK_KILLS is a number"),
        Err(_) => KILLS,
    };
    let mut chance = Chance::new();
    let receiver = Receiver::start().await;
    let mut failing = StdRng::seed_from_u64(chance.of(0..u64::MAX));
    receiver.answers(move |_| match failing.gen_range(0..4) {
        0 => 500,
        1 => 429,
        _ => 200,
    });
    let mut relay = RelayProcess::start(posting_to(&receiver.url)).await;
    let http = relay.http_url();
    let config = http_get(&format!("{http}/config")).await.json();
    let address = config["silent_payment_address"]
        .as_str()
        .expect("an address")
        .to_owned();

    for _ in 0..kills {
        let killed = tokio::spawn(kill_after(chance.delay(KILL_AFTER), relay));
        // Until the relay does not answer.
        loop {
            let done = if chance.percent(60) {
                let pay = json!({"address": address, "amount": format!("0.000{}", chance.of(10..99))});
                post::<serde_json::Value>(&http, "/dev/pay", pay).await
            } else {
                post(&http, "/dev/mine", json!({"blocks": chance.of(1..=2)})).await
            };
            if done.is_none() {
                break;
            }
        }
        relay = killed.await.expect("a killed relay");
        start_again(&mut relay, &mut chance).await;
    }
    let last: Option<serde_json::Value> = post(&http, "/dev/mine", json!({})).await;
    assert!(last.is_some(), "a living relay");
    until_delivered(&relay, "shop").await;

    let accepted = receiver.accepted();
    let log = logged_after(&relay, 0).await;
    let received = receiver.received();
    let repeats = check(&accepted, &received, &log);
    println!(
        "{kills} kills: {} events delivered in order, {} attempts, {repeats} repeats with the same id",
        accepted.len() - repeats,
        received.len()
    );
    assert!(
        repeats <= kills * 2,
        "{repeats} repeats of {kills} kills, of which some are during the start"
    );
    assert!(received.len() > accepted.len(), "the endpoint has failed");
}

/// Checks all deliveries against the log; returns the number of messages that were accepted again.
fn check(accepted: &[Message], received: &[Message], log: &[serde_json::Value]) -> usize {
    // Each event has one id, which contains its number, and one body.
    let mut known = BTreeMap::new();
    let prefix: Vec<_> = received[0].id.split('_').take(2).collect();
    let prefix = prefix.join("_");
    for message in received {
        let event = message.event_id().expect("an event of the log: there is no gap");
        assert!(message.id.starts_with(&format!("{prefix}_{event}_")), "{}", message.id);
        let first = known.entry(event).or_insert(message);
        assert_eq!((&first.id, &first.body), (&message.id, &message.body), "{event}");
    }
    // In order: the next one, or after a kill the last one again.
    let mut delivered = Vec::<u64>::new();
    let mut repeats = 0;
    for message in accepted {
        let event = message.event_id().expect("an event");
        match delivered.last() {
            Some(last) if event == *last => repeats += 1,
            last => {
                assert!(last.is_none_or(|last| event > *last), "{event} after {last:?}");
                delivered.push(event);
            }
        }
    }
    // All of them, with the data of the log.
    let logged: Vec<_> = log
        .iter()
        .map(|event| event["event_id"].as_u64().expect("an id"))
        .collect();
    assert!(logged.len() > 10, "the chain was not idle");
    assert_eq!(delivered, logged);
    for logged in log {
        let event = known[&logged["event_id"].as_u64().expect("an id")].json();
        assert_eq!(event["data"], logged["data"]);
        let kind = logged["notification_type"]
            .as_str()
            .expect("a type")
            .replacen('_', ".", 1);
        assert_eq!(event["type"], kind);
    }
    repeats
}

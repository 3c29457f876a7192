//! What endpoints get that are slow, away for long, or configured later.

use serde_json::Value;
use testkit::{RelayProcess, http_post};
use tokio::net::TcpListener;

use super::receiver::{Message, Receiver};
use super::{logged_after, posting_to, shown, until_delivered, until_logged, with_webhook};
use crate::impatient;
use crate::wire::{get, mine, start};

fn events(messages: &[Message]) -> Vec<u64> {
    messages.iter().filter_map(Message::event_id).collect()
}

fn ids(log: &[Value]) -> Vec<u64> {
    log.iter().map(|event| event["event_id"].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn a_slow_endpoint_delays_only_itself() {
    let quick = Receiver::start().await;
    // Accepts connections, and answers nothing.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let slow = format!("http://{}/", silent.local_addr().unwrap());
    let options = with_webhook(posting_to(&quick.url), "SLOW", &slow);
    let relay = RelayProcess::start(options).await;
    mine(&relay, 30).await;
    until_delivered(&relay, "shop").await;
    let log = logged_after(&relay, 0).await;
    assert_eq!(events(&quick.accepted())[..log.len()], ids(&log));
    let slow = shown(&relay, "slow").await;
    assert!(slow["deliveries"] == 0 && slow["lag"].as_u64() >= Some(30), "{slow}");
}

/// Retention removes events that an endpoint has not got: it is told between which events.
#[tokio::test]
async fn an_endpoint_that_was_away_for_longer_than_the_log_gets_a_gap_and_then_the_rest() {
    let receiver = Receiver::start().await;
    let options = posting_to(&receiver.url).set("RETENTION__EVENTS", "20");
    let relay = RelayProcess::start(options).await;
    mine(&relay, 1).await;
    until_delivered(&relay, "shop").await;
    let before = receiver.accepted().last().unwrap().event_id();

    receiver.answers(|_| 503);
    mine(&relay, 50).await;
    // It is trying the next event, which the log then removes.
    let tried = receiver
        .until("a failed attempt", |message| message.status == 503)
        .await;
    assert!(tried.event_id() > before);
    mine(&relay, 50).await;
    until_logged(&relay).await;
    let wrong = shown(&relay, "shop").await;
    assert_eq!(wrong["state"], "failing", "{wrong}");
    let failure = &wrong["recent_failures"][0];
    assert_eq!(failure["error"], "the endpoint answered with status 503");
    assert_eq!(
        (failure["status"].as_u64(), failure["attempts"].as_u64() >= Some(1)),
        (Some(503), true)
    );

    receiver.answers(|_| 200);
    until_delivered(&relay, "shop").await;
    let accepted = receiver.accepted();
    let gap = accepted
        .iter()
        .position(|message| message.kind() == "gap")
        .expect("a gap");
    let data = accepted[gap].json()["data"].clone();
    let [after, next] = ["after_event", "next_event"].map(|end| data[end].as_u64());
    assert_eq!(data["reason"], "removed");
    assert!(
        accepted[gap - 1].event_id() <= after && next <= accepted[gap + 1].event_id(),
        "{data}"
    );
    let next = next.unwrap();
    assert!(next > after.unwrap() + 1, "{data}");
    // Nothing else is missing.
    let delivered = events(&accepted[gap + 1..]);
    assert_eq!(delivered, ids(&logged_after(&relay, next - 1).await));
}

#[tokio::test]
async fn a_restart_continues_and_a_new_endpoint_begins_with_new_events() {
    let (old, new) = (Receiver::start().await, Receiver::start().await);
    let data_dir = tempfile::tempdir().unwrap();
    let mut relay = RelayProcess::start(posting_to(&old.url).data_dir(data_dir.path())).await;
    mine(&relay, 3).await;
    until_delivered(&relay, "shop").await;
    let first = events(&old.accepted());
    relay.terminate().await;
    let options = with_webhook(posting_to(&old.url), "NEW", &new.url).data_dir(data_dir.path());
    let relay = RelayProcess::start(options).await;
    mine(&relay, 2).await;
    until_delivered(&relay, "shop").await;
    until_delivered(&relay, "new").await;
    let (all, later) = (events(&old.accepted()), events(&new.accepted()));
    assert!(all.starts_with(&first) && later.len() >= 2);
    assert_eq!(
        all[first.len()..],
        later,
        "no event comes twice, and the new one gets no old event"
    );
    // The same event has the same id at each endpoint.
    let id = |messages: Vec<Message>| messages.last().unwrap().id.clone();
    assert_eq!(id(old.accepted()), id(new.accepted()));
}

#[tokio::test]
async fn payments_are_posted_by_default_and_other_events_are_not() {
    let receiver = Receiver::start().await;
    let options = impatient::with_webhooks()
        .set("WEBHOOKS__SHOP__URL", &receiver.url)
        .set("WEBHOOKS__SHOP__SECRET", super::SECRET);
    let relay = RelayProcess::start(options).await;
    let address = get(&relay, "/config").await["silent_payment_address"].clone();
    let pay = serde_json::json!({"address": address, "amount": "0.001"});
    let paid = http_post(&format!("{}/dev/pay", relay.http_url()), &pay).await.json();
    let detected = receiver
        .until("the payment", |message| message.kind() == "payment.detected")
        .await;
    assert_eq!(detected.json()["data"]["txid"], paid["txid"]);
    assert_eq!(detected.header("content-type"), "application/json");
    mine(&relay, 2).await;
    until_delivered(&relay, "shop").await;
    assert!(
        receiver
            .received()
            .iter()
            .all(|message| message.kind().starts_with("payment."))
    );
}

#[tokio::test]
async fn a_relay_without_webhooks_has_no_file_for_them() {
    let relay = start().await;
    mine(&relay, 1).await;
    let list = get(&relay, "/webhooks").await;
    assert_eq!(list["webhooks"], serde_json::json!([]));
    assert!(!relay.data_dir().join("webhooks.json").exists());
}

//! What an administrator reads and does.

use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use serde_json::{Value, json};
use testkit::{HttpReply, RelayProcess, eventually, http_get, http_post, http_send};

use super::receiver::{Message, Receiver};
use super::{SECRET, posting_to, shown, until_delivered};
use crate::wire::{DEADLINE, mine};

const ADMIN_TOKEN: &str = "an-administrator-of-this-test";

async fn post(relay: &RelayProcess, path: &str, body: Value) -> HttpReply {
    http_post(&format!("{}{path}", relay.http_url()), &body).await
}

async fn bare(relay: &RelayProcess, method: &str, path: &str, token: Option<&str>) -> HttpReply {
    let request = Request::builder()
        .method(method)
        .uri(format!("{}{path}", relay.http_url()));
    let request = match token {
        Some(token) => request.header("authorization", format!("Bearer {token}")),
        None => request,
    };
    http_send(request.body(Full::<Bytes>::default()).unwrap()).await
}

#[tokio::test]
async fn only_the_administrator_reads_the_list_and_it_has_no_secret() {
    let receiver = Receiver::start().await;
    let private = "whsk_nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=";
    let options = posting_to(&receiver.url)
        .set("AUTH__ADMIN_TOKEN", ADMIN_TOKEN)
        .set("WEBHOOKS__SHOP__SECRET", format!("{SECRET} {private}"));
    let relay = RelayProcess::start(options).await;
    for (method, path) in [
        ("GET", "/webhooks"),
        ("POST", "/webhooks/shop/test"),
        ("POST", "/webhooks/shop/replay"),
        ("POST", "/webhooks/shop/replay/cancel"),
        ("POST", "/webhooks/shop/enable"),
    ] {
        assert_eq!(bare(&relay, method, path, None).await.status, 401, "{method} {path}");
    }
    let list = bare(&relay, "GET", "/webhooks", Some(ADMIN_TOKEN)).await;
    let shop = &list.json()["webhooks"][0];
    assert_eq!(shop["signatures"], json!(["v1", "v1a"]));
    assert_eq!(
        shop["public_keys"],
        json!(["whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="])
    );
    let logs = bare(&relay, "GET", "/logs", Some(ADMIN_TOKEN)).await;
    let config = bare(&relay, "GET", "/config", Some(ADMIN_TOKEN)).await;
    let state = std::fs::read_to_string(relay.data_dir().join("webhooks.json")).unwrap();
    for text in [list.text(), logs.text(), config.text(), &state, &relay.stderr()] {
        for secret in [&SECRET[6..], &private[5..], "s3cret"] {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
    }
}

#[tokio::test]
async fn a_test_message_answers_what_came_of_it() {
    let receiver = Receiver::start().await;
    let relay = RelayProcess::start(posting_to(&receiver.url)).await;
    let test = async || {
        let reply = bare(&relay, "POST", "/webhooks/shop/test", None).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        reply.json()
    };
    let good = test().await;
    assert_eq!(
        (&good["delivered"], &good["status"], &good["error"]),
        (&json!(true), &json!(204), &Value::Null)
    );
    let message = receiver
        .until("the test message", |message| message.kind() == "test")
        .await;
    assert_eq!(message.id, good["webhook_id"]);
    assert_eq!(message.json()["data"], json!({"webhook": "shop"}));

    receiver.answers_with(|_| (302, vec![("location", "/elsewhere".to_owned())]));
    let redirected = test().await;
    assert_eq!(
        (&redirected["delivered"], &redirected["status"]),
        (&json!(false), &json!(302))
    );
    assert!(
        redirected["error"]
            .as_str()
            .unwrap()
            .contains("redirects are not followed"),
        "{redirected}"
    );
    let nobody = bare(&relay, "POST", "/webhooks/bot/test", None).await;
    assert_eq!(nobody.status, 404);
    assert!(
        nobody.text().contains("no webhook has the name bot"),
        "{}",
        nobody.text()
    );
}

#[tokio::test]
async fn an_endpoint_that_is_gone_is_disabled_and_reported_until_it_is_enabled() {
    let receiver = Receiver::start().await;
    let mut relay = RelayProcess::start(posting_to(&receiver.url)).await;
    mine(&relay, 1).await;
    until_delivered(&relay, "shop").await;
    let before = receiver.accepted().len();
    receiver.answers(|_| 410);
    mine(&relay, 1).await;
    let disabled = async |relay: &RelayProcess| {
        eventually(DEADLINE, "a disabled webhook", async || {
            let shown = shown(relay, "shop").await;
            (shown["state"] == "disabled").then_some(shown)
        })
        .await
    };
    let gone = disabled(&relay).await;
    assert!(
        gone["disabled"]["reason"].as_str().unwrap().contains("status 410"),
        "{gone}"
    );
    // Also after a restart, and without further attempts.
    let attempts = receiver.received().len();
    relay.terminate().await;
    assert!(relay.stderr().contains("the webhook is disabled"), "{}", relay.stderr());
    relay.start_again().await;
    receiver.answers(|_| 200);
    mine(&relay, 3).await;
    disabled(&relay).await;
    let health = http_get(&format!("{}/health", relay.http_url())).await.json();
    assert_eq!(health["status"], "degraded", "{health}");
    let problems = health["problems"].to_string();
    assert!(
        problems.contains("the webhook shop is disabled since") && problems.contains("POST /webhooks/shop/enable"),
        "{problems}"
    );
    assert!(!problems.contains("s3cret"), "{problems}");
    assert_eq!(receiver.received().len(), attempts);
    let replay = post(&relay, "/webhooks/shop/replay", json!({"from_event": 1})).await;
    assert_eq!(replay.status, 409, "{}", replay.text());

    let enabled = bare(&relay, "POST", "/webhooks/shop/enable", None).await;
    assert_eq!(enabled.status, 200, "{}", enabled.text());
    assert_ne!(enabled.json()["webhook"]["state"], "disabled");
    until_delivered(&relay, "shop").await;
    let accepted = receiver.accepted();
    let missed: Vec<_> = accepted[before..].iter().filter_map(Message::event_id).collect();
    assert!(
        missed.is_sorted() && missed.len() >= 4,
        "all that it has missed: {missed:?}"
    );
    let health = http_get(&format!("{}/health", relay.http_url())).await.json();
    assert!(!health["problems"].to_string().contains("webhook"), "{health}");
}

/// An event that its endpoint never accepts blocks those after it: an administrator has it skipped.
#[tokio::test]
async fn events_can_be_skipped_and_sent_again() {
    let receiver = Receiver::start().await;
    let relay = RelayProcess::start(posting_to(&receiver.url)).await;
    mine(&relay, 2).await;
    until_delivered(&relay, "shop").await;
    let delivered = receiver.accepted();
    let [first, last] = [delivered.first(), delivered.last()].map(|message| message.unwrap().event_id().unwrap());

    receiver.answers(move |message| if message.event_id() > Some(last) { 400 } else { 200 });
    mine(&relay, 1).await;
    let poison = receiver
        .until("a refused event", |message| message.status == 400)
        .await
        .event_id()
        .unwrap();
    let blocked = shown(&relay, "shop").await;
    assert_eq!(blocked["state"], "failing", "{blocked}");
    assert_eq!(blocked["recent_failures"][0]["event_id"], poison, "{blocked}");
    let enable = async |after: u64| post(&relay, "/webhooks/shop/enable", json!({"after_event": after})).await;
    for wrong in [last - 1, 1_000_000] {
        let reply = enable(wrong).await;
        assert_eq!(reply.status, 422, "{}", reply.text());
    }
    receiver.answers(move |message| if message.event_id() == Some(poison) { 400 } else { 200 });
    assert_eq!(enable(poison).await.status, 200);
    // At once, and not only with the next event.
    let skipped = shown(&relay, "shop").await;
    assert_eq!(
        (&skipped["state"], &skipped["failing_since"]),
        (&json!("active"), &json!(null)),
        "{skipped}"
    );
    mine(&relay, 1).await;
    until_delivered(&relay, "shop").await;
    let later = receiver.accepted().last().unwrap().event_id().unwrap();
    assert!(
        later > poison
            && receiver
                .accepted()
                .iter()
                .all(|message| message.event_id() != Some(poison))
    );

    // The first ones again.
    receiver.answers(|_| 200);
    let before = receiver.received().len();
    let range = json!({"from_event": first, "to_event": last});
    let reply = post(&relay, "/webhooks/shop/replay", range).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    eventually(DEADLINE, "the end of the replay", async || {
        shown(&relay, "shop").await["replay"].is_null().then_some(())
    })
    .await;
    let again = receiver.received().split_off(before);
    let pairs = |messages: &[Message]| -> Vec<_> {
        messages
            .iter()
            .map(|message| (message.id.clone(), message.body.clone()))
            .collect()
    };
    assert_eq!(
        pairs(&again),
        pairs(&delivered),
        "the same ids and bodies, in the same order"
    );
    // One that the endpoint refuses holds up nothing, and can be ended.
    receiver.answers(move |message| if message.event_id() == Some(first) { 400 } else { 200 });
    let range = json!({"from_event": first, "to_event": last});
    assert_eq!(post(&relay, "/webhooks/shop/replay", range.clone()).await.status, 200);
    receiver
        .until("a refused replay", |message| message.status == 400)
        .await;
    let second = post(&relay, "/webhooks/shop/replay", range).await;
    assert!(
        second.status == 409 && second.text().contains("/replay/cancel ends it"),
        "{}",
        second.text()
    );
    mine(&relay, 1).await;
    super::until_logged(&relay).await;
    let newest = crate::wire::get(&relay, "/webhooks").await["newest_event"].clone();
    eventually(DEADLINE, "the new events", async || {
        (shown(&relay, "shop").await["after_event"] == newest).then_some(())
    })
    .await;
    let ended = bare(&relay, "POST", "/webhooks/shop/replay/cancel", None).await;
    assert_eq!(ended.status, 200, "{}", ended.text());
    until_delivered(&relay, "shop").await;
    receiver.answers(|_| 200);
    for (body, said) in [
        (json!({"from_event": 0}), "from_event: the log begins with event 1"),
        (
            json!({"from_event": 2, "to_event": 1}),
            "to_event: expected from_event or more",
        ),
        (json!({"from_event": 1_000_000}), "from_event: expected at most"),
        (
            json!({"from_event": 1, "to_event": 1_000_000}),
            "to_event: expected at most",
        ),
        (json!({}), "from_event: missing"),
        (json!({"from_event": 1, "url": "http://a"}), "url"),
    ] {
        let reply = post(&relay, "/webhooks/shop/replay", body).await;
        assert!(
            reply.status == 422 && reply.text().contains(said),
            "{said}: {}",
            reply.text()
        );
    }
}

#[tokio::test]
async fn its_figures_are_among_those_of_the_administrator() {
    let receiver = Receiver::start().await;
    let relay = RelayProcess::start(posting_to(&receiver.url).set("AUTH__ADMIN_TOKEN", ADMIN_TOKEN)).await;
    let figures = async |token: Option<&str>| {
        let request = Request::get(format!("{}/metrics", relay.http_url())).header("accept", "text/plain");
        let request = match token {
            Some(token) => request.header("authorization", format!("Bearer {token}")),
            None => request,
        };
        http_send(request.body(Full::<Bytes>::default()).unwrap())
            .await
            .text()
            .to_owned()
    };
    assert!(!figures(None).await.contains("webhook"));
    mine(&relay, 1).await;
    receiver.until("a message", |_| true).await;
    eventually(DEADLINE, "the figures", async || {
        let text = figures(Some(ADMIN_TOKEN)).await;
        let has = |line: &str| text.lines().any(|l| l.starts_with(line));
        let all = has("sdk_relay_webhook_attempts_total{webhook=\"shop\",result=\"delivered\"} ")
            && has("sdk_relay_webhook_attempts_total{webhook=\"shop\",result=\"failed\"} 0")
            && has("sdk_relay_webhook_lag_events{webhook=\"shop\"} 0")
            && has("sdk_relay_webhook_disabled{webhook=\"shop\"} 0")
            && has("sdk_relay_webhook_gaps_total{webhook=\"shop\"} 0");
        all.then_some(())
    })
    .await;
}

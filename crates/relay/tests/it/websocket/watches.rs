//! Watches: their answers, and all invalid ones.

use serde_json::{Value, json};
use testkit::RelayProcess;

use crate::wire::json::Json;
use crate::wire::{DEADLINE, Wire, get, mine_history, standalone};

const SCAN: &str = "0f694e068028a717f8af6b9411f9a133dd3565258714cc226594b34db90c1f2c";
const SPEND: &str = "025cc9856d6f8375350e123978daac200c260cb5b5ae83106cab90484dcd8fcf36";

/// A valid `watch` with these fields replaced; `null` removes a field.
pub(crate) fn watch(change: Value) -> Value {
    let mut message = json!({"type": "watch", "scan_private_key": SCAN, "spend_public_key": SPEND});
    let fields = message.as_object_mut().unwrap();
    let Value::Object(change) = change else { unreachable!() };
    for (name, value) in change {
        match value {
            Value::Null => drop(fields.remove(&name)),
            value => drop(fields.insert(name, value)),
        }
    }
    message
}

#[tokio::test]
async fn a_watch_begins_and_ends() {
    let relay = RelayProcess::start(standalone()).await;
    let mut wire = Wire::connect(&relay.ws_url(), &[]).await;
    wire.send(watch(json!({"labels": [1, 2], "message_id": "w-1"}))).await;
    let text = wire.answer_text().await;
    let keys = [
        "type",
        "status",
        "watch_id",
        "address",
        "history",
        "from_height",
        "start_height",
        "missing",
        "in_reply_to",
        "timestamp",
    ];
    assert_eq!(Json::parse(&text).keys(), keys);
    let answer: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(answer["history"], "none", "none was requested");
    assert_eq!(
        (&answer["type"], &answer["status"]),
        (&json!("watch_response"), &json!("watching"))
    );
    assert_eq!(answer["in_reply_to"], "w-1");
    assert!(answer["address"].as_str().unwrap().starts_with("sprt1q"), "{answer}");
    let second = wire.request(watch(json!({}))).await;
    assert_eq!(
        (&second["address"], &second["in_reply_to"]),
        (&answer["address"], &Value::Null)
    );
    assert_ne!(second["watch_id"], answer["watch_id"]);
    assert_eq!(get(&relay, "/metrics").await["relay_metrics"]["watches"], 2);

    let unwatch = json!({"type": "unwatch", "watch_id": answer["watch_id"], "message_id": "u-1"});
    wire.send(unwatch.clone()).await;
    let text = wire.answer_text().await;
    assert_eq!(
        Json::parse(&text).keys(),
        ["type", "status", "watch_id", "in_reply_to", "timestamp"]
    );
    let ended: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        (&ended["type"], &ended["status"]),
        (&json!("unwatch_response"), &json!("unwatched"))
    );
    assert_eq!(
        (&ended["watch_id"], &ended["in_reply_to"]),
        (&answer["watch_id"], &json!("u-1"))
    );
    let again = wire.request(unwatch).await;
    assert_eq!(
        (&again["code"], &again["in_reply_to"]),
        (&json!("invalid_field"), &json!("u-1"))
    );
    wire.assert_open().await;
}

#[tokio::test]
async fn an_invalid_watch_is_refused_and_no_key_is_shown() {
    let relay = RelayProcess::start(
        standalone()
            .set("LOG__LEVEL", "trace")
            .set("LIMITS__LABELS_PER_WATCH", "3"),
    )
    .await;
    let mut wire = Wire::connect(&relay.ws_url(), &[]).await;
    let order = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141";
    let cases = [
        (json!({"scan_private_key": null}), "invalid_field", "scan_private_key"),
        (json!({"scan_private_key": ""}), "invalid_field", "scan_private_key"),
        (json!({"scan_private_key": 5}), "invalid_field", "integer `5`"),
        (
            json!({"scan_private_key": &SCAN[2..]}),
            "invalid_field",
            "scan_private_key",
        ),
        (
            json!({"scan_private_key": format!("{SCAN}00")}),
            "invalid_field",
            "scan_private_key",
        ),
        (
            json!({"scan_private_key": SCAN.replace('0', "g")}),
            "invalid_field",
            "scan_private_key",
        ),
        (
            json!({"scan_private_key": "0".repeat(64)}),
            "invalid_field",
            "scan_private_key",
        ),
        (json!({"scan_private_key": order}), "invalid_field", "scan_private_key"),
        (json!({"spend_public_key": null}), "invalid_field", "spend_public_key"),
        (json!({"spend_public_key": ""}), "invalid_field", "spend_public_key"),
        (
            json!({"spend_public_key": &SPEND[2..]}),
            "invalid_field",
            "spend_public_key",
        ),
        (
            json!({"spend_public_key": format!("05{}", &SPEND[2..])}),
            "invalid_field",
            "spend_public_key",
        ),
        (
            json!({"spend_public_key": format!("02{}", "f".repeat(64))}),
            "invalid_field",
            "spend_public_key",
        ),
        (json!({"labels": [1, 2, 3, 4]}), "invalid_field", "labels"),
        (json!({"labels": [-1]}), "invalid_field", "-1"),
        (json!({"labels": [4_294_967_296_u64]}), "invalid_field", "4294967296"),
        (json!({"labels": "1"}), "invalid_field", "string"),
        (json!({"to_height": 5}), "invalid_field", "to_height"),
        (json!({"from_height": 6, "to_height": 5}), "invalid_field", "to_height"),
        (json!({"from_height": "0"}), "invalid_field", "string"),
        (
            json!({"from_time": "1.1.2024"}),
            "invalid_field",
            "from_time: expected a date",
        ),
        (json!({"from_time": -1}), "invalid_field", "from_time"),
        (
            json!({"from_time": 1, "from_height": 1}),
            "invalid_field",
            "from_height or from_time",
        ),
        (json!({"descriptor": "sp()"}), "invalid_field", "it has both keys"),
        (
            json!({"descriptor": "sp()", "scan_private_key": null, "spend_public_key": null}),
            "invalid_field",
            "descriptor",
        ),
    ];
    for (change, code, word) in cases {
        let mut message = watch(change.clone());
        message["message_id"] = json!("w-1");
        let error = wire.request(message).await;
        assert_eq!(
            (&error["type"], &error["code"]),
            (&json!("error"), &json!(code)),
            "{change}: {error}"
        );
        assert_eq!(error["in_reply_to"], "w-1", "{change}: {error}");
        let reported = error["message"].as_str().unwrap();
        assert!(reported.contains(word), "{change}: {reported}");
        for secret in [&SCAN[8..40], &order[8..40]] {
            assert!(!reported.contains(secret), "{reported}");
        }
        wire.assert_open().await;
    }
    // A valid one too. No part of any key is in the log at its highest level.
    let good = wire.request(watch(json!({"labels": [0, 1, 4_294_967_295_u32]}))).await;
    assert_eq!(good["type"], "watch_response", "{good}");
    assert!(!relay.stderr().contains(&SCAN[8..40]), "the scan key is in the log");
}

/// The keys above, as a descriptor.
const DESCRIPTOR: &str = "sp(cN6fC62XuB4gv3tu4tFnwtd72jTfT7Mezzhn7b8GSZKHTHZiBegX,025cc9856d6f8375350e123978daac200c260cb5b5ae83106cab90484dcd8fcf36)";

/// The answer to a message, while histories are being scanned.
async fn ask(wire: &mut Wire, message: Value) -> Value {
    wire.send(message).await;
    loop {
        let answer = wire.receive().await;
        if answer["type"] != "watch_progress" {
            return answer;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_descriptor_is_watched_since_its_birthday_and_any_watch_since_a_time() {
    let relay = RelayProcess::start(standalone()).await;
    let tip = mine_history(&relay, 1).await;
    let mut wire = Wire::connect(&relay.ws_url(), &[]).await;
    let keys = ask(&mut wire, watch(json!({}))).await;
    let described = |fields: Value| {
        let mut message = watch(json!({"scan_private_key": null, "spend_public_key": null}));
        message
            .as_object_mut()
            .unwrap()
            .extend(fields.as_object().unwrap().clone());
        message
    };
    let since_birthday = ask(
        &mut wire,
        described(json!({"descriptor": format!("{DESCRIPTOR}?bh=990&ml=2")})),
    )
    .await;
    assert_eq!(since_birthday["address"], keys["address"], "{since_birthday}");
    assert_eq!(
        (&since_birthday["from_height"], &since_birthday["start_height"]),
        (&json!(990), &json!(990))
    );
    assert_eq!(keys["from_height"], Value::Null);
    // Times before the first block, and one that all blocks of the last two hours may be of.
    let now = get(&relay, "/health").await["timestamp"].clone();
    for (time, most) in [(json!("2009-01-03"), 0), (json!(0), 0), (now, tip)] {
        let answer = ask(
            &mut wire,
            described(json!({"descriptor": DESCRIPTOR, "from_time": time})),
        )
        .await;
        let height = answer["from_height"]
            .as_u64()
            .unwrap_or_else(|| panic!("{time}: {answer}"));
        assert!(height <= most, "{time}: {answer}");
        ask(&mut wire, json!({"type": "unwatch", "watch_id": answer["watch_id"]})).await;
    }
    let future = ask(&mut wire, watch(json!({"from_time": 99_999_999_999_u64}))).await;
    assert_eq!(future["code"], "invalid_field", "{future}");
    assert!(
        future["message"]
            .as_str()
            .unwrap()
            .starts_with("from_time: there is no block"),
        "{future}"
    );
    let below = wire
        .request(watch(json!({"from_time": "2009-01-03", "to_height": 0})))
        .await;
    assert_eq!(
        (&below["type"], &below["from_height"]),
        (&json!("watch_response"), &json!(0)),
        "{below}"
    );
}

#[tokio::test]
async fn watches_over_the_limit_of_a_connection_are_refused() {
    let relay = RelayProcess::start(standalone().set("LIMITS__WATCHES_PER_CONNECTION", "2")).await;
    let mut wire = Wire::connect(&relay.ws_url(), &[]).await;
    let first = wire.request(watch(json!({}))).await;
    assert_eq!(wire.request(watch(json!({}))).await["type"], "watch_response");
    let error = wire.request(watch(json!({"message_id": "w-3"}))).await;
    assert_eq!(
        (&error["code"], &error["in_reply_to"]),
        (&json!("too_many_watches"), &json!("w-3")),
        "{error}"
    );
    let ended = wire
        .request(json!({"type": "unwatch", "watch_id": first["watch_id"]}))
        .await;
    assert_eq!(ended["type"], "unwatch_response");
    // There is capacity again, but a new watch scans the mempool, so its rate is limited.
    let error = wire.request(watch(json!({"message_id": "w-4"}))).await;
    assert_eq!(
        (&error["code"], &error["in_reply_to"]),
        (&json!("rate_limited"), &json!("w-4")),
        "{error}"
    );
}

#[tokio::test]
async fn a_watch_belongs_to_its_connection() {
    let relay = RelayProcess::start(standalone()).await;
    let mut owner = Wire::connect(&relay.ws_url(), &[]).await;
    let mut other = Wire::connect(&relay.ws_url(), &[]).await;
    let watch_id = owner.request(watch(json!({}))).await["watch_id"].clone();
    let error = other
        .request(json!({"type": "unwatch", "watch_id": watch_id, "message_id": "u"}))
        .await;
    assert_eq!(
        (&error["code"], &error["in_reply_to"]),
        (&json!("invalid_field"), &json!("u")),
        "{error}"
    );
    assert_eq!(get(&relay, "/metrics").await["relay_metrics"]["watches"], 1);
    drop(owner);
    testkit::eventually(DEADLINE, "the end of the watch with its connection", async || {
        (get(&relay, "/metrics").await["relay_metrics"]["watches"] == 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn ten_bad_keys_in_a_row_are_ten_errors_in_a_row() {
    let relay = RelayProcess::start(standalone()).await;
    let mut wire = Wire::connect(&relay.ws_url(), &[]).await;
    for n in 0..10 {
        // Two kinds of errors, one of which is found before the keys are parsed.
        let bad = if n % 3 == 0 {
            json!({"labels": 1})
        } else {
            json!({"scan_private_key": "00"})
        };
        assert_eq!(wire.request(watch(bad)).await["code"], "invalid_field");
    }
    assert_eq!(wire.closed().await.0, 1002);
}

/// Thousands of blocks of a history whose scan is in progress when its watch ends.
const HISTORY: u32 = 3;
/// Watches that end early; before their answers waited for detection, some of a hundred were followed by their
/// progress.
const ENDED_EARLY: usize = 300;

#[tokio::test(flavor = "multi_thread")]
async fn no_message_of_a_watch_follows_the_answer_to_its_end() {
    let relay = RelayProcess::start(standalone()).await;
    mine_history(&relay, HISTORY).await;
    let mut wire = Wire::connect(&relay.ws_url(), &[]).await;
    for n in 0..ENDED_EARLY {
        // The rate of watches after the first ones of a connection is limited.
        if n % 50 == 0 {
            wire = Wire::connect(&relay.ws_url(), &[]).await;
        }
        wire.send(watch(json!({"from_height": 0}))).await;
        let watching = wire.receive().await;
        assert_eq!(watching["type"], "watch_response", "{watching}");
        // Some end at once, some during their history.
        for _ in 0..n % 3 {
            let progress = wire.receive().await;
            assert_eq!(progress["type"], "watch_progress", "{progress}");
        }
        wire.send(json!({"type": "unwatch", "watch_id": watching["watch_id"]}))
            .await;
        wire.send(json!({"type": "ping"})).await;
        let (mut has_ended, mut has_ponged) = (false, false);
        while !(has_ended && has_ponged) {
            let message = wire.receive().await;
            match message["type"].as_str().unwrap() {
                "unwatch_response" => has_ended = true,
                "pong" => has_ponged = true,
                _ => assert!(!has_ended, "{n}: {message}"),
            }
        }
    }
    // A message in transit would have arrived by now.
    wire.assert_open().await;
    testkit::eventually(DEADLINE, "the end of all watches", async || {
        (get(&relay, "/metrics").await["relay_metrics"]["watches"] == 0).then_some(())
    })
    .await;
}

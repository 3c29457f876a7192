use proptest::prelude::*;

use super::*;
use crate::Topic;

fn code(text: &str) -> ErrorCode {
    parse_client_message(text).expect_err(text).code
}

#[test]
fn reads_the_reference_s_messages() {
    let handshake = r#"{"type":"handshake","client_id":"my-client-123","version":"1.0.0",
        "capabilities":["sync","notifications","health"],"timestamp":1703001600}"#;
    let ClientMessage::Handshake(h) = parse_client_message(handshake).unwrap() else {
        panic!("not a handshake")
    };
    assert_eq!(h.client_id, "my-client-123");
    assert_eq!(h.capabilities, ["sync", "notifications", "health"]);

    let ping = r#"{"type":"ping","client_id":"my-client-123","timestamp":1703001600}"#;
    assert!(matches!(parse_client_message(ping), Ok(ClientMessage::Ping(_))));

    let subscribe = r#"{"type":"subscribe","subscriptions":["notifications","health","metrics"]}"#;
    let Ok(ClientMessage::Subscribe(s)) = parse_client_message(subscribe) else {
        panic!("not a subscribe")
    };
    assert_eq!(s.subscriptions, [Topic::Notifications, Topic::Health, Topic::Metrics]);
}

#[test]
fn every_mistake_has_its_code() {
    for bad in [
        "",
        "{",
        "hello",
        "{\"type\":}",
        "[1,2",
        "\"ping\"",
        "[\"ping\"]",
        "17",
        "null",
        "{'type':'ping'}",
    ] {
        assert_eq!(code(bad), ErrorCode::InvalidJson, "{bad}");
    }
    for bad in [
        "{}",
        r#"{"kind":"ping"}"#,
        r#"{"type":null}"#,
        r#"{"type":"pong"}"#,
        r#"{"type":"Ping"}"#,
    ] {
        assert_eq!(code(bad), ErrorCode::UnknownType, "{bad}");
    }
    for bad in [
        r#"{"type":1}"#,
        r#"{"type":"ping","timestamp":"now"}"#,
        r#"{"type":"ping","timestamp":-1}"#,
        r#"{"type":"ping","type":"ping"}"#,
        r#"{"type":"handshake"}"#,
        r#"{"type":"handshake","client_id":1,"version":"1.0.0","capabilities":[]}"#,
        r#"{"type":"subscribe","subscriptions":["weather"]}"#,
        r#"{"type":"subscribe","subscriptions":"health"}"#,
        r#"{"type":"sync","sync_type":"NoSync","message_id":"a"}"#,
        r#"{"type":"sync","sync_type":"StateSync"}"#,
        r#"{"type":"watch","scan_private_key":"00","spend_public_key":"02","labels":[-1]}"#,
        r#"{"type":"watch","scan_private_key":"00","spend_public_key":"02","detach":-1}"#,
        r#"{"type":"attach","watch_id":"watch-1","after":1}"#,
    ] {
        assert_eq!(code(bad), ErrorCode::InvalidField, "{bad}");
    }
}

#[test]
fn a_refusal_names_the_message_that_it_answers() {
    let refusal = parse_client_message(r#"{"type":"sync","sync_type":"NoSync","message_id":"msg-1"}"#).unwrap_err();
    assert_eq!(refusal.in_reply_to.as_deref(), Some("msg-1"));
    assert!(refusal.message.contains("StateSync"), "{}", refusal.message);
    let refusal = parse_client_message(r#"{"type":["sync"],"message_id":"msg-2"}"#).unwrap_err();
    assert_eq!(
        (refusal.code, refusal.in_reply_to.as_deref()),
        (ErrorCode::InvalidField, Some("msg-2"))
    );
    assert_eq!(
        message_id(r#"{"type":7,"message_id":"msg-3"}"#).as_deref(),
        Some("msg-3")
    );
    assert_eq!(message_id(r#"{"message_id":3}"#), None);
    assert_eq!(message_id("msg-3"), None);
}

#[test]
fn a_refusal_is_short_whatever_came() {
    let long = "é at line ".repeat(100_000);
    for text in [
        format!(r#"{{"type":"{long}"}}"#),
        format!(r#"{{"type":"ping","timestamp":"{long}"}}"#),
        format!(r#"{{"type":"subscribe","subscriptions":["{long}"]}}"#),
        long,
    ] {
        let message = parse_client_message(&text).unwrap_err().message;
        assert!((10..300).contains(&message.chars().count()), "{message}");
        // The value itself: 100 characters of it.
        assert!(message.matches('é').count() <= 11, "{message}");
    }
}

#[test]
fn unknown_fields_are_ignored_and_secrets_not_shown() {
    let watch = r#"{"type":"watch","scan_private_key":"5ec2e7","spend_public_key":"02","colour":"red"}"#;
    let message = parse_client_message(watch).unwrap();
    assert!(!format!("{message:?}").contains("5ec2e7"));
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in ".{0,200}") {
        drop(parse_client_message(&text));
    }

    #[test]
    fn any_json_is_read_or_refused(kind in "[a-z]{1,12}", field in "[a-z_]{1,12}", value in "(-?[0-9]{1,4}|null|true|\"[a-z]*\"|\\[\\]|\\{\\})") {
        drop(parse_client_message(&format!("{{\"type\":\"{kind}\",\"{field}\":{value}}}")));
    }
}

#[test]
fn a_key_in_the_wrong_place_is_not_quoted() {
    let key = "0f694e068028a717f8af6b9411f9a133dd3565258714cc226594b34db90c1f2c";
    for value in [key.to_owned(), format!("{key}\\\", expected"), key.repeat(10)] {
        let text =
            format!(r#"{{"type":"watch","scan_private_key":"00","spend_public_key":"02","labels":["{value}"]}}"#);
        let refusal = parse_client_message(&text).unwrap_err();
        assert!(!refusal.message.contains(&key[..16]), "{}", refusal.message);
        assert!(
            refusal.message.starts_with("watch: labels[0]: invalid type: a string"),
            "{}",
            refusal.message
        );
    }
}

#[test]
fn an_invalid_value_is_named_by_its_field() {
    let watch = r#"{"type":"watch","scan_private_key":"k","spend_public_key":"p""#;
    for (text, expected) in [
        (format!(r#"{watch},"from_height":-1}}"#), "watch: from_height: "),
        (format!(r#"{watch},"labels":[1,-1]}}"#), "watch: labels[1]: "),
        (
            r#"{"type":"handshake","client_id":"c","version":"1.0.0","capabilities":[],"resume_from":"5"}"#.to_owned(),
            "handshake: resume_from: ",
        ),
        (r#"{"type":"unwatch"}"#.to_owned(), "unwatch: missing field `watch_id`"),
    ] {
        let refusal = parse_client_message(&text).unwrap_err();
        assert!(refusal.message.starts_with(expected), "{}", refusal.message);
    }
}

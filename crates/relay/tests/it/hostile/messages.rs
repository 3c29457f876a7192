//! Invalid messages in valid frames.

use std::collections::BTreeMap;

use bitcoin::secp256k1::rand::Rng;
use serde_json::Value;

use crate::hostile::{Stage, mutation};
use crate::wire::Wire;

/// Messages after a handshake.
const TEXTS: usize = 4000;
/// First messages, and binary messages; each ends its connection.
const FIRST_TEXTS: usize = 1000;
const BINARIES: usize = 1000;

/// Consecutive errors that end a connection.
const ROW: usize = 10;

#[tokio::test(flavor = "multi_thread")]
async fn every_text_is_answered_and_ten_errors_in_a_row_end_the_connection() {
    let mut stage = Stage::set().await;
    let mut wire = Wire::connect(&stage.url(), &["sync"]).await;
    let mut counts = BTreeMap::<String, usize>::new();
    let mut row = 0;
    for n in 0..TEXTS {
        let text = either(&mut stage, n);
        wire.send_text(text.as_str()).await;
        let answer: Value = serde_json::from_str(&wire.answer_text().await).expect("JSON");
        let word = |field: &str| answer[field].as_str().unwrap_or_default().to_owned();
        *counts.entry(format!("{} {}", word("type"), word("code"))).or_default() += 1;
        row = if answer["type"] == "error" { row + 1 } else { 0 };
        if row == ROW {
            assert_eq!(wire.closed().await.0, 1002, "after {text:?}");
            wire = Wire::connect(&stage.url(), &["sync"]).await;
            row = 0;
        }
    }
    println!("{counts:#?}");
    for kind in [
        "error invalid_json",
        "error unknown_type",
        "error invalid_field",
        "pong ",
    ] {
        assert!(counts.contains_key(kind), "{kind} is not among them: {counts:?}");
    }
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_invalid_first_message_is_rejected() {
    let mut stage = Stage::set().await;
    let mut accepted = 0;
    for n in 0..FIRST_TEXTS {
        let text = either(&mut stage, n);
        let mut wire = Wire::open(&stage.url()).await;
        wire.send_text(text.as_str()).await;
        let response = wire.receive().await;
        assert_eq!(response["type"], "handshake_response", "{text:?}: {response}");
        if response["status"] == "accepted" {
            accepted += 1;
        } else {
            assert!(response["reason"].is_string(), "{text:?}: {response}");
            assert_eq!(wire.closed().await.0, 1002, "{text:?}");
        }
    }
    println!("{accepted} were valid");
    assert!(accepted < FIRST_TEXTS / 4, "{accepted}");
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_binary_message_is_1003() {
    let mut stage = Stage::set().await;
    for n in 0..BINARIES {
        let mut wire = match n % 2 {
            0 => Wire::open(&stage.url()).await,
            _ => Wire::connect(&stage.url(), &["notifications"]).await,
        };
        let bytes = mutation::bytes(&mut stage.rng, 2000);
        // In one frame or in two.
        let at = stage.rng.gen_range(0..=bytes.len());
        if n % 3 == 0 {
            wire.raw.send_frame(0x02, &bytes[..at]).await.unwrap();
            wire.raw.send_frame(0x80, &bytes[at..]).await.unwrap();
        } else {
            wire.raw.send_binary(bytes).await.unwrap();
        }
        assert_eq!(wire.closed().await.0, 1003);
    }
    stage.end().await;
}

/// A random text, or a message with random changes.
fn either(stage: &mut Stage, n: usize) -> String {
    match n % 2 {
        0 => mutation::text(&mut stage.rng),
        _ => mutation::message(&mut stage.rng),
    }
}

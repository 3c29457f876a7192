//! The end of connections, and requests that are not WebSocket upgrades.

use sdk_relay_client::Frame;
use serde_json::json;

use crate::wire::{DEADLINE, Wire, handshake, mine, start};
use testkit::{Bare, UPGRADE, close_code};

/// Largest message (docs/API.md, "Handle close codes").
const MIB: usize = 1 << 20;

#[tokio::test]
async fn a_close_is_answered_in_kind() {
    let relay = start().await;
    let mut wire = Wire::connect(&relay.ws_url(), &[]).await;
    wire.raw.send_close(1000).await.unwrap();
    assert_eq!(wire.closed().await.0, 1000);
}

#[tokio::test]
async fn a_binary_message_is_1003() {
    let relay = start().await;
    for greeted in [false, true] {
        let mut wire = match greeted {
            true => Wire::connect(&relay.ws_url(), &[]).await,
            false => Wire::open(&relay.ws_url()).await,
        };
        wire.raw.send_binary(*br#"{"type":"ping"}"#).await.unwrap();
        assert_eq!(wire.closed().await.0, 1003, "greeted: {greeted}");
    }
}

#[tokio::test]
async fn a_mebibyte_is_read_and_more_is_1009() {
    let relay = start().await;
    let mut wire = Wire::connect(&relay.ws_url(), &[]).await;
    let ping = r#"{"type":"ping"}"#;
    wire.send_text(format!("{ping}{}", " ".repeat(MIB - ping.len()))).await;
    assert_eq!(wire.receive().await["type"], "pong");
    wire.send_text("x".repeat(MIB)).await;
    assert_eq!(wire.receive().await["code"], "invalid_json");

    // Repeatedly: the code must not be lost in a reset while a part of the message is still in transit.
    for length in [MIB + 1, 2 * MIB, 8 * MIB] {
        let mut bare = Bare::connect(&relay.ws_url()).await.upgrade().await;
        bare.send_frame(0x81, &vec![b'x'; length]).await;
        assert_eq!(close_code(&bare.read_to_end(DEADLINE).await), Some(1009), "{length}");
    }
    // In small fragments.
    let mut bare = Bare::connect(&relay.ws_url()).await.upgrade().await;
    bare.send_frame(0x01, &vec![b'x'; MIB / 2]).await;
    bare.send_frame(0x00, &vec![b'x'; MIB / 2]).await;
    bare.send_frame(0x80, b"x").await;
    assert_eq!(close_code(&bare.read_to_end(DEADLINE).await), Some(1009), "fragments");
}

#[tokio::test]
async fn broken_frames_are_1002_and_broken_text_1007() {
    let relay = start().await;
    let masked_empty = [0x80, 0, 0, 0, 0];
    let frame = |first: u8| [&[first][..], &masked_empty].concat();
    for (what, bytes, code) in [
        ("unmasked", vec![0x81, 0x02, b'{', b'}'], 1002),
        ("a reserved bit", frame(0xc1), 1002),
        ("an unknown opcode", frame(0x83), 1002),
        ("an unknown control opcode", frame(0x8b), 1002),
        ("a continuation of nothing", frame(0x80), 1002),
        ("a fragmented ping", frame(0x09), 1002),
        (
            "a long ping",
            [&[0x89, 0xfe, 0, 126, 0, 0, 0, 0][..], &[0; 126]].concat(),
            1002,
        ),
        ("a text within a text", [frame(0x01), frame(0x81)].concat(), 1002),
        ("a close code of one byte", vec![0x88, 0x81, 0, 0, 0, 0, 3], 1002),
        (
            "a close code that is never sent",
            vec![0x88, 0x82, 0, 0, 0, 0, 0x03, 0xee],
            1002,
        ),
        ("text that is no UTF-8", vec![0x81, 0x81, 0, 0, 0, 0, 0xff], 1007),
    ] {
        let mut bare = Bare::connect(&relay.ws_url()).await.upgrade().await;
        assert!(bare.send(&bytes).await);
        assert_eq!(close_code(&bare.read_to_end(DEADLINE).await), Some(code), "{what}");
    }
}

#[tokio::test]
async fn a_message_may_come_in_fragments_and_pings_are_answered_between() {
    let relay = start().await;
    let mut wire = Wire::connect(&relay.ws_url(), &[]).await;
    wire.raw.send_frame(0x01, br#"{"type":"#).await.unwrap();
    wire.raw.send_ping(b"between").await.unwrap();
    assert_eq!(wire.raw.next().await.unwrap(), Frame::Pong(b"between".to_vec()));
    wire.raw.send_frame(0x80, br#""ping"}"#).await.unwrap();
    assert_eq!(wire.receive().await["type"], "pong");
}

#[tokio::test]
async fn a_shutdown_closes_all_clients_with_1001() {
    let mut relay = start().await;
    let mut clients = vec![Wire::open(&relay.ws_url()).await];
    for capabilities in [&[][..], &["notifications", "sync"], &["tweaks"]] {
        clients.push(Wire::connect(&relay.ws_url(), capabilities).await);
    }
    let ended = relay.terminate();
    let closed = async {
        for wire in &mut clients {
            assert_eq!(wire.closed().await.0, 1001);
        }
    };
    let (status, ()) = tokio::join!(ended, closed);
    assert!(status.success(), "{status}");
}

#[tokio::test]
async fn any_path_is_accepted() {
    let relay = start().await;
    for path in ["/", "/ws", "/api/v1/socket?token=x&y=%20", "/health"] {
        let mut wire = Wire::connect(&format!("{}{path}", relay.ws_url()), &["notifications"]).await;
        wire.assert_open().await;
    }
}

#[tokio::test]
async fn a_plain_http_request_gets_a_hint() {
    let relay = start().await;
    let without = |line: &str| UPGRADE.replace(line, "");
    for (what, request, status, hint) in [
        (
            "a GET",
            "GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(),
            "426",
            "connect with a WebSocket client",
        ),
        (
            "a POST",
            "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}".to_owned(),
            "426",
            "WebSocket client",
        ),
        (
            "no upgrade",
            without("Upgrade: websocket\r\n"),
            "426",
            "WebSocket client",
        ),
        (
            "an old version",
            UPGRADE.replace("Version: 13", "Version: 8"),
            "426",
            "version 13",
        ),
        (
            "no key",
            without("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"),
            "400",
            "Sec-WebSocket-Key",
        ),
        (
            "a short key",
            UPGRADE.replace("dGhlIHNhbXBsZSBub25jZQ==", "c2hvcnQ="),
            "400",
            "Sec-WebSocket-Key",
        ),
    ] {
        let mut bare = Bare::connect(&relay.ws_url()).await;
        assert!(bare.send(request.as_bytes()).await);
        let answer = String::from_utf8(bare.read_to_end(DEADLINE).await).unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{what}: {answer}");
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(body.contains(hint), "{what}: {answer}");
        assert!(
            head.to_lowercase().contains("\r\nupgrade: websocket"),
            "{what}: {answer}"
        );
    }
}

#[tokio::test]
async fn a_lost_client_leaves_nothing_behind() {
    let relay = start().await;
    let mut stays = Wire::connect(&relay.ws_url(), &["notifications", "sync"]).await;
    for _ in 0..20 {
        drop(Wire::connect(&relay.ws_url(), &["notifications", "tweaks"]).await);
        let mut bare = Bare::connect(&relay.ws_url()).await.upgrade().await;
        bare.send_frame(0x81, handshake(&["notifications"]).to_string().as_bytes())
            .await;
    }
    mine(&relay, 1).await;
    assert_eq!(stays.notification().await["notification_type"], "block_mined");
    let mut asked = 0;
    testkit::eventually(DEADLINE, "the others are gone", async || {
        asked += 1;
        let message = json!({"type": "sync", "sync_type": "StateSync", "message_id": format!("s-{asked}")});
        (stays.request(message).await["payload"]["state"]["connections"] == 1).then_some(())
    })
    .await;
}

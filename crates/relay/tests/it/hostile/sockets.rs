//! Invalid bytes below the level of messages: on the TCP connection, before and after the upgrade, on both ports.

use std::time::Duration;

use bitcoin::secp256k1::rand::Rng;
use bitcoin::secp256k1::rand::rngs::StdRng;
use bitcoin::secp256k1::rand::seq::SliceRandom;
use tokio::io::AsyncWriteExt;

use crate::hostile::{Stage, mutation};
use crate::wire::{DEADLINE, handshake};
use testkit::{Bare, UPGRADE, close_code, frame};

/// Byte strings instead of a request, half of them on each port; and as many after the upgrade.
const REQUESTS: usize = 2000;
const FRAMES: usize = 2000;
/// Byte strings that are sent concurrently.
const AT_ONCE: usize = 20;

/// Codes that may end a connection with invalid frames, if there is a close frame.
const CODES: [u16; 5] = [1000, 1002, 1003, 1007, 1009];

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_are_not_a_request_end_their_connection() {
    let mut stage = Stage::set().await;
    let urls = [stage.relay.ws_url(), stage.relay.http_url()];
    for n in (0..REQUESTS).step_by(AT_ONCE) {
        let pieces = (n..n + AT_ONCE).map(|n| {
            let (url, bytes) = (urls[n % 2].clone(), request(&mut stage.rng, n));
            tokio::spawn(async move {
                let mut bare = Bare::connect(&url).await;
                bare.send(&bytes).await;
                // With the end of input, the relay does not wait for the rest of a request.
                drop(bare.stream.shutdown().await);
                let answer = bare.read_to_end(DEADLINE).await;
                assert!(
                    answer.is_empty() || answer.starts_with(b"HTTP/1.1 "),
                    "{bytes:?}: {answer:?}"
                );
            })
        });
        for piece in pieces.collect::<Vec<_>>() {
            piece.await.unwrap();
        }
    }
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_are_not_frames_end_their_connection() {
    let mut stage = Stage::set().await;
    let url = stage.url();
    for n in (0..FRAMES).step_by(AT_ONCE) {
        let pieces = (n..n + AT_ONCE).map(|n| {
            let (url, bytes) = (url.clone(), frames(&mut stage.rng));
            tokio::spawn(async move {
                let mut bare = Bare::connect(&url).await.upgrade().await;
                if n % 2 == 0 {
                    bare.send_frame(0x81, handshake(&["notifications"]).to_string().as_bytes())
                        .await;
                }
                bare.send(&bytes).await;
                drop(bare.stream.shutdown().await);
                let sent = bare.read_to_end(DEADLINE).await;
                let code = close_code(&sent);
                assert!(
                    code.is_none_or(|code| CODES.contains(&code) || is_echo(&bytes, code)),
                    "{bytes:?}: {code:?}"
                );
            })
        });
        for piece in pieces.collect::<Vec<_>>() {
            piece.await.unwrap();
        }
    }
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_stall_are_disconnected() {
    let stage = Stage::impatient().await;
    let urls = [stage.relay.ws_url(), stage.relay.http_url()];
    let half = "GET /health HTTP/1.1\r\nHost: relay\r\nX-Long: ";
    let mut waiting = Vec::new();
    for url in &urls {
        for beginning in ["", "G", half] {
            for drips in [false, true] {
                let url = url.clone();
                waiting.push(tokio::spawn(async move {
                    let mut bare = Bare::connect(&url).await;
                    bare.send(beginning.as_bytes()).await;
                    let (mut reading, mut writing) = bare.stream.split();
                    let drip = async {
                        // A byte at intervals, so that the connection is not idle. It ends with the connection.
                        let mut every = tokio::time::interval(Duration::from_millis(200));
                        while drips && writing.write_all(b"x").await.is_ok() {
                            every.tick().await;
                        }
                        std::future::pending::<()>().await;
                    };
                    let end = async {
                        let mut all = Vec::new();
                        drop(tokio::io::AsyncReadExt::read_to_end(&mut reading, &mut all).await);
                    };
                    tokio::select! {
                        () = drip => {}
                        () = end => {}
                        () = tokio::time::sleep(DEADLINE) => panic!("{url} still waits for {beginning:?}, {drips}"),
                    }
                }));
            }
        }
    }
    // The same after the upgrade: no frame, and frames that never make a message, are no handshake.
    for bytes in [
        Vec::new(),
        frame(0x01, b""),
        frame(0x01, b"{"),
        vec![0x81, 0xff, 0, 0, 0, 0, 0, 0, 0xff, 0xff],
    ] {
        let url = urls[0].clone();
        waiting.push(tokio::spawn(async move {
            let mut bare = Bare::connect(&url).await.upgrade().await;
            bare.send(&bytes).await;
            let sent = bare.read_to_end(DEADLINE).await;
            assert_eq!(close_code(&sent), Some(1002), "no handshake in time");
        }));
    }
    for client in waiting {
        client.await.unwrap();
    }
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn endless_fragments_are_bounded() {
    let stage = Stage::impatient().await;
    // A message that grows for ever exceeds the size limit.
    let mut bare = Bare::connect(&stage.url()).await.upgrade().await;
    bare.send_frame(0x81, handshake(&[]).to_string().as_bytes()).await;
    bare.send_frame(0x01, b"{").await;
    let fragment = frame(0x00, &[b' '; 60_000]);
    for _ in 0..40 {
        if !bare.send(&fragment).await {
            break;
        }
    }
    assert_eq!(close_code(&bare.read_to_end(DEADLINE).await), Some(1009));

    // One that never grows is not a handshake.
    let mut bare = Bare::connect(&stage.url()).await.upgrade().await;
    bare.send_frame(0x01, b"").await;
    let empty = frame(0x00, b"").repeat(1000);
    bare.flood(&empty, DEADLINE).await;
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn floods_without_reading_are_disconnected() {
    let stage = Stage::impatient().await;
    let texts = frame(0x81, br#"{"type":"ping"}"#).repeat(100);
    let mistakes = frame(0x81, b"{").repeat(100);
    let pings = frame(0x89, &[b'x'; 125]).repeat(100);
    let closes = frame(0x88, &[0x03, 0xe8]).repeat(100);
    let mut floods = Vec::new();
    for flood in [texts, mistakes, pings, closes] {
        let url = stage.url();
        floods.push(tokio::spawn(async move {
            let mut bare = Bare::connect_narrow(&url).await.upgrade().await;
            bare.send_frame(0x81, handshake(&["notifications"]).to_string().as_bytes())
                .await;
            bare.flood(&flood, DEADLINE).await;
        }));
    }
    for flood in floods {
        flood.await.unwrap();
    }
    stage.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn huge_requests_are_refused() {
    let stage = Stage::set().await;
    let urls = [stage.relay.ws_url(), stage.relay.http_url()];
    let many = format!("GET / HTTP/1.1\r\nHost: x\r\n{}\r\n", "A: b\r\n".repeat(10_000));
    let long = format!("GET / HTTP/1.1\r\nHost: x\r\nCookie: {}\r\n\r\n", "c".repeat(1 << 20));
    let path = format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "p".repeat(100_000));
    for (n, request) in [many, long, path].iter().enumerate() {
        for url in &urls {
            let mut bare = Bare::connect(url).await;
            bare.send(request.as_bytes()).await;
            let answer = bare.read_to_end(DEADLINE).await;
            let text = String::from_utf8_lossy(&answer);
            let refused = ["HTTP/1.1 431 ", "HTTP/1.1 414 ", "HTTP/1.1 400 "];
            // A reset may overtake the answer while the request is still on its way.
            assert!(
                answer.is_empty() || refused.iter().any(|r| text.starts_with(r)),
                "{n}: {text}"
            );
        }
    }
    stage.end().await;
}

/// Bytes instead of a request: random ones, or a request with random changes.
fn request(rng: &mut StdRng, n: usize) -> Vec<u8> {
    if n % 4 < 2 {
        return mutation::bytes(rng, 3000);
    }
    let mut bytes = match n % 8 {
        2 | 3 => UPGRADE.as_bytes().to_vec(),
        4 | 5 => b"POST /dev/pay HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 20\r\n\r\n{\"address\":\"a\"}".to_vec(),
        _ => b"POST /dev/pay HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"a\":\r\n0\r\n\r\n".to_vec(),
    };
    for _ in 0..rng.gen_range(1..6) {
        let at = rng.gen_range(0..bytes.len());
        match rng.gen_range(0..4) {
            0 => bytes[at] = rng.r#gen(),
            1 => bytes.truncate(at.max(1)),
            2 => drop(bytes.splice(at..at, mutation::bytes(rng, 10))),
            _ => drop(bytes.splice(at..at, b"\r\n".repeat(rng.gen_range(1..3)))),
        }
    }
    bytes
}

/// Whether `code` is one of an application (RFC 6455, 7.4.2) that the client sent: a close frame of the client is
/// answered with its own code.
fn is_echo(sent: &[u8], code: u16) -> bool {
    (3000..=4999).contains(&code) && sent.windows(2).any(|pair| pair == code.to_be_bytes())
}

/// Bytes instead of frames: random ones, or frames with random headers.
fn frames(rng: &mut StdRng) -> Vec<u8> {
    if rng.gen_bool(0.4) {
        return mutation::bytes(rng, 2000);
    }
    let mut bytes = Vec::new();
    for _ in 0..rng.gen_range(1..6) {
        let opcode = *[0x00, 0x01, 0x02, 0x08, 0x09, 0x0a, 0x03, 0x0b]
            .choose(rng)
            .expect("one");
        let fin = if rng.gen_bool(0.7) { 0x80 } else { 0 };
        let reserved = if rng.gen_bool(0.1) { 0x40 } else { 0 };
        let mut frame = frame(fin | reserved | opcode, &mutation::bytes(rng, 150));
        match rng.gen_range(0..8) {
            // Unmasked.
            0 => frame[1] &= 0x7f,
            // Longer or shorter than its header states.
            1 => frame[1] = rng.r#gen(),
            2 => frame.truncate(frame.len() / 2),
            _ => {}
        }
        bytes.extend(frame);
    }
    bytes
}

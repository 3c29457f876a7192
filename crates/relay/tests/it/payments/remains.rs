//! A watch leaves nothing behind in the memory of the relay.
//!
//! The memory is read through `/proc/PID/mem`, every writable mapping: the content of a core dump, without writing one.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

use bitcoin::hex::FromHex;
use memchr::memmem::Finder;
use sdk_relay_client::protocol::{ClientMessage, Handshake, ServerMessage, Unwatch, encode_text};
use sdk_relay_client::{Event, Frame, RawClient};
use testkit::{InputKind, Payee, RelayOptions, RelayProcess};
use tokio::time::timeout;

use crate::stage::{Stage, silent};
use crate::support::DEADLINE;
use crate::support::recorder::watch_of;

/// Size of a searched piece of memory, and overlap of two pieces: longer than the searched bytes.
const PIECE: usize = 4 << 20;
const OVERLAP: usize = 4 << 10;

#[tokio::test]
async fn an_ended_watch_leaves_neither_key_nor_tweak_nor_address() {
    let mut stage = Stage::new().await;
    let with_tls = RelayOptions::new(env!("CARGO_BIN_EXE_sdk_relay"))
        .node(&stage.node)
        .arg("--tls-self-signed");
    let with_tls = RelayProcess::start(with_tls).await;
    let certificate = with_tls.data_dir().join("tls-self-signed.crt");
    let plain = RawClient::connect(&stage.relay.ws_url()).await.unwrap();
    let secure = with_tls.ws_url().replace("ws://", "wss://");
    let secure = RawClient::connect_trusting(&secure, certificate).await.unwrap();
    let pids = [stage.relay.pid(), with_tls.pid()];
    for (client, pid) in [plain, secure].into_iter().zip(pids) {
        watched_and_forgotten(&mut stage, client, pid).await;
    }
}

async fn watched_and_forgotten(stage: &mut Stage, mut client: RawClient, pid: u32) {
    let payee = Payee::new(&[7]);
    let handshake = Handshake {
        client_id: "private".to_owned(),
        version: "1.0.0".to_owned(),
        ..Handshake::default()
    };
    client.send(&ClientMessage::Handshake(handshake)).await.unwrap();
    // One message is sent in two parts, as on a slow network: the first waits in memory for the second.
    let watch = encode_text(&ClientMessage::Watch(watch_of(&payee))).unwrap();
    let (first, second) = watch.split_at(watch.len() - 5);
    client.send_frame(0x01, first.as_bytes()).await.unwrap();
    client.send_ping(b"between").await.unwrap();
    client.send_frame(0x80, second.as_bytes()).await.unwrap();
    let watch_id = loop {
        if let ServerMessage::WatchResponse(response) = received(&mut client).await {
            break response.watch_id;
        }
    };
    // An invalid message with the key, too.
    let wrong = watch.replace("\"spend_public_key\"", "\"spend_key\"");
    client.send_text(wrong).await.unwrap();

    let labelled = payee.labelled_address(7);
    let outputs = [silent(payee.address(), 20_000), silent(labelled, 30_000)];
    let tx = stage.payer.pay(&[InputKind::P2tr], &outputs);
    stage.node.send_raw(&tx).await;
    let mut tweaks = Vec::new();
    while tweaks.len() < 2 {
        if let ServerMessage::Notification(notification) = received(&mut client).await
            && let Event::PaymentDetected(payment) = notification.event
        {
            tweaks.push(payment.tweak.expect("a watch gets the tweak").expose().to_owned());
        }
    }
    stage.node.mine(1).await;
    let mut confirmed = 0;
    while confirmed < 2 {
        if let ServerMessage::Notification(notification) = received(&mut client).await
            && let Event::PaymentDetected(payment) = notification.event
        {
            confirmed += usize::from(payment.block_hash.is_some());
        }
    }

    let mut secrets = hex_and_bytes("the scan key", &payee.scan_hex());
    for tweak in &tweaks {
        secrets.extend(hex_and_bytes("an output tweak", tweak));
    }
    for address in [payee.address(), labelled] {
        secrets.push(("an address", address.to_string().into_bytes()));
    }
    let there = found(pid, &secrets);
    for secret in ["the scan key", "an address"] {
        assert!(
            there.iter().any(|found| found.starts_with(secret)),
            "the search finds {secret} while it is there"
        );
    }

    client
        .send(&ClientMessage::Unwatch(Unwatch {
            watch_id,
            message_id: None,
        }))
        .await
        .unwrap();
    while !matches!(received(&mut client).await, ServerMessage::UnwatchResponse(_)) {}
    client.send_close(1000).await.unwrap();
    while client.next().await.is_ok() {}
    let mut last = Vec::new();
    let gone = timeout(DEADLINE, async {
        loop {
            last = found(pid, &secrets);
            if last.is_empty() {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    });
    let gone = gone.await;
    assert!(
        gone.is_ok(),
        "in the relay's memory after the watch has ended: {last:#?}"
    );
}

async fn received(client: &mut RawClient) -> ServerMessage {
    loop {
        match timeout(DEADLINE, client.next())
            .await
            .expect("an answer in time")
            .unwrap()
        {
            Frame::Text(text) => return serde_json::from_str(&text).unwrap(),
            Frame::Ping(_) | Frame::Pong(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

type Secret = (&'static str, Vec<u8>);

pub(crate) fn hex_and_bytes(what: &'static str, hex: &str) -> Vec<Secret> {
    let mut reversed = Vec::from_hex(hex).unwrap();
    reversed.reverse();
    vec![
        (what, Vec::from_hex(hex).unwrap()),
        // In the byte order of libraries on this machine.
        (what, reversed),
        (what, hex.to_lowercase().into_bytes()),
        (what, hex.to_uppercase().into_bytes()),
    ]
}

/// The secrets that are in the memory of this process, with their addresses.
pub(crate) fn found(pid: u32, secrets: &[Secret]) -> Vec<String> {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let mut memory = File::open(format!("/proc/{pid}/mem")).unwrap();
    let finders: Vec<_> = secrets.iter().map(|(what, bytes)| (what, Finder::new(bytes))).collect();
    let mut found = Vec::new();
    for line in maps
        .lines()
        .filter(|line| line.split(' ').nth(1).is_some_and(|p| p.starts_with("rw")))
    {
        let (from, to) = line.split(' ').next().and_then(|range| range.split_once('-')).unwrap();
        let [from, to] = [from, to].map(|address| u64::from_str_radix(address, 16).unwrap());
        let mut at = from;
        while at < to {
            let mut piece = vec![0; PIECE.min(usize::try_from(to - at).unwrap())];
            // A mapping may have been removed since it was listed.
            if memory.seek(SeekFrom::Start(at)).is_err() || memory.read_exact(&mut piece).is_err() {
                break;
            }
            for (what, finder) in &finders {
                let places = finder.find_iter(&piece);
                found.extend(places.map(|place| {
                    let around = &piece[place.saturating_sub(48)..piece.len().min(place + finder.needle().len() + 48)];
                    format!(
                        "{what} ({} bytes) at {:x} of {line}: {}",
                        finder.needle().len(),
                        at + place as u64,
                        String::from_utf8_lossy(around)
                    )
                }));
            }
            let next = at + piece.len() as u64;
            at = if next < to { next - OVERLAP as u64 } else { to };
        }
    }
    found
}

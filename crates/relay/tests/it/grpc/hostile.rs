//! A thousand connections that send what no wallet sends, or read nothing, beside one that streams blocks.

use prost::Message;
use sdk_relay_transport::open_files;
use testkit::{RelayOptions, RelayProcess, eventually};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::blindbit::scene::INDEXED;
use crate::grpc::client::{client, range};
use crate::support::DEADLINE;
use crate::wire::{get, mine};

const CONNECTIONS: usize = 1_000;
const AT_ONCE: usize = 100;
const BLOCKS: u32 = 200;
/// More than a relay with a few hundred connections needs.
const MEMORY: u64 = 300_000_000;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Kinds of frames (RFC 9113).
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
/// Flags.
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// The first bytes of a client: the windows of its streams, and a larger one for the connection.
fn hello(window: u32) -> Vec<u8> {
    let settings = [&[0, 4], &window.to_be_bytes()[..]].concat();
    [
        PREFACE,
        &frame(SETTINGS, 0, 0, &settings),
        &frame(WINDOW_UPDATE, 0, 0, &0x7fff_0000_u32.to_be_bytes()),
    ]
    .concat()
}

/// Headers of a call, as HPACK literals (RFC 7541).
fn headers(call: &str) -> Vec<u8> {
    let path = format!("/blindbit.oracle.v1.OracleService/{call}");
    // `:method: POST` and `:scheme: http` are in its static table.
    let mut block = vec![0x83, 0x86];
    for (name, value) in [
        (":path", path.as_str()),
        (":authority", "localhost"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    ] {
        block.push(0);
        for text in [name, value] {
            block.push(u8::try_from(text.len()).unwrap());
            block.extend(text.as_bytes());
        }
    }
    block
}

/// All of a call that streams all blocks.
fn stream(id: u32) -> Vec<u8> {
    let message = range(0, BLOCKS).encode_to_vec();
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    let message = [&[0], &length[..], &message].concat();
    [
        frame(HEADERS, END_HEADERS, id, &headers("StreamComputeIndex")),
        frame(DATA, END_STREAM, id, &message),
    ]
    .concat()
}

/// Streams of a client have odd numbers.
fn ids(count: u32) -> impl Iterator<Item = u32> {
    (0..count).map(|n| 2 * n + 1)
}

/// What one of them sends.
fn input(n: usize) -> Vec<u8> {
    const LARGE: u32 = 0x7fff_ffff;
    let cancel = 8_u32.to_be_bytes();
    match n % 10 {
        // Half open.
        0 => Vec::new(),
        1 => PREFACE[..8].to_vec(),
        // Never reads.
        2 => [hello(LARGE), ids(20).flat_map(stream).collect()].concat(),
        // Reads a byte at a time.
        3 => {
            let bytes = (0..100).flat_map(|_| frame(WINDOW_UPDATE, 0, 1, &1_u32.to_be_bytes()));
            [hello(0), stream(1), bytes.collect()].concat()
        }
        // Cancels its calls at once.
        4 => {
            let calls = ids(200).flat_map(|id| [stream(id), frame(RST_STREAM, 0, id, &cancel)].concat());
            [hello(LARGE), calls.collect()].concat()
        }
        // A request that is not complete.
        5 => [hello(LARGE), frame(HEADERS, END_HEADERS, 1, &headers("GetFullBlock"))].concat(),
        // Headers without an end.
        6 => {
            let more = (0..200).flat_map(|_| frame(CONTINUATION, 0, 1, &[0, 1, b'a', 100, b'b'].repeat(20)));
            [hello(LARGE), frame(HEADERS, 0, 1, &headers("GetInfo")), more.collect()].concat()
        }
        // Pings, and no answer is read.
        7 => [hello(LARGE), frame(PING, 0, 0, &[7; 8]).repeat(5_000)].concat(),
        // A frame that is too large, and what is no frame.
        8 => [hello(LARGE), vec![0xff; 1_000]].concat(),
        _ => b"GET /info HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(),
    }
}

/// Connects and sends. Half of the connections are closed at once, with what they were sent unread: a reset.
async fn attack(address: String, n: usize) -> Option<TcpStream> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // It may be closed before all is written, or wait for its turn.
    drop(timeout(DEADLINE, stream.write_all(&input(n))).await);
    (n / 10).is_multiple_of(2).then_some(stream)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_hostile_connections_change_nothing_for_one_that_streams() {
    open_files::to_the_most();
    let options = RelayOptions::new(env!("CARGO_BIN_EXE_sdk_relay"))
        .arg("--standalone")
        .set("BLINDBIT__GRPC_LISTEN", "127.0.0.1:0");
    let relay = RelayProcess::start(options).await;
    mine(&relay, BLOCKS).await;
    let mut honest = client(&relay);
    eventually(INDEXED, "the index", async || {
        let best = honest.get_best_block_height(()).await.ok()?.into_inner();
        (best.block_height >= u64::from(BLOCKS)).then_some(())
    })
    .await;
    let mut blocks = honest
        .stream_compute_index(range(0, BLOCKS))
        .await
        .unwrap()
        .into_inner();
    let address = relay.grpc_url().split_once("://").unwrap().1.to_owned();
    let mut kept = Vec::new();
    let mut heights = Vec::new();
    for round in (0..CONNECTIONS).step_by(AT_ONCE) {
        let attacks: JoinSet<_> = (round..round + AT_ONCE).map(|n| attack(address.clone(), n)).collect();
        for _ in 0..20 {
            let info = timeout(DEADLINE, honest.get_info(())).await.expect("an answer in time");
            assert!(info.unwrap().into_inner().height >= u64::from(BLOCKS));
            let block = timeout(DEADLINE, blocks.message()).await.expect("a block in time");
            heights.push(block.unwrap().expect("a block").block_identifier.unwrap().block_height);
        }
        kept.extend(attacks.join_all().await.into_iter().flatten());
        assert_eq!(get(&relay, "/health").await["status"], "healthy");
    }
    assert_eq!(heights, (0..u64::from(BLOCKS)).collect::<Vec<_>>());
    let memory = relay.resident_bytes();
    assert!(memory < MEMORY, "{memory} bytes of memory");
    // All of them leave: another client is served.
    drop(kept);
    eventually(DEADLINE, "another client is served", async || {
        let answered = timeout(INDEXED, async { client(&relay).get_info(()).await }).await;
        answered.ok()?.ok()
    })
    .await;
    let log = relay.stderr();
    for word in ["panicked", "ERROR"] {
        assert!(!log.contains(word), "{word}:\n{log}");
    }
}

//! Streams: back pressure, a client that leaves, reorganisations, and the shutdown.

use std::time::Duration;

use bitcoin::hashes::Hash;
use sdk_relay_blindbit_proto::{BlockScanDataShortResponse, RangedBlockHeightRequestFiltered};
use sdk_relay_protocol::CloseCode;
use tokio::time::timeout;
use tonic::{Code, Status, Streaming};

use super::scene::{GrpcClient, Scene, TRANSACTIONS, append, hash};

const BLOCKS: u32 = 400;
/// Blocks of 10 KB that fit into the window of the client (64 KiB), the buffers of its connection and one batch, with
/// a margin for larger buffers of the system.
const UNREAD: u64 = 100;
/// Round trips after which a stream without back pressure would have sent all of its blocks.
const ROUND_TRIPS: usize = 200;
const DEADLINE: Duration = Duration::from_secs(60);

fn range(start: u64, end: u64) -> RangedBlockHeightRequestFiltered {
    RangedBlockHeightRequestFiltered {
        start,
        end,
        dustlimit: 0,
        cut_through: false,
    }
}

async fn open(client: &mut GrpcClient, end: u64) -> Streaming<BlockScanDataShortResponse> {
    let stream = client.stream_block_scan_data_short(range(0, end)).await;
    stream.unwrap().into_inner()
}

async fn next(stream: &mut Streaming<BlockScanDataShortResponse>) -> Result<Option<u64>, Status> {
    let message = timeout(DEADLINE, stream.message()).await.expect("a message in time")?;
    Ok(message.map(|block| block.block_identifier.unwrap().block_height))
}

/// Reads to the end.
async fn rest(stream: &mut Streaming<BlockScanDataShortResponse>) -> (Vec<u64>, Option<Status>) {
    let mut heights = Vec::new();
    loop {
        match next(stream).await {
            Ok(Some(height)) => heights.push(height),
            Ok(None) => return (heights, None),
            Err(status) => return (heights, Some(status)),
        }
    }
}

/// Calls that the server answers while a stream waits.
async fn others_are_answered(client: &mut GrpcClient) {
    for _ in 0..ROUND_TRIPS {
        let info = timeout(DEADLINE, client.get_info(())).await.expect("an answer in time");
        assert_eq!(info.unwrap().into_inner().height, u64::from(BLOCKS - 1));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_does_not_read_is_sent_a_few_blocks_and_the_rest_when_it_reads() {
    let scene = Scene::new(BLOCKS);
    let mut client = scene.serve();
    let mut stream = open(&mut client, u64::from(BLOCKS - 1)).await;
    assert_eq!(next(&mut stream).await.unwrap(), Some(0));
    others_are_answered(&mut client).await;
    let sent = scene.metrics.streamed_blocks.get();
    assert!((1..UNREAD).contains(&sent), "{sent} of {BLOCKS} blocks");
    let (heights, status) = rest(&mut stream).await;
    assert!(status.is_none(), "{status:?}");
    assert_eq!(heights, (1..u64::from(BLOCKS)).collect::<Vec<_>>());
    assert_eq!(scene.metrics.streamed_blocks.get(), u64::from(BLOCKS));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_work_stops_when_the_client_leaves() {
    let scene = Scene::new(BLOCKS);
    let mut client = scene.serve();
    // More than an address of this machine may have at once, if they did not end.
    for _ in 0..120 {
        let mut stream = open(&mut client, u64::from(BLOCKS - 1)).await;
        assert_eq!(next(&mut stream).await.unwrap(), Some(0));
        drop(stream);
    }
    others_are_answered(&mut client).await;
    let sent = scene.metrics.streamed_blocks.get();
    assert!(sent < 120 * UNREAD, "{sent} blocks");
    others_are_answered(&mut client).await;
    assert_eq!(scene.metrics.streamed_blocks.get(), sent, "no further ones");
    assert_eq!(scene.metrics.count("StreamBlockScanDataShort", Code::Cancelled), 120);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_is_of_one_chain() {
    let scene = Scene::new(BLOCKS);
    let mut client = scene.serve();
    let mut stream = open(&mut client, u64::from(BLOCKS - 1)).await;
    assert_eq!(next(&mut stream).await.unwrap(), Some(0));
    // A reorganisation of blocks that it has not sent.
    others_are_answered(&mut client).await;
    scene.store.rewind(BLOCKS - 10).unwrap();
    append(&scene.store, BLOCKS - 9, BLOCKS, 0);
    for height in 1..10 {
        assert_eq!(next(&mut stream).await.unwrap(), Some(height));
    }
    // And one of blocks that it has sent.
    scene.store.rewind(3).unwrap();
    append(&scene.store, 4, BLOCKS, 1);
    let (heights, status) = rest(&mut stream).await;
    let status = status.expect("the stream does not end as if it were complete");
    assert_eq!(status.code(), Code::Aborted, "{status}");
    assert!(
        status.message().contains("reorganisation has replaced block"),
        "{status}"
    );
    let sent: Vec<_> = (10..).take(heights.len()).collect();
    assert_eq!(heights, sent);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_shutdown_ends_a_stream_with_the_height_to_go_on_from() {
    let scene = Scene::new(BLOCKS);
    let mut client = scene.serve();
    let mut stream = open(&mut client, u64::from(BLOCKS - 1)).await;
    assert_eq!(next(&mut stream).await.unwrap(), Some(0));
    scene.ending.send_replace(Some(CloseCode::Restart));
    let (heights, status) = rest(&mut stream).await;
    let status = status.expect("the stream does not end as if it were complete");
    assert_eq!(status.code(), Code::Unavailable, "{status}");
    let next = heights.last().unwrap_or(&0) + 1;
    assert!(
        status.message().ends_with(&format!("go on from block {next}")),
        "{status}"
    );
}

#[tokio::test]
async fn the_messages_are_those_of_the_blocks() {
    let scene = Scene::new(5);
    let mut client = scene.serve();
    let mut request = range(3, 4);
    request.dustlimit = 40;
    let mut stream = client.stream_block_scan_data_short(request).await.unwrap().into_inner();
    for height in 3..5 {
        let block = stream.message().await.unwrap().unwrap();
        let mut display = hash(height, 0).to_byte_array();
        display.reverse();
        let identifier = block.block_identifier.unwrap();
        assert_eq!(
            (identifier.block_hash, identifier.block_height),
            (display.to_vec(), height.into())
        );
        // The outputs have 0 to 99 satoshis.
        assert_eq!(block.comp_index.len(), TRANSACTIONS as usize - 40);
        assert_eq!(block.spent_outputs, u64::from(height).to_be_bytes());
        for item in &block.comp_index {
            let mut serialised = item.txid.clone();
            serialised.reverse();
            assert_eq!(item.tweak[1..], serialised);
            assert_eq!(item.outputs_short, serialised[..8]);
        }
    }
    assert!(stream.message().await.unwrap().is_none());
}

#[tokio::test]
async fn a_block_that_is_not_indexed_ends_the_stream_after_those_before_it() {
    let scene = Scene::new(5);
    let mut client = scene.serve();
    let mut stream = open(&mut client, 9).await;
    let (heights, status) = rest(&mut stream).await;
    assert_eq!(heights, [0, 1, 2, 3, 4]);
    let status = status.unwrap();
    assert_eq!(
        (status.code(), status.message()),
        (Code::NotFound, "block 5 does not exist: the newest is 4")
    );
}

#[tokio::test]
async fn odd_ranges_are_refused_with_the_reason() {
    let scene = Scene::new(5);
    let mut client = scene.serve();
    for (request, code, text) in [
        (range(4, 3), Code::InvalidArgument, "start is 4, above end, which is 3"),
        (
            range(u64::MAX, u64::MAX),
            Code::OutOfRange,
            "start is 18446744073709551615",
        ),
        (
            range(0, 1 << 32),
            Code::OutOfRange,
            "end is 4294967296, and no height is above 4294967295",
        ),
        (
            range(u32::MAX.into(), u32::MAX.into()),
            Code::NotFound,
            "block 4294967295 does not exist",
        ),
    ] {
        let status = match client.stream_compute_index(request).await {
            Ok(stream) => stream.into_inner().message().await.unwrap_err(),
            Err(status) => status,
        };
        assert_eq!(status.code(), code, "{status}");
        assert!(status.message().contains(text), "{status}");
    }
}

#[tokio::test]
async fn the_blocks_before_a_damaged_one_are_sent() {
    let scene = Scene::new(12);
    scene.damage_newest();
    let mut stream = open(&mut scene.serve(), 11).await;
    let (heights, status) = rest(&mut stream).await;
    assert_eq!(heights, (0..11).collect::<Vec<_>>());
    assert_eq!(status.unwrap().code(), Code::Unavailable);
}

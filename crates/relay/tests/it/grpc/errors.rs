//! Errors have the code and a sentence.

use std::sync::atomic::Ordering;
use std::time::Duration;

use sdk_relay_blindbit_proto::BlockHeightRequest;
use testkit::{RelayOptions, RelayProcess, eventually};
use tonic::{Code, Request, Status};

use crate::blindbit::building::{behind_a_gate, index};
use crate::blindbit::scene::INDEXED;
use crate::grpc::client::{GrpcClient, client, range};

fn is(status: &Status, code: Code, text: &str) {
    assert_eq!(status.code(), code, "{status}");
    assert!(status.message().contains(text), "{status}");
}

async fn first_of_stream(client: &mut GrpcClient, start: u32, end: u32) -> Status {
    match client.stream_block_scan_data_short(range(start, end)).await {
        Ok(stream) => stream.into_inner().message().await.unwrap_err(),
        Err(status) => status,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn blocks_that_are_not_indexed_are_not_found_or_not_available_yet() {
    let (node, url, open) = behind_a_gate().await;
    let options = RelayOptions::new(env!("CARGO_BIN_EXE_sdk_relay"))
        .node(&node)
        .set("BITCOIN_CORE__URL", url)
        .set("BLINDBIT__GRPC_LISTEN", "127.0.0.1:0")
        .set("INDEX__START_HEIGHT", "5");
    let relay = RelayProcess::start(options).await;
    eventually(INDEXED, "the index at 20", async || {
        (index(&relay).await["height"] == 20).then_some(())
    })
    .await;
    let mut client = client(&relay);
    open.store(false, Ordering::Release);
    node.mine(10).await;
    eventually(INDEXED, "the tip of the node", async || {
        let status = client
            .get_full_block(BlockHeightRequest { block_height: 25 })
            .await
            .unwrap_err();
        (status.code() == Code::Unavailable).then_some(())
    })
    .await;
    for (height, code, text) in [
        (4, Code::NotFound, "the index begins at block 5"),
        (25, Code::Unavailable, "blocks 5 to 20, of 30; try again later"),
        (31, Code::NotFound, "block 31 does not exist: the newest is 30"),
    ] {
        let block = BlockHeightRequest {
            block_height: height.into(),
        };
        is(&client.get_full_block(block).await.unwrap_err(), code, text);
        is(&client.get_block_hash_by_height(block).await.unwrap_err(), code, text);
        is(&client.get_spent_outputs_short(block).await.unwrap_err(), code, text);
        is(&first_of_stream(&mut client, height, height).await, code, text);
    }
    let block = BlockHeightRequest { block_height: u64::MAX };
    let status = client.get_full_block(block).await.unwrap_err();
    is(&status, Code::OutOfRange, "block_height is 18446744073709551615");
    is(
        &first_of_stream(&mut client, 8, 7).await,
        Code::InvalidArgument,
        "start is 8",
    );
    assert_eq!(client.get_info(()).await.unwrap().into_inner().height, 20);

    let mut late = Request::new(());
    late.set_timeout(Duration::from_nanos(1));
    is(
        &client.get_info(late).await.unwrap_err(),
        Code::DeadlineExceeded,
        "time limit",
    );
    open.store(true, Ordering::Release);
    eventually(INDEXED, "the block", async || {
        let block = BlockHeightRequest { block_height: 25 };
        client.get_full_block(block).await.ok().map(drop)
    })
    .await;
}

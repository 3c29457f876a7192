//! Each call gives what the HTTP routes give, and is counted.

use bitcoin::Amount;
use bitcoin::hex::DisplayHex;
use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use sdk_relay_blindbit_proto::{BlockHeightRequest, BlockIdentifier, ComputeIndexTxItem};
use serde_json::{Value, json};
use testkit::{InputKind, Payee, RelayProcess, eventually, http_send};

use crate::blindbit::scene::{INDEXED, Scene, json as get};
use crate::grpc::client::{client, range};

const DUST: u64 = 1_000;
const LARGE: u64 = 60_000;

/// A counter of `/metrics`; 0 for a label that has not been counted.
async fn counted(relay: &RelayProcess, name: &str) -> u64 {
    let request = Request::get(format!("{}/metrics", relay.http_url())).header("accept", "text/plain");
    let reply = http_send(request.body(Full::<Bytes>::default()).unwrap()).await;
    let text = reply.text();
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.map_or(0, |value| value.parse().unwrap())
}

/// Waits until so many calls have ended with this code.
async fn until_counted(relay: &RelayProcess, call: &str, code: &str, count: u64) {
    let name = format!("sdk_relay_grpc_calls_total{{method=\"{call}\",code=\"{code}\"}}");
    eventually(INDEXED, &name, async || {
        (counted(relay, &name).await == count).then_some(())
    })
    .await;
}

fn hex(bytes: &[u8]) -> String {
    bytes.to_lower_hex_string()
}

fn chunks(bytes: &[u8], size: usize) -> Vec<String> {
    assert_eq!(bytes.len() % size, 0);
    bytes.chunks(size).map(hex).collect()
}

fn identifier(block: Option<BlockIdentifier>) -> Value {
    let block = block.expect("the block");
    json!({"block_hash": hex(&block.block_hash), "block_height": block.block_height})
}

fn items(items: &[ComputeIndexTxItem]) -> Value {
    let items = items.iter().map(
        |item| json!({"txid": hex(&item.txid), "tweak": hex(&item.tweak), "outputs": chunks(&item.outputs_short, 8)}),
    );
    items.collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_call_gives_what_the_routes_give() {
    let mut scene = Scene::with_grpc().await;
    let payee = Payee::new(&[]);
    let to = [(payee.address(), Amount::from_sat(LARGE))];
    for kind in InputKind::ALL {
        let tx = scene.payer.pay(&[kind], &to);
        scene.node.send_raw(&tx).await;
    }
    let height = scene.mine().await;
    let mut client = client(&scene.relay);
    let info = client.get_info(()).await.unwrap().into_inner();
    let info = json!({
        "network": info.network, "height": info.height, "tweaks_only": info.tweaks_only,
        "tweaks_full_basic": info.tweaks_full_basic,
        "tweaks_full_with_dust_filter": info.tweaks_full_with_dust_filter,
        "tweaks_cut_through_with_dust_filter": info.tweaks_cut_through_with_dust_filter,
    });
    assert_eq!(info, get(&format!("{}/info", scene.v2())).await);
    let best = client.get_best_block_height(()).await.unwrap().into_inner();
    assert_eq!(best.block_height, u64::from(height));

    let mut scan_data = client
        .stream_block_scan_data_short(range(height - 20, height))
        .await
        .unwrap()
        .into_inner();
    let mut compute_index = client
        .stream_compute_index(range(height - 20, height))
        .await
        .unwrap()
        .into_inner();
    let mut eligible = 0;
    for height in height - 20..=height {
        let v2 = async |route: &str| get(&format!("{}/{route}/{height}", scene.v2())).await;
        let block_height = u64::from(height);
        let hash = client
            .get_block_hash_by_height(BlockHeightRequest { block_height })
            .await;
        let hash = hex(&hash.unwrap().into_inner().block_hash);
        assert_eq!(hash, scene.node.hash_at(height).await.to_string());
        let block = scan_data.message().await.unwrap().unwrap();
        let spent = v2("spent-outputs").await;
        assert_eq!(
            json!({"block_identifier": identifier(block.block_identifier), "index": items(&block.comp_index)}),
            v2("compute-index").await
        );
        assert_eq!(json!(chunks(&block.spent_outputs, 8)), spent["index"]);
        let block = compute_index.message().await.unwrap().unwrap();
        eligible += block.index.len();
        assert_eq!(
            json!({"block_identifier": identifier(block.block_identifier), "index": items(&block.index)}),
            v2("compute-index").await
        );
        let outputs = client
            .get_spent_outputs_short(BlockHeightRequest { block_height })
            .await;
        let outputs = outputs.unwrap().into_inner();
        assert_eq!(
            json!({"block_identifier": identifier(outputs.block_identifier), "index": chunks(&outputs.index, 8)}),
            spent
        );
        let full = client.get_full_block(BlockHeightRequest { block_height }).await;
        let full = full.unwrap().into_inner();
        let txs: Vec<_> = full
            .index
            .iter()
            .map(|tx| {
                let utxos: Vec<_> = tx
                    .utxos
                    .iter()
                    .map(|o| json!({"vout": o.vout, "amount": o.amount, "pubkey": hex(&o.pubkey)}))
                    .collect();
                json!({"txid": hex(&tx.txid), "tweak": hex(&tx.tweak), "inputs": chunks(&tx.inputs, 36), "utxos": utxos})
            })
            .collect();
        assert_eq!(
            json!({"block_identifier": identifier(full.block_identifier), "index": txs}),
            v2("full-block").await
        );
    }
    assert!(scan_data.message().await.unwrap().is_none());
    assert!(compute_index.message().await.unwrap().is_none());
    assert!(eligible >= InputKind::ALL.len(), "{eligible}");

    for (call, count) in [
        ("GetInfo", 1),
        ("GetBestBlockHeight", 1),
        ("GetBlockHashByHeight", 21),
        ("StreamBlockScanDataShort", 1),
        ("StreamComputeIndex", 1),
        ("GetFullBlock", 21),
        ("GetSpentOutputsShort", 21),
    ] {
        until_counted(&scene.relay, call, "OK", count).await;
    }
    assert_eq!(counted(&scene.relay, "sdk_relay_grpc_streamed_blocks_total").await, 42);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dust_limit_and_cut_through_leave_out_whole_transactions() {
    let mut scene = Scene::with_grpc().await;
    let payee = Payee::new(&[]);
    for sats in [&[DUST, LARGE][..], &[DUST, DUST + 1], &[LARGE]] {
        let to: Vec<_> = sats.iter().map(|s| (payee.address(), Amount::from_sat(*s))).collect();
        let tx = scene.payer.pay(&[InputKind::P2wpkh], &to);
        scene.node.send_raw(&tx).await;
    }
    let height = scene.mine().await;
    let mut client = client(&scene.relay);
    for (dustlimit, left) in [(0, 3), (DUST + 1, 3), (DUST + 2, 2), (LARGE, 2), (LARGE + 1, 0)] {
        for cut_through in [false, true] {
            let mut request = range(height, height);
            (request.dustlimit, request.cut_through) = (dustlimit, cut_through);
            let mut scan_data = client.stream_block_scan_data_short(request).await.unwrap().into_inner();
            let block = scan_data.message().await.unwrap().unwrap();
            assert_eq!(block.comp_index.len(), left, "{dustlimit}");
            // All outputs of a transaction, or none.
            let sizes: Vec<_> = block.comp_index.iter().map(|item| item.outputs_short.len()).collect();
            assert!(sizes.iter().all(|size| [8, 16].contains(size)), "{sizes:?}");
            let mut compute_index = client.stream_compute_index(request).await.unwrap().into_inner();
            assert_eq!(compute_index.message().await.unwrap().unwrap().index, block.comp_index);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_is_counted_with_the_status_at_its_end() {
    let scene = Scene::with_grpc().await;
    let mut client = client(&scene.relay);
    let height = scene.node.height().await;
    let mut blocks = client
        .stream_compute_index(range(height, u32::MAX))
        .await
        .unwrap()
        .into_inner();
    assert!(blocks.message().await.unwrap().is_some());
    // It ends with the block that does not exist.
    let status = blocks.message().await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::NotFound, "{status}");
    until_counted(&scene.relay, "StreamComputeIndex", "NOT_FOUND", 1).await;
    assert_eq!(counted(&scene.relay, "sdk_relay_grpc_streamed_blocks_total").await, 1);
}

//! Whatever a client says to BlindBit's gRPC interface: the call, the framing and the message. Each request is answered
//! from a small index, and has a status whose sentence is short.
#![no_main]

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use axum::body::Body;
use bitcoin::hashes::Hash;
use bitcoin::{Amount, BlockHash, OutPoint, Txid};
use http_body_util::BodyExt;
use hyper::Request;
use libfuzzer_sys::fuzz_target;
use sdk_relay_blindbit::{GrpcApi, GrpcMetrics, Handles, Oracle, Timeouts};
use sdk_relay_chain::BlockRef;
use sdk_relay_config::{Loader, Overrides};
use sdk_relay_devchain::DevChain;
use sdk_relay_index::{Index, IndexFigures, IndexState, IndexStatus, Pool};
use sdk_relay_service::Settings;
use sdk_relay_store::TweakIndex;
use sdk_relay_store::index::{IndexedBlock, IndexedTx, OutputPlace, SpentOutput};
use sdk_relay_transport::{InputBudget, ListenerState, Peer, SpawnConnection};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use tonic::{Code, Status};
use tower::Service;

const CALLS: [&str; 10] = [
    "/blindbit.oracle.v1.OracleService/GetInfo",
    "/blindbit.oracle.v1.OracleService/GetBestBlockHeight",
    "/blindbit.oracle.v1.OracleService/GetBlockHashByHeight",
    "/blindbit.oracle.v1.OracleService/GetFullBlock",
    "/blindbit.oracle.v1.OracleService/GetSpentOutputsShort",
    "/blindbit.oracle.v1.OracleService/StreamBlockScanDataShort",
    "/blindbit.oracle.v1.OracleService/StreamComputeIndex",
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
    "/blindbit.oracle.v1.OracleService/Nothing",
];
const BLOCKS: u32 = 4;
/// More than all blocks have.
const LARGEST: usize = 64 << 10;

#[derive(Debug)]
struct NoConnections;

impl SpawnConnection for NoConnections {
    fn spawn(&self, _: Pin<Box<dyn Future<Output = ()> + Send>>) {}
}

struct Scene {
    runtime: Runtime,
    api: GrpcApi,
    listeners: Arc<ListenerState>,
    _kept: Box<dyn std::any::Any>,
}

fn block(height: u32) -> IndexedBlock {
    let transactions = (0..height).map(|n| {
        let txid = Txid::hash(&[height, n].map(u32::to_le_bytes).concat());
        IndexedTx {
            txid,
            tweak: [2; 33],
            keys: vec![txid.to_byte_array()],
            places: vec![OutputPlace {
                vout: n,
                amount: Amount::from_sat(1000),
            }],
            fee: Some(7),
            size: 100,
            spends: 0..0,
        }
    });
    IndexedBlock {
        height,
        hash: hash(height),
        time: height,
        transactions: transactions.collect(),
        spent: vec![SpentOutput {
            outpoint: OutPoint::new(Txid::hash(b"spent"), height),
            key_prefix: [7; 8],
        }],
    }
}

fn hash(height: u32) -> BlockHash {
    BlockHash::hash(&height.to_le_bytes())
}

impl Scene {
    fn new() -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let entered = runtime.enter();
        let data = std::env::temp_dir().join(format!("sdk-relay-fuzz-grpc-{}", std::process::id()));
        std::fs::create_dir_all(&data).expect("a directory");
        let loader = Loader::new(Overrides::default().with_data_dir(&data).with_standalone());
        let mut config = loader.load().expect("a configuration");
        config.blindbit_grpc = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
        let store = TweakIndex::open(&data.join("index"), "regtest", 0).expect("an index");
        if store.tip().expect("a tip").is_none() {
            let blocks: Vec<_> = (0..BLOCKS).map(block).collect();
            store.append(BlockHash::all_zeros(), &blocks).expect("blocks");
        }
        let tip = BLOCKS - 1;
        let (status, seen) = watch::channel(IndexStatus {
            state: IndexState::Current,
            since: Instant::now(),
            start_height: 0,
            first: 0,
            first_is_known: true,
            tip: Some(BlockRef {
                height: tip,
                hash: hash(tip),
            }),
            target: Some(tip),
            node_is_syncing: false,
        });
        let (figures, cost) = watch::channel(IndexFigures::default());
        let (ending, ends) = watch::channel(None);
        let listeners = ListenerState::new(
            &config,
            InputBudget::new(1 << 20, Default::default()),
            None,
            ends,
            Arc::new(NoConnections),
            Default::default(),
        );
        let oracle = Oracle::new(Handles {
            settings: Arc::new(Settings::new(loader, config)),
            chain: DevChain::open(&data).expect("a chain"),
            index: Some(Index {
                store: Arc::new(store),
                status: seen,
                figures: cost,
                pool: Arc::new(Pool::new(1).expect("threads")),
            }),
            answers: Arc::default(),
            timeouts: Timeouts::default(),
        });
        let api = oracle.grpc(GrpcMetrics::default()).expect("the interface");
        drop(entered);
        Self {
            runtime,
            api,
            listeners: Arc::new(listeners),
            _kept: Box::new((status, figures, ending)),
        }
    }

    async fn answer(&self, call: &str, body: Vec<u8>) -> (usize, Status) {
        let request = Request::post(call).header("content-type", "application/grpc");
        let mut request = request.body(Body::from(body)).expect("a request");
        // Of this machine: without a rate limit.
        request.extensions_mut().insert(Peer(([127, 0, 0, 1], 1).into()));
        request.extensions_mut().insert(Arc::clone(&self.listeners));
        let Ok(response) = self.api.clone().call(request).await;
        let (head, body) = response.into_parts();
        let body = body.collect().await.expect("a whole answer");
        let trailers = body.trailers().cloned().unwrap_or_default();
        let status = Status::from_header_map(&head.headers).or_else(|| Status::from_header_map(&trailers));
        (body.to_bytes().len(), status.expect("a status"))
    }
}

thread_local! {
    static SCENE: Scene = Scene::new();
}

fuzz_target!(|data: &[u8]| {
    let [call, framing, message @ ..] = data else { return };
    let call = CALLS[usize::from(*call) % CALLS.len()];
    let body = if framing % 4 == 0 {
        message.to_vec()
    } else {
        let length = u32::try_from(message.len()).expect("a short input").to_be_bytes();
        [&[0], &length[..], message].concat()
    };
    SCENE.with(|scene| {
        let (bytes, status) = scene.runtime.block_on(scene.answer(call, body));
        assert!(bytes < LARGEST, "{bytes}");
        // Server reflection repeats the name that it does not know, which the size of a request bounds.
        let most = if call.contains("Reflection") { 8192 } else { 1024 };
        assert!(status.message().len() <= most, "{status}");
        assert!(!status.message().contains("internal error"), "{status}");
        assert!(
            status.code() != Code::Unavailable && status.code() != Code::Aborted,
            "{status}"
        );
    });
});

//! An index, and a server that answers from it.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use bitcoin::hashes::Hash;
use bitcoin::{Amount, BlockHash, OutPoint, Txid};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use sdk_relay_blindbit_proto::oracle_service_client::OracleServiceClient;
use sdk_relay_config::{Config, Loader, Overrides};
use sdk_relay_devchain::DevChain;
use sdk_relay_index::{Index, IndexFigures, IndexState, IndexStatus, Pool};
use sdk_relay_platform::net;
use sdk_relay_protocol::CloseCode;
use sdk_relay_service::Settings;
use sdk_relay_store::TweakIndex;
use sdk_relay_store::index::{IndexedBlock, IndexedTx, OutputPlace, SpentOutput};
use sdk_relay_transport::{InputBudget, ListenerState, Peer, SpawnConnection, serve_http2};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tonic::body::Body;

use crate::grpc::{GrpcApi, GrpcMetrics};
use crate::{Handles, Oracle, Timeouts};

/// Transactions of each block, about 10 KB of a message.
pub(super) const TRANSACTIONS: u32 = 100;

pub(super) type GrpcClient = OracleServiceClient<Client<HttpConnector, Body>>;

/// The tasks of connections and requests.
#[derive(Debug, Default)]
struct Tasks(Mutex<JoinSet<()>>);

impl SpawnConnection for Tasks {
    fn spawn(&self, connection: Pin<Box<dyn Future<Output = ()> + Send>>) {
        self.0.lock().unwrap().spawn(connection);
    }
}

pub(super) struct Scene {
    pub(super) store: Arc<TweakIndex>,
    pub(super) metrics: GrpcMetrics,
    pub(super) oracle: Oracle,
    pub(super) api: GrpcApi,
    pub(super) ending: watch::Sender<Option<CloseCode>>,
    pub(super) listeners: ListenerState,
    /// Keeps the handle of the index open.
    _status: watch::Sender<IndexStatus>,
    _figures: watch::Sender<IndexFigures>,
    data: tempfile::TempDir,
}

impl Scene {
    /// With this many blocks, from height 0.
    pub(super) fn new(blocks: u32) -> Self {
        let data = tempfile::tempdir().unwrap();
        let loader = Loader::new(Overrides::default().with_data_dir(data.path()).with_standalone());
        let mut config: Config = loader.load().unwrap();
        config.blindbit_grpc = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
        let store = Arc::new(TweakIndex::open(&data.path().join("index"), "regtest", 0).unwrap());
        append(&store, 0, blocks, 0);
        let (status, seen) = watch::channel(status(blocks));
        let (figures, cost) = watch::channel(IndexFigures::default());
        let index = Index {
            store: Arc::clone(&store),
            status: seen,
            figures: cost,
            pool: Arc::new(Pool::new(1).unwrap()),
        };
        let (ending, ends) = watch::channel(None);
        let listeners = ListenerState::new(
            &config,
            InputBudget::new(1 << 20, Default::default()),
            None,
            ends,
            Arc::<Tasks>::default(),
            Default::default(),
        );
        let oracle = Oracle::new(Handles {
            settings: Arc::new(Settings::new(loader, config)),
            chain: DevChain::open(data.path()).unwrap(),
            index: Some(index),
            answers: Arc::default(),
            timeouts: Timeouts::default(),
        });
        let metrics = GrpcMetrics::default();
        Self {
            store,
            api: oracle.grpc(metrics.clone()).unwrap(),
            oracle,
            metrics,
            ending,
            listeners,
            _status: status,
            _figures: figures,
            data,
        }
    }

    /// Serves, and returns a client whose window is that of the specification, 64 KiB.
    pub(super) fn serve(&self) -> GrpcClient {
        let listener = net::listen("127.0.0.1:0".parse().unwrap(), 16)
            .unwrap()
            .attach()
            .unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(serve_http2(self.api.clone(), listener, self.listeners.clone()));
        let client = Client::builder(TokioExecutor::new())
            .http2_only(true)
            .http2_initial_stream_window_size(64 << 10)
            .build_http();
        OracleServiceClient::with_origin(client, url.parse().unwrap())
    }

    /// Removes the last bytes of the newest block.
    pub(super) fn damage_newest(&self) {
        let path = self.data.path().join("index/000000.rows");
        let file = std::fs::File::options().write(true).open(path).unwrap();
        file.set_len(file.metadata().unwrap().len() - 10).unwrap();
    }

    /// A request to the service itself, as a connection passes it on.
    pub(super) fn extend<B>(&self, request: &mut hyper::Request<B>) {
        request.extensions_mut().insert(Peer(([192, 0, 2, 7], 1).into()));
        request.extensions_mut().insert(Arc::new(self.listeners.clone()));
    }
}

fn status(blocks: u32) -> IndexStatus {
    let tip = sdk_relay_chain::BlockRef {
        height: blocks - 1,
        hash: hash(blocks - 1, 0),
    };
    IndexStatus {
        state: IndexState::Current,
        since: Instant::now(),
        start_height: 0,
        first: 0,
        first_is_known: true,
        tip: Some(tip),
        target: Some(blocks - 1),
        node_is_syncing: false,
    }
}

/// Appends blocks of a branch; those below are of branch 0.
pub(super) fn append(store: &TweakIndex, from: u32, to: u32, branch: u32) {
    let previous = from
        .checked_sub(1)
        .map_or(BlockHash::all_zeros(), |below| hash(below, 0));
    let blocks: Vec<_> = (from..to).map(|height| block(height, branch)).collect();
    store.append(previous, &blocks).unwrap();
}

pub(super) fn hash(height: u32, branch: u32) -> BlockHash {
    BlockHash::hash(&[height, branch].map(u32::to_le_bytes).concat())
}

fn block(height: u32, branch: u32) -> IndexedBlock {
    IndexedBlock {
        height,
        hash: hash(height, branch),
        time: height * 600,
        transactions: (0..TRANSACTIONS).map(|n| transaction(height, branch, n)).collect(),
        spent: vec![SpentOutput {
            outpoint: OutPoint::new(Txid::hash(b"spent"), height),
            key_prefix: u64::from(height).to_be_bytes(),
        }],
    }
}

fn transaction(height: u32, branch: u32, n: u32) -> IndexedTx {
    let txid = Txid::hash(&[height, branch, n].map(u32::to_le_bytes).concat());
    let mut tweak = [2; 33];
    tweak[1..].copy_from_slice(&txid.to_byte_array());
    IndexedTx {
        txid,
        tweak,
        keys: vec![txid.to_byte_array()],
        places: vec![OutputPlace {
            vout: 0,
            amount: Amount::from_sat(u64::from(n)),
        }],
        fee: None,
        size: 100,
        spends: 0..0,
    }
}

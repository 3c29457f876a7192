//! The server in a simulation: clients in memory, and a clock that moves when everything waits.

use std::ops::Deref;
use std::pin::Pin;
use std::sync::Mutex;

use axum::Router;
use axum::routing::get;
use sdk_relay_config::{Config, Loader, Overrides};
use sdk_relay_platform::{net, simulation};
use sdk_relay_protocol::CloseCode;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::{Notify, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;

use super::*;
use crate::shutdown::Shutdown;
use crate::spawn::SpawnConnection;
use crate::{InputBudget, Timeouts};

/// More than the buffers of a connection hold.
pub(crate) const LARGE: usize = 4 << 20;

/// The tasks of connections.
#[derive(Debug, Default)]
pub(crate) struct Tasks(Mutex<JoinSet<()>>);

impl SpawnConnection for Tasks {
    fn spawn(&self, connection: Pin<Box<dyn Future<Output = ()> + Send>>) {
        self.0.lock().unwrap().spawn(connection);
    }
}

impl Tasks {
    /// Waits until no connection has a task.
    pub(crate) async fn are_done(&self) {
        loop {
            let done = { self.0.lock().unwrap().try_join_next() };
            match done {
                Some(done) => done.unwrap(),
                None if self.0.lock().unwrap().is_empty() => return,
                None => tokio::time::sleep(Duration::from_millis(1)).await,
            }
        }
    }
}

/// What a server of any protocol is started with.
pub(crate) struct Setup {
    pub(crate) config: Config,
    pub(crate) timeouts: Timeouts,
    pub(crate) tasks: Arc<Tasks>,
    pub(crate) ending: watch::Sender<Option<CloseCode>>,
    /// Lets the answers of `/waits` be sent.
    pub(crate) release: Arc<Notify>,
    ends: Shutdown,
    _data: tempfile::TempDir,
}

impl Setup {
    pub(crate) fn new() -> Self {
        let data = tempfile::tempdir().unwrap();
        let loader = Loader::new(Overrides::default().with_data_dir(data.path()).with_standalone());
        let (ending, ends) = watch::channel(None);
        Self {
            config: loader.load().unwrap(),
            timeouts: Timeouts::default(),
            tasks: Arc::default(),
            ending,
            release: Arc::default(),
            ends,
            _data: data,
        }
    }

    pub(crate) fn listeners(&self) -> ListenerState {
        ListenerState::new(
            &self.config,
            InputBudget::new(self.config.input_memory, Default::default()),
            None,
            self.ends.clone(),
            Arc::clone(&self.tasks) as _,
            self.timeouts,
        )
    }

    pub(crate) fn router(&self) -> Router {
        let waits = Arc::clone(&self.release);
        Router::new()
            .route("/", get(|| async { "answer" }))
            .route("/large", get(|| async { vec![b'x'; LARGE] }))
            .route(
                "/waits",
                get(move || async move {
                    waits.notified().await;
                    "released"
                }),
            )
    }
}

struct Server {
    address: SocketAddr,
    setup: Setup,
    served: JoinHandle<()>,
}

impl Deref for Server {
    type Target = Setup;

    fn deref(&self) -> &Setup {
        &self.setup
    }
}

impl Server {
    fn start() -> Self {
        let setup = Setup::new();
        let socket = net::listen("127.0.0.1:8091".parse().unwrap(), 16).unwrap();
        let listener = socket.attach().unwrap();
        Self {
            address: listener.local_addr().unwrap(),
            served: tokio::spawn(serve_http(setup.router(), listener, setup.listeners())),
            setup,
        }
    }

    async fn client(&self, request: &str) -> net::Stream {
        let mut client = net::connect(self.address).await.unwrap();
        client.write_all(request.as_bytes()).await.unwrap();
        client
    }

    async fn is_idle(&self) {
        self.tasks.are_done().await;
    }
}

pub(crate) fn simulated(work: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let _simulation = simulation::enter(1, 1_700_000_000);
        // An hour of simulated time: a wait without a deadline ends the test.
        tokio::time::timeout(Duration::from_secs(3600), work).await.unwrap();
    });
}

async fn rest(client: &mut net::Stream) -> String {
    let mut bytes = Vec::new();
    client.read_to_end(&mut bytes).await.unwrap();
    String::from_utf8(bytes).unwrap()
}

#[test]
fn a_client_that_sends_no_request_is_closed_when_its_time_is_over() {
    simulated(async {
        let server = Server::start();
        for beginning in ["", "GET / HTTP/1.1\r\nHost: a\r\nX: "] {
            let began = Instant::now();
            let mut client = server.client(beginning).await;
            rest(&mut client).await;
            let took = began.elapsed();
            assert!(
                took >= server.timeouts.headers && took < 2 * server.timeouts.headers,
                "{took:?}"
            );
            server.is_idle().await;
        }
    });
}

#[test]
fn a_client_that_leaves_in_the_middle_leaves_nothing_behind() {
    simulated(async {
        let server = Server::start();
        for request in [
            "",
            "GET / HT",
            "GET / HTTP/1.1\r\nHost: a\r\n",
            "GET /large HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET /waits HTTP/1.1\r\nHost: a\r\n\r\n",
        ] {
            let client = server.client(request).await;
            tokio::task::yield_now().await;
            drop(client);
            server.is_idle().await;
        }
        // Others are served.
        let mut client = server
            .client("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            .await;
        assert!(rest(&mut client).await.ends_with("answer"));
    });
}

#[test]
fn a_client_that_does_not_read_is_closed_when_its_time_is_over() {
    simulated(async {
        let server = Server::start();
        let began = Instant::now();
        let client = server.client("GET /large HTTP/1.1\r\nHost: a\r\n\r\n").await;
        tokio::task::yield_now().await;
        server.is_idle().await;
        assert!(began.elapsed() >= server.timeouts.write);
        drop(client);
    });
}

#[test]
fn the_shutdown_answers_requests_in_progress_and_closes_idle_connections() {
    simulated(async {
        let server = Server::start();
        let mut waits = server.client("GET /waits HTTP/1.1\r\nHost: a\r\n\r\n").await;
        let mut idle = server.client("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        let mut buffer = [0; 1024];
        let read = idle.read(&mut buffer).await.unwrap();
        assert!(buffer[..read].ends_with(b"answer"), "{:?}", &buffer[..read]);
        server.ending.send_replace(Some(CloseCode::GoingAway));
        assert_eq!(rest(&mut idle).await, "");
        server.served.await.unwrap();
        let refused = net::connect(server.address).await.unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
        server.setup.release.notify_one();
        assert!(rest(&mut waits).await.ends_with("released"));
    });
}

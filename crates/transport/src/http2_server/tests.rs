//! The server in a simulation: clients in memory, and a clock that moves when everything waits.

use std::net::SocketAddr;
use std::ops::Deref;

use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http2::{self as client, SendRequest};
use sdk_relay_platform::net;
use sdk_relay_protocol::CloseCode;
use tokio::io::AsyncReadExt as _;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;

use super::*;
use crate::http_server::tests::{LARGE, Setup, simulated};

struct Server {
    address: SocketAddr,
    setup: Setup,
}

impl Deref for Server {
    type Target = Setup;

    fn deref(&self) -> &Setup {
        &self.setup
    }
}

/// A connection: requests, and the tasks that read and write.
struct Client {
    requests: SendRequest<Empty<Bytes>>,
    connection: JoinHandle<()>,
    tasks: Background,
}

#[derive(Clone, Default)]
struct Background(Arc<Mutex<JoinSet<()>>>);

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Background {
    fn execute(&self, task: F) {
        self.0.lock().unwrap().spawn(task);
    }
}

impl Server {
    fn start() -> Self {
        let mut setup = Setup::new();
        let address = "127.0.0.1:7001".parse().unwrap();
        setup.config.blindbit_grpc = Some(address);
        let listener = net::listen(address, 16).unwrap().attach().unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(serve_http2(setup.router(), listener, setup.listeners()));
        Self { address, setup }
    }

    async fn client(&self) -> Client {
        let stream = net::connect(self.address).await.unwrap();
        let tasks = Background::default();
        let mut builder = client::Builder::new(tasks.clone());
        builder.initial_stream_window_size(64 << 10);
        let (requests, connection) = builder.handshake(TokioIo::new(stream)).await.unwrap();
        let connection = tokio::spawn(async move { drop(connection.await) });
        Client {
            requests,
            connection,
            tasks,
        }
    }
}

impl Client {
    async fn get(&mut self, path: &str) -> hyper::Result<Response<Incoming>> {
        let request = Request::get(format!("http://relay{path}")).body(Empty::new()).unwrap();
        self.requests.send_request(request).await
    }
}

async fn whole(response: Response<Incoming>) -> hyper::Result<Bytes> {
    Ok(response.into_body().collect().await?.to_bytes())
}

/// The timers of the server and of the client may differ by what a step of the simulated network takes.
fn took(began: Instant, limit: Duration) {
    let took = began.elapsed();
    assert!(
        took >= limit && took < limit + Duration::from_secs(5),
        "{took:?}, not {limit:?}"
    );
}

#[test]
fn a_client_without_a_request_is_closed_when_its_time_is_over() {
    simulated(async {
        let server = Server::start();
        // Not even a preface.
        let began = Instant::now();
        let mut silent = net::connect(server.address).await.unwrap();
        drop(silent.read_to_end(&mut Vec::new()).await);
        took(began, server.timeouts.headers);
        // A preface.
        let began = Instant::now();
        let without = server.client().await;
        without.connection.await.unwrap();
        took(began, server.timeouts.headers);
        // A request, and then nothing.
        let mut idle = server.client().await;
        assert_eq!(whole(idle.get("/").await.unwrap()).await.unwrap(), "answer");
        let began = Instant::now();
        idle.connection.await.unwrap();
        took(began, server.timeouts.http2_idle);
        server.tasks.are_done().await;
    });
}

#[test]
fn a_request_that_takes_long_keeps_its_connection() {
    simulated(async {
        let server = Server::start();
        let mut client = server.client().await;
        let release = Arc::clone(&server.release);
        let later = 3 * server.timeouts.http2_idle;
        tokio::spawn(async move {
            tokio::time::sleep(later).await;
            release.notify_one();
        });
        assert_eq!(whole(client.get("/waits").await.unwrap()).await.unwrap(), "released");
    });
}

#[test]
fn a_client_that_answers_pings_and_accepts_no_data_is_closed_when_its_time_is_over() {
    simulated(async {
        let server = Server::start();
        let mut client = server.client().await;
        let began = Instant::now();
        let unread = client.get("/large").await.unwrap();
        // Others of the connection are answered meanwhile.
        assert_eq!(whole(client.get("/").await.unwrap()).await.unwrap(), "answer");
        client.connection.await.unwrap();
        took(began, server.timeouts.http2_unsent);
        server.tasks.are_done().await;
        assert!(whole(unread).await.is_err());
        // One that reads gets all of it.
        let mut client = server.client().await;
        assert_eq!(whole(client.get("/large").await.unwrap()).await.unwrap().len(), LARGE);
    });
}

#[test]
fn requests_end_with_their_connection() {
    simulated(async {
        let server = Server::start();
        for path in ["/waits", "/large"] {
            let mut client = server.client().await;
            assert_eq!(whole(client.get("/").await.unwrap()).await.unwrap(), "answer");
            let mut requests = client.requests.clone();
            let request = Request::get(format!("http://relay{path}")).body(Empty::new()).unwrap();
            let pending = tokio::spawn(async move { drop(requests.send_request(request).await) });
            tokio::task::yield_now().await;
            // Its socket is closed.
            client.tasks.0.lock().unwrap().abort_all();
            server.tasks.are_done().await;
            pending.abort();
        }
    });
}

#[test]
fn the_shutdown_answers_requests_in_progress_and_closes_idle_connections() {
    simulated(async {
        let server = Server::start();
        let (mut busy, mut idle) = (server.client().await, server.client().await);
        assert_eq!(whole(idle.get("/").await.unwrap()).await.unwrap(), "answer");
        let waits = tokio::spawn(async move { whole(busy.get("/waits").await?).await });
        tokio::task::yield_now().await;
        server.ending.send_replace(Some(CloseCode::GoingAway));
        idle.connection.await.unwrap();
        server.release.notify_one();
        assert_eq!(waits.await.unwrap().unwrap(), "released");
        server.tasks.are_done().await;
    });
}

#[test]
fn the_reason_of_a_refusal_is_two_frames() {
    let frame = |bytes: &'static [u8]| {
        let length = usize::from(bytes[1]) << 8 | usize::from(bytes[2]);
        bytes.split_at(9 + length)
    };
    let (settings, rest) = frame(TOO_MANY);
    assert_eq!(settings, [0, 0, 0, 4, 0, 0, 0, 0, 0]);
    let (goaway, rest) = frame(rest);
    assert_eq!((goaway[3], &goaway[13..17], rest), (7, &[0, 0, 0, 11][..], &[][..]));
    assert_eq!(&goaway[17..], b"too many connections from this address: wait");
}

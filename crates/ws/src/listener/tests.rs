//! The WebSocket port in a simulation: clients in memory, and a clock that moves when everything waits.

use std::net::IpAddr;
use std::pin::Pin;

use sdk_relay_config::{ForwardingHeader, IpNetwork, Loader, Overrides, TrustedProxies};
use sdk_relay_platform::{net, simulation};
use sdk_relay_protocol::CloseCode;
use sdk_relay_transport::{Admission, InputBudget, Refusals, SpawnConnection, Timeouts};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;

use super::*;

/// The sample request of RFC 6455, section 1.3, without its last line.
const UPGRADE: &str = "GET /chat HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n";

/// The tasks of connections.
#[derive(Debug, Default)]
struct Tasks(Mutex<JoinSet<()>>);

impl SpawnConnection for Tasks {
    fn spawn(&self, connection: Pin<Box<dyn Future<Output = ()> + Send>>) {
        self.0.lock().unwrap().spawn(connection);
    }
}

/// What a client that was upgraded had.
#[derive(Debug, PartialEq, Eq)]
struct Upgrade {
    ip: IpAddr,
    has_permit: bool,
}

struct Server {
    address: SocketAddr,
    timeouts: Timeouts,
    traffic: Arc<Traffic>,
    tasks: Arc<Tasks>,
    ending: watch::Sender<Option<CloseCode>>,
    served: JoinHandle<()>,
    upgrades: mpsc::Receiver<Upgrade>,
    _data: tempfile::TempDir,
}

impl Server {
    fn start() -> Self {
        Self::limited(1_000, 1_000, 1_000)
    }

    /// At most this many connections, of one address, and connections that are refused with a reason. A client that is
    /// upgraded gets back what it sends, until it stops sending.
    fn limited(connections: usize, of_an_address: usize, refusals: usize) -> Self {
        let data = tempfile::tempdir().unwrap();
        let loader = Loader::new(Overrides::default().with_data_dir(data.path()).with_standalone());
        let mut config = loader.load().unwrap();
        let loopback: IpNetwork = "127.0.0.0/8".parse().unwrap();
        config.trusted_proxies = TrustedProxies::new(vec![loopback], ForwardingHeader::XForwardedFor);
        let (ending, ends) = watch::channel(None);
        let (tasks, timeouts, traffic) = (Arc::<Tasks>::default(), Timeouts::default(), Arc::<Traffic>::default());
        let mut listeners = ListenerState::new(
            &config,
            InputBudget::new(config.input_memory, Default::default()),
            None,
            ends,
            Arc::clone(&tasks) as _,
            timeouts,
        );
        listeners.admission = Admission::new(connections, of_an_address);
        listeners.refusals = Refusals::new(refusals);
        let (upgraded, upgrades) = mpsc::channel(16);
        let socket = net::listen("127.0.0.1:8090".parse().unwrap(), 16).unwrap();
        let listener = socket.attach().unwrap();
        Self {
            address: listener.local_addr().unwrap(),
            timeouts,
            traffic: Arc::clone(&traffic),
            tasks,
            ending,
            served: tokio::spawn(upgrade_clients(
                echo(Arc::new(Settings::new(loader, config)), traffic, upgraded),
                listener,
                listeners,
            )),
            upgrades,
            _data: data,
        }
    }

    async fn client(&self, request: &str) -> net::Stream {
        let mut client = net::connect(self.address).await.unwrap();
        client.write_all(request.as_bytes()).await.unwrap();
        client
    }

    /// A client whose upgrade was answered.
    async fn upgraded(&self, headers: &str) -> net::Stream {
        let mut client = self.client(&format!("{UPGRADE}{headers}\r\n")).await;
        let head = head(&mut client).await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        client
    }

    /// Waits until no connection has a task.
    async fn is_idle(&self) {
        loop {
            let done = { self.tasks.0.lock().unwrap().try_join_next() };
            match done {
                Some(done) => done.unwrap(),
                None if self.tasks.0.lock().unwrap().is_empty() => return,
                None => tokio::time::sleep(Duration::from_millis(1)).await,
            }
        }
    }
}

type Serving = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Upgrades clients, reports them, and returns what they send.
fn echo(
    settings: Arc<Settings>,
    traffic: Arc<Traffic>,
    upgraded: mpsc::Sender<Upgrade>,
) -> Upgrades<impl Fn(Upgraded, Arrival, Shutdown) -> Serving + Send + Sync> {
    let serve = move |stream: Upgraded, arrival: Arrival, mut ending: Shutdown| {
        let upgraded = upgraded.clone();
        let served = async move {
            let upgrade = Upgrade {
                ip: arrival.client.ip(),
                has_permit: arrival.permit.is_some(),
            };
            upgraded.send(upgrade).await.unwrap();
            let (mut read, mut write) = tokio::io::split(stream);
            tokio::select! {
                _ = shutdown_requested(&mut ending) => write.write_all(b"bye").await.unwrap(),
                // A client that is lost is as good as one that ends.
                _ = tokio::io::copy(&mut read, &mut write) => {}
            }
            drop(arrival.permit);
        };
        Box::pin(served) as Serving
    };
    Upgrades {
        settings,
        traffic,
        serve,
    }
}

fn simulated(work: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let _simulation = simulation::enter(1, 1_700_000_000);
        // An hour of simulated time: a wait without a deadline ends the test.
        timeout(Duration::from_secs(3600), work).await.unwrap();
    });
}

async fn head(client: &mut net::Stream) -> String {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        bytes.push(client.read_u8().await.unwrap());
    }
    String::from_utf8(bytes).unwrap()
}

async fn rest(client: &mut net::Stream) -> String {
    let mut bytes = Vec::new();
    client.read_to_end(&mut bytes).await.unwrap();
    String::from_utf8(bytes).unwrap()
}

#[test]
fn bytes_that_follow_the_request_are_the_first_of_the_websocket() {
    simulated(async {
        let mut server = Server::start();
        let mut client = server.client(&format!("{UPGRADE}\r\nearly ")).await;
        assert!(
            head(&mut client)
                .await
                .contains("sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n")
        );
        client.write_all(b"and late").await.unwrap();
        client.shutdown().await.unwrap();
        assert_eq!(rest(&mut client).await, "early and late");
        assert!(server.upgrades.recv().await.unwrap().has_permit);
        server.is_idle().await;
    });
}

#[test]
fn a_client_that_sends_no_request_is_closed_when_its_time_is_over() {
    simulated(async {
        let server = Server::start();
        for beginning in ["", UPGRADE] {
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
fn a_client_that_does_not_read_the_answer_is_closed_when_its_time_is_over() {
    simulated(async {
        let Server { timeouts, traffic, .. } = Server::start();
        let data = tempfile::tempdir().unwrap();
        let loader = Loader::new(Overrides::default().with_data_dir(data.path()).with_standalone());
        let config = loader.load().unwrap();
        let (upgraded, _upgrades) = mpsc::channel(16);
        let upgrades = echo(Arc::new(Settings::new(loader, config)), traffic, upgraded);
        // A connection that holds one byte.
        let (mut client, stream) = duplex(1);
        let (_ending, ends) = watch::channel(None);
        let peer = "192.0.2.1:5000".parse().unwrap();
        let began = Instant::now();
        let connection = tokio::spawn(websocket(
            Arc::new(upgrades),
            stream,
            (peer, FinalWrites::default(), timeouts.headers),
            None,
            ends,
        ));
        client.write_all(format!("{UPGRADE}\r\n").as_bytes()).await.unwrap();
        connection.await.unwrap();
        assert_eq!(began.elapsed(), timeouts.headers);
    });
}

#[test]
fn a_request_that_is_no_upgrade_is_answered_and_closed() {
    simulated(async {
        let mut server = Server::start();
        let mut client = server
            .client("GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\nGET / HTTP/1.1\r\n")
            .await;
        let answer = rest(&mut client).await;
        assert!(answer.starts_with("HTTP/1.1 426 "), "{answer}");
        assert!(answer.contains("connection: close\r\n"), "{answer}");
        server.is_idle().await;
        assert!(server.upgrades.try_recv().is_err());
    });
}

#[test]
fn a_client_that_leaves_in_the_middle_leaves_nothing_behind() {
    simulated(async {
        // Two would exceed the limit.
        let mut server = Server::limited(1, 1, 1);
        for request in ["", "GET / HT", UPGRADE, &format!("{UPGRADE}\r\n")] {
            let client = server.client(request).await;
            tokio::task::yield_now().await;
            drop(client);
            server.is_idle().await;
        }
        while server.upgrades.try_recv().is_ok() {}
        let _client = server.upgraded("").await;
        assert!(server.upgrades.recv().await.unwrap().has_permit);
    });
}

#[test]
fn a_client_over_the_limit_is_upgraded_for_the_reason_and_further_ones_are_closed() {
    simulated(async {
        let mut server = Server::limited(1, 1, 1);
        let _first = server.upgraded("").await;
        assert!(server.upgrades.recv().await.unwrap().has_permit);
        let second = server.upgraded("").await;
        assert!(!server.upgrades.recv().await.unwrap().has_permit);
        assert_eq!(server.traffic.connections_refused.get(), 0, "counted by who refuses it");
        // A reset or an end, depending on whether the request arrived before.
        let mut third = net::connect(server.address).await.unwrap();
        assert!(third.read_u8().await.is_err());
        assert_eq!(server.traffic.connections_refused.get(), 1);
        drop(second);
        // The slot of the refusal is free again.
        while server.tasks.0.lock().unwrap().len() > 1 {
            tokio::time::sleep(Duration::from_millis(1)).await;
            let _ended = server.tasks.0.lock().unwrap().try_join_next();
        }
        let _fourth = server.upgraded("").await;
        assert!(!server.upgrades.recv().await.unwrap().has_permit);
    });
}

#[test]
fn clients_of_a_proxy_are_counted_by_their_own_addresses() {
    simulated(async {
        let mut server = Server::limited(10, 1, 1);
        let mut clients = Vec::new();
        for (address, has_permit) in [("203.0.113.1", true), ("203.0.113.2", true), ("203.0.113.1", false)] {
            clients.push(server.upgraded(&format!("X-Forwarded-For: {address}\r\n")).await);
            let ip = address.parse().unwrap();
            assert_eq!(server.upgrades.recv().await.unwrap(), Upgrade { ip, has_permit });
        }
    });
}

#[test]
fn the_shutdown_waits_for_no_request_and_is_sent_to_clients() {
    simulated(async {
        let server = Server::start();
        let mut silent = server.client("GET / HT").await;
        let mut open = server.upgraded("").await;
        let began = Instant::now();
        server.ending.send_replace(Some(CloseCode::GoingAway));
        assert_eq!(rest(&mut silent).await, "");
        assert_eq!(rest(&mut open).await, "bye");
        server.served.await.unwrap();
        assert!(began.elapsed() < server.timeouts.headers);
        let refused = net::connect(server.address).await.unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    });
}

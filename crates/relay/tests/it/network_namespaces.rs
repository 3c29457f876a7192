//! Relays and clients in separate network namespaces: a link between relays is cut and healed, and a wallet scans from
//! an address that is not loopback.
//!
//! They need Linux, `ip` and privilege, and fail without; `WITHOUT=namespaces` skips them.

use std::fs::File;
use std::os::fd::AsFd;
use std::process::Command;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use testkit::{Bitcoind, RelayOptions, RelayProcess, eventually, http_get, is_left_out};

const DEADLINE: Duration = Duration::from_secs(60);
const PORT: u16 = 8090;
const HTTP_PORT: u16 = 8091;

/// Runs `ip`; the error is its output.
fn ip(words: &str) -> Result<(), String> {
    let output = Command::new("ip").args(words.split(' ')).output();
    let output = output.map_err(|e| format!("ip: {e}"))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(format!(
            "ip {words}: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        )),
    }
}

/// A namespace with one end of a virtual link. Deleted on drop.
struct Namespace {
    name: String,
}

impl Namespace {
    fn new(letter: char) -> Result<Self, String> {
        let name = format!("sdk-relay-{}-{letter}", std::process::id());
        ip(&format!("netns add {name}"))?;
        let namespace = Self { name };
        namespace.ip("link set lo up")?;
        Ok(namespace)
    }

    fn ip(&self, words: &str) -> Result<(), String> {
        ip(&format!("-n {} {words}", self.name))
    }

    fn address(&self, address: &str) -> Result<(), String> {
        self.ip(&format!("addr add {address}/24 dev cable"))?;
        self.ip("link set cable up")
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // It ends with the test in any case; leftovers of a failed test are named after its process.
        drop(ip(&format!("netns del {}", self.name)));
    }
}

/// Two namespaces and the link between them.
fn cabled([a, b]: [char; 2]) -> Result<(Namespace, Namespace), String> {
    let (a, b) = (Namespace::new(a)?, Namespace::new(b)?);
    a.ip(&format!("link add cable type veth peer name cable netns {}", b.name))?;
    a.address("10.231.0.1")?;
    b.address("10.231.0.2")?;
    Ok((a, b))
}

/// The same; `None` if they are skipped.
fn cabled_or_not(letters: [char; 2]) -> Option<(Namespace, Namespace)> {
    if is_left_out("namespaces") {
        return None;
    }
    let namespaces = cabled(letters);
    Some(
        namespaces
            .unwrap_or_else(|why| panic!("no network namespaces: {why}; WITHOUT=namespaces leaves these tests out")),
    )
}

/// Runs `work` on a thread inside a namespace, with its sockets and processes.
fn inside<T: Send + 'static>(
    namespace: &Namespace,
    work: impl AsyncFnOnce() -> T + Send + 'static,
) -> thread::JoinHandle<T> {
    let file = File::open(format!("/run/netns/{}", namespace.name)).unwrap();
    let work = move || {
        move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.unwrap().block_on(work())
    };
    thread::Builder::new().spawn(work).unwrap()
}

/// Expected view of a relay: name and health of each, itself first.
type Wanted = [(&'static str, &'static str); 2];

/// A thread inside a namespace, with a node and a relay there: sockets and processes that a thread makes are in its
/// namespace. On drop, it waits for the thread to stop both.
struct Inside {
    request: Option<mpsc::SyncSender<(Wanted, mpsc::SyncSender<()>)>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Inside {
    fn new(namespace: &Namespace, relay_id: &'static str, host: &'static str, peer: Option<&'static str>) -> Self {
        let (request, requested) = mpsc::sync_channel::<(Wanted, mpsc::SyncSender<()>)>(1);
        let file = File::open(format!("/run/netns/{}", namespace.name)).unwrap();
        let thread = thread::Builder::new().spawn(move || {
            move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async {
                // Of its own: it runs in the network namespace.
                let node = Bitcoind::start(testkit::Options::default()).await;
                let mut options = RelayOptions::new(env!("CARGO_BIN_EXE_sdk_relay"))
                    .node(&node)
                    .fixed_ports()
                    .set("WS_URL", format!("{host}:{PORT}"))
                    .set("RELAY_ID", relay_id)
                    .set("SYNC__INTERVAL", "1");
                if let Some(peer) = peer {
                    options = options.set("MESH__PEERS", format!("ws://{peer}:{PORT}"));
                }
                let relay = RelayProcess::start(options).await;
                while let Ok((wanted, done)) = requested.recv() {
                    sees(&relay, wanted).await;
                    done.send(()).expect("the test waits");
                }
            });
        });
        Self {
            request: Some(request),
            thread: Some(thread.expect("a thread")),
        }
    }

    /// Waits until the relay has this view.
    fn sees(&self, wanted: Wanted) {
        let (done, is_done) = mpsc::sync_channel(1);
        let request = self.request.as_ref().expect("a thread that runs");
        request.send((wanted, done)).expect("the thread lives");
        // If the thread panics, it has printed the reason.
        is_done.recv_timeout(2 * DEADLINE).expect("it is seen");
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        // The thread ends when the queue is closed.
        self.request = None;
        let ended = self.thread.take().map(thread::JoinHandle::join);
        assert!(
            thread::panicking() || matches!(ended, Some(Ok(()))),
            "the thread panicked: its reason is above"
        );
    }
}

async fn sees(relay: &RelayProcess, wanted: Wanted) {
    eventually(DEADLINE, format!("{wanted:?}"), async || {
        let list = http_get(&format!("{}/relays", relay.http_url())).await.json();
        let relays = list["relays"].as_array()?;
        let seen = relays
            .iter()
            .map(|r| Some((r["relay_id"].as_str()?, r["health"].as_str()?)));
        seen.eq(wanted.map(Some)).then_some(())
    })
    .await;
}

#[test]
fn a_link_that_is_cut_and_healed() {
    let Some((a, b)) = cabled_or_not(['a', 'b']) else {
        return;
    };
    let at_a = Inside::new(&a, "a", "10.231.0.1", None);
    let at_b = Inside::new(&b, "b", "10.231.0.2", Some("10.231.0.1"));
    at_a.sees([("a", "healthy"), ("b", "healthy")]);
    at_b.sees([("b", "healthy"), ("a", "healthy")]);
    // Without a notification: connected peers receive nothing more.
    a.ip("link set cable down").unwrap();
    at_a.sees([("a", "healthy"), ("b", "critical")]);
    at_b.sees([("b", "healthy"), ("a", "critical")]);
    a.ip("link set cable up").unwrap();
    at_a.sees([("a", "healthy"), ("b", "healthy")]);
    at_b.sees([("b", "healthy"), ("a", "healthy")]);
}

/// Blocks that a wallet scans.
const BLOCKS: u32 = 200;
/// Its requests for each block, like spdk: 600 requests at once.
const ROUTES: [&str; 3] = ["tweaks", "filter/new-utxos", "filter/spent"];
/// Number of scans: far more requests than other routes allow for one address.
const SCANS: u32 = 3;

#[test]
fn a_wallet_that_scans_from_another_machine_is_not_refused() {
    let Some((a, b)) = cabled_or_not(['c', 'd']) else {
        return;
    };
    let (ready, is_ready) = mpsc::sync_channel(1);
    let (done, is_done) = mpsc::sync_channel::<()>(1);
    let relay = inside(&a, async move || {
        // Of its own: it runs in the network namespace.
        let node = Bitcoind::start(testkit::Options::default()).await;
        node.mine(BLOCKS).await;
        let options = RelayOptions::new(env!("CARGO_BIN_EXE_sdk_relay"))
            .node(&node)
            .set("HTTP_URL", format!("10.231.0.1:{HTTP_PORT}"));
        let relay = RelayProcess::start(options).await;
        let tip = format!("{}/blindbit/v1/block-hash/{BLOCKS}", relay.http_url());
        eventually(DEADLINE, "the index at the tip", async || {
            (http_get(&tip).await.status == 200).then_some(())
        })
        .await;
        ready.send(()).unwrap();
        assert!(is_done.recv().is_err(), "the wallet is done when its end is dropped");
    });
    // If the thread panics, it has printed the reason.
    is_ready.recv_timeout(2 * DEADLINE).expect("the relay is ready");
    let wallet = inside(&b, async || {
        // Like wallets, it keeps its connections: one per concurrent request.
        let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
        let mut refused = Vec::new();
        for scan in 0..SCANS {
            let requested = (0..BLOCKS).flat_map(|height| ROUTES.map(|route| format!("/blindbit/v1/{route}/{height}")));
            let replies = futures_util::future::join_all(requested.map(|path| get(&client, path))).await;
            assert_eq!(replies.len(), BLOCKS as usize * ROUTES.len());
            let not_ok = replies.into_iter().filter(|(_, status, _)| *status != 200);
            refused.extend(not_ok.map(|(path, status, body)| format!("scan {scan}, {path}: {status} {body:?}")));
        }
        // The same number of requests to other routes is refused.
        let others = (0..600).map(|_| get(&client, "/health/live".to_owned()));
        let others = futures_util::future::join_all(others).await;
        (refused, others.iter().filter(|(_, status, _)| *status == 429).count())
    });
    let scanned = wallet.join();
    drop(done);
    relay.join().unwrap();
    let (refused, others) = scanned.unwrap();
    assert!(refused.is_empty(), "{} refused, such as {}", refused.len(), refused[0]);
    assert!(others > 0, "the limit of other routes holds");
}

/// The path, and the status and body of the answer.
async fn get(client: &Client<HttpConnector, Full<Bytes>>, path: String) -> (String, u16, Bytes) {
    let uri = format!("http://10.231.0.1:{HTTP_PORT}{path}").parse().unwrap();
    let response = client.get(uri).await.unwrap_or_else(|e| panic!("{path}: {e}"));
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (path, status, body)
}

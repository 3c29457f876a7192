//! Two relays in network namespaces of their own: the link between them is cut, and healed.
//!
//! Where the machine does not let the test make namespaces (no Linux, no `ip`, no privilege), it says so on standard error and does nothing.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failure in here is a failed test"
)]

use std::fs::File;
use std::io::Write;
use std::os::fd::AsFd;
use std::process::Command;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use testkit::{Bitcoind, RelayOptions, RelayProcess, eventually, http_get};

const DEADLINE: Duration = Duration::from_secs(60);
const PORT: u16 = 8090;

/// Runs `ip`; an error is its words.
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

/// A namespace with one end of a cable. Dropped, it is gone.
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
        // It ends with the test in any case; what a failed test left over is named after its process.
        drop(ip(&format!("netns del {}", self.name)));
    }
}

/// Two namespaces and the cable between them.
fn cabled() -> Result<(Namespace, Namespace), String> {
    let (a, b) = (Namespace::new('a')?, Namespace::new('b')?);
    a.ip(&format!("link add cable type veth peer name cable netns {}", b.name))?;
    a.address("10.231.0.1")?;
    b.address("10.231.0.2")?;
    Ok((a, b))
}

/// What a relay is to see: name and health of each, itself first.
type Wanted = [(&'static str, &'static str); 2];

/// A thread inside a namespace, with a node and a relay there: sockets and processes that a thread makes are in its namespace.
struct Inside {
    asks: mpsc::SyncSender<(Wanted, mpsc::SyncSender<()>)>,
}

impl Inside {
    fn new(namespace: &Namespace, relay_id: &'static str, host: &'static str, peer: Option<&'static str>) -> Self {
        let (asks, asked) = mpsc::sync_channel::<(Wanted, mpsc::SyncSender<()>)>(1);
        let file = File::open(format!("/run/netns/{}", namespace.name)).unwrap();
        let thread = thread::Builder::new().spawn(move || {
            move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async {
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
                while let Ok((wanted, done)) = asked.recv() {
                    sees(&relay, wanted).await;
                    done.send(()).expect("the test waits");
                }
            });
        });
        thread.expect("a thread");
        Self { asks }
    }

    /// Waits until the relay sees this.
    fn sees(&self, wanted: Wanted) {
        let (done, is_done) = mpsc::sync_channel(1);
        self.asks.send((wanted, done)).expect("the thread lives");
        // Where the thread panics, it has told why.
        is_done.recv_timeout(2 * DEADLINE).expect("it is seen");
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
    let (a, b) = match cabled() {
        Ok(namespaces) => namespaces,
        Err(why) => {
            // Past the capture of the test's output: it is to be read.
            writeln!(
                std::io::stderr(),
                "\n*** NOT TESTED: a link between relays that is cut and healed. This machine makes no network namespaces: {why}\n"
            )
            .unwrap();
            return;
        }
    };
    let at_a = Inside::new(&a, "a", "10.231.0.1", None);
    let at_b = Inside::new(&b, "b", "10.231.0.2", Some("10.231.0.1"));
    at_a.sees([("a", "healthy"), ("b", "healthy")]);
    at_b.sees([("b", "healthy"), ("a", "healthy")]);
    // Nobody is told: what was connected hears nothing more.
    a.ip("link set cable down").unwrap();
    at_a.sees([("a", "healthy"), ("b", "critical")]);
    at_b.sees([("b", "healthy"), ("a", "critical")]);
    a.ip("link set cable up").unwrap();
    at_a.sees([("a", "healthy"), ("b", "healthy")]);
    at_b.sees([("b", "healthy"), ("a", "healthy")]);
}

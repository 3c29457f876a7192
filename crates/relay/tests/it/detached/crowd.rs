//! Many clients that come and go while payments arrive: seconds in CI, minutes in `scripts/soak detached`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bitcoin::secp256k1::rand::rngs::StdRng;
use bitcoin::secp256k1::rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use testkit::{Payee, RelayProcess};
use tokio::time::{Instant, interval, timeout};

use super::app::{App, paid, start};
use crate::wire::mine;

/// Clients, and seconds for which they come and go.
const CLIENTS: &str = "DETACHED_CLIENTS";
const SECONDS: &str = "DETACHED_SECONDS";
/// Payments after which a block is mined.
const PER_BLOCK: usize = 25;
/// Least time between two payments: a relay without optimisation scans as many for a thousand clients.
const PACE: Duration = Duration::from_millis(50);

fn number(name: &str, default: u64) -> u64 {
    let set = std::env::var(name).ok();
    set.map_or(default, |text| {
        text.parse().unwrap_or_else(|_| panic!("{name} is no number"))
    })
}

/// What an app keeps in its own storage.
#[derive(Default)]
struct Stored {
    /// Matches by their number, as text without the time of the message.
    matches: BTreeMap<u64, String>,
    repeated: usize,
    connections: usize,
}

impl Stored {
    /// The last match of which all before are stored.
    fn after(&self) -> u64 {
        self.matches.last_key_value().map_or(0, |(seq, _)| *seq)
    }

    fn add(&mut self, message: &Value) {
        let seq = message["watch_seq"].as_u64().expect("a number");
        let text = format!("{} {}", message["notification_type"], message["data"]);
        match self.matches.get(&seq) {
            Some(known) => {
                assert_eq!(*known, text, "a number always has the same match");
                self.repeated += 1;
            }
            None => {
                assert_eq!(seq, self.after() + 1, "in order, without a gap");
                self.matches.insert(seq, text);
            }
        }
    }

    fn has(&self, txid: &str) -> bool {
        self.matches
            .values()
            .any(|text| text.starts_with("\"payment_detected\"") && text.contains(txid))
    }
}

/// Reads what comes in this time.
async fn read(app: &mut App, stored: &mut Stored, within: Duration) {
    let end = Instant::now() + within;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let Ok(message) = timeout(left, app.wire.receive()).await else {
            return;
        };
        assert_eq!(message["type"], "notification", "{message}");
        stored.add(&message);
    }
}

/// Releases what is stored; new matches may come before the answer.
async fn release(app: &mut App, stored: &mut Stored) {
    let attach = json!({"type": "attach", "watch_id": app.id, "watch_token": app.token, "after": stored.after()});
    app.wire.send(attach).await;
    loop {
        let message = app.wire.receive().await;
        if message["type"] == "attach_response" {
            return;
        }
        stored.add(&message);
    }
}

async fn comes_and_goes(relay: Arc<RelayProcess>, payee: Payee, mut random: StdRng, end: Instant) -> (App, Stored) {
    let mut app = App::watch(&relay, &payee, json!({"detach": 3600})).await;
    let mut stored = Stored::default();
    while Instant::now() < end {
        stored.connections += 1;
        let stays = Duration::from_millis(random.gen_range(0..2_000));
        read(&mut app, &mut stored, stays).await;
        if random.gen_ratio(1, 3) {
            release(&mut app, &mut stored).await;
        }
        // Some crash before they have stored the last ones.
        let after = stored.after().saturating_sub(random.gen_range(0..3));
        app.leave(&relay).await;
        if random.gen_ratio(1, 2) {
            // Away for as long as a few others need.
            for _ in 0..random.gen_range(1..4) {
                app.wire.assert_open().await;
            }
        }
        app.attach(&relay, after).await;
    }
    (app, stored)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_payment_arrives_at_clients_that_come_and_go() {
    let (clients, seconds) = (number(CLIENTS, 30), number(SECONDS, 6));
    let seed = number("RELAY_TEST_SEED", 1);
    let relay = Arc::new(start(|options| options.set("LIMITS__CONNECTIONS", "20000")).await);
    // Many coins, so that payments need no unconfirmed ones.
    mine(&relay, 200).await;
    let end = Instant::now() + Duration::from_secs(seconds);
    let payees: Vec<Payee> = (0..clients).map(|_| Payee::new(&[])).collect();
    let mut apps = Vec::new();
    for (n, payee) in (0..).zip(&payees) {
        let random = StdRng::seed_from_u64(seed * 1_000_000 + n);
        let app = comes_and_goes(Arc::clone(&relay), payee.clone(), random, end);
        apps.push(tokio::spawn(app));
    }
    let expected: Arc<Mutex<Vec<BTreeSet<String>>>> = Arc::new(Mutex::new(vec![BTreeSet::new(); payees.len()]));
    let mut random = StdRng::seed_from_u64(seed);
    let mut payments = 0;
    let mut pace = interval(PACE);
    while Instant::now() < end {
        pace.tick().await;
        let client = random.gen_range(0..payees.len());
        let txid = paid(&relay, &payees[client]).await;
        expected.lock().unwrap()[client].insert(txid);
        payments += 1;
        if payments % PER_BLOCK == 0 {
            mine(&relay, 1).await;
        }
    }
    let (mut connections, mut repeated, mut matches) = (0, 0, 0);
    for (client, app) in apps.into_iter().enumerate() {
        let (mut app, mut stored) = app.await.expect("a client without a panic");
        // It comes back for the last time, and stays.
        app.leave(&relay).await;
        let after = stored.after();
        app.attach(&relay, after).await;
        let wanted = expected.lock().unwrap()[client].clone();
        let missing = |stored: &Stored| wanted.iter().filter(|txid| !stored.has(txid)).count();
        while missing(&stored) > 0 {
            let message = app.wire.receive().await;
            stored.add(&message);
        }
        let numbers: Vec<u64> = stored.matches.keys().copied().collect();
        assert_eq!(numbers, (1..=stored.after()).collect::<Vec<_>>());
        connections += stored.connections;
        repeated += stored.repeated;
        matches += numbers.len();
    }
    println!(
        "{clients} clients, {connections} connections, {payments} payments, {matches} matches, {repeated} repeated"
    );
    assert!(payments > 0 && connections as u64 >= clients);
}

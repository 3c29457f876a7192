//! The simulation: relays, faults, and checks of what the relays know.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use sdk_relay_protocol::http::RelayHealth;
use sdk_relay_protocol::mesh::{RelayId, RelayStatus};

use sdk_relay_mesh::{Config, LinkId, Mesh, Own};
use sdk_relay_mesh_table::random::Random;

use crate::hostility::Hostility;
use crate::keys::SimulatedKeys;
use crate::queue::{Connection, Event, Queue};
use crate::wire;

/// The address that each relay is configured with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// The next relay: the longest path between two relays.
    Ring,
    /// A random earlier relay.
    Tree,
    /// All have the same one.
    Star,
}

/// How the network behaves.
#[derive(Clone, Debug)]
pub struct Network {
    /// Probability that a message or a dial is lost.
    pub loss: f64,
    /// Relays with an index below this one are partitioned from the others; 0: no partition.
    pub cut: usize,
    /// Range of the delay of a message.
    pub delay: (Duration, Duration),
}

/// One simulated relay.
pub struct Relay {
    /// Its state machine.
    pub mesh: Mesh<SimulatedKeys>,
    /// It is running.
    pub alive: bool,
    pub(crate) started: Duration,
    pub(crate) starts: u64,
    /// Offset of its clock in seconds.
    pub(crate) skew: i64,
    pub(crate) next_wake: Duration,
    /// Bytes sent.
    pub sent: u64,
    /// Its attack, if it is hostile.
    pub(crate) hostility: Option<Hostility>,
    /// Number of falsified messages.
    pub(crate) corrupted: u64,
    /// Relays that it reported as disconnected, and since when.
    pub(crate) disconnected: BTreeMap<RelayId, Duration>,
}

/// A simulated mesh.
pub struct Simulation {
    /// By index; [`name`] gives the name.
    pub relays: Vec<Relay>,
    /// How the network behaves from here on.
    pub network: Network,
    /// The clock.
    pub now: Duration,
    pub(crate) config: Config,
    shape: Shape,
    pub(crate) queue: Queue,
    pub(crate) connections: BTreeMap<LinkId, Connection>,
    pub(crate) next_link: u64,
    pub(crate) random: Random,
    /// Longest time for which a relay considered another one critical that was running and reachable.
    pub longest_false_positive: Duration,
    /// Number of such false positives.
    pub false_positives: u64,
    pub(crate) healed: Duration,
    /// Each message is decoded from its bytes.
    pub decode_messages: bool,
}

/// Name of the relay with this index.
pub fn name(n: usize) -> String {
    format!("relay-{n:04}")
}

impl Simulation {
    /// `count` relays, started at random times within the first round.
    pub fn new(count: usize, shape: Shape, config: Config, seed: u64) -> Self {
        let mut simulation = Self {
            relays: Vec::new(),
            network: Network {
                loss: 0.0,
                cut: 0,
                delay: (Duration::from_millis(5), Duration::from_millis(150)),
            },
            now: Duration::ZERO,
            config,
            shape,
            queue: Queue::default(),
            connections: BTreeMap::new(),
            next_link: 0,
            random: Random::new(seed),
            longest_false_positive: Duration::ZERO,
            false_positives: 0,
            healed: Duration::ZERO,
            decode_messages: false,
        };
        for n in 0..count {
            let mesh = simulation.start(n, count, 1, 0);
            let started = simulation.config.interval.mul_f64(simulation.chance());
            simulation.relays.push(Relay {
                mesh,
                alive: true,
                started,
                starts: 1,
                skew: 0,
                next_wake: started,
                sent: 0,
                hostility: None,
                corrupted: 0,
                disconnected: BTreeMap::new(),
            });
            simulation.queue.push(started, Event::Wake(n, 1));
        }
        simulation
    }

    fn start(&mut self, n: usize, count: usize, starts: u64, skew: i64) -> Mesh<SimulatedKeys> {
        let first = match self.shape {
            Shape::Ring => (n + 1) % count,
            Shape::Tree if n == 0 => 1 % count,
            Shape::Tree => self.random.below(n),
            Shape::Star => usize::from(n == 0) % count,
        };
        let mut config = self.config.clone();
        config.seeds = if first == n { Vec::new() } else { vec![address(first)] };
        let clock = 1_700_000_000 + self.now.as_secs() as i64 + skew;
        let own = Own {
            relay_id: RelayId::new(&name(n)).unwrap_or_else(|_| unreachable!("a short name")),
            address: address(n),
            incarnation: clock as u64,
            status: RelayStatus::Healthy,
            software_version: "0.1.0".to_owned(),
            capabilities: ["sync", "notifications", "health", "metrics", "tweaks", "watch"]
                .map(str::to_owned)
                .to_vec(),
            started: clock as u64,
        };
        let keys = SimulatedKeys::new(n as u64);
        Mesh::new(config, own, keys, self.random.next() ^ starts, Duration::ZERO)
    }

    pub(crate) fn chance(&mut self) -> f64 {
        (self.random.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Runs for this many rounds.
    pub fn rounds(&mut self, rounds: u32) {
        let until = self.now + self.config.interval * rounds;
        self.run(until);
    }

    /// Runs round by round until `done`; returns the number of rounds, or `None` after `most`.
    pub fn until(&mut self, most: u32, done: impl Fn(&Self) -> bool) -> Option<u32> {
        for round in 0..=most {
            if done(self) {
                return Some(round);
            }
            self.rounds(1);
        }
        None
    }

    fn run(&mut self, until: Duration) {
        while let Some((at, event)) = self.queue.pop_before(until) {
            self.now = at;
            self.handle_event(event);
        }
        self.now = until;
    }

    /// Stops a relay without a leave announcement. If `silent`, its links stay open and nothing is received over them.
    pub fn kill(&mut self, n: usize, silent: bool) {
        if let Some(relay) = self.relays.get_mut(n) {
            relay.alive = false;
            relay.disconnected.clear();
        }
        let its: Vec<LinkId> = self
            .connections
            .iter()
            .filter(|(_, c)| c.ends.contains(&n))
            .map(|(id, _)| *id)
            .collect();
        for link in its {
            if !silent {
                self.hang_up(link, n);
            }
        }
    }

    /// Restarts a relay without any state, its clock off by `skew` seconds.
    pub fn restart(&mut self, n: usize, skew: i64) {
        self.kill(n, false);
        let count = self.relays.len();
        let starts = self.relays.get(n).map_or(0, |relay| relay.starts) + 1;
        let mesh = self.start(n, count, starts, skew);
        if let Some(relay) = self.relays.get_mut(n) {
            relay.mesh = mesh;
            relay.alive = true;
            relay.started = self.now;
            relay.starts = starts;
            relay.skew = skew;
            relay.next_wake = self.now;
            self.queue.push(self.now, Event::Wake(n, starts));
        }
    }

    /// Ends the partition and the loss, and resets the false positives.
    pub fn heal(&mut self) {
        self.network.cut = 0;
        self.network.loss = 0.0;
        self.reset_false_positives();
    }

    /// Counts false positives from now on.
    pub fn reset_false_positives(&mut self) {
        self.healed = self.now;
        self.longest_false_positive = Duration::ZERO;
        self.false_positives = 0;
    }

    /// All running relays have the same table, with each other's newest entries.
    pub fn agree(&self) -> bool {
        let mut living = self.relays.iter().filter(|relay| relay.alive);
        let Some(first) = living.next() else { return true };
        let digest = first.mesh.digest();
        if !living.all(|relay| relay.mesh.digest() == digest) {
            return false;
        }
        let views = first.mesh.relays(self.local(first));
        let newest: BTreeSet<_> = views
            .iter()
            .map(|view| &view.entry)
            .map(|e| (e.relay_id.as_str(), e.incarnation, e.version))
            .collect();
        self.relays.iter().filter(|relay| relay.alive).all(|relay| {
            let own = relay.mesh.own();
            newest.contains(&(own.relay_id.as_str(), own.incarnation, own.version))
        })
    }

    /// All running relays have the same table, and consider the running ones healthy and the stopped ones critical.
    pub fn agree_on_health(&self) -> bool {
        self.agree()
            && self
                .relays
                .iter()
                .filter(|relay| relay.alive)
                .all(|relay| self.sees_correct_health(relay))
    }

    /// All running relays consider this one critical, or do not know it any longer.
    pub fn all_see_critical(&self, n: usize) -> bool {
        let name = name(n);
        self.relays.iter().filter(|relay| relay.alive).all(|relay| {
            relay
                .mesh
                .relay(self.local(relay), &name)
                .is_none_or(|view| view.health == RelayHealth::Critical)
        })
    }

    fn sees_correct_health(&self, relay: &Relay) -> bool {
        let views = relay.mesh.relays(self.local(relay));
        let mut living = self.relays.iter().filter(|other| other.alive).count();
        let right = views.iter().all(|view| {
            let alive = self
                .index(view.entry.relay_id.as_str())
                .is_some_and(|n| self.relays.get(n).is_some_and(|r| r.alive));
            living -= usize::from(alive);
            match alive {
                true => view.health == RelayHealth::Healthy,
                false => view.health == RelayHealth::Critical,
            }
        });
        right && living == 0
    }

    pub(crate) fn index(&self, name: &str) -> Option<usize> {
        name.strip_prefix("relay-")?.parse().ok()
    }

    pub(crate) fn local(&self, relay: &Relay) -> Duration {
        self.now.saturating_sub(relay.started)
    }

    /// Bytes of the full list: every relay's entry, serialised.
    pub fn full_list(&self) -> u64 {
        let entries = self.relays.iter().map(|relay| wire::length(&**relay.mesh.own()) + 1);
        entries.sum::<u64>() + 1
    }

    /// Counts sent bytes from now on.
    pub fn reset_sent(&mut self) {
        self.relays.iter_mut().for_each(|relay| relay.sent = 0);
    }

    /// The most bytes that one relay has sent.
    pub fn most_sent(&self) -> u64 {
        self.relays.iter().map(|relay| relay.sent).max().unwrap_or(0)
    }

    /// Mean of the bytes that relays have sent.
    pub fn mean_sent(&self) -> f64 {
        self.relays.iter().map(|relay| relay.sent).sum::<u64>() as f64 / self.relays.len().max(1) as f64
    }

    /// Changes `sync.interval` of all relays, and with it the length of a round.
    pub fn set_interval(&mut self, interval: Duration) {
        self.config.interval = interval;
        for n in 0..self.relays.len() {
            self.drive(n, |mesh, now| mesh.set_interval(now, interval));
        }
    }

    /// Changes the status of a relay.
    pub fn set_status(&mut self, n: usize, status: RelayStatus) {
        self.drive(n, |mesh, now| mesh.set_status(now, status));
    }

    /// A relay announces that it leaves, and stops.
    pub fn leave(&mut self, n: usize) {
        self.drive(n, Mesh::leave);
        if let Some(relay) = self.relays.get_mut(n) {
            relay.alive = false;
        }
    }
}

/// The state machine of one relay, `relay-0` with key 0, for tests that act as its peers.
pub fn lone(config: Config) -> Mesh<SimulatedKeys> {
    let own = Own {
        relay_id: RelayId::new("relay-0").unwrap_or_else(|_| unreachable!("a short name")),
        address: "relay-0.example.com:8090".to_owned(),
        incarnation: 10,
        status: RelayStatus::Healthy,
        software_version: "0.1.0".to_owned(),
        capabilities: vec!["sync".to_owned()],
        started: 10,
    };
    Mesh::new(config, own, SimulatedKeys::new(0), 1, Duration::ZERO)
}

pub(crate) fn address(n: usize) -> String {
    format!("{}.example.com:8090", name(n))
}

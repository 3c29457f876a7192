//! The relays, what is done to them, and what they know.

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

/// Whom a relay knows at its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// The next one: the longest way between two relays.
    Ring,
    /// Any of those that were there before.
    Tree,
    /// All know the same one.
    Star,
}

/// How the network behaves.
#[derive(Clone, Debug)]
pub struct Network {
    /// Share of messages and dials that are lost.
    pub loss: f64,
    /// Relays with an index below this one cannot reach the others; 0: no cut.
    pub cut: usize,
    /// Messages take between these.
    pub delay: (Duration, Duration),
}

/// One simulated relay.
pub struct Relay {
    /// Its part of the mesh.
    pub mesh: Mesh<SimulatedKeys>,
    /// It runs.
    pub alive: bool,
    pub(crate) born: Duration,
    pub(crate) starts: u64,
    /// Its clock is off by so much.
    pub(crate) skew: i64,
    pub(crate) wakes: Duration,
    /// Bytes that it has sent.
    pub sent: u64,
    /// What it does to harm the others.
    pub(crate) hostility: Option<Hostility>,
    /// How often it has done so.
    pub(crate) spoiled: u64,
    /// Since when it takes others for gone.
    pub(crate) disconnected: BTreeMap<RelayId, Duration>,
}

/// All of it.
pub struct Simulation {
    /// By index; their names are [`name`]s of it.
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
    /// Longest time for which a relay took another for critical that lived and could be reached.
    pub longest_false: Duration,
    /// How many were taken for critical so.
    pub false_deaths: u64,
    pub(crate) healed: Duration,
    /// Every message is also read back from its bytes.
    pub read_back: bool,
}

/// Name of the relay with this index.
pub fn name(n: usize) -> String {
    format!("relay-{n:04}")
}

impl Simulation {
    /// `count` relays, started at different moments of the first round.
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
            longest_false: Duration::ZERO,
            false_deaths: 0,
            healed: Duration::ZERO,
            read_back: false,
        };
        for n in 0..count {
            let mesh = simulation.start(n, count, 1, 0);
            let born = simulation.config.interval.mul_f64(simulation.chance());
            simulation.relays.push(Relay {
                mesh,
                alive: true,
                born,
                starts: 1,
                skew: 0,
                wakes: born,
                sent: 0,
                hostility: None,
                spoiled: 0,
                disconnected: BTreeMap::new(),
            });
            simulation.queue.push(born, Event::Wake(n, 1));
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

    /// Runs for so many rounds.
    pub fn rounds(&mut self, rounds: u32) {
        let until = self.now + self.config.interval * rounds;
        self.run(until);
    }

    /// Runs round by round until `done`; the rounds that it took, or `None` after `most`.
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
            self.happen(event);
        }
        self.now = until;
    }

    /// Ends a relay without a goodbye. Where it is `silent`, its links stay open and nothing comes any more.
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

    /// Starts a relay anew, with nothing but its configuration, its clock off by `skew` seconds.
    pub fn restart(&mut self, n: usize, skew: i64) {
        self.kill(n, false);
        let count = self.relays.len();
        let starts = self.relays.get(n).map_or(0, |relay| relay.starts) + 1;
        let mesh = self.start(n, count, starts, skew);
        if let Some(relay) = self.relays.get_mut(n) {
            relay.mesh = mesh;
            relay.alive = true;
            relay.born = self.now;
            relay.starts = starts;
            relay.skew = skew;
            relay.wakes = self.now;
            self.queue.push(self.now, Event::Wake(n, starts));
        }
    }

    /// Ends the cut and the loss: from here on false deaths are counted anew.
    pub fn heal(&mut self) {
        self.network.cut = 0;
        self.network.loss = 0.0;
        self.count_false_deaths_anew();
    }

    /// False deaths count from here on.
    pub fn count_false_deaths_anew(&mut self) {
        self.healed = self.now;
        self.longest_false = Duration::ZERO;
        self.false_deaths = 0;
    }

    /// All living relays know the same of the same relays, and each other's newest entries.
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

    /// They agree, take each other for healthy, and those that are dead for critical.
    pub fn agree_on_health(&self) -> bool {
        self.agree()
            && self
                .relays
                .iter()
                .filter(|relay| relay.alive)
                .all(|relay| self.sees_rightly(relay))
    }

    /// All living relays take this one for critical, or know it no more.
    pub fn know_dead(&self, n: usize) -> bool {
        let name = name(n);
        self.relays.iter().filter(|relay| relay.alive).all(|relay| {
            relay
                .mesh
                .relay(self.local(relay), &name)
                .is_none_or(|view| view.health == RelayHealth::Critical)
        })
    }

    fn sees_rightly(&self, relay: &Relay) -> bool {
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
        self.now.saturating_sub(relay.born)
    }

    /// Bytes of the full list: every relay's entry, serialised.
    pub fn full_list(&self) -> u64 {
        let entries = self.relays.iter().map(|relay| wire::length(&**relay.mesh.own()) + 1);
        entries.sum::<u64>() + 1
    }

    /// Bytes that each relay has sent, from here on.
    pub fn count_anew(&mut self) {
        self.relays.iter_mut().for_each(|relay| relay.sent = 0);
    }

    /// The most that one has sent.
    pub fn most_sent(&self) -> u64 {
        self.relays.iter().map(|relay| relay.sent).max().unwrap_or(0)
    }

    /// What a relay has sent on average.
    pub fn mean_sent(&self) -> f64 {
        self.relays.iter().map(|relay| relay.sent).sum::<u64>() as f64 / self.relays.len().max(1) as f64
    }

    /// `sync.interval` of all changes, and with it what a round is.
    pub fn set_interval(&mut self, interval: Duration) {
        self.config.interval = interval;
        for n in 0..self.relays.len() {
            self.tell(n, |mesh, now| mesh.set_interval(now, interval));
        }
    }

    /// A change of a relay's own status.
    pub fn set_status(&mut self, n: usize, status: RelayStatus) {
        self.tell(n, |mesh, now| mesh.set_status(now, status));
    }

    /// A goodbye, then the end.
    pub fn leave(&mut self, n: usize) {
        self.tell(n, Mesh::leave);
        if let Some(relay) = self.relays.get_mut(n) {
            relay.alive = false;
        }
    }
}

/// A relay by itself, `relay-0` with the keys 0, for whoever plays the others by hand.
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

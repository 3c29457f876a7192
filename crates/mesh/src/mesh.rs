//! The state machine: its state, its clock and its output queue.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use sdk_relay_mesh_table::random::Random;
use sdk_relay_mesh_table::{Forgotten, LinkId, Row, Slot, Table};
use sdk_relay_protocol::mesh::{RelayEntry, RelayId};

use crate::config::{Config, Own};
use crate::indirect_probe::IndirectProbe;
use crate::keys::{Keys, entry_bytes};
use crate::limits::MAX_PASSING;
use crate::link::Link;
use crate::output::{DialId, Output};
use crate::pending_dial::PendingDial;
use crate::seed::Seed;
use crate::spare::SpareBudget;
use crate::view::Counters;

/// Highest value of `max_links`: each link, also a passing one, uses one of the 64 bits of a row.
const MAX_LINKS: usize = 64 - MAX_PASSING;

/// Shortest interval: below it, the state machine would do nothing but run timers.
const MIN_INTERVAL: Duration = Duration::from_millis(100);

/// The state machine of one relay.
pub struct Mesh<K> {
    pub(crate) keys: K,
    pub(crate) config: Config,
    pub(crate) own: Slot,
    pub(crate) own_id: RelayId,
    pub(crate) own_entry: Arc<RelayEntry>,
    pub(crate) table: Table,
    pub(crate) links: BTreeMap<LinkId, Link>,
    pub(crate) bits: u64,
    pub(crate) dials: BTreeMap<DialId, PendingDial>,
    pub(crate) seeds: Vec<Seed>,
    /// The relay to which a full bootstrap peer redirected this one.
    pub(crate) redirected_to: Option<RelayId>,
    /// Requested entries, the link and the time, so that no entry is requested over two links.
    pub(crate) requested: BTreeMap<RelayId, (LinkId, Duration)>,
    /// Removed relays that are not learned again yet.
    pub(crate) forgotten: BTreeMap<RelayId, Forgotten>,
    /// Keys that did not answer for a name that another key claimed, and until when hearsay cannot bind the name to
    /// them.
    pub(crate) disproven: BTreeMap<(RelayId, String), Duration>,
    pub(crate) indirect_probes: Vec<IndirectProbe>,
    /// Failed dials of relays from which nothing was ever received first hand, since the last such dial that succeeded.
    pub(crate) unproven_failures: u32,
    /// When an accused relay was last dialled, by introducer.
    pub(crate) accused_dialled: BTreeMap<RelayId, Duration>,
    /// The budget for sending entries a second time.
    pub(crate) spare: SpareBudget,
    pub(crate) out: VecDeque<Output>,
    pub(crate) random: Random,
    pub(crate) counters: Counters,
    pub(crate) next_token: u64,
    pub(crate) next_dial: u64,
    /// When timers other than those of the links run next.
    pub(crate) next_maintenance: Duration,
    pub(crate) next_probe: Duration,
    /// When strikes are halved next.
    pub(crate) next_strike_decay: Duration,
    /// This relay is accused and has not refuted it yet.
    pub(crate) must_refute: bool,
    pub(crate) refuted: Option<Duration>,
    pub(crate) left: bool,
}

impl<K: Keys> Mesh<K> {
    /// A relay that knows only itself and `config.seeds`. `seed` is for random choices and jitter.
    pub fn new(config: Config, own: Own, keys: K, seed: u64, now: Duration) -> Self {
        let mut random = Random::new(seed);
        let mut config = config;
        config.interval = config.interval.max(MIN_INTERVAL);
        config.max_links = config.max_links.clamp(1, MAX_LINKS);
        let mut entry = RelayEntry {
            relay_id: own.relay_id.clone(),
            public_key: keys.public_key(),
            address: own.address,
            incarnation: own.incarnation,
            version: 1,
            status: own.status,
            software_version: own.software_version,
            capabilities: own.capabilities,
            started: own.started,
            signature: String::new(),
        };
        entry.signature = keys.sign(&entry_bytes(&entry));
        let mut table = Table::new();
        let own_entry = Arc::new(entry);
        let slot = table.insert(Row::new(Arc::clone(&own_entry), now));
        let seeds = config.seeds.iter().map(|address| Seed::new(address.clone())).collect();
        Self {
            keys,
            own: slot,
            own_id: own.relay_id,
            own_entry,
            table,
            links: BTreeMap::new(),
            bits: 0,
            dials: BTreeMap::new(),
            seeds,
            redirected_to: None,
            requested: BTreeMap::new(),
            forgotten: BTreeMap::new(),
            disproven: BTreeMap::new(),
            indirect_probes: Vec::new(),
            unproven_failures: 0,
            accused_dialled: BTreeMap::new(),
            spare: SpareBudget::new(now),
            out: VecDeque::new(),
            counters: Counters::default(),
            next_token: 0,
            next_dial: 0,
            next_maintenance: now,
            next_probe: now + random.jittered(config.interval * 2),
            next_strike_decay: now,
            must_refute: false,
            refuted: None,
            left: false,
            random,
            config,
        }
    }

    /// The next output; `None` if there is none.
    pub fn poll(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// When [`Mesh::tick`] is to be called, unless another input arrives before.
    pub fn deadline(&self) -> Duration {
        let links = self.links.values().map(|link| match link.outstanding {
            Some(outstanding) => outstanding.until,
            None => link.next,
        });
        links.fold(self.next_maintenance, Duration::min)
    }

    /// The deadline has passed.
    pub fn tick(&mut self, now: Duration) {
        if self.left {
            self.next_maintenance = now + self.config.interval;
            return;
        }
        if self.next_maintenance <= now {
            self.next_maintenance = now + self.random.jittered(self.config.interval / 4);
            self.check_links(now);
            self.check_unhealthy(now);
            self.maintain_dials(now);
            self.refute_accusation(now);
        }
        self.run_links(now);
    }

    /// `sync.interval` changed: links use it from now on.
    pub fn set_interval(&mut self, now: Duration, interval: Duration) {
        self.config.interval = interval.max(MIN_INTERVAL);
        let interval = self.config.interval;
        for link in self.links.values_mut() {
            link.next = link.next.min(now + interval);
        }
        self.next_maintenance = self.next_maintenance.min(now + interval / 4);
        self.next_probe = self.next_probe.min(now + interval * 4);
    }

    /// This relay's own entry.
    pub fn own(&self) -> &Arc<RelayEntry> {
        &self.own_entry
    }

    /// Number of links that count as `max_links`.
    pub fn links(&self) -> usize {
        self.persistent_links()
    }

    /// The counters.
    pub fn counters(&self) -> Counters {
        self.counters
    }
}

//! The state machine: its state, its clock and its output queue.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use sdk_relay_mesh_table::random::Random;
use sdk_relay_mesh_table::{Forgotten, LinkId, Row, Slot, Table};
use sdk_relay_protocol::mesh::{RelayEntry, RelayId};

use crate::config::{Config, Own};
use crate::dialling::Dialling;
use crate::helping::Helping;
use crate::keys::{Keys, entry_bytes};
use crate::limits::MAX_PASSING;
use crate::link::Link;
use crate::output::{DialId, Output};
use crate::seed::Seed;
use crate::spare::Spare;
use crate::view::Counters;

/// Most links that can be asked for: each needs a bit of a row's 64, and passing ones need some too.
const MAX_LINKS: usize = 64 - MAX_PASSING;

/// Shortest round. Below it the machine would only run in circles.
const MIN_INTERVAL: Duration = Duration::from_millis(100);

/// One relay's part of the mesh.
pub struct Mesh<K> {
    pub(crate) keys: K,
    pub(crate) config: Config,
    pub(crate) own: Slot,
    pub(crate) own_id: RelayId,
    pub(crate) own_entry: Arc<RelayEntry>,
    pub(crate) table: Table,
    pub(crate) links: BTreeMap<LinkId, Link>,
    pub(crate) bits: u64,
    pub(crate) dials: BTreeMap<DialId, Dialling>,
    pub(crate) seeds: Vec<Seed>,
    /// Where a configured relay without room sent this one.
    pub(crate) sent_on: Option<RelayId>,
    /// Who was asked for what, so that two are not asked for the same.
    pub(crate) asked: BTreeMap<RelayId, (LinkId, Duration)>,
    /// Entries that are not learned again.
    pub(crate) forgotten: BTreeMap<RelayId, Forgotten>,
    /// Keys that did not answer for a name that another key claimed, and until when they are not taken for it from others.
    pub(crate) disproven: BTreeMap<(RelayId, String), Duration>,
    pub(crate) helping: Vec<Helping>,
    /// Dials that failed of relays that nobody here has ever heard from, since one succeeded.
    pub(crate) misses: u32,
    /// When a relay that stands accused was dialled last, by the peer by whose word it is known.
    pub(crate) accused_dialled: BTreeMap<RelayId, Duration>,
    /// Entries that may be given away a second time.
    pub(crate) spare: Spare,
    pub(crate) out: VecDeque<Output>,
    pub(crate) random: Random,
    pub(crate) counters: Counters,
    pub(crate) next_token: u64,
    pub(crate) next_dial: u64,
    /// When the relays that are not linked are looked after next.
    pub(crate) chores: Duration,
    pub(crate) next_probe: Duration,
    /// When strikes are halved next.
    pub(crate) next_pardon: Duration,
    /// This relay stands accused of silence and has not answered yet.
    pub(crate) must_refute: bool,
    pub(crate) refuted: Option<Duration>,
    pub(crate) left: bool,
}

impl<K: Keys> Mesh<K> {
    /// A relay that knows itself and `config.seeds`. `seed` is for choices and jitter.
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
            sent_on: None,
            asked: BTreeMap::new(),
            forgotten: BTreeMap::new(),
            disproven: BTreeMap::new(),
            helping: Vec::new(),
            misses: 0,
            accused_dialled: BTreeMap::new(),
            spare: Spare::new(now),
            out: VecDeque::new(),
            counters: Counters::default(),
            next_token: 0,
            next_dial: 0,
            chores: now,
            next_probe: now + random.jittered(config.interval * 2),
            next_pardon: now,
            must_refute: false,
            refuted: None,
            left: false,
            random,
            config,
        }
    }

    /// What is to be done next; `None` when all is done.
    pub fn poll(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// When [`Mesh::tick`] is to be called, if nothing else happens before.
    pub fn deadline(&self) -> Duration {
        let links = self.links.values().map(|link| match link.outstanding {
            Some(outstanding) => outstanding.until,
            None => link.next,
        });
        links.fold(self.chores, Duration::min)
    }

    /// The clock reached the deadline.
    pub fn tick(&mut self, now: Duration) {
        if self.left {
            self.chores = now + self.config.interval;
            return;
        }
        if self.chores <= now {
            self.chores = now + self.random.jittered(self.config.interval / 4);
            self.look_after_links(now);
            self.look_after_troubled(now);
            self.look_after_dials(now);
            self.look_after_own(now);
        }
        self.run_links(now);
    }

    /// `sync.interval` changed: links keep their pace from here on.
    pub fn set_interval(&mut self, now: Duration, interval: Duration) {
        self.config.interval = interval.max(MIN_INTERVAL);
        let interval = self.config.interval;
        for link in self.links.values_mut() {
            link.next = link.next.min(now + interval);
        }
        self.chores = self.chores.min(now + interval / 4);
        self.next_probe = self.next_probe.min(now + interval * 4);
    }

    /// This relay's own entry.
    pub fn own(&self) -> &Arc<RelayEntry> {
        &self.own_entry
    }

    /// Links that last.
    pub fn links(&self) -> usize {
        self.lasting_links()
    }

    /// What was counted.
    pub fn counters(&self) -> Counters {
        self.counters
    }
}

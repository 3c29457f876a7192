//! What is known of all relays: a row each, and the digest by which two tables are compared.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use sdk_relay_protocol::mesh::{Accusation, Have, RelayEntry, RelayId, RelayStatus};

use crate::LinkId;
use crate::distance::Counts;
use crate::limits::BUCKETS;
use crate::random::mix;

/// A row's place in the table. Places are used again: nothing keeps one over a removal.
pub(crate) type Place = u32;

pub(crate) struct Row {
    pub(crate) entry: Arc<RelayEntry>,
    /// Of this very entry: from its signature.
    stamp: u64,
    accusation: Option<Arc<Accusation>>,
    /// One bit for each link: the other end has this row as it is.
    pub(crate) known_by: u64,
    /// This entry was given away once.
    pub(crate) given: bool,
    /// When something was learned of it.
    pub(crate) learned: Duration,
    /// By whose word alone it is known; `None` once something came from itself.
    hearsay: Option<Hearsay>,
    /// What is known of it at first hand, where there is anything.
    pub(crate) local: Option<Box<Local>>,
}

/// A row that is known by the word of a peer alone.
pub(crate) struct Hearsay {
    pub(crate) introducer: RelayId,
    /// The shortest way to it that this relay was told of.
    pub(crate) distance: u8,
    /// Other peers that told of it by themselves, a few of them, and how far it is by their words.
    others: Vec<(RelayId, u8)>,
}

/// Most peers of [`Hearsay::others`]: one of them is needed, where it may introduce one more.
const MAX_OTHERS: usize = 8;

impl Hearsay {
    fn new(introducer: RelayId, distance: u8) -> Self {
        Self {
            introducer,
            distance,
            others: Vec::new(),
        }
    }

    pub(crate) fn others(&self) -> &[(RelayId, u8)] {
        &self.others
    }

    fn also_told_by(&mut self, peer: &RelayId, distance: u8) {
        self.others.retain(|(other, _)| other != peer);
        if self.others.len() < MAX_OTHERS && self.introducer != *peer {
            self.others.push((peer.clone(), distance));
        }
    }
}

/// At first hand. Most rows of a large mesh have none of it.
#[derive(Default)]
pub(crate) struct Local {
    pub(crate) link: Option<LinkId>,
    /// Something came from itself.
    pub(crate) heard: Option<Duration>,
    /// Another heard of it.
    pub(crate) vouched: Option<Duration>,
    pub(crate) latency: Option<Duration>,
    /// It does not answer: since when, and when others were asked.
    pub(crate) suspicion: Option<Suspicion>,
    /// It stands accused.
    pub(crate) doubt: Option<Doubt>,
    /// Critical, or gone with a goodbye, and told so.
    pub(crate) gone: Option<Duration>,
    pub(crate) failures: u32,
    pub(crate) dial_after: Duration,
    /// Accusations by it that were refuted.
    pub(crate) strikes: u32,
    /// Another key claims its name: where this one does not answer, it loses the name.
    pub(crate) contested: bool,
    /// The entry of that key, where it came by hearsay: it takes the place.
    pub(crate) claim: Option<Claim>,
}

/// Whether an accused relay is critical: it has its time to say that it lives, and then must not answer this relay either.
#[derive(Clone, Copy)]
pub(crate) struct Doubt {
    pub(crate) until: Duration,
    /// It did not answer since, or cannot be asked.
    pub(crate) silent: bool,
}

/// An entry for a name that another key has here.
pub(crate) struct Claim {
    pub(crate) entry: Arc<RelayEntry>,
    /// The link over which it came.
    pub(crate) link: LinkId,
    pub(crate) distance: u8,
}

/// A relay that was forgotten, and until when it is not learned again from those who forget it later.
pub(crate) struct Forgotten {
    pub(crate) public_key: String,
    pub(crate) order: (u64, u64),
    pub(crate) until: Duration,
}

#[derive(Clone, Copy)]
pub(crate) struct Suspicion {
    pub(crate) since: Duration,
    pub(crate) asked: Option<Duration>,
}

impl Row {
    pub(crate) fn new(entry: Arc<RelayEntry>, now: Duration) -> Self {
        Self {
            stamp: stamp(&entry.signature),
            entry,
            accusation: None,
            known_by: 0,
            given: false,
            learned: now,
            hearsay: None,
            local: None,
        }
    }

    /// Known by this peer's word.
    pub(crate) fn introduced_by(mut self, introducer: RelayId, distance: u8) -> Self {
        self.hearsay = Some(Hearsay::new(introducer, distance));
        self
    }

    pub(crate) fn hearsay(&self) -> Option<&Hearsay> {
        self.hearsay.as_ref()
    }

    /// Nothing ever came from itself.
    pub(crate) fn is_hearsay(&self) -> bool {
        self.hearsay.is_some()
    }

    /// Nothing ever came from itself, and it does not answer: its name is free.
    pub(crate) fn gives_way(&self) -> bool {
        let unreached = self.local.as_ref().is_some_and(|local| local.failures > 0);
        self.is_hearsay() && (unreached || self.gone().is_some() || self.has_left())
    }

    pub(crate) fn order(&self) -> (u64, u64) {
        order(&self.entry)
    }

    /// How it is told.
    pub(crate) fn have(&self) -> Have {
        let (incarnation, version) = self.order();
        let accused = u8::from(self.accusation.is_some());
        Have(self.entry.relay_id.clone(), incarnation, version, accused)
    }

    pub(crate) fn accusation(&self) -> Option<&Arc<Accusation>> {
        self.accusation.as_ref()
    }

    pub(crate) fn local(&mut self) -> &mut Local {
        self.local.get_or_insert_default()
    }

    pub(crate) fn heard(&self) -> Option<Duration> {
        self.local.as_ref()?.heard
    }

    pub(crate) fn link(&self) -> Option<LinkId> {
        self.local.as_ref()?.link
    }

    pub(crate) fn suspicion(&self) -> Option<Suspicion> {
        self.local.as_ref()?.suspicion
    }

    pub(crate) fn gone(&self) -> Option<Duration> {
        self.local.as_ref()?.gone
    }

    pub(crate) fn dial_after(&self) -> Duration {
        self.local.as_ref().map_or(Duration::ZERO, |local| local.dial_after)
    }

    pub(crate) fn has_left(&self) -> bool {
        self.entry.status == RelayStatus::Left
    }

    /// Nothing speaks against it.
    pub(crate) fn is_trusted(&self) -> bool {
        self.accusation.is_none() && self.suspicion().is_none() && self.gone().is_none() && !self.has_left()
    }

    fn hash(&self) -> u64 {
        mix(self.stamp ^ u64::from(self.accusation.is_some()))
    }
}

pub(crate) fn order(entry: &RelayEntry) -> (u64, u64) {
    (entry.incarnation, entry.version)
}

/// The first 8 bytes of a signature are as good as random, and two entries never share one.
fn stamp(signature: &str) -> u64 {
    signature
        .get(..16)
        .and_then(|hex| u64::from_str_radix(hex, 16).ok())
        .unwrap_or(0)
}

fn bucket(id: &RelayId) -> usize {
    (spread(id) % BUCKETS as u64) as usize
}

/// Of the name, as good as random.
pub(crate) fn spread(id: &RelayId) -> u64 {
    let hash = id.as_str().bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    mix(hash)
}

#[derive(Default)]
pub(crate) struct Table {
    rows: Vec<Option<Row>>,
    free: Vec<Place>,
    index: BTreeMap<RelayId, Place>,
    buckets: Vec<u64>,
    digest: u64,
    /// How many rows are known by a peer's word alone, by distance.
    introduced: BTreeMap<RelayId, Counts>,
    /// Rows that need attention: suspected, accused, or gone.
    pub(crate) trouble: BTreeSet<Place>,
    /// Rows whose names other keys claim.
    pub(crate) contested: BTreeSet<Place>,
}

impl Table {
    pub(crate) fn new() -> Self {
        Self {
            buckets: vec![0; BUCKETS],
            ..Self::default()
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.index.len()
    }

    /// Hash of all entries and of whether they stand accused.
    pub(crate) fn digest(&self) -> u64 {
        self.digest
    }

    pub(crate) fn buckets(&self) -> &[u64] {
        &self.buckets
    }

    pub(crate) fn place(&self, id: &str) -> Option<Place> {
        self.index.get(id).copied()
    }

    pub(crate) fn row(&self, place: Place) -> Option<&Row> {
        self.rows.get(place as usize)?.as_ref()
    }

    pub(crate) fn row_mut(&mut self, place: Place) -> Option<&mut Row> {
        self.rows.get_mut(place as usize)?.as_mut()
    }

    pub(crate) fn find(&self, id: &str) -> Option<&Row> {
        self.row(self.place(id)?)
    }

    pub(crate) fn find_mut(&mut self, id: &str) -> Option<&mut Row> {
        let place = self.place(id)?;
        self.row_mut(place)
    }

    /// In the order of names.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Place, &Row)> {
        self.index.values().filter_map(|&place| Some((place, self.row(place)?)))
    }

    /// Rows in the parts whose hashes differ from `theirs`.
    pub(crate) fn differing(&self, theirs: &[u64]) -> Vec<Place> {
        let differs: Vec<bool> = self
            .buckets
            .iter()
            .zip(theirs)
            .map(|(own, other)| own != other)
            .collect();
        let in_them = |id: &RelayId| differs.get(bucket(id)).copied().unwrap_or(true);
        self.index
            .iter()
            .filter(|(id, _)| in_them(id))
            .map(|(_, &place)| place)
            .collect()
    }

    pub(crate) fn insert(&mut self, row: Row) -> Place {
        let id = row.entry.relay_id.clone();
        self.toggle(&id, row.hash());
        if let Some(hearsay) = &row.hearsay {
            let counts = self.introduced.entry(hearsay.introducer.clone()).or_default();
            counts.add(hearsay.distance);
        }
        let place = match self.free.pop() {
            Some(place) => place,
            None => {
                self.rows.push(None);
                (self.rows.len() - 1) as Place
            }
        };
        if let Some(slot) = self.rows.get_mut(place as usize) {
            *slot = Some(row);
        }
        self.index.insert(id, place);
        place
    }

    pub(crate) fn remove(&mut self, place: Place) -> Option<Row> {
        let row = self.rows.get_mut(place as usize)?.take()?;
        self.toggle(&row.entry.relay_id, row.hash());
        self.index.remove(row.entry.relay_id.as_str());
        self.one_less(row.hearsay.as_ref());
        self.trouble.remove(&place);
        self.contested.remove(&place);
        self.free.push(place);
        Some(row)
    }

    /// Something came from the relay itself.
    pub(crate) fn proven(&mut self, place: Place) {
        let hearsay = self.row_mut(place).and_then(|row| row.hearsay.take());
        self.one_less(hearsay.as_ref());
    }

    /// From here on a row that is known by hearsay is known by the word of this peer.
    pub(crate) fn attribute(&mut self, place: Place, introducer: RelayId, distance: u8) {
        let Some(row) = self.row_mut(place).filter(|row| row.is_hearsay()) else {
            return;
        };
        let mut hearsay = Hearsay::new(introducer.clone(), distance);
        let before = row.hearsay.take();
        if let Some(before) = &before {
            hearsay.others.clone_from(&before.others);
            hearsay.also_told_by(&introducer, distance);
            hearsay.also_told_by(&before.introducer, before.distance);
        }
        row.hearsay = Some(hearsay);
        self.one_less(before.as_ref());
        self.introduced.entry(introducer).or_default().add(distance);
    }

    /// Another peer than its introducer told of a row that is known by hearsay.
    pub(crate) fn also_told_by(&mut self, place: Place, peer: &RelayId, distance: u8) {
        if let Some(hearsay) = self.row_mut(place).and_then(|row| row.hearsay.as_mut()) {
            hearsay.also_told_by(peer, distance);
        }
    }

    fn one_less(&mut self, hearsay: Option<&Hearsay>) {
        let Some(Hearsay {
            introducer, distance, ..
        }) = hearsay
        else {
            return;
        };
        if let Some(counts) = self.introduced.get_mut(introducer) {
            counts.remove(*distance);
            if counts.all() == 0 {
                self.introduced.remove(introducer);
            }
        }
    }

    /// How many rows are known by this peer's word alone.
    pub(crate) fn introduced(&self, peer: &RelayId) -> Counts {
        self.introduced.get(peer).cloned().unwrap_or_default()
    }

    /// The farthest row of those that a peer has introduced.
    pub(crate) fn farthest_of(&self, peer: &RelayId) -> Option<Place> {
        self.least_founded(|hearsay| hearsay.introducer == *peer)
    }

    /// The row that makes way in a full table for one at this distance, of a peer that will have introduced `fair` with it: the farthest of those that are farther; else
    /// one as far of the peer that has introduced most, if that is more.
    pub(crate) fn gives_room(&self, distance: u8, fair: usize) -> Option<Place> {
        self.least_founded(|hearsay| hearsay.distance > distance).or_else(|| {
            let (most, _) = self
                .introduced
                .iter()
                .filter(|(_, counts)| counts.all() > fair && counts.at(distance) > 0)
                .max_by_key(|(_, counts)| counts.all())?;
            self.least_founded(|hearsay| hearsay.introducer == *most && hearsay.distance == distance)
        })
    }

    /// The farthest row, of these the one that fewest links have, of these the youngest. What many have, and what has lasted, is less likely invented.
    fn least_founded(&self, of: impl Fn(&Hearsay) -> bool) -> Option<Place> {
        let hearsay = self
            .iter()
            .filter_map(|(place, row)| Some((place, row, row.hearsay.as_ref()?)));
        hearsay
            .filter(|(_, _, hearsay)| of(hearsay))
            .min_by_key(|(_, row, hearsay)| {
                (
                    Reverse(hearsay.distance),
                    row.known_by.count_ones(),
                    Reverse(row.learned),
                )
            })
            .map(|(place, ..)| place)
    }

    /// A newer entry: what others said against the older one is void.
    pub(crate) fn renew(&mut self, place: Place, entry: Arc<RelayEntry>, now: Duration) -> Option<Arc<Accusation>> {
        let row = self.row_mut(place)?;
        let (before, id) = (row.hash(), entry.relay_id.clone());
        row.stamp = stamp(&entry.signature);
        row.entry = entry;
        row.known_by = 0;
        row.given = false;
        row.learned = now;
        let refuted = row.accusation.take();
        if let Some(local) = row.local.as_mut() {
            local.doubt = None;
        }
        let after = row.hash();
        self.toggle(&id, before ^ after);
        refuted
    }

    pub(crate) fn accuse(&mut self, place: Place, accusation: Arc<Accusation>) {
        let Some(row) = self.row_mut(place) else { return };
        let (before, id) = (row.hash(), row.entry.relay_id.clone());
        row.accusation = Some(accusation);
        row.known_by = 0;
        let after = row.hash();
        self.toggle(&id, before ^ after);
        self.trouble.insert(place);
    }

    /// The link with this bit is gone.
    pub(crate) fn forget_link(&mut self, bit: u64) {
        for row in self.rows.iter_mut().flatten() {
            row.known_by &= !bit;
        }
    }

    fn toggle(&mut self, id: &RelayId, hash: u64) {
        self.digest ^= hash;
        if let Some(part) = self.buckets.get_mut(bucket(id)) {
            *part ^= hash;
        }
    }
}

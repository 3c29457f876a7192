//! Whom to dial: configured addresses first, then any of those that are known, so that the links form a random graph. Now and then one that is not linked,
//! only to look whether it is there: this is what finds the other side again after a partition.

use std::collections::BTreeMap;
use std::time::Duration;

use sdk_relay_protocol::mesh::RelayId;

use crate::Mesh;
use crate::keys::Keys;
use crate::limits::{
    DIAL_TIMEOUT, MAX_ACCUSED_DIALS, MAX_CONTESTED_DIALS, MAX_DIALS, MAX_SEED_DIALS, MAX_UNPROVEN_DIALS,
};
use crate::output::{DialId, Output};
use sdk_relay_mesh_table::distance::FARTHEST;
use sdk_relay_mesh_table::{Row, Slot};

/// Longest pause between two dials of the same relay, in intervals.
const MAX_BACKOFF: u32 = 8;

/// A relay without room is left alone for so many intervals.
const FULL_FOR: u32 = 8;

/// Intervals between two looks at a relay that is not linked.
const PROBE_EVERY: u32 = 4;

/// A dial under way.
pub(crate) struct Dialling {
    seed: Option<usize>,
    relay: Option<RelayId>,
    /// The key that `relay` has to prove; a configured address may have any.
    key: Option<String>,
    /// Only to look.
    pub(crate) probe: bool,
    /// A configured relay, or one to which it sent this one on.
    pub(crate) entrance: bool,
    /// By whose word alone it is known; `None` if something was received from itself.
    introducer: Option<RelayId>,
    /// Why it is dialled though nobody here has heard from it.
    cause: Cause,
    since: Duration,
}

impl Dialling {
    /// Nobody here has ever heard from it.
    pub(crate) fn is_unproven(&self) -> bool {
        self.introducer.is_some()
    }

    /// It stood accused.
    pub(crate) fn is_of_accused(&self) -> bool {
        self.cause == Cause::Accused
    }
}

/// Dials of relays that nobody here has ever heard from are bounded for each of these.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cause {
    /// For a link, or to look.
    Any,
    /// Another key claims its name.
    Contested,
    /// It stands accused.
    Accused,
}

/// A configured address.
pub(crate) struct Seed {
    address: String,
    relay: Option<RelayId>,
    failures: u32,
    after: Duration,
}

impl Seed {
    pub(crate) fn new(address: String) -> Self {
        Self {
            address,
            relay: None,
            failures: 0,
            after: Duration::ZERO,
        }
    }
}

impl<K: Keys> Mesh<K> {
    /// A dial led nowhere.
    pub fn dial_failed(&mut self, now: Duration, dial: DialId) {
        let Some(dialling) = self.dials.remove(&dial) else {
            return;
        };
        let of_accused = dialling.is_of_accused();
        self.count_failure(now, dialling);
        // The next one in turn, before any other dial takes its place.
        if of_accused {
            self.ask_accused(now);
        }
    }

    fn count_failure(&mut self, now: Duration, dialling: Dialling) {
        self.counters.dials_failed += 1;
        self.misses = self.misses.saturating_add(u32::from(dialling.is_unproven()));
        let slot = self.dialled(&dialling);
        if let Some(slot) = slot.filter(|slot| self.is_contested(*slot)) {
            self.disprove(now, slot);
            return self.settle_claims(now);
        }
        if let Some(n) = dialling.seed {
            let failures = self.seeds.get(n).map_or(0, |seed| seed.failures);
            let pause = self.backoff(failures);
            if let Some(seed) = self.seeds.get_mut(n) {
                seed.failures = seed.failures.saturating_add(1);
                seed.after = now + pause;
            }
        }
        if dialling.entrance && dialling.seed.is_none() {
            // It was sent on to nobody: it asks again who sent it.
            let pause = self.backoff(0);
            let sent_it = self.seeds.iter_mut().filter(|seed| seed.relay.is_some());
            sent_it.for_each(|seed| seed.after = seed.after.min(now + pause));
        }
        let Some(slot) = slot else { return };
        let failures = self
            .table
            .row(slot)
            .and_then(|row| row.local.as_ref())
            .map_or(0, |local| local.failures);
        let pause = self.backoff(failures);
        if let Some(row) = self.table.row_mut(slot) {
            let local = row.local();
            local.failures = local.failures.saturating_add(1);
            local.dial_after = now + pause;
            if let Some(accused) = &mut local.accused {
                accused.unresponsive = true;
            }
            if row.is_trusted() && row.link().is_none() {
                self.suspect(now, slot);
            }
        }
    }

    /// The row that was dialled. If its name has gone to another key meanwhile, the dial says nothing about that key.
    fn dialled(&self, dialling: &Dialling) -> Option<Slot> {
        let slot = self.table.slot(dialling.relay.as_ref()?.as_str())?;
        let known = &self.table.row(slot)?.entry.public_key;
        dialling.key.as_ref().is_none_or(|key| key == known).then_some(slot)
    }

    /// A relay that is known by hearsay, and whose name another key claims.
    pub(crate) fn is_contested(&self, slot: Slot) -> bool {
        self.table.row(slot).is_some_and(|row| {
            let contested = row.local.as_ref().is_some_and(|local| local.contested);
            contested && row.is_hearsay() && row.link().is_none()
        })
    }

    /// The driver may not dial this address: nothing is known of the relay by that, and it is not dialled again for a while.
    pub fn dial_forbidden(&mut self, now: Duration, dial: DialId) {
        let Some(dialling) = self.dials.remove(&dial) else {
            return;
        };
        let (Some(slot), Some(relay)) = (self.dialled(&dialling), dialling.relay) else {
            return;
        };
        match self.is_contested(slot) {
            true => self.disprove(now, slot),
            false => self.leave_alone(now, &relay, MAX_BACKOFF),
        }
        let local = self.table.find_mut(relay.as_str()).and_then(|row| row.local.as_mut());
        if let Some(accused) = local.and_then(|local| local.accused.as_mut()) {
            accused.unresponsive = true;
        }
    }

    /// The driver has no room for this dial now: it is tried again in the next interval.
    pub fn dial_deferred(&mut self, now: Duration, dial: DialId) {
        let relay = self.dials.remove(&dial).and_then(|dialling| dialling.relay);
        if let Some(relay) = relay {
            self.leave_alone(now, &relay, 1);
        }
    }

    fn leave_alone(&mut self, now: Duration, relay: &RelayId, intervals: u32) {
        let pause = self.random.jittered(self.config.interval * intervals);
        if let Some(row) = self.table.find_mut(relay.as_str()) {
            row.local().dial_after = now + pause;
        }
    }

    pub(crate) fn seed_answered(&mut self, now: Duration, dialling: &Dialling, relay: &RelayId) {
        let looked = now + self.random.jittered(self.config.interval * FULL_FOR);
        if let Some(seed) = dialling.seed.and_then(|n| self.seeds.get_mut(n)) {
            seed.relay = Some(relay.clone());
            seed.failures = 0;
            seed.after = if dialling.probe { looked } else { seed.after };
        }
    }

    /// The configured relays that did not answer at least the last two times, and have no link.
    pub fn unreached_seeds(&self) -> impl Iterator<Item = &str> {
        let linked = |relay: &RelayId| *relay == self.own_id || self.links.values().any(|link| link.peer == *relay);
        let unreached = move |seed: &&Seed| seed.failures > 1 && !seed.relay.as_ref().is_some_and(linked);
        self.seeds.iter().filter(unreached).map(|seed| seed.address.as_str())
    }

    pub(crate) fn is_seed(&self, relay: &RelayId) -> bool {
        self.seeds.iter().any(|seed| seed.relay.as_ref() == Some(relay))
    }

    /// It has no room: not again for a while.
    pub(crate) fn postpone(&mut self, now: Duration, relay: &RelayId) {
        let pause = self.random.jittered(self.config.interval * FULL_FOR);
        let of_it = self.seeds.iter_mut().filter(|seed| seed.relay.as_ref() == Some(relay));
        of_it.for_each(|seed| seed.after = now + pause);
        if let Some(row) = self.table.find_mut(relay.as_str()) {
            row.local().dial_after = now + pause;
        }
    }

    pub(crate) fn look_after_dials(&mut self, now: Duration) {
        let overdue: Vec<DialId> = self
            .dials
            .iter()
            .filter(|(_, d)| now.saturating_sub(d.since) >= DIAL_TIMEOUT)
            .map(|(id, _)| *id)
            .collect();
        for dial in overdue {
            self.dial_failed(now, dial);
        }
        // A configured relay that did not answer last time is not counted on.
        let counts = |dialling: &&Dialling| {
            let failed = |n: usize| self.seeds.get(n).is_some_and(|seed: &Seed| seed.failures > 0);
            !dialling.probe && !dialling.seed.is_some_and(failed)
        };
        let links = self.lasting_links() + self.dials.values().filter(counts).count();
        let mut missing = self.wanted_links().saturating_sub(links);
        // Configured relays come first. One that has never answered is dialled in any case: all else that is known may be another mesh.
        for n in 0..self.seeds.len() {
            let unknown = self.seeds.get(n).is_some_and(|seed| seed.relay.is_none());
            if (missing > 0 || unknown) && self.dial_seed(now, n, false) {
                missing = missing.saturating_sub(1);
            }
        }
        let sent_on = self.sent_on.take().and_then(|name| self.table.slot(name.as_str()));
        if let Some(slot) = sent_on {
            self.dial_known(now, slot, false, true);
            missing = missing.saturating_sub(1);
        }
        // One at a time: those that are known later are less of a neighbourhood.
        if missing > 0 {
            let alone = links == 0;
            if let Some(slot) = self.draw(now, |row| row.is_trusted() || alone) {
                self.dial_row(now, slot, false);
            }
        }
        if now >= self.next_probe {
            // While some are gone it looks more often: they may be back, or the way to them.
            let pause = if self.table.unhealthy.is_empty() {
                PROBE_EVERY
            } else {
                1
            };
            self.next_probe = now + self.random.jittered(self.config.interval * pause);
            // Configured ones too, where they are not linked: those who came through them must not stay among themselves.
            let unlinked = (0..self.seeds.len()).filter(|n| self.can_dial_seed(now, *n)).count();
            let any = self.random.below(unlinked + 1);
            let seed = (0..self.seeds.len()).filter(|n| self.can_dial_seed(now, *n)).nth(any);
            if let Some(n) = seed {
                self.dial_seed(now, n, true);
            } else if let Some(slot) = self.draw(now, |_| true) {
                self.dial_row(now, slot, true);
            }
        }
    }

    /// Any row that can be dialled; rather a near one, while relays that nobody here has heard from do not answer.
    fn draw(&mut self, now: Duration, fits: impl Fn(&Row) -> bool) -> Option<Slot> {
        let fit: Vec<Slot> = self
            .table
            .iter()
            .filter(|(slot, row)| fits(row) && self.can_dial(now, *slot))
            .map(|(slot, _)| slot)
            .collect();
        self.any_of(fit, self.misses > 0)
    }

    /// Any row, rather a near one.
    pub(crate) fn pick(&mut self, fits: impl Fn(&Row) -> bool) -> Option<Slot> {
        let fit: Vec<Slot> = self
            .table
            .iter()
            .filter(|(slot, row)| fits(row) && *slot != self.own)
            .map(|(slot, _)| slot)
            .collect();
        self.any_of(fit, true)
    }

    /// Any of these. Rather `near` ones, which are less likely invented: of each distance half of what the nearer ones leave.
    fn any_of(&mut self, slots: Vec<Slot>, near: bool) -> Option<Slot> {
        let mut slots = slots;
        if near {
            let mut classes: BTreeMap<u8, Vec<Slot>> = BTreeMap::new();
            for slot in slots {
                let distance = self.table.row(slot).map_or(FARTHEST, |row| self.distance(slot, row));
                classes.entry(distance).or_default().push(slot);
            }
            slots = Vec::new();
            for (_, class) in classes {
                let here = self.random.next().is_multiple_of(2);
                slots = class;
                if here {
                    break;
                }
            }
        }
        match slots.is_empty() {
            true => None,
            false => Some(slots.swap_remove(self.random.below(slots.len()))),
        }
    }

    /// By whose word the relays are known that are dialled because they stand accused.
    pub(crate) fn introducers_of_accused(&self) -> impl Iterator<Item = &RelayId> {
        let dials = self.dials.values().filter(|dialling| dialling.is_of_accused());
        dials.filter_map(|dialling| dialling.introducer.as_ref())
    }

    pub(crate) fn can_dial(&self, now: Duration, slot: Slot) -> bool {
        let Some(row) = self.table.row(slot) else { return false };
        let dialling = self
            .dials
            .values()
            .any(|dialling| dialling.relay.as_ref() == Some(&row.entry.relay_id));
        let can_be_reached = !row.entry.address.is_empty() && !row.has_left();
        slot != self.own && row.link().is_none() && can_be_reached && row.dial_after() <= now && !dialling
    }

    /// Dials a known relay, unless it is too early, or too many dials are under way. Returns whether it did.
    pub(crate) fn dial_row(&mut self, now: Duration, slot: Slot, probe: bool) -> bool {
        self.dial_known(now, slot, probe, false)
    }

    fn dial_known(&mut self, now: Duration, slot: Slot, probe: bool, entrance: bool) -> bool {
        if !self.can_dial(now, slot) {
            return false;
        }
        let Some(entry) = self.table.row(slot).map(|row| &row.entry) else {
            return false;
        };
        let (address, relay, key) = (entry.address.clone(), entry.relay_id.clone(), entry.public_key.clone());
        let expect = Some((relay.clone(), key.clone()));
        // A name that two claim is settled before others are looked at.
        let doubted = self.table.row(slot).is_some_and(|row| row.accusation().is_some());
        let introducer = self
            .table
            .row(slot)
            .and_then(Row::hearsay)
            .map(|hearsay| hearsay.introducer.clone());
        let (cause, most) = match self.is_contested(slot) {
            true => (Cause::Contested, MAX_CONTESTED_DIALS),
            false if doubted => (Cause::Accused, MAX_ACCUSED_DIALS),
            false => (Cause::Any, MAX_UNPROVEN_DIALS),
        };
        let same = self
            .dials
            .values()
            .filter(|dialling| dialling.is_unproven() && dialling.cause == cause);
        if introducer.is_some() && same.count() >= most {
            return false;
        }
        self.dial(
            address,
            expect,
            Dialling {
                seed: None,
                relay: Some(relay),
                key: Some(key),
                probe,
                entrance,
                introducer,
                cause,
                since: now,
            },
        )
    }

    fn can_dial_seed(&self, now: Duration, n: usize) -> bool {
        let Some(seed) = self.seeds.get(n) else { return false };
        let linked = seed
            .relay
            .as_ref()
            .is_some_and(|relay| relay == &self.own_id || self.links.values().any(|link| link.peer == *relay));
        let dialling = self.dials.values().any(|dialling| dialling.seed == Some(n));
        !linked && !dialling && seed.after <= now
    }

    fn dial_seed(&mut self, now: Duration, n: usize, probe: bool) -> bool {
        let Some(seed) = self.seeds.get(n).filter(|_| self.can_dial_seed(now, n)) else {
            return false;
        };
        let (address, relay) = (seed.address.clone(), seed.relay.clone());
        self.dial(
            address,
            None,
            Dialling {
                seed: Some(n),
                relay,
                key: None,
                probe,
                entrance: !probe,
                introducer: None,
                cause: Cause::Any,
                since: now,
            },
        )
    }

    fn dial(&mut self, address: String, expect: Option<(RelayId, String)>, dialling: Dialling) -> bool {
        let configured = dialling.seed.is_some();
        let under_way = self.dials.values().filter(|other| other.seed.is_some() == configured);
        if under_way.count() >= if configured { MAX_SEED_DIALS } else { MAX_DIALS } {
            return false;
        }
        let dial = DialId(self.next_dial);
        self.next_dial += 1;
        self.counters.dials += 1;
        self.dials.insert(dial, dialling);
        self.out.push_back(Output::Dial { dial, address, expect });
        true
    }

    /// Doubles from a quarter of the interval.
    fn backoff(&mut self, failures: u32) -> Duration {
        let quarters = 1u32 << failures.min(5);
        let pause = (self.config.interval / 4 * quarters).min(self.config.interval * MAX_BACKOFF);
        self.random.jittered(pause)
    }
}

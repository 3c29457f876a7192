//! Dials that fail, and the backoff until the next one.

use std::time::Duration;

use sdk_relay_mesh_table::Slot;
use sdk_relay_protocol::mesh::RelayId;

use crate::Mesh;
use crate::keys::Keys;
use crate::output::DialId;
use crate::pending_dial::PendingDial;

/// Longest backoff between two dials of the same relay, in intervals.
const MAX_BACKOFF: u32 = 8;

impl<K: Keys> Mesh<K> {
    /// A dial failed.
    pub fn dial_failed(&mut self, now: Duration, dial: DialId) {
        let Some(dialling) = self.dials.remove(&dial) else {
            return;
        };
        let of_accused = dialling.is_of_accused();
        self.record_failure(now, dialling);
        // The next one in turn, before any other dial uses the slot.
        if of_accused {
            self.dial_accused(now);
        }
    }

    /// The driver may not dial this address: this says nothing about the relay, which is not dialled again for a while.
    pub fn dial_forbidden(&mut self, now: Duration, dial: DialId) {
        let Some(dialling) = self.dials.remove(&dial) else {
            return;
        };
        let (Some(slot), Some(relay)) = (self.dialled_slot(&dialling), dialling.relay) else {
            return;
        };
        match self.is_contested(slot) {
            true => self.disprove(now, slot),
            false => self.back_off(now, &relay, MAX_BACKOFF),
        }
        let local = self.table.find_mut(relay.as_str()).and_then(|row| row.local.as_mut());
        if let Some(accused) = local.and_then(|local| local.accused.as_mut()) {
            accused.unresponsive = true;
        }
    }

    /// The driver has no capacity for this dial now: it is repeated in the next interval.
    pub fn dial_deferred(&mut self, now: Duration, dial: DialId) {
        let relay = self.dials.remove(&dial).and_then(|dialling| dialling.relay);
        if let Some(relay) = relay {
            self.back_off(now, &relay, 1);
        }
    }

    fn record_failure(&mut self, now: Duration, dialling: PendingDial) {
        self.counters.dials_failed += 1;
        self.unproven_failures = self.unproven_failures.saturating_add(u32::from(dialling.is_unproven()));
        let slot = self.dialled_slot(&dialling);
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
        if dialling.bootstrap && dialling.seed.is_none() {
            // The redirect led nowhere: the bootstrap peers are dialled again.
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

    /// The row that was dialled. If its name belongs to another key meanwhile, the result says nothing about that key.
    fn dialled_slot(&self, dialling: &PendingDial) -> Option<Slot> {
        let slot = self.table.slot(dialling.relay.as_ref()?.as_str())?;
        let known = &self.table.row(slot)?.entry.public_key;
        dialling.key.as_ref().is_none_or(|key| key == known).then_some(slot)
    }

    fn back_off(&mut self, now: Duration, relay: &RelayId, intervals: u32) {
        let pause = self.random.jittered(self.config.interval * intervals);
        if let Some(row) = self.table.find_mut(relay.as_str()) {
            row.local().dial_after = now + pause;
        }
    }

    /// Exponential, from a quarter of the interval.
    fn backoff(&mut self, failures: u32) -> Duration {
        let quarters = 1u32 << failures.min(5);
        let pause = (self.config.interval / 4 * quarters).min(self.config.interval * MAX_BACKOFF);
        self.random.jittered(pause)
    }
}

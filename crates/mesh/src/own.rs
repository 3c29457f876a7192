//! This relay's own entry: changed, refuting accusations, leaving.

use std::sync::Arc;
use std::time::Duration;

use sdk_relay_mesh_table::{LinkId, Slot, order};
use sdk_relay_protocol::mesh::{RelayEntry, RelayStatus};

use crate::Mesh;
use crate::keys::{Keys, entry_bytes};
use crate::limits::STRIKE_HALF_LIFE;
use crate::output::CloseReason;

impl<K: Keys> Mesh<K> {
    /// The status of this relay changed.
    pub fn set_status(&mut self, now: Duration, status: RelayStatus) {
        if self.own().status != status {
            self.change_own(now, |entry| entry.status = status);
        }
    }

    /// The address of this relay changed.
    pub fn set_address(&mut self, now: Duration, address: String) {
        if self.own().address != address {
            self.change_own(now, |entry| entry.address = address);
        }
    }

    /// Announces on every link that this relay leaves, and closes the links.
    pub fn leave(&mut self, now: Duration) {
        if self.left {
            return;
        }
        self.change_own(now, |entry| entry.status = RelayStatus::Left);
        self.left = true;
        let links: Vec<LinkId> = self.links.keys().copied().collect();
        for link in links {
            if let Some(at) = self.links.get_mut(&link) {
                at.passing = true;
                at.knows_own_entry = false;
            }
            self.send(now, link, 0);
            self.close(now, link, CloseReason::Leaving);
        }
    }

    /// Signs a newer version of this relay's entry and announces it.
    pub(crate) fn change_own(&mut self, now: Duration, change: impl FnOnce(&mut RelayEntry)) {
        let mut entry = RelayEntry::clone(self.own());
        match entry.version.checked_add(1) {
            Some(version) => entry.version = version,
            None => entry.incarnation = entry.incarnation.saturating_add(1),
        }
        change(&mut entry);
        entry.signature = self.keys.sign(&entry_bytes(&entry));
        self.own_entry = Arc::new(entry);
        self.table.update(self.own, Arc::clone(&self.own_entry), now);
        self.mark_changed(now, self.own);
    }

    /// A row changed: it is announced on every link, together with other changes.
    pub(crate) fn mark_changed(&mut self, now: Duration, slot: Slot) {
        let Some(known_by) = self.table.row(slot).map(|row| row.known_by) else {
            return;
        };
        let interval = self.config.interval;
        for link in self.links.values_mut() {
            // A passing peer receives it over its other links.
            if known_by & link.bit == 0 && (link.is_persistent() || slot == self.own) {
                link.pending.insert(slot);
                link.send_soon(now, interval);
            }
        }
    }

    /// Refutes accusations with a newer entry, at most four times per interval, and halves strikes when that is due.
    pub(crate) fn refute_accusation(&mut self, now: Duration) {
        let interval = self.config.interval;
        if self.must_refute && self.refuted.is_none_or(|last| now.saturating_sub(last) >= interval / 4) {
            self.must_refute = false;
            self.refuted = Some(now);
            self.counters.refuted += 1;
            self.change_own(now, |_| ());
        }
        if now >= self.next_strike_decay {
            self.next_strike_decay = now + interval * STRIKE_HALF_LIFE;
            self.forgotten.retain(|_, forgotten| forgotten.until > now);
            self.disproven.retain(|_, until| *until > now);
            self.requested.retain(|_, (_, at)| now.saturating_sub(*at) < interval);
            let slots: Vec<Slot> = self.table.iter().map(|(slot, _)| slot).collect();
            for slot in slots {
                if let Some(local) = self.table.row_mut(slot).and_then(|row| row.local.as_mut()) {
                    local.strikes /= 2;
                }
            }
        }
    }

    /// An entry from an earlier run of this relay is newer than the present one: the clock was set back.
    pub(crate) fn exceed(&mut self, now: Duration, earlier: &RelayEntry) {
        let (incarnation, version) = order(earlier);
        self.change_own(now, |entry| {
            entry.incarnation = incarnation.max(entry.incarnation);
            entry.version = entry.version.max(version).saturating_add(1);
        });
    }
}

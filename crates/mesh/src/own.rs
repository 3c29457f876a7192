//! This relay's own entry: changed, refuting accusations, leaving.

use std::sync::Arc;
use std::time::Duration;

use sdk_relay_mesh_table::{LinkId, Slot, order};
use sdk_relay_protocol::mesh::{RelayEntry, RelayStatus};

use crate::Mesh;
use crate::keys::{Keys, entry_bytes};
use crate::limits::PARDON;
use crate::output::CloseReason;

impl<K: Keys> Mesh<K> {
    /// This relay feels different now.
    pub fn set_status(&mut self, now: Duration, status: RelayStatus) {
        if self.own().status != status {
            self.change_own(now, |entry| entry.status = status);
        }
    }

    /// This relay is reached elsewhere now.
    pub fn set_address(&mut self, now: Duration, address: String) {
        if self.own().address != address {
            self.change_own(now, |entry| entry.address = address);
        }
    }

    /// Says goodbye on every link, and closes them.
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
                at.greeted = false;
            }
            self.send(now, link, 0);
            self.close(now, link, CloseReason::Leaving);
        }
    }

    /// Signs a newer entry of this relay, and has it told.
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
        self.touch(now, self.own);
    }

    /// A row changed: every link has to be told, soon but not one by one.
    pub(crate) fn touch(&mut self, now: Duration, slot: Slot) {
        let Some(known_by) = self.table.row(slot).map(|row| row.known_by) else {
            return;
        };
        let interval = self.config.interval;
        for link in self.links.values_mut() {
            // Who only passes hears it elsewhere.
            if known_by & link.bit == 0 && (link.lasts() || slot == self.own) {
                link.pending.insert(slot);
                link.soon(now, interval);
            }
        }
    }

    /// This relay is accused: it says that it lives. At most four times in an interval, whatever others say.
    pub(crate) fn look_after_own(&mut self, now: Duration) {
        let interval = self.config.interval;
        if self.must_refute && self.refuted.is_none_or(|last| now.saturating_sub(last) >= interval / 4) {
            self.must_refute = false;
            self.refuted = Some(now);
            self.counters.refuted += 1;
            self.change_own(now, |_| ());
        }
        if now >= self.next_pardon {
            self.next_pardon = now + interval * PARDON;
            self.forgotten.retain(|_, forgotten| forgotten.until > now);
            self.disproven.retain(|_, until| *until > now);
            self.asked.retain(|_, (_, at)| now.saturating_sub(*at) < interval);
            let slots: Vec<Slot> = self.table.iter().map(|(slot, _)| slot).collect();
            for slot in slots {
                if let Some(local) = self.table.row_mut(slot).and_then(|row| row.local.as_mut()) {
                    local.strikes /= 2;
                }
            }
        }
    }

    /// An entry of an earlier life of this relay is newer than the present one: the clock was set back.
    pub(crate) fn outlive(&mut self, now: Duration, earlier: &RelayEntry) {
        let (incarnation, version) = order(earlier);
        self.change_own(now, |entry| {
            entry.incarnation = incarnation.max(entry.incarnation);
            entry.version = entry.version.max(version).saturating_add(1);
        });
    }
}

//! Which relays are dialled: configured addresses first, then random known relays, so that the links form a random
//! graph. Now and then a relay without a link is probed: this rejoins partitions.

use std::time::Duration;

use sdk_relay_mesh_table::{Row, Slot};
use sdk_relay_protocol::mesh::RelayId;

use crate::Mesh;
use crate::keys::Keys;
use crate::limits::{
    DIAL_TIMEOUT, MAX_ACCUSED_DIALS, MAX_CONTESTED_DIALS, MAX_DIALS, MAX_SEED_DIALS, MAX_UNPROVEN_DIALS,
};
use crate::output::{DialId, Output};
use crate::pending_dial::{Cause, PendingDial};
use crate::seed::Seed;

/// Intervals between two probes of relays without a link.
const PROBE_EVERY: u32 = 4;

impl<K: Keys> Mesh<K> {
    pub(crate) fn maintain_dials(&mut self, now: Duration) {
        let overdue: Vec<DialId> = self
            .dials
            .iter()
            .filter(|(_, d)| now.saturating_sub(d.since) >= DIAL_TIMEOUT)
            .map(|(id, _)| *id)
            .collect();
        for dial in overdue {
            self.dial_failed(now, dial);
        }
        // A configured relay whose last dial failed does not count as a future link.
        let counts = |dialling: &&PendingDial| {
            let failed = |n: usize| self.seeds.get(n).is_some_and(|seed: &Seed| seed.failures > 0);
            !dialling.probe && !dialling.seed.is_some_and(failed)
        };
        let links = self.persistent_links() + self.dials.values().filter(counts).count();
        let mut missing = self.wanted_links().saturating_sub(links);
        // Configured relays first. One that has never answered is dialled in any case: all other known relays may be of
        // another mesh.
        for n in 0..self.seeds.len() {
            let unknown = self.seeds.get(n).is_some_and(|seed| seed.relay.is_none());
            if (missing > 0 || unknown) && self.dial_seed(now, n, false) {
                missing = missing.saturating_sub(1);
            }
        }
        let redirected_to = self
            .redirected_to
            .take()
            .and_then(|name| self.table.slot(name.as_str()));
        if let Some(slot) = redirected_to {
            self.dial_known(now, slot, false, true);
            missing = missing.saturating_sub(1);
        }
        // One at a time: relays that become known later are less clustered.
        if missing > 0 {
            let alone = links == 0;
            if let Some(slot) = self.choose_dialable(now, |row| row.is_trusted() || alone) {
                self.dial_row(now, slot, false);
            }
        }
        if now >= self.next_probe {
            // More often while relays are down: they or the path to them may be back.
            let pause = if self.table.unhealthy.is_empty() {
                PROBE_EVERY
            } else {
                1
            };
            self.next_probe = now + self.random.jittered(self.config.interval * pause);
            // Configured relays without a link are probed too: the relays that joined through them must not stay a
            // partition of their own.
            let unlinked = (0..self.seeds.len()).filter(|n| self.can_dial_seed(now, *n)).count();
            let any = self.random.below(unlinked + 1);
            let seed = (0..self.seeds.len()).filter(|n| self.can_dial_seed(now, *n)).nth(any);
            if let Some(n) = seed {
                self.dial_seed(now, n, true);
            } else if let Some(slot) = self.choose_dialable(now, |_| true) {
                self.dial_row(now, slot, true);
            }
        }
    }

    /// Introducers of the accused relays that are being dialled.
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

    /// Dials a known relay, unless it is backed off or too many dials are in progress. Returns whether it did.
    pub(crate) fn dial_row(&mut self, now: Duration, slot: Slot, probe: bool) -> bool {
        self.dial_known(now, slot, probe, false)
    }

    fn dial_known(&mut self, now: Duration, slot: Slot, probe: bool, bootstrap: bool) -> bool {
        if !self.can_dial(now, slot) {
            return false;
        }
        let Some(entry) = self.table.row(slot).map(|row| &row.entry) else {
            return false;
        };
        let (address, relay, key) = (entry.address.clone(), entry.relay_id.clone(), entry.public_key.clone());
        let expect = Some((relay.clone(), key.clone()));
        // Contested names have priority.
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
            PendingDial {
                seed: None,
                relay: Some(relay),
                key: Some(key),
                probe,
                bootstrap,
                introducer,
                cause,
                since: now,
            },
        )
    }

    pub(crate) fn dial(&mut self, address: String, expect: Option<(RelayId, String)>, dialling: PendingDial) -> bool {
        let configured = dialling.seed.is_some();
        let in_progress = self.dials.values().filter(|other| other.seed.is_some() == configured);
        if in_progress.count() >= if configured { MAX_SEED_DIALS } else { MAX_DIALS } {
            return false;
        }
        let dial = DialId(self.next_dial);
        self.next_dial += 1;
        self.counters.dials += 1;
        self.dials.insert(dial, dialling);
        self.out.push_back(Output::Dial { dial, address, expect });
        true
    }
}

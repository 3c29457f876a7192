//! What a received message changes.

use std::time::Duration;

use sdk_relay_mesh_table::{BUCKETS, LinkId, Slot, Table, distance};
use sdk_relay_protocol::mesh::{Gossip, Heard, RelayId};

use crate::Mesh;
use crate::keys::Keys;
use crate::limits::{HINTS, MAX_ACCUSATIONS, MAX_ENTRIES, MAX_HAVE, MAX_PROBES};
use crate::link::Batch;

impl<K: Keys> Mesh<K> {
    /// Takes what a message brings. What goes beyond the bounds is not looked at.
    pub(crate) fn take(&mut self, now: Duration, id: LinkId, gossip: Gossip) {
        let Some(link) = self.links.get_mut(&id) else { return };
        link.peer_links = gossip.links;
        link.peer_passing = gossip.passing;
        link.digest = Some(gossip.digest);
        while let Some(batch) = link.told.pop_front_if(|batch| batch.number <= gossip.ack) {
            for slot in batch.slots {
                // What changed meanwhile is pending again.
                if !link.pending.contains(&slot)
                    && let Some(row) = self.table.row_mut(slot)
                {
                    row.known_by |= link.bit;
                }
            }
        }
        self.lost(now, id);
        let Some(link) = self.links.get_mut(&id) else { return };
        let told = !gossip.have.is_empty() || !gossip.want.is_empty() || !gossip.entries.is_empty();
        if gossip.batch > 0 {
            if gossip.batch == link.ack.wrapping_add(1) {
                link.ack = gossip.batch;
            }
            for (n, have) in gossip.have.iter().take(MAX_HAVE).enumerate() {
                let told = distance::from_announced(gossip.distances.get(n).copied());
                self.take_have(now, id, have, told);
            }
        }
        for (n, entry) in gossip.entries.into_iter().take(MAX_ENTRIES).enumerate() {
            let hint = gossip.passing && n < HINTS;
            let name = entry.relay_id.clone();
            self.take_entry(now, id, entry, hint);
            // Who is sent on at the entrance goes there: else those who came through it could stay among themselves.
            if hint && self.links.get(&id).is_some_and(|link| link.entrance) {
                self.sent_on = Some(name);
            }
        }
        for accusation in gossip.accusations.into_iter().take(MAX_ACCUSATIONS) {
            self.take_accusation(now, id, accusation);
        }
        self.take_wants(now, id, &gossip.want, &gossip.doubt);
        if gossip.buckets.len() == BUCKETS {
            self.tell_differing(now, id, &gossip.buckets, gossip.digest);
        }
        for asked in gossip.probe.into_iter().take(MAX_PROBES) {
            self.help(now, id, asked);
        }
        for Heard(heard, ago) in gossip.heard.into_iter().take(MAX_PROBES) {
            self.vouched(now, &heard, Duration::from_millis(ago));
        }
        self.compare(now, id, gossip.relays, told);
    }

    /// What was told and is not acknowledged in time is told again.
    pub(crate) fn lost(&mut self, now: Duration, id: LinkId) {
        let Some(link) = self.links.get_mut(&id) else { return };
        let patience = link.patience(self.config.interval);
        let late = |batch: &Batch| now.saturating_sub(batch.at) >= patience;
        if link.told.front().is_some_and(late) {
            link.batches = link.told.front().map_or(0, |batch| batch.number - 1);
            link.pending.extend(link.told.drain(..).flat_map(|batch| batch.slots));
            link.soon(now, self.config.interval);
        }
    }

    /// What the other end asks for goes into the next message, as far as this relay's share allows.
    fn take_wants(&mut self, now: Duration, id: LinkId, want: &[RelayId], doubt: &[RelayId]) {
        let slots = |table: &Table, names: &[RelayId]| -> Vec<Slot> {
            names.iter().filter_map(|name| table.slot(name.as_str())).collect()
        };
        self.spare.grow(now, self.config.interval, self.table.len());
        let mut wanted = slots(&self.table, want.get(..MAX_ENTRIES).unwrap_or(want));
        // What is to spare is not for what is far.
        wanted.sort_by_key(|slot| self.table.row(*slot).map(|row| self.distance(*slot, row)));
        let Some(link) = self.links.get_mut(&id) else { return };
        for slot in wanted {
            let Some(row) = self.table.row_mut(slot) else { continue };
            let spare = self.spare.take();
            if spare || !row.sent_once {
                row.sent_once = true;
                link.owed.insert(slot);
            }
        }
        link.owed_accusations
            .extend(slots(&self.table, doubt.get(..MAX_ACCUSATIONS).unwrap_or(doubt)));
    }
}

//! What a received message changes.

use std::time::Duration;

use sdk_relay_mesh_table::{BUCKETS, LinkId, Slot, Table, distance};
use sdk_relay_protocol::mesh::{Gossip, Heard, RelayId};

use crate::Mesh;
use crate::keys::Keys;
use crate::limits::{HINTS, MAX_ACCUSATIONS, MAX_ENTRIES, MAX_HAVE, MAX_PROBES};
use crate::link::Batch;

impl<K: Keys> Mesh<K> {
    /// Applies a received message. List items beyond the limits are ignored.
    pub(crate) fn receive(&mut self, now: Duration, id: LinkId, gossip: Gossip) {
        let Some(link) = self.links.get_mut(&id) else { return };
        link.peer_links = gossip.links;
        link.peer_passing = gossip.passing;
        link.digest = Some(gossip.digest);
        while let Some(batch) = link.unacknowledged.pop_front_if(|batch| batch.number <= gossip.ack) {
            for slot in batch.slots {
                // A row that has changed meanwhile is pending again.
                if !link.pending.contains(&slot)
                    && let Some(row) = self.table.row_mut(slot)
                {
                    row.known_by |= link.bit;
                }
            }
        }
        self.requeue_unacknowledged(now, id);
        let Some(link) = self.links.get_mut(&id) else { return };
        let announced = !gossip.have.is_empty() || !gossip.want.is_empty() || !gossip.entries.is_empty();
        if gossip.batch > 0 {
            if gossip.batch == link.ack.wrapping_add(1) {
                link.ack = gossip.batch;
            }
            for (n, have) in gossip.have.iter().take(MAX_HAVE).enumerate() {
                let announced = distance::from_announced(gossip.distances.get(n).copied());
                self.receive_have(now, id, have, announced);
            }
        }
        for (n, entry) in gossip.entries.into_iter().take(MAX_ENTRIES).enumerate() {
            let hint = gossip.passing && n < HINTS;
            let name = entry.relay_id.clone();
            self.receive_entry(now, id, entry, hint);
            // A redirect from a bootstrap peer is followed: otherwise the relays that joined through it could form a
            // partition of their own.
            if hint && self.links.get(&id).is_some_and(|link| link.bootstrap) {
                self.redirected_to = Some(name);
            }
        }
        for accusation in gossip.accusations.into_iter().take(MAX_ACCUSATIONS) {
            self.receive_accusation(now, id, accusation);
        }
        self.receive_wants(now, id, &gossip.want, &gossip.doubt);
        if gossip.buckets.len() == BUCKETS {
            self.announce_differing(now, id, &gossip.buckets, gossip.digest);
        }
        for asked in gossip.probe.into_iter().take(MAX_PROBES) {
            self.probe_for(now, id, asked);
        }
        for Heard(relay, ago) in gossip.heard.into_iter().take(MAX_PROBES) {
            self.record_indirect_ack(now, &relay, Duration::from_millis(ago));
        }
        self.compare(now, id, gossip.relays, announced);
    }

    /// Announcements that are not acknowledged in time are repeated.
    pub(crate) fn requeue_unacknowledged(&mut self, now: Duration, id: LinkId) {
        let Some(link) = self.links.get_mut(&id) else { return };
        let retransmit_timeout = link.retransmit_timeout(self.config.interval);
        let late = |batch: &Batch| now.saturating_sub(batch.at) >= retransmit_timeout;
        if link.unacknowledged.front().is_some_and(late) {
            link.batches = link.unacknowledged.front().map_or(0, |batch| batch.number - 1);
            link.pending
                .extend(link.unacknowledged.drain(..).flat_map(|batch| batch.slots));
            link.send_soon(now, self.config.interval);
        }
    }

    /// Queues the entries that the peer requests for the next message, as far as the send budget allows.
    fn receive_wants(&mut self, now: Duration, id: LinkId, want: &[RelayId], doubt: &[RelayId]) {
        let slots = |table: &Table, names: &[RelayId]| -> Vec<Slot> {
            names.iter().filter_map(|name| table.slot(name.as_str())).collect()
        };
        self.spare.refill(now, self.config.interval, self.table.len());
        let mut wanted = slots(&self.table, want.get(..MAX_ENTRIES).unwrap_or(want));
        // The budget is spent on near rows first.
        wanted.sort_by_key(|slot| self.table.row(*slot).map(|row| self.distance(*slot, row)));
        let Some(link) = self.links.get_mut(&id) else { return };
        for slot in wanted {
            let Some(row) = self.table.row_mut(slot) else { continue };
            let spare = self.spare.take();
            if spare || !row.sent_once {
                row.sent_once = true;
                link.to_send.insert(slot);
            }
        }
        link.accusations_to_send
            .extend(slots(&self.table, doubt.get(..MAX_ACCUSATIONS).unwrap_or(doubt)));
    }
}

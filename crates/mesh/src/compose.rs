//! What a message contains.
//!
//! A change is announced by name and version (`have`), and a relay that lacks the entry requests it (`want`) from one
//! of the peers that announced it. So each relay receives an entry once, whatever the number of links. A batch of
//! announcements is repeated unless the peer acknowledges it in time.

use std::sync::Arc;
use std::time::Duration;

use sdk_relay_mesh_table::LinkId;
use sdk_relay_protocol::mesh::Gossip;

use crate::Mesh;
use crate::keys::Keys;
use crate::limits::{HINTS, MAX_ACCUSATIONS, MAX_ENTRIES, MAX_ENTRY_BYTES, MAX_HAVE, MAX_LIST_BYTES};
use crate::link::Batch;
use crate::space::{self, Space};

/// Unacknowledged batches of announcements per link and direction.
const MAX_UNACKNOWLEDGED: usize = 4;

impl<K: Keys> Mesh<K> {
    /// The gossip of the next message over this link. Only a request `asks` for entries: the response contains them, or
    /// is the refusal.
    pub(crate) fn compose(&mut self, now: Duration, id: LinkId, asks: bool) -> Gossip {
        let persistent = self.persistent_links();
        let wanted = if asks && !self.left {
            self.wanted(now, id)
        } else {
            Vec::new()
        };
        let Some(link) = self.links.get_mut(&id) else {
            return Gossip::default();
        };
        let mut gossip = Gossip {
            digest: self.table.digest(),
            links: persistent as u16,
            relays: self.table.len() as u16,
            passing: link.passing,
            ack: link.ack,
            ..Gossip::default()
        };
        // A leave announcement is sent to all peers.
        let no_room = link.passing && !link.dialled && !link.peer_passing && !self.left;
        let mut space = Space::new(MAX_LIST_BYTES);
        if !link.knows_own_entry
            && !no_room
            && let Some(own) = self.table.row(self.own)
        {
            self.spare.take();
            space.take(space::entry(&own.entry));
            gossip.entries.push(Arc::clone(&own.entry));
        }
        if no_room {
            // The peer is redirected.
            let peer = link.peer.clone();
            for _ in 0..HINTS {
                let hint = self.choose_near(|row| row.is_trusted() && row.entry.relay_id != peer);
                if let Some(row) = hint.and_then(|slot| self.table.row(slot)) {
                    self.spare.take();
                    gossip.entries.push(Arc::clone(&row.entry));
                }
            }
            return gossip;
        }

        self.announce(now, id, &mut gossip, &mut space);
        let Some(link) = self.links.get_mut(&id) else {
            return gossip;
        };
        for (name, entry, accusation) in wanted {
            if !space.take(space::name(&name) * (usize::from(entry) + usize::from(accusation))) {
                break;
            }
            self.requested.insert(name.clone(), (id, now));
            link.requesting.push(name.clone());
            if entry {
                gossip.want.push(name.clone());
            }
            if accusation {
                gossip.doubt.push(name);
            }
        }

        // The peer takes what is missing for refused and requests it elsewhere; it is sent with the next message all
        // the same.
        let mut space_of_entries = Space::new(MAX_ENTRY_BYTES);
        while gossip.entries.len() < MAX_ENTRIES
            && let Some(&slot) = link.to_send.first()
        {
            if let Some(row) = self.table.row(slot) {
                let bytes = space::entry(&row.entry);
                if !(space_of_entries.take(bytes) && space.take(bytes)) {
                    break;
                }
                gossip.entries.push(Arc::clone(&row.entry));
            }
            link.to_send.pop_first();
        }
        while gossip.accusations.len() < MAX_ACCUSATIONS
            && let Some(&slot) = link.accusations_to_send.first()
        {
            if let Some(accusation) = self.table.row(slot).and_then(|row| row.accusation()) {
                if !space.take(space::accusation(accusation)) {
                    break;
                }
                gossip.accusations.push(Arc::clone(accusation));
            }
            link.accusations_to_send.pop_first();
        }
        self.counters.entries_sent += gossip.entries.len() as u64;
        if link.send_buckets {
            link.send_buckets = false;
            gossip.buckets = self.table.buckets().to_vec();
        }
        gossip.probe = std::mem::take(&mut link.probe).into_iter().collect();
        gossip.heard = std::mem::take(&mut link.probe_answers);
        gossip
    }

    /// Adds the next batch of announcements, unless too many are unacknowledged.
    fn announce(&mut self, now: Duration, id: LinkId, gossip: &mut Gossip, space: &mut Space) {
        let Some(link) = self
            .links
            .get_mut(&id)
            .filter(|link| link.unacknowledged.len() < MAX_UNACKNOWLEDGED)
        else {
            return;
        };
        let mut slots = Vec::new();
        while slots.len() < MAX_HAVE
            && let Some(&slot) = link.pending.first()
        {
            if let Some(row) = self.table.row(slot).filter(|row| row.known_by & link.bit == 0) {
                if !space.take(space::have(&row.entry.relay_id)) {
                    break;
                }
                slots.push(slot);
            }
            link.pending.pop_first();
        }
        if slots.is_empty() {
            return;
        }
        link.batches = link.batches.wrapping_add(1);
        gossip.batch = link.batches;
        let rows = slots.iter().filter_map(|slot| Some((*slot, self.table.row(*slot)?)));
        (gossip.have, gossip.distances) = rows.map(|(slot, row)| (row.have(), self.distance(slot, row))).unzip();
        let batch = Batch {
            number: gossip.batch,
            slots,
            at: now,
        };
        if let Some(link) = self.links.get_mut(&id) {
            link.unacknowledged.push_back(batch);
        }
    }
}

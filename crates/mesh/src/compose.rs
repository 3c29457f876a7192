//! What a message contains.
//!
//! News travels as names (`have`); who lacks an entry asks one of those that have it (`want`). So an entry crosses into each relay once, whatever the
//! number of links. One batch of names is under way per link and direction until the other end acknowledges it: what is lost is told again.

use std::sync::Arc;
use std::time::Duration;

use sdk_relay_mesh_table::LinkId;
use sdk_relay_protocol::mesh::Gossip;

use crate::Mesh;
use crate::keys::Keys;
use crate::limits::{HINTS, MAX_ACCUSATIONS, MAX_ENTRIES, MAX_ENTRY_BYTES, MAX_HAVE, MAX_LIST_BYTES};
use crate::link::Batch;
use crate::space::{self, Space};

/// Batches of names under way on a link in one direction.
const MAX_TOLD: usize = 4;

impl<K: Keys> Mesh<K> {
    /// What is to be told over this link now. Only a request `asks`: the response has the entries, or is the refusal.
    pub(crate) fn compose(&mut self, now: Duration, id: LinkId, asks: bool) -> Gossip {
        let lasting = self.lasting_links();
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
            links: lasting as u16,
            relays: self.table.len() as u16,
            passing: link.passing,
            ack: link.ack,
            ..Gossip::default()
        };
        // A goodbye goes to everybody.
        let no_room = link.passing && !link.dialled && !link.peer_passing && !self.left;
        let mut space = Space::new(MAX_LIST_BYTES);
        if !link.greeted
            && !no_room
            && let Some(own) = self.table.row(self.own)
        {
            self.spare.take();
            space.take(space::entry(&own.entry));
            gossip.entries.push(Arc::clone(&own.entry));
        }
        if no_room {
            // It is sent on.
            let peer = link.peer.clone();
            for _ in 0..HINTS {
                let hint = self.pick(|row| row.is_trusted() && row.entry.relay_id != peer);
                if let Some(row) = hint.and_then(|slot| self.table.row(slot)) {
                    self.spare.take();
                    gossip.entries.push(Arc::clone(&row.entry));
                }
            }
            return gossip;
        }

        self.tell_news(now, id, &mut gossip, &mut space);
        let Some(link) = self.links.get_mut(&id) else {
            return gossip;
        };
        for (name, entry, accusation) in wanted {
            if !space.take(space::name(&name) * (usize::from(entry) + usize::from(accusation))) {
                break;
            }
            self.asked.insert(name.clone(), (id, now));
            link.asking.push(name.clone());
            if entry {
                gossip.want.push(name.clone());
            }
            if accusation {
                gossip.doubt.push(name);
            }
        }

        // What is left over is taken for refused by the other end, which asks elsewhere; it goes with the next message all the same.
        let mut space_of_entries = Space::new(MAX_ENTRY_BYTES);
        while gossip.entries.len() < MAX_ENTRIES
            && let Some(&slot) = link.owed.first()
        {
            if let Some(row) = self.table.row(slot) {
                let bytes = space::entry(&row.entry);
                if !(space_of_entries.take(bytes) && space.take(bytes)) {
                    break;
                }
                gossip.entries.push(Arc::clone(&row.entry));
            }
            link.owed.pop_first();
        }
        while gossip.accusations.len() < MAX_ACCUSATIONS
            && let Some(&slot) = link.owed_accusations.first()
        {
            if let Some(accusation) = self.table.row(slot).and_then(|row| row.accusation()) {
                if !space.take(space::accusation(accusation)) {
                    break;
                }
                gossip.accusations.push(Arc::clone(accusation));
            }
            link.owed_accusations.pop_first();
        }
        self.counters.entries_sent += gossip.entries.len() as u64;
        if link.send_buckets {
            link.send_buckets = false;
            gossip.buckets = self.table.buckets().to_vec();
        }
        gossip.probe = std::mem::take(&mut link.probe).into_iter().collect();
        gossip.heard = std::mem::take(&mut link.answers);
        gossip
    }

    /// The next batch of names, unless too many are under way.
    fn tell_news(&mut self, now: Duration, id: LinkId, gossip: &mut Gossip, space: &mut Space) {
        let Some(link) = self.links.get_mut(&id).filter(|link| link.told.len() < MAX_TOLD) else {
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
            link.told.push_back(batch);
        }
    }
}

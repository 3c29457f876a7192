//! An exchange: what a message tells, and what is taken from one.
//!
//! News travels as names (`have`); who lacks an entry asks one of those that have it (`want`). So an entry crosses into each relay once, whatever the
//! number of links. One batch of names is under way per link and direction until the other end acknowledges it: what is lost is told again.

use std::sync::Arc;
use std::time::Duration;

use sdk_relay_protocol::mesh::{Gossip, Heard, RelayId};

use crate::Mesh;
use crate::keys::Keys;
use crate::limits::{BUCKETS, MAX_ACCUSATIONS, MAX_ENTRIES, MAX_ENTRY_BYTES, MAX_HAVE, MAX_LIST_BYTES, MAX_PROBES};
use crate::link::Batch;
use crate::mesh::NEWCOMER;
use crate::space::{self, Space};
use sdk_relay_mesh_table::LinkId;
use sdk_relay_mesh_table::distance;
use sdk_relay_mesh_table::{Slot, Table};

/// A full relay tells those that it sends away of so many others; so many are taken from it unasked.
const HINTS: usize = 1;

/// Batches of names under way on a link in one direction.
const MAX_TOLD: usize = 4;

/// Comparisons of parts that a link may ask for per interval. Two ends that differ settle it in one or two.
const MAX_COMPARES: u32 = 4;

/// Exchanges with different digests and nothing to tell, until parts are compared. News under way makes digests differ for a moment.
const MISMATCHES: u32 = 2;

/// Intervals between two comparisons, while relays do not answer that nobody here has heard from.
const COMPARED_EVERY: u32 = 2;

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

    /// The other end has other things in some parts: all of them are told.
    fn tell_differing(&mut self, now: Duration, id: LinkId, buckets: &[u64], digest: u64) {
        let Some(link) = self.links.get_mut(&id) else { return };
        // Who sends made-up parts would be told everything again and again.
        link.compares += 1;
        if link.compares > MAX_COMPARES {
            return;
        }
        let differing = self.table.differing(buckets);
        link.compared = Some((self.table.digest(), digest));
        for slot in differing {
            if let Some(row) = self.table.row_mut(slot) {
                row.known_by &= !link.bit;
                link.pending.insert(slot);
            }
        }
        if !link.pending.is_empty() {
            link.soon(now, self.config.interval);
        }
    }

    /// Where both ends have nothing to tell and yet differ, parts are compared; once for each such pair, whatever comes of it.
    fn compare(&mut self, now: Duration, id: LinkId, relays: u16, told: bool) {
        let own = self.table.digest();
        let Some(link) = self.links.get_mut(&id) else { return };
        let Some(theirs) = link.digest else { return };
        let no_room = (link.passing && !link.dialled && !link.peer_passing)
            || (link.peer_passing && link.dialled && !link.passing);
        if theirs == own || no_room || link.compared == Some((own, theirs)) {
            link.mismatches = 0;
            return;
        }
        // Over a new link it is settled at once: the ends have never compared.
        let first = link.compared.is_none();
        if first && (relays <= NEWCOMER || self.table.len() <= usize::from(NEWCOMER)) {
            link.compared = Some((own, theirs));
            link.pending.extend(self.table.iter().map(|(slot, _)| slot));
            return;
        }
        // While relays are invented it is never quiet, and what had to make way is not told again.
        let due = self.misses > 0
            && link.pending.is_empty()
            && now.saturating_sub(link.compared_at) >= self.config.interval * COMPARED_EVERY;
        if first || (!told && link.is_quiet()) {
            link.mismatches += 1;
        }
        if first || due || link.mismatches >= MISMATCHES {
            link.mismatches = 0;
            link.compared_at = now;
            link.compared = Some((own, theirs));
            link.send_buckets = true;
        }
    }
}

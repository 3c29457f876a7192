//! Links that come up: whether a link is kept, and how many there may be.

use std::time::Duration;

use sdk_relay_mesh_table::LinkId;

use crate::Mesh;
use crate::keys::Keys;
use crate::limits::{MAX_PASSING, NEWCOMER};
use crate::link::Link;
use crate::output::{CloseReason, Peer};

impl<K: Keys> Mesh<K> {
    /// A link stands, and both ends have proven who they are.
    pub fn link_up(&mut self, now: Duration, link: LinkId, peer: Peer) {
        let dialling = peer.dial.and_then(|dial| self.dials.remove(&dial));
        if let Some(dialling) = &dialling {
            self.misses = if dialling.is_unproven() { 0 } else { self.misses };
            self.seed_answered(now, dialling, &peer.relay_id);
        }
        if self.left {
            return self.close_at_once(link, CloseReason::Leaving);
        }
        let own_key = self.keys.public_key();
        if peer.relay_id == self.own_id || peer.public_key == own_key {
            let reason = match peer.relay_id == self.own_id && peer.public_key == own_key {
                true => CloseReason::Own,
                false => CloseReason::Dishonest,
            };
            return self.close_at_once(link, reason);
        }
        if !self.gets_name(now, &peer) {
            self.counters.refused += 1;
            return self.close_at_once(link, CloseReason::Dishonest);
        }
        let known = self.table.slot(peer.relay_id.as_str());
        let other = self
            .links
            .iter()
            .find(|(_, other)| other.peer == peer.relay_id)
            .map(|(id, other)| (*id, other.public_key == peer.public_key));
        if let Some((other, same)) = other {
            if same && !self.prefers(now, other, &peer) {
                return self.close_at_once(link, CloseReason::Duplicate);
            }
            self.close(now, other, CloseReason::Duplicate);
        }
        let lasting = self.lasting_links();
        if self.links.len() >= self.config.max_links + MAX_PASSING {
            return self.close_at_once(link, CloseReason::Full);
        }
        let free = !self.bits;
        let bit = free & free.wrapping_neg();
        self.bits |= bit;
        let dialled = peer.dial.is_some();
        let next = if dialled {
            now
        } else {
            now + self.random.jittered(self.config.interval)
        };
        let mut new = Link::new(peer, bit, next, now);
        new.entrance = dialling.as_ref().is_some_and(|dialling| dialling.entrance);
        new.passing = match &dialling {
            Some(dialling) if dialling.probe => lasting >= self.wanted_links(),
            _ => lasting >= self.room(),
        };
        // A newcomer tells all that it knows; who knows much compares first.
        match self.table.len() <= usize::from(NEWCOMER) {
            true => new.pending.extend(self.table.iter().map(|(slot, _)| slot)),
            false => _ = new.pending.insert(self.own),
        }
        if let Some(row) = known.and_then(|slot| self.table.row_mut(slot)) {
            // It may not have heard that it stands accused.
            let accused = row.accusation().is_some();
            let local = row.local();
            if let (Some(slot), true) = (known, accused) {
                new.pending.insert(slot);
                local.dial_after = local.dial_after.max(now + self.config.interval);
            }
            local.link = Some(link);
            local.failures = 0;
            local.latency.get_or_insert(new.latency);
        }
        self.links.insert(link, new);
        self.count_introductions(now, link);
        self.peer_heard(now, link);
        if dialling.is_some_and(|dialling| dialling.is_of_accused()) {
            self.ask_accused(now);
        }
        self.run_links(now);
    }

    /// Whether this link stands: the state machine has taken it and has not closed it.
    pub fn is_up(&self, link: LinkId) -> bool {
        self.links.contains_key(&link)
    }

    /// Whether a second link to the same relay is better than the first.
    fn prefers(&self, now: Duration, other: LinkId, peer: &Peer) -> bool {
        let Some(other) = self.links.get(&other) else {
            return true;
        };
        // A link that only looks must not end one that lasts; an old one that went silent must not hold a new one up.
        let stale = other.arrivals.silence(now) > self.config.interval / 2;
        if other.dialled == peer.dial.is_some() || stale {
            return true;
        }
        // Both dialled at once: both ends keep the one from the smaller key.
        let ours_wins = self.keys.public_key() < peer.public_key;
        ours_wins == peer.dial.is_some()
    }

    pub(crate) fn lasting_links(&self) -> usize {
        self.links.values().filter(|link| link.lasts()).count()
    }

    /// Most links by the number of known relays: a small mesh needs fewer, and each costs a message per round, which is as much as an entry.
    fn room(&self) -> usize {
        let bits = usize::BITS.saturating_sub(self.table.len().leading_zeros());
        self.config.max_links.min(2 + bits as usize)
    }

    /// So many are dialled for; the rest is left for others to fill.
    pub(crate) fn wanted_links(&self) -> usize {
        (self.config.max_links * 3 / 4).max(1)
    }
}

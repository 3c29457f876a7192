//! Links that come up: whether a link is kept, and how many there may be.

use std::time::Duration;

use sdk_relay_mesh_table::LinkId;

use crate::Mesh;
use crate::keys::Keys;
use crate::limits::{MAX_PASSING, NEWCOMER};
use crate::link::Link;
use crate::output::{CloseReason, Peer};

impl<K: Keys> Mesh<K> {
    /// A link is up, and both ends are authenticated.
    pub fn link_up(&mut self, now: Duration, link: LinkId, peer: Peer) {
        let dialling = peer.dial.and_then(|dial| self.dials.remove(&dial));
        if let Some(dialling) = &dialling {
            self.unproven_failures = if dialling.is_unproven() {
                0
            } else {
                self.unproven_failures
            };
            self.seed_connected(now, dialling, &peer.relay_id);
        }
        if self.left {
            return self.reject(link, CloseReason::Leaving);
        }
        let own_key = self.keys.public_key();
        if peer.relay_id == self.own_id || peer.public_key == own_key {
            let reason = match peer.relay_id == self.own_id && peer.public_key == own_key {
                true => CloseReason::SelfConnection,
                false => CloseReason::Misbehaving,
            };
            return self.reject(link, reason);
        }
        if !self.may_use_name(now, &peer) {
            self.counters.refused += 1;
            return self.reject(link, CloseReason::Misbehaving);
        }
        let known = self.table.slot(peer.relay_id.as_str());
        let other = self
            .links
            .iter()
            .find(|(_, other)| other.peer == peer.relay_id)
            .map(|(id, other)| (*id, other.public_key == peer.public_key));
        if let Some((other, same)) = other {
            if same && !self.prefers(now, other, &peer) {
                return self.reject(link, CloseReason::Duplicate);
            }
            self.close(now, other, CloseReason::Duplicate);
        }
        let persistent = self.persistent_links();
        if self.links.len() >= self.config.max_links + MAX_PASSING {
            return self.reject(link, CloseReason::Full);
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
        new.bootstrap = dialling.as_ref().is_some_and(|dialling| dialling.bootstrap);
        new.passing = match &dialling {
            Some(dialling) if dialling.probe => persistent >= self.wanted_links(),
            _ => persistent >= self.link_capacity(),
        };
        // A newcomer announces everything that it knows; a relay with a larger table compares digests first.
        match self.table.len() <= usize::from(NEWCOMER) {
            true => new.pending.extend(self.table.iter().map(|(slot, _)| slot)),
            false => _ = new.pending.insert(self.own),
        }
        if let Some(row) = known.and_then(|slot| self.table.row_mut(slot)) {
            // It may not have received the accusation yet.
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
        self.record_arrival(now, link);
        if dialling.is_some_and(|dialling| dialling.is_of_accused()) {
            self.dial_accused(now);
        }
        self.run_links(now);
    }

    /// Whether this link is up: it was accepted and has not been closed.
    pub fn is_up(&self, link: LinkId) -> bool {
        self.links.contains_key(&link)
    }

    /// Whether a second link to the same relay replaces the first.
    fn prefers(&self, now: Duration, other: LinkId, peer: &Peer) -> bool {
        let Some(other) = self.links.get(&other) else {
            return true;
        };
        // A passing link must not replace a persistent one, and a stale link must not block a new one.
        let stale = other.arrivals.silence(now) > self.config.interval / 2;
        if other.dialled == peer.dial.is_some() || stale {
            return true;
        }
        // Both ends dialled at the same time: both keep the link that the smaller key dialled.
        let ours_wins = self.keys.public_key() < peer.public_key;
        ours_wins == peer.dial.is_some()
    }

    pub(crate) fn persistent_links(&self) -> usize {
        self.links.values().filter(|link| link.is_persistent()).count()
    }

    /// Most links for this number of relays. A small mesh needs fewer, and each link costs a message per round, which
    /// is as large as an entry.
    fn link_capacity(&self) -> usize {
        let bits = usize::BITS.saturating_sub(self.table.len().leading_zeros());
        self.config.max_links.min(2 + bits as usize)
    }

    /// Number of links that are dialled for; the remaining slots are for relays that dial this one.
    pub(crate) fn wanted_links(&self) -> usize {
        (self.config.max_links * 3 / 4).max(1)
    }
}

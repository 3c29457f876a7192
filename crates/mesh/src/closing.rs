//! Links that end: closed by this relay or by the peer, or to free a slot for another relay.

use std::time::Duration;

use sdk_relay_mesh_table::LinkId;

use crate::Mesh;
use crate::keys::Keys;
use crate::link::Link;
use crate::output::{CloseReason, Output};
use crate::phi::LATE;

impl<K: Keys> Mesh<K> {
    /// A link ended, at either end.
    pub fn link_down(&mut self, now: Duration, link: LinkId) {
        let Some(gone) = self.drop_link(now, link) else { return };
        if gone.passing || gone.peer_passing {
            return;
        }
        if let Some(slot) = self.table.slot(gone.peer.as_str()) {
            self.suspect(now, slot);
        }
    }

    /// The driver cannot serve this link any longer.
    pub fn fail(&mut self, now: Duration, link: LinkId) {
        self.close(now, link, CloseReason::Failed);
    }

    /// Closes a link.
    pub(crate) fn close(&mut self, now: Duration, id: LinkId, reason: CloseReason) {
        if self.drop_link(now, id).is_some() {
            self.out.push_back(Output::Close { link: id, reason });
        }
    }

    pub(crate) fn reject(&mut self, link: LinkId, reason: CloseReason) {
        self.out.push_back(Output::Close { link, reason });
    }

    fn drop_link(&mut self, now: Duration, id: LinkId) -> Option<Link> {
        let link = self.links.remove(&id)?;
        self.bits &= !link.bit;
        self.table.clear_link(link.bit);
        self.requested.retain(|_, (asked, _)| *asked != id);
        self.indirect_probes.retain(|probe| probe.link != id);
        self.drop_claims(now, id);
        // The entries that were to arrive over it are requested over other links.
        for other in self.links.values_mut().filter(|other| !other.offers.is_empty()) {
            other.send_soon(now, self.config.interval);
        }
        if let Some(row) = self.table.find_mut(link.peer.as_str()) {
            let local = row.local();
            local.link = local.link.filter(|at| *at != id);
            local.latency = Some(link.latency);
        }
        Some(link)
    }

    /// A relay without any other link dialled a full one, which closes the link to the peer that has the most links.
    pub(crate) fn free_slot_for(&mut self, now: Duration, link: LinkId) {
        if !self.links.get(&link).is_some_and(|link| link.passing && !link.dialled) {
            return;
        }
        let may_go = |other: &&(LinkId, u16)| other.1 >= 3;
        let others: Vec<(LinkId, u16)> = self
            .links
            .iter()
            .filter(|(id, other)| **id != link && other.is_persistent() && !self.is_seed(&other.peer))
            .map(|(id, other)| (*id, other.peer_links))
            .collect();
        let Some(&(other, _)) = others.iter().filter(may_go).max_by_key(|(_, links)| *links) else {
            return;
        };
        self.close_gracefully(now, other, CloseReason::SlotNeeded);
        if let Some(at) = self.links.get_mut(&link) {
            at.passing = false;
        }
    }

    /// Announces that the link is not needed any longer, and closes it.
    pub(crate) fn close_gracefully(&mut self, now: Duration, link: LinkId, reason: CloseReason) {
        if let Some(at) = self.links.get_mut(&link) {
            at.passing = true;
        }
        self.send(now, link, 0);
        self.close(now, link, reason);
    }

    /// Closes links that are silent and passing links that are done.
    pub(crate) fn check_links(&mut self, now: Duration) {
        let interval = self.config.interval;
        let mut silent = Vec::new();
        let mut over = Vec::new();
        for (id, link) in &self.links {
            let silence = link.arrivals.silence(now);
            let late = link.arrivals.phi(now, interval) >= LATE;
            if !link.is_persistent() {
                let leaves = link.close_at.is_some_and(|at| at <= now);
                if leaves || now.saturating_sub(link.up) > interval * 2 {
                    over.push((*id, CloseReason::Passing));
                }
            } else if late {
                silent.push(link.peer.clone());
                if silence >= interval * 3 {
                    over.push((*id, CloseReason::Silent));
                }
            }
        }
        for peer in silent {
            if let Some(slot) = self.table.slot(peer.as_str()) {
                self.update_health(now, slot);
                self.suspect(now, slot);
            }
        }
        for (id, reason) in over {
            self.close(now, id, reason);
        }
    }
}

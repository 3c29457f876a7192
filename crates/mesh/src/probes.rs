//! Indirect probes (SWIM): other relays are asked whether they receive anything from a suspected one.

use std::time::Duration;

use sdk_relay_mesh_table::{LinkId, Row, Slot};
use sdk_relay_protocol::mesh::{Heard, RelayId};

use crate::Mesh;
use crate::indirect_probe::IndirectProbe;
use crate::keys::Keys;
use crate::limits::{INDIRECT_PROBES, MAX_PROBES};

/// Probes on behalf of peers at a time: each costs a dial.
const MAX_INDIRECT_PROBES: usize = 32;

impl<K: Keys> Mesh<K> {
    /// Asks other relays to probe it.
    pub(crate) fn probe_indirectly(&mut self, now: Duration, slot: Slot) {
        let Some(row) = self.table.row_mut(slot) else { return };
        let target = row.entry.relay_id.clone();
        if let Some(suspicion) = &mut row.local().suspicion {
            suspicion.probed = Some(now);
        }
        let mut helpers: Vec<LinkId> = self
            .links
            .iter()
            .filter(|(_, l)| l.is_persistent() && l.peer != target)
            .map(|(id, _)| *id)
            .collect();
        for _ in 0..INDIRECT_PROBES {
            if helpers.is_empty() {
                return;
            }
            let helper = helpers.swap_remove(self.random.below(helpers.len()));
            if let Some(link) = self.links.get_mut(&helper).filter(|link| link.probe.len() < MAX_PROBES) {
                link.probe.insert(target.clone());
                link.next = now;
            }
        }
    }

    /// A peer asks whether this relay receives anything from `target`.
    pub(crate) fn probe_for(&mut self, now: Duration, link: LinkId, target: RelayId) {
        let Some(slot) = self.table.slot(target.as_str()).filter(|slot| *slot != self.own) else {
            return;
        };
        let received = self.table.row(slot).and_then(Row::last_received);
        if received.is_some_and(|received| now.saturating_sub(received) <= self.config.interval) {
            return self.answer_probe(now, link, &target, received);
        }
        if self.indirect_probes.len() < MAX_INDIRECT_PROBES
            && !self
                .indirect_probes
                .iter()
                .any(|h| h.target == target && h.link == link)
        {
            let until = now + self.config.interval * 2;
            self.indirect_probes.push(IndirectProbe { target, link, until });
            self.dial_row(now, slot, true);
        }
    }

    pub(crate) fn answer_probes(&mut self, now: Duration, slot: Slot) {
        let Some(row) = self.table.row(slot) else { return };
        let (name, received) = (row.entry.relay_id.clone(), row.last_received());
        let requesters: Vec<LinkId> = self
            .indirect_probes
            .iter()
            .filter(|h| h.target == name)
            .map(|h| h.link)
            .collect();
        self.indirect_probes.retain(|probe| probe.target != name);
        for link in requesters {
            self.answer_probe(now, link, &name, received);
        }
    }

    fn answer_probe(&mut self, now: Duration, link: LinkId, target: &RelayId, received: Option<Duration>) {
        let ago = received.map_or(Duration::ZERO, |received| now.saturating_sub(received));
        if let Some(link) = self
            .links
            .get_mut(&link)
            .filter(|link| link.probe_answers.len() < MAX_PROBES)
        {
            let ago = u64::try_from(ago.as_millis()).unwrap_or(u64::MAX);
            link.probe_answers.push(Heard(target.clone(), ago));
            link.next = link.next.min(now + self.config.interval / 30);
        }
    }

    /// Another relay has received something from a suspected one. This postpones the accusation by two intervals at
    /// most: answers of others must not hide a failure.
    pub(crate) fn record_indirect_ack(&mut self, now: Duration, target: &RelayId, ago: Duration) {
        let Some(row) = self.table.find_mut(target.as_str()) else {
            return;
        };
        let Some(suspicion) = row.suspicion() else { return };
        let when = now.saturating_sub(ago);
        if when > suspicion.since {
            let linked = row.link().is_some();
            let local = row.local();
            local.indirect_ack = Some(when);
            // It is alive and only unreachable from here. Without a link, others watch it.
            if !linked {
                local.suspicion = None;
            }
        }
    }
}

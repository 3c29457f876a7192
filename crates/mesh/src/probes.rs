//! Indirect probes (SWIM): other relays are asked whether they receive anything from a suspected one.

use std::time::Duration;

use sdk_relay_mesh_table::{LinkId, Row, Slot};
use sdk_relay_protocol::mesh::{Heard, RelayId};

use crate::Mesh;
use crate::helping::Helping;
use crate::keys::Keys;
use crate::limits::{HELPERS, MAX_PROBES};

/// Relays that are looked for on behalf of others at a time: each costs a dial.
const MAX_HELPING: usize = 32;

impl<K: Keys> Mesh<K> {
    /// SWIM's indirect probe: can others reach it?
    pub(crate) fn ask_others(&mut self, now: Duration, slot: Slot) {
        let Some(row) = self.table.row_mut(slot) else { return };
        let target = row.entry.relay_id.clone();
        if let Some(suspicion) = &mut row.local().suspicion {
            suspicion.probed = Some(now);
        }
        let mut helpers: Vec<LinkId> = self
            .links
            .iter()
            .filter(|(_, l)| l.lasts() && l.peer != target)
            .map(|(id, _)| *id)
            .collect();
        for _ in 0..HELPERS {
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

    /// Another asks whether this relay has heard of `target`.
    pub(crate) fn help(&mut self, now: Duration, link: LinkId, target: RelayId) {
        let Some(slot) = self.table.slot(target.as_str()).filter(|slot| *slot != self.own) else {
            return;
        };
        let heard = self.table.row(slot).and_then(Row::last_received);
        if heard.is_some_and(|heard| now.saturating_sub(heard) <= self.config.interval) {
            return self.answer(now, link, &target, heard);
        }
        if self.helping.len() < MAX_HELPING && !self.helping.iter().any(|h| h.target == target && h.link == link) {
            let until = now + self.config.interval * 2;
            self.helping.push(Helping { target, link, until });
            self.dial_row(now, slot, true);
        }
    }

    pub(crate) fn answer_seekers(&mut self, now: Duration, slot: Slot) {
        let Some(row) = self.table.row(slot) else { return };
        let (name, heard) = (row.entry.relay_id.clone(), row.last_received());
        let seekers: Vec<LinkId> = self
            .helping
            .iter()
            .filter(|h| h.target == name)
            .map(|h| h.link)
            .collect();
        self.helping.retain(|helping| helping.target != name);
        for link in seekers {
            self.answer(now, link, &name, heard);
        }
    }

    fn answer(&mut self, now: Duration, link: LinkId, target: &RelayId, heard: Option<Duration>) {
        let ago = heard.map_or(Duration::ZERO, |heard| now.saturating_sub(heard));
        if let Some(link) = self.links.get_mut(&link).filter(|link| link.answers.len() < MAX_PROBES) {
            let ago = u64::try_from(ago.as_millis()).unwrap_or(u64::MAX);
            link.answers.push(Heard(target.clone(), ago));
            link.next = link.next.min(now + self.config.interval / 30);
        }
    }

    /// Another has heard of a relay. It is taken for two intervals at most: a word about others must not hide a death.
    pub(crate) fn vouched(&mut self, now: Duration, target: &RelayId, ago: Duration) {
        let Some(row) = self.table.find_mut(target.as_str()) else {
            return;
        };
        let Some(suspicion) = row.suspicion() else { return };
        let when = now.saturating_sub(ago);
        if when > suspicion.since {
            let linked = row.link().is_some();
            let local = row.local();
            local.indirect_ack = Some(when);
            // It is there, only not for this relay. Without a link it is no longer this relay's business.
            if !linked {
                local.suspicion = None;
            }
        }
    }
}

//! Failure detection (SWIM, Das et al. 2002, over links instead of datagrams): silence, suspicion, accusation,
//! refutation.
//!
//! Each relay watches its links, and probes another relay now and then. A relay that does not answer is dialled again,
//! and others are asked to probe it. If no relay has received anything from it for two intervals, it is accused; the
//! accusation spreads like an entry, and a newer entry of the accused refutes it. First-hand evidence counts more than
//! what others say.

use std::time::Duration;

use sdk_relay_mesh_table::{LinkId, Slot, Suspicion};

use crate::Mesh;
use crate::keys::Keys;

impl<K: Keys> Mesh<K> {
    /// Something arrived over a link.
    pub(crate) fn record_arrival(&mut self, now: Duration, id: LinkId) {
        let Some(link) = self.links.get_mut(&id) else { return };
        link.arrivals.record(now, self.config.interval);
        let Some(slot) = self.table.slot(link.peer.as_str()) else {
            return;
        };
        let Some(row) = self.table.row_mut(slot) else { return };
        let local = row.local();
        local.last_received = Some(now);
        local.link = Some(id);
        let back = local.suspicion.take().is_some() || local.down_since.is_some();
        self.uncontest(slot);
        self.table.mark_first_hand(slot);
        if back {
            self.answer_probes(now, slot);
            self.update_health(now, slot);
        }
    }

    /// A relay does not answer.
    pub(crate) fn suspect(&mut self, now: Duration, slot: Slot) {
        let Some(row) = self.table.row_mut(slot) else { return };
        if slot == self.own || row.has_left() || row.suspicion().is_some() || row.down_since().is_some() {
            return;
        }
        let local = row.local();
        let since = local
            .last_received
            .unwrap_or(now)
            .max(now.saturating_sub(self.config.interval * 2));
        local.suspicion = Some(Suspicion { since, probed: None });
        self.table.unhealthy.insert(slot);
        self.probe_indirectly(now, slot);
    }

    /// Handles rows that are suspected, accused or down.
    pub(crate) fn check_unhealthy(&mut self, now: Duration) {
        let interval = self.config.interval;
        self.indirect_probes.retain(|probe| probe.until > now);
        self.settle_claims(now);
        self.dial_accused(now);
        for slot in self.table.unhealthy.clone() {
            let Some(row) = self.table.row(slot) else { continue };
            let trusted = row.is_trusted();
            if trusted {
                self.table.unhealthy.remove(&slot);
                continue;
            }
            let Some(row) = self.table.row(slot) else { continue };
            if let Some(gone) = row.down_since()
                && row.link().is_none()
                && now.saturating_sub(gone) >= self.config.forget_after
            {
                self.forget(now, slot);
                continue;
            }
            if let Some(suspicion) = row.suspicion() {
                let vouched = row
                    .local
                    .as_ref()
                    .and_then(|local| local.indirect_ack)
                    .is_some_and(|at| at > suspicion.since);
                let (linked, accused) = (row.link().is_some(), row.accusation().is_some());
                let due = suspicion.since + interval * if vouched { 4 } else { 2 };
                if now >= due {
                    if let Some(row) = self.table.row_mut(slot) {
                        // From now on the accusation counts, this one or an earlier one.
                        row.local().suspicion = None;
                    }
                    if !accused {
                        self.accuse(now, slot, suspicion.since);
                    }
                } else {
                    if suspicion
                        .probed
                        .is_none_or(|asked| now.saturating_sub(asked) >= interval)
                    {
                        self.probe_indirectly(now, slot);
                    }
                    if !linked {
                        self.dial_row(now, slot, true);
                    }
                }
            }
            self.update_health(now, slot);
        }
    }
}

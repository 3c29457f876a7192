//! Failure detection (SWIM, Das et al. 2002, over links instead of datagrams): silence, suspicion, accusation, refutation.
//!
//! Each relay watches those that it is linked to, and now and then looks at another one. Who does not answer is dialled again, and others are asked
//! about it. If nobody has heard of it for two intervals, it is accused; the accusation travels like an entry, and a newer entry of the accused voids
//! it. What is heard at first hand counts more than what others say.

use std::time::Duration;

use sdk_relay_mesh_table::{LinkId, Slot, Suspicion};

use crate::Mesh;
use crate::keys::Keys;

impl<K: Keys> Mesh<K> {
    /// The other end of a link has sent something.
    pub(crate) fn peer_heard(&mut self, now: Duration, id: LinkId) {
        let Some(link) = self.links.get_mut(&id) else { return };
        link.arrivals.heard(now, self.config.interval);
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
            self.answer_seekers(now, slot);
            self.review(now, slot);
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
        self.ask_others(now, slot);
    }

    /// Those that are suspected, accused or gone.
    pub(crate) fn look_after_troubled(&mut self, now: Duration) {
        let interval = self.config.interval;
        self.helping.retain(|helping| helping.until > now);
        self.settle_claims(now);
        self.ask_accused(now);
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
                        // From here on the accusation speaks, or another's does already.
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
                        self.ask_others(now, slot);
                    }
                    if !linked {
                        self.dial_row(now, slot, true);
                    }
                }
            }
            self.review(now, slot);
        }
    }
}

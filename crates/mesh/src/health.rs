//! The health of a relay, and its changes.

use std::time::Duration;

use sdk_relay_mesh_table::{Row, Slot};
use sdk_relay_protocol::http::RelayHealth;
use sdk_relay_protocol::mesh::{RelayId, RelayStatus};

use crate::Mesh;
use crate::accusations::MAX_STRIKES;
use crate::keys::Keys;
use crate::output::Output;
use crate::phi::LATE;

impl<K: Keys> Mesh<K> {
    pub(crate) fn health(&self, now: Duration, slot: Slot, row: &Row) -> RelayHealth {
        let reported = match row.entry.status {
            RelayStatus::Healthy => RelayHealth::Healthy,
            RelayStatus::Degraded => RelayHealth::Warning,
            RelayStatus::Critical | RelayStatus::Left => RelayHealth::Critical,
        };
        if slot == self.own || reported == RelayHealth::Critical {
            return reported;
        }
        let interval = self.config.interval;
        let local = row.local.as_deref();
        if let Some(link) = row.link().and_then(|link| self.links.get(&link)) {
            let (silence, late) = (link.arrivals.silence(now), link.arrivals.phi(now, interval) >= LATE);
            return match late {
                true if silence >= interval * 3 => RelayHealth::Critical,
                true => RelayHealth::Warning,
                false => reported,
            };
        }
        let silence = row.last_received().map(|at| now.saturating_sub(at));
        // Earlier accusations by an accuser with too many strikes are ignored as well: relays that already ignore it do
        // not forward them to the accused.
        let strikes = |by: &RelayId| {
            let accuser = self.table.find(by.as_str()).and_then(|row| row.local.as_ref());
            accuser.map_or(0, |local| local.strikes)
        };
        let accused = row
            .accusation()
            .is_some_and(|accusation| strikes(&accusation.by) < MAX_STRIKES);
        if !accused && row.suspicion().is_none() || silence.is_some_and(|silence| silence < interval) {
            return reported;
        }
        let gone = local
            .and_then(|local| local.accused)
            .is_some_and(|accused| accused.unresponsive && now >= accused.deadline);
        match accused && gone {
            true => RelayHealth::Critical,
            false => RelayHealth::Warning,
        }
    }

    /// Reports a change of a relay's health to the driver.
    pub(crate) fn update_health(&mut self, now: Duration, slot: Slot) {
        let Some(row) = self.table.row(slot) else { return };
        let critical = self.health(now, slot, row) == RelayHealth::Critical;
        let (name, address) = (row.entry.relay_id.clone(), row.entry.address.clone());
        let left = row.has_left();
        match (critical, row.down_since().is_some()) {
            (true, false) => {
                self.out.push_back(Output::Disconnected {
                    relay_id: name,
                    address,
                    left,
                });
                self.table.unhealthy.insert(slot);
            }
            (false, true) => self.out.push_back(Output::Connected(name)),
            _ => return,
        }
        if let Some(row) = self.table.row_mut(slot) {
            row.local().down_since = critical.then_some(now);
        }
    }
}

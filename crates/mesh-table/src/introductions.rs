//! How many rows each peer has introduced.

use std::collections::BTreeMap;

use sdk_relay_protocol::mesh::RelayId;

use crate::distance::Counts;
use crate::hearsay::Hearsay;

/// Rows from hearsay, counted by introducer and distance.
#[derive(Default)]
pub(crate) struct Introductions(BTreeMap<RelayId, Counts>);

impl Introductions {
    pub(crate) fn add(&mut self, introducer: &RelayId, distance: u8) {
        self.0.entry(introducer.clone()).or_default().add(distance);
    }

    pub(crate) fn remove(&mut self, hearsay: Option<&Hearsay>) {
        let Some(hearsay) = hearsay else { return };
        if let Some(counts) = self.0.get_mut(&hearsay.introducer) {
            counts.remove(hearsay.distance);
            if counts.all() == 0 {
                self.0.remove(&hearsay.introducer);
            }
        }
    }

    pub(crate) fn of(&self, introducer: &RelayId) -> Counts {
        self.0.get(introducer).cloned().unwrap_or_default()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&RelayId, &Counts)> {
        self.0.iter()
    }
}

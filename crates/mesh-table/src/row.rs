//! One relay in the table.

use std::sync::Arc;
use std::time::Duration;

use sdk_relay_protocol::mesh::{Accusation, Have, RelayEntry, RelayId, RelayStatus};

use crate::LinkId;
use crate::hearsay::Hearsay;
use crate::random::mix;
use crate::state::{Local, Suspicion};

/// What is known about one relay.
pub struct Row {
    /// Its newest entry.
    pub entry: Arc<RelayEntry>,
    /// Identifies this version of the entry: derived from its signature.
    stamp: u64,
    accusation: Option<Arc<Accusation>>,
    /// A bit for each link: the peer has this version of the row.
    pub known_by: u64,
    /// This entry has been sent once.
    pub sent_once: bool,
    /// When the entry was last replaced.
    pub updated: Duration,
    hearsay: Option<Hearsay>,
    /// First-hand state, if there is any.
    pub local: Option<Box<Local>>,
}

impl Row {
    /// A first-hand row.
    pub fn new(entry: Arc<RelayEntry>, now: Duration) -> Self {
        Self {
            stamp: stamp(&entry.signature),
            entry,
            accusation: None,
            known_by: 0,
            sent_once: false,
            updated: now,
            hearsay: None,
            local: None,
        }
    }

    /// A row that this peer introduced.
    pub fn introduced_by(mut self, introducer: RelayId, distance: u8) -> Self {
        self.hearsay = Some(Hearsay::new(introducer, distance));
        self
    }

    /// Who announced it; `None` once something was received first hand.
    pub fn hearsay(&self) -> Option<&Hearsay> {
        self.hearsay.as_ref()
    }

    pub(crate) fn hearsay_mut(&mut self) -> &mut Option<Hearsay> {
        &mut self.hearsay
    }

    /// Nothing was ever received from the relay itself.
    pub fn is_hearsay(&self) -> bool {
        self.hearsay.is_some()
    }

    /// Nothing was ever received from it, and it does not answer: another key may take its name.
    pub fn is_replaceable(&self) -> bool {
        let unreached = self.local.as_ref().is_some_and(|local| local.failures > 0);
        self.is_hearsay() && (unreached || self.down_since().is_some() || self.has_left())
    }

    /// Incarnation and version.
    pub fn order(&self) -> (u64, u64) {
        order(&self.entry)
    }

    /// Its announcement.
    pub fn have(&self) -> Have {
        let (incarnation, version) = self.order();
        let accused = u8::from(self.accusation.is_some());
        Have(self.entry.relay_id.clone(), incarnation, version, accused)
    }

    /// A valid accusation of this version of its entry.
    pub fn accusation(&self) -> Option<&Arc<Accusation>> {
        self.accusation.as_ref()
    }

    /// Its first-hand state, created if there is none.
    pub fn local(&mut self) -> &mut Local {
        self.local.get_or_insert_default()
    }

    /// When something was last received from the relay itself.
    pub fn last_received(&self) -> Option<Duration> {
        self.local.as_ref()?.last_received
    }

    /// The link to it.
    pub fn link(&self) -> Option<LinkId> {
        self.local.as_ref()?.link
    }

    /// Whether it is suspected.
    pub fn suspicion(&self) -> Option<Suspicion> {
        self.local.as_ref()?.suspicion
    }

    /// Since when it is reported as disconnected.
    pub fn down_since(&self) -> Option<Duration> {
        self.local.as_ref()?.down_since
    }

    /// When it may be dialled again.
    pub fn dial_after(&self) -> Duration {
        self.local.as_ref().map_or(Duration::ZERO, |local| local.dial_after)
    }

    /// It has announced that it leaves the mesh.
    pub fn has_left(&self) -> bool {
        self.entry.status == RelayStatus::Left
    }

    /// It is neither suspected, accused nor down.
    pub fn is_trusted(&self) -> bool {
        self.accusation.is_none() && self.suspicion().is_none() && self.down_since().is_none() && !self.has_left()
    }

    pub(crate) fn hash(&self) -> u64 {
        mix(self.stamp ^ u64::from(self.accusation.is_some()))
    }

    /// Replaces the entry. Returns the accusation that this refutes.
    pub(crate) fn update(&mut self, entry: Arc<RelayEntry>, now: Duration) -> Option<Arc<Accusation>> {
        self.stamp = stamp(&entry.signature);
        self.entry = entry;
        self.known_by = 0;
        self.sent_once = false;
        self.updated = now;
        if let Some(local) = self.local.as_mut() {
            local.accused = None;
        }
        self.accusation.take()
    }

    pub(crate) fn accuse(&mut self, accusation: Arc<Accusation>) {
        self.accusation = Some(accusation);
        self.known_by = 0;
    }
}

/// Incarnation and version of an entry.
pub fn order(entry: &RelayEntry) -> (u64, u64) {
    (entry.incarnation, entry.version)
}

/// The first 8 bytes of the signature: uniformly distributed, and distinct for distinct entries.
fn stamp(signature: &str) -> u64 {
    signature
        .get(..16)
        .and_then(|hex| u64::from_str_radix(hex, 16).ok())
        .unwrap_or(0)
}

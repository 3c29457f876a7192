//! A row that is known only because peers announced it.

use sdk_relay_protocol::mesh::RelayId;

/// Most peers of [`Hearsay::announcers`]: one of them is needed, if it has quota left.
const MAX_ANNOUNCERS: usize = 8;

/// Who announced a relay from which nothing was received first hand.
pub struct Hearsay {
    /// The peer to whose quota the row counts.
    pub introducer: RelayId,
    /// The shortest announced distance.
    pub distance: u8,
    announcers: Vec<(RelayId, u8)>,
}

impl Hearsay {
    pub(crate) fn new(introducer: RelayId, distance: u8) -> Self {
        Self {
            introducer,
            distance,
            announcers: Vec::new(),
        }
    }

    /// The row goes to another introducer; the previous one becomes an announcer.
    pub(crate) fn reattributed(before: Option<&Self>, introducer: RelayId, distance: u8) -> Self {
        let mut hearsay = Self::new(introducer, distance);
        if let Some(before) = before {
            hearsay.announcers.clone_from(&before.announcers);
            let introducer = hearsay.introducer.clone();
            hearsay.add_announcer(&introducer, distance);
            hearsay.add_announcer(&before.introducer, before.distance);
        }
        hearsay
    }

    /// Other peers that announced the relay independently, and their distances to it.
    pub fn announcers(&self) -> &[(RelayId, u8)] {
        &self.announcers
    }

    pub(crate) fn add_announcer(&mut self, peer: &RelayId, distance: u8) {
        self.announcers.retain(|(other, _)| other != peer);
        if self.announcers.len() < MAX_ANNOUNCERS && self.introducer != *peer {
            self.announcers.push((peer.clone(), distance));
        }
    }
}

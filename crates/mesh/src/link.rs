//! The state of one link: announcements, offers, requests and timers.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use sdk_relay_protocol::mesh::{Heard, RelayId};

use crate::limits::INTRODUCED_AT_FIRST;
use crate::phi::Arrivals;
use crate::{Peer, Token};
use sdk_relay_mesh_table::Slot;
use sdk_relay_mesh_table::distance::{Allowance, Counts};

/// Longest delay of a change, however long the interval is.
const NEWS_WAITS: Duration = Duration::from_secs(2);

pub(crate) struct Link {
    pub(crate) peer: RelayId,
    pub(crate) public_key: String,
    /// This end dialled.
    pub(crate) dialled: bool,
    /// The peer is a bootstrap peer.
    pub(crate) bootstrap: bool,
    pub(crate) up: Duration,
    /// Its bit in [`Row::known_by`](sdk_relay_mesh_table::Row::known_by).
    pub(crate) bit: u64,
    pub(crate) arrivals: Arrivals,
    pub(crate) latency: Duration,

    /// This end is full, or only probes.
    pub(crate) passing: bool,
    /// The same flag as reported by the peer.
    pub(crate) peer_passing: bool,
    /// Number of links that the peer reports.
    pub(crate) peer_links: u16,
    /// The peer has answered or sent a further request: it has this relay's entry.
    pub(crate) knows_own_entry: bool,

    /// This end only probed and is done: it closes the link at this time, unless the peer still sends requests.
    pub(crate) close_at: Option<Duration>,

    /// When the next request is due.
    pub(crate) next: Duration,
    /// When the last one was sent.
    pub(crate) sent: Duration,
    /// The unanswered request.
    pub(crate) outstanding: Option<Outstanding>,
    /// Requests beyond the regular ones since `counted_from`, signatures verified, and comparisons.
    pub(crate) extra: u32,
    pub(crate) checked: usize,
    pub(crate) compares: u32,
    pub(crate) counted_from: Duration,
    /// What the peer may still introduce.
    pub(crate) allowance: Allowance,
    /// Open claims of names for other keys, by distance.
    pub(crate) claims: Counts,
    /// When one of them was last dialled; at first, when the link came up.
    pub(crate) claim_dialled: Duration,

    /// Rows that the peer may not have in their present version.
    pub(crate) pending: BTreeSet<Slot>,
    /// Announcements that are not acknowledged, in the order of their numbers.
    pub(crate) unacknowledged: VecDeque<Batch>,
    /// Number of the last batch.
    pub(crate) batches: u64,
    /// The peer's last batch without a gap before it.
    pub(crate) ack: u64,
    /// Entries that the peer announced and this relay lacks.
    pub(crate) offers: BTreeMap<RelayId, Offer>,
    /// Names for which the peer sent an entry with another key: until this time it is not asked for them.
    pub(crate) mistaken: BTreeMap<RelayId, Duration>,
    /// Names that the outstanding request asks for.
    pub(crate) requesting: Vec<RelayId>,
    /// Entries that the peer requested.
    pub(crate) to_send: BTreeSet<Slot>,
    pub(crate) accusations_to_send: BTreeSet<Slot>,

    /// The peer's last digest.
    pub(crate) digest: Option<u64>,
    /// The digests, own and peer's, that were last compared by buckets: a second comparison would find nothing more.
    pub(crate) compared: Option<(u64, u64)>,
    /// When they were compared last.
    pub(crate) compared_at: Duration,
    /// Exchanges in which the digests differed and neither end had anything to announce.
    pub(crate) mismatches: u32,
    pub(crate) send_buckets: bool,

    pub(crate) probe: BTreeSet<RelayId>,
    pub(crate) probe_answers: Vec<Heard>,
}

/// Rows that were announced in one message.
pub(crate) struct Batch {
    pub(crate) number: u64,
    pub(crate) slots: Vec<Slot>,
    pub(crate) at: Duration,
}

/// An entry that the peer announced.
#[derive(Clone, Copy)]
pub(crate) struct Offer {
    pub(crate) incarnation: u64,
    pub(crate) version: u64,
    pub(crate) accused: bool,
    /// From here, over this link.
    pub(crate) distance: u8,
    /// The peer was asked and refused: it is not asked again before this time.
    pub(crate) not_before: Duration,
}

#[derive(Clone, Copy)]
pub(crate) struct Outstanding {
    pub(crate) token: Token,
    pub(crate) sent: Duration,
    pub(crate) until: Duration,
    pub(crate) tries: u32,
}

impl Link {
    pub(crate) fn new(peer: Peer, bit: u64, next: Duration, now: Duration) -> Self {
        Self {
            peer: peer.relay_id,
            public_key: peer.public_key,
            dialled: peer.dial.is_some(),
            bootstrap: false,
            up: now,
            bit,
            arrivals: Arrivals::new(now),
            latency: peer.latency,
            passing: false,
            peer_passing: false,
            peer_links: 0,
            knows_own_entry: false,
            close_at: None,
            next,
            sent: now,
            outstanding: None,
            extra: 0,
            checked: 0,
            compares: 0,
            counted_from: now,
            allowance: Allowance::new(INTRODUCED_AT_FIRST, Counts::default()),
            claims: Counts::default(),
            claim_dialled: now,
            pending: BTreeSet::new(),
            unacknowledged: VecDeque::new(),
            batches: 0,
            ack: 0,
            offers: BTreeMap::new(),
            mistaken: BTreeMap::new(),
            requesting: Vec::new(),
            to_send: BTreeSet::new(),
            accusations_to_send: BTreeSet::new(),
            digest: None,
            compared: None,
            compared_at: now,
            mismatches: 0,
            send_buckets: false,
            probe: BTreeSet::new(),
            probe_answers: Vec::new(),
        }
    }

    /// Counts towards `max_links`.
    pub(crate) fn is_persistent(&self) -> bool {
        !self.passing && !self.peer_passing
    }

    /// There is nothing to announce, to request or to send.
    pub(crate) fn is_quiet(&self) -> bool {
        self.pending.is_empty()
            && self.unacknowledged.is_empty()
            && self.offers.is_empty()
            && self.to_send.is_empty()
            && self.accusations_to_send.is_empty()
            && !self.send_buckets
    }

    /// Records an announcement.
    pub(crate) fn offer(&mut self, name: &RelayId, (incarnation, version): (u64, u64), accused: bool, distance: u8) {
        let offer = Offer {
            incarnation,
            version,
            accused,
            distance,
            not_before: Duration::ZERO,
        };
        self.offers
            .entry(name.clone())
            .and_modify(|known| {
                *known = Offer {
                    not_before: known.not_before,
                    ..offer
                }
            })
            .or_insert(offer);
    }

    /// There is something to announce or to request. The request is delayed a little, so that changes are sent
    /// together; longer at the end that was dialled, so that both ends do not begin at the same time.
    pub(crate) fn send_soon(&mut self, now: Duration, interval: Duration) {
        let pause = match self.dialled {
            true => (interval / 15).min(NEWS_WAITS),
            false => (interval / 10).min(NEWS_WAITS * 3 / 2),
        };
        self.next = self.next.min(now.max(self.sent) + pause);
    }

    /// Smoothed, so that one slow answer does not reorder the relays.
    pub(crate) fn update_latency(&mut self, round_trip: Duration) {
        self.latency = (self.latency * 7 + round_trip) / 8;
    }

    /// When an unanswered request is sent again.
    pub(crate) fn retransmit_timeout(&self, interval: Duration) -> Duration {
        let least = (interval / 30).min(Duration::from_secs(1));
        (self.latency * 4).clamp(least, (interval / 4).max(least))
    }
}

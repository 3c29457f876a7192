//! One link: what the other end still has to be told, what it offers, and its pace.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use sdk_relay_protocol::mesh::{Heard, RelayId};

use crate::limits::INTRODUCED_AT_FIRST;
use crate::phi::Arrivals;
use crate::{Peer, Token};
use sdk_relay_mesh_table::Slot;
use sdk_relay_mesh_table::distance::{Allowance, Counts};

/// Longest wait of news, however long the interval is.
const NEWS_WAITS: Duration = Duration::from_secs(2);

pub(crate) struct Link {
    pub(crate) peer: RelayId,
    pub(crate) public_key: String,
    /// This end dialled.
    pub(crate) dialled: bool,
    /// The other end is how this one comes into the mesh.
    pub(crate) entrance: bool,
    pub(crate) up: Duration,
    /// Its bit in [`Row::known_by`](sdk_relay_mesh_table::Row::known_by).
    pub(crate) bit: u64,
    pub(crate) arrivals: Arrivals,
    pub(crate) latency: Duration,

    /// This end has no room, or only looks whether the other is there.
    pub(crate) passing: bool,
    /// The other end says so.
    pub(crate) peer_passing: bool,
    /// Links that the other end says it has.
    pub(crate) peer_links: u16,
    /// The other end has answered, or asked again: it has this relay's entry.
    pub(crate) greeted: bool,

    /// This end only looked and is done: it hangs up then, unless the other end still asks.
    pub(crate) leaves: Option<Duration>,

    /// When the next request is due.
    pub(crate) next: Duration,
    /// When the last one went.
    pub(crate) sent: Duration,
    /// The request that is not answered: when it counts as lost, and how often it was sent.
    pub(crate) outstanding: Option<Outstanding>,
    /// Requests beyond the regular ones since `counted_from`, and entries checked.
    pub(crate) extra: u32,
    pub(crate) checked: usize,
    pub(crate) compares: u32,
    pub(crate) counted_from: Duration,
    /// Relays that the other end may still introduce.
    pub(crate) allowance: Allowance,
    /// Names that it claims for other keys, by distance.
    pub(crate) claims: Counts,
    /// When one of them was dialled last; at first, when the link came up.
    pub(crate) claim_dialled: Duration,

    /// Rows that the other end may not have as they are.
    pub(crate) pending: BTreeSet<Slot>,
    /// Those that were told and not yet acknowledged, in the order of their numbers.
    pub(crate) told: VecDeque<Batch>,
    /// The number of the last one.
    pub(crate) batches: u64,
    /// The other end's last batch without a gap before it.
    pub(crate) ack: u64,
    /// What the other end has and this one has not.
    pub(crate) offers: BTreeMap<RelayId, Offer>,
    /// Names for which the other end gave an entry with another key than theirs: it is not asked for them until then.
    pub(crate) mistaken: BTreeMap<RelayId, Duration>,
    /// What the outstanding request asks for.
    pub(crate) asking: Vec<RelayId>,
    /// What the other end asked for.
    pub(crate) owed: BTreeSet<Slot>,
    pub(crate) owed_accusations: BTreeSet<Slot>,

    /// The other end's digest when it last spoke.
    pub(crate) digest: Option<u64>,
    /// The digests, own and other, that have been compared part by part: a second time would bring nothing.
    pub(crate) compared: Option<(u64, u64)>,
    /// When they were compared last.
    pub(crate) compared_at: Duration,
    /// Exchanges in which the digests differed and neither end had anything to tell.
    pub(crate) mismatches: u32,
    pub(crate) send_buckets: bool,

    pub(crate) probe: BTreeSet<RelayId>,
    pub(crate) answers: Vec<Heard>,
}

/// Rows that were told in one message.
pub(crate) struct Batch {
    pub(crate) number: u64,
    pub(crate) slots: Vec<Slot>,
    pub(crate) at: Duration,
}

/// What the other end says it has.
#[derive(Clone, Copy)]
pub(crate) struct Offer {
    pub(crate) incarnation: u64,
    pub(crate) version: u64,
    pub(crate) accused: bool,
    /// From here, over this link.
    pub(crate) distance: u8,
    /// It was asked and did not give: others first, until then.
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
            entrance: false,
            up: now,
            bit,
            arrivals: Arrivals::new(now),
            latency: peer.latency,
            passing: false,
            peer_passing: false,
            peer_links: 0,
            greeted: false,
            leaves: None,
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
            told: VecDeque::new(),
            batches: 0,
            ack: 0,
            offers: BTreeMap::new(),
            mistaken: BTreeMap::new(),
            asking: Vec::new(),
            owed: BTreeSet::new(),
            owed_accusations: BTreeSet::new(),
            digest: None,
            compared: None,
            compared_at: now,
            mismatches: 0,
            send_buckets: false,
            probe: BTreeSet::new(),
            answers: Vec::new(),
        }
    }

    /// Counts as one of `max_links`.
    pub(crate) fn lasts(&self) -> bool {
        !self.passing && !self.peer_passing
    }

    /// Nothing is left to tell or to ask.
    pub(crate) fn is_quiet(&self) -> bool {
        self.pending.is_empty()
            && self.told.is_empty()
            && self.offers.is_empty()
            && self.owed.is_empty()
            && self.owed_accusations.is_empty()
            && !self.send_buckets
    }

    /// The other end has it.
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

    /// There is something to tell or to ask. It waits a little, so that it travels with more of its kind; longer at the end that was dialled, so that both do not
    /// begin at once.
    pub(crate) fn soon(&mut self, now: Duration, interval: Duration) {
        let pause = match self.dialled {
            true => (interval / 15).min(NEWS_WAITS),
            false => (interval / 10).min(NEWS_WAITS * 3 / 2),
        };
        self.next = self.next.min(now.max(self.sent) + pause);
    }

    /// Smoothed, so that one slow answer does not reorder the relays.
    pub(crate) fn measured(&mut self, round_trip: Duration) {
        self.latency = (self.latency * 7 + round_trip) / 8;
    }

    /// When an answer counts as lost.
    pub(crate) fn patience(&self, interval: Duration) -> Duration {
        let least = (interval / 30).min(Duration::from_secs(1));
        (self.latency * 4).clamp(least, (interval / 4).max(least))
    }
}

//! Requests and responses: when they are sent, and what follows when they arrive.

use std::time::Duration;

use sdk_relay_mesh_table::LinkId;
use sdk_relay_protocol::mesh::Gossip;

use crate::Mesh;
use crate::keys::Keys;
use crate::limits::MAX_ENTRIES;
use crate::link::Outstanding;
use crate::output::{CloseReason, Output, Token};

/// Transmissions of a request before the link waits for its next round.
const TRIES: u32 = 4;

/// Requests beyond the regular one, per interval and link, while there is more to exchange.
const MAX_EXTRA: u32 = 24;

/// A passing link is closed if the peer has sent no request for this fraction of an interval, which is longer than
/// changes wait there.
const LINGER: u32 = 5;

impl<K: Keys> Mesh<K> {
    /// A request with gossip arrived. Returns the gossip of the response.
    pub fn request(&mut self, now: Duration, link: LinkId, gossip: Box<Gossip>) -> Gossip {
        if !self.links.contains_key(&link) || self.left {
            return Gossip {
                digest: self.table.digest(),
                passing: true,
                ..Gossip::default()
            };
        }
        self.record_arrival(now, link);
        let buckets = !gossip.buckets.is_empty();
        let links = gossip.links;
        let their_passing = gossip.passing;
        if let Some(at) = self.links.get_mut(&link).filter(|at| at.close_at.is_some()) {
            at.close_at = Some(now + self.config.interval / LINGER);
        }
        self.receive(now, link, *gossip);
        if !their_passing && links <= 1 {
            self.free_slot_for(now, link);
        }
        let response = match self.links.get_mut(&link) {
            Some(at) => {
                // Buckets are answered with buckets in responses only, so that the comparison ends there.
                at.send_buckets = buckets;
                let response = self.compose(now, link, false);
                let (more, pause) = (self.can_request(now, link), self.random.jittered(self.config.interval));
                if let Some(at) = self.links.get_mut(&link) {
                    at.knows_own_entry = true;
                    // One exchange per round is enough, whichever end began it.
                    if !more && at.pending.is_empty() {
                        at.next = now + pause;
                    } else {
                        at.send_soon(now, self.config.interval);
                    }
                }
                response
            }
            None => Gossip::default(),
        };
        self.run_links(now);
        response
    }

    /// The response to the request `token` arrived.
    pub fn response(&mut self, now: Duration, link: LinkId, token: Token, gossip: Box<Gossip>) {
        let Some(at) = self.links.get_mut(&link) else { return };
        if let Some(outstanding) = at.outstanding.take_if(|outstanding| outstanding.token == token) {
            at.update_latency(now.saturating_sub(outstanding.sent));
        }
        at.knows_own_entry = true;
        self.record_arrival(now, link);
        self.count_introductions(now, link);
        let many = gossip.entries.len() >= MAX_ENTRIES;
        self.receive(now, link, *gossip);
        self.note_refusals(now, link);
        let (can_request, again) = (self.can_request(now, link), self.next_retry(now, link));
        let Some(at) = self.links.get_mut(&link) else { return };
        at.extra += 1;
        if at.extra < MAX_EXTRA {
            if at.send_buckets || (can_request && many) {
                at.next = now;
            } else if can_request || !at.pending.is_empty() {
                at.send_soon(now, self.config.interval);
            } else if let Some(again) = again {
                at.next = at.next.min(again);
            }
        }
        let done =
            at.is_quiet() || at.extra >= MAX_EXTRA || (at.pending.is_empty() && !can_request && !at.send_buckets);
        if at.passing && at.dialled && done {
            // The peer requests what was announced to it with a request of its own.
            match at.batches > 0 && at.digest != Some(self.table.digest()) {
                true => at.close_at = Some(now + self.config.interval / LINGER),
                false => self.close(now, link, CloseReason::Passing),
            }
        } else if at.dialled && at.peer_passing && !at.passing {
            let peer = at.peer.clone();
            self.back_off_full(now, &peer);
            self.close(now, link, CloseReason::Passing);
        }
        self.run_links(now);
    }

    /// Another message arrived over the link.
    pub fn received(&mut self, now: Duration, link: LinkId) {
        self.record_arrival(now, link);
    }

    /// A round trip over the link was measured.
    pub fn latency(&mut self, _now: Duration, link: LinkId, round_trip: Duration) {
        if let Some(at) = self.links.get_mut(&link) {
            at.update_latency(round_trip);
        }
    }

    /// Sends the requests that are due.
    pub(crate) fn run_links(&mut self, now: Duration) {
        let due: Vec<(LinkId, u32)> = self
            .links
            .iter()
            .filter_map(|(id, link)| match link.outstanding {
                Some(outstanding) if outstanding.until <= now => Some((*id, outstanding.tries)),
                Some(_) => None,
                None if link.next <= now => Some((*id, 0)),
                None => None,
            })
            .collect();
        for (id, tries) in due {
            if tries >= TRIES {
                // The peer may answer again in the next round.
                if let Some(link) = self.links.get_mut(&id) {
                    link.outstanding = None;
                    link.next = now + self.config.interval / 4;
                }
                continue;
            }
            self.send(now, id, tries);
        }
    }

    /// Sends a request for the `tries + 1`th time.
    pub(crate) fn send(&mut self, now: Duration, id: LinkId, tries: u32) {
        if tries > 0 {
            self.requeue_unacknowledged(now, id);
        }
        self.count_introductions(now, id);
        let gossip = self.compose(now, id, true);
        let interval = self.config.interval;
        let next = now + self.random.jittered(interval);
        let token = Token(self.next_token);
        let Some(link) = self.links.get_mut(&id) else { return };
        self.next_token += 1;
        let (sent, until) = (now, now + link.retransmit_timeout(interval));
        link.outstanding = Some(Outstanding {
            token,
            sent,
            until,
            tries: tries + 1,
        });
        link.sent = now;
        link.next = next;
        if now.saturating_sub(link.counted_from) >= interval {
            (link.extra, link.checked, link.compares, link.counted_from) = (0, 0, 0, now);
        }
        self.counters.requests += 1;
        self.counters.repeats += u64::from(tries > 0);
        self.out.push_back(Output::Request {
            link: id,
            token,
            gossip: Box::new(gossip),
        });
    }
}

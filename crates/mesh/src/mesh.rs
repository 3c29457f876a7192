//! The state machine: its state, its inputs, its clock.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use sdk_relay_protocol::mesh::{Gossip, RelayEntry, RelayId, RelayStatus};

use crate::config::{Config, Own};
use crate::dial::{Dialling, Seed};
use crate::keys::{Keys, entry_bytes};
use crate::limits::{MAX_ENTRIES, MAX_PASSING};
use crate::link::{Link, Outstanding};
use crate::output::{CloseReason, DialId, Output, Peer, Token};
use crate::spare::Spare;
use crate::view::Counters;
use crate::watch::Helping;
use sdk_relay_mesh_table::LinkId;
use sdk_relay_mesh_table::random::Random;
use sdk_relay_mesh_table::{Forgotten, Row, Slot, Table};

/// Most links that can be asked for: each needs a bit of a row's 64, and passing ones need some too.
const MAX_LINKS: usize = 64 - MAX_PASSING;

/// Shortest round. Below it the machine would only run in circles.
const MIN_INTERVAL: Duration = Duration::from_millis(100);

/// A request is sent so often before the link waits for its next round.
const TRIES: u32 = 4;

/// Requests beyond the regular one, per interval and link: they end an exchange at once that has more to tell.
const MAX_EXTRA: u32 = 24;

/// Who only looked hangs up when the other end has asked for nothing for this part of an interval: longer than news waits there.
const LOOKS_ON: u32 = 5;

/// One relay's part of the mesh.
pub struct Mesh<K> {
    pub(crate) keys: K,
    pub(crate) config: Config,
    pub(crate) own: Slot,
    pub(crate) own_id: RelayId,
    own_entry: Arc<RelayEntry>,
    pub(crate) table: Table,
    pub(crate) links: BTreeMap<LinkId, Link>,
    bits: u64,
    pub(crate) dials: BTreeMap<DialId, Dialling>,
    pub(crate) seeds: Vec<Seed>,
    /// Where a configured relay without room sent this one.
    pub(crate) sent_on: Option<RelayId>,
    /// Who was asked for what, so that two are not asked for the same.
    pub(crate) asked: BTreeMap<RelayId, (LinkId, Duration)>,
    /// Entries that are not learned again.
    pub(crate) forgotten: BTreeMap<RelayId, Forgotten>,
    /// Keys that did not answer for a name that another key claimed, and until when they are not taken for it from others.
    pub(crate) disproven: BTreeMap<(RelayId, String), Duration>,
    pub(crate) helping: Vec<Helping>,
    /// Dials that failed of relays that nobody here has ever heard from, since one succeeded.
    pub(crate) misses: u32,
    /// When a relay that stands accused was dialled last, by the peer by whose word it is known.
    pub(crate) accused_dialled: BTreeMap<RelayId, Duration>,
    /// Entries that may be given away a second time.
    pub(crate) spare: Spare,
    pub(crate) out: VecDeque<Output>,
    pub(crate) random: Random,
    pub(crate) counters: Counters,
    pub(crate) next_token: u64,
    pub(crate) next_dial: u64,
    /// When the relays that are not linked are looked after next.
    chores: Duration,
    pub(crate) next_probe: Duration,
    /// When strikes are halved next.
    pub(crate) next_pardon: Duration,
    /// This relay stands accused of silence and has not answered yet.
    pub(crate) must_refute: bool,
    pub(crate) refuted: Option<Duration>,
    pub(crate) left: bool,
}

impl<K: Keys> Mesh<K> {
    /// A relay that knows itself and `config.seeds`. `seed` is for choices and jitter.
    pub fn new(config: Config, own: Own, keys: K, seed: u64, now: Duration) -> Self {
        let mut random = Random::new(seed);
        let mut config = config;
        config.interval = config.interval.max(MIN_INTERVAL);
        config.max_links = config.max_links.clamp(1, MAX_LINKS);
        let mut entry = RelayEntry {
            relay_id: own.relay_id.clone(),
            public_key: keys.public_key(),
            address: own.address,
            incarnation: own.incarnation,
            version: 1,
            status: own.status,
            software_version: own.software_version,
            capabilities: own.capabilities,
            started: own.started,
            signature: String::new(),
        };
        entry.signature = keys.sign(&entry_bytes(&entry));
        let mut table = Table::new();
        let own_entry = Arc::new(entry);
        let slot = table.insert(Row::new(Arc::clone(&own_entry), now));
        let seeds = config.seeds.iter().map(|address| Seed::new(address.clone())).collect();
        Self {
            keys,
            own: slot,
            own_id: own.relay_id,
            own_entry,
            table,
            links: BTreeMap::new(),
            bits: 0,
            dials: BTreeMap::new(),
            seeds,
            sent_on: None,
            asked: BTreeMap::new(),
            forgotten: BTreeMap::new(),
            disproven: BTreeMap::new(),
            helping: Vec::new(),
            misses: 0,
            accused_dialled: BTreeMap::new(),
            spare: Spare::new(now),
            out: VecDeque::new(),
            counters: Counters::default(),
            next_token: 0,
            next_dial: 0,
            chores: now,
            next_probe: now + random.jittered(config.interval * 2),
            next_pardon: now,
            must_refute: false,
            refuted: None,
            left: false,
            random,
            config,
        }
    }

    /// What is to be done next; `None` when all is done.
    pub fn poll(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// When [`Mesh::tick`] is to be called, if nothing else happens before.
    pub fn deadline(&self) -> Duration {
        let links = self.links.values().map(|link| match link.outstanding {
            Some(outstanding) => outstanding.until,
            None => link.next,
        });
        links.fold(self.chores, Duration::min)
    }

    /// A link stands, and both ends have proven who they are.
    pub fn link_up(&mut self, now: Duration, link: LinkId, peer: Peer) {
        let dialling = peer.dial.and_then(|dial| self.dials.remove(&dial));
        if let Some(dialling) = &dialling {
            self.misses = if dialling.is_unproven() { 0 } else { self.misses };
            self.seed_answered(now, dialling, &peer.relay_id);
        }
        if self.left {
            return self.close_at_once(link, CloseReason::Leaving);
        }
        let own_key = self.keys.public_key();
        if peer.relay_id == self.own_id || peer.public_key == own_key {
            let reason = match peer.relay_id == self.own_id && peer.public_key == own_key {
                true => CloseReason::Own,
                false => CloseReason::Dishonest,
            };
            return self.close_at_once(link, reason);
        }
        if !self.gets_name(now, &peer) {
            self.counters.refused += 1;
            return self.close_at_once(link, CloseReason::Dishonest);
        }
        let known = self.table.slot(peer.relay_id.as_str());
        let other = self
            .links
            .iter()
            .find(|(_, other)| other.peer == peer.relay_id)
            .map(|(id, other)| (*id, other.public_key == peer.public_key));
        if let Some((other, same)) = other {
            if same && !self.prefers(now, other, &peer) {
                return self.close_at_once(link, CloseReason::Duplicate);
            }
            self.close(now, other, CloseReason::Duplicate);
        }
        let lasting = self.lasting_links();
        if self.links.len() >= self.config.max_links + MAX_PASSING {
            return self.close_at_once(link, CloseReason::Full);
        }
        let free = !self.bits;
        let bit = free & free.wrapping_neg();
        self.bits |= bit;
        let dialled = peer.dial.is_some();
        let next = if dialled {
            now
        } else {
            now + self.random.jittered(self.config.interval)
        };
        let mut new = Link::new(peer, bit, next, now);
        new.entrance = dialling.as_ref().is_some_and(|dialling| dialling.entrance);
        new.passing = match &dialling {
            Some(dialling) if dialling.probe => lasting >= self.wanted_links(),
            _ => lasting >= self.room(),
        };
        // A newcomer tells all that it knows; who knows much compares first.
        match self.table.len() <= usize::from(NEWCOMER) {
            true => new.pending.extend(self.table.iter().map(|(slot, _)| slot)),
            false => _ = new.pending.insert(self.own),
        }
        if let Some(row) = known.and_then(|slot| self.table.row_mut(slot)) {
            // It may not have heard that it stands accused.
            let accused = row.accusation().is_some();
            let local = row.local();
            if let (Some(slot), true) = (known, accused) {
                new.pending.insert(slot);
                local.dial_after = local.dial_after.max(now + self.config.interval);
            }
            local.link = Some(link);
            local.failures = 0;
            local.latency.get_or_insert(new.latency);
        }
        self.links.insert(link, new);
        self.count_introductions(now, link);
        self.peer_heard(now, link);
        if dialling.is_some_and(|dialling| dialling.is_of_accused()) {
            self.ask_accused(now);
        }
        self.run_links(now);
    }

    /// Whether this link stands: the state machine has taken it and has not closed it.
    pub fn is_up(&self, link: LinkId) -> bool {
        self.links.contains_key(&link)
    }

    /// A link broke, at either end.
    pub fn link_down(&mut self, now: Duration, link: LinkId) {
        let Some(gone) = self.drop_link(now, link) else { return };
        if gone.passing || gone.peer_passing {
            return;
        }
        if let Some(slot) = self.table.slot(gone.peer.as_str()) {
            self.suspect(now, slot);
        }
    }

    /// The driver cannot serve this link any more.
    pub fn fail(&mut self, now: Duration, link: LinkId) {
        self.close(now, link, CloseReason::Failed);
    }

    /// A request with gossip came. Returns the gossip of the response.
    pub fn request(&mut self, now: Duration, link: LinkId, gossip: Box<Gossip>) -> Gossip {
        if !self.links.contains_key(&link) || self.left {
            return Gossip {
                digest: self.table.digest(),
                passing: true,
                ..Gossip::default()
            };
        }
        self.peer_heard(now, link);
        let buckets = !gossip.buckets.is_empty();
        let links = gossip.links;
        let their_passing = gossip.passing;
        if let Some(at) = self.links.get_mut(&link).filter(|at| at.leaves.is_some()) {
            at.leaves = Some(now + self.config.interval / LOOKS_ON);
        }
        self.take(now, link, *gossip);
        if !their_passing && links <= 1 {
            self.make_room(now, link);
        }
        let response = match self.links.get_mut(&link) {
            Some(at) => {
                // Parts are answered with parts, in responses only: it ends there.
                at.send_buckets = buckets;
                let response = self.compose(now, link, false);
                let (more, pause) = (self.can_ask(now, link), self.random.jittered(self.config.interval));
                if let Some(at) = self.links.get_mut(&link) {
                    at.greeted = true;
                    // One exchange per round is enough, whoever began it.
                    if !more && at.pending.is_empty() {
                        at.next = now + pause;
                    } else {
                        at.soon(now, self.config.interval);
                    }
                }
                response
            }
            None => Gossip::default(),
        };
        self.run_links(now);
        response
    }

    /// The response to the request `token` came.
    pub fn response(&mut self, now: Duration, link: LinkId, token: Token, gossip: Box<Gossip>) {
        let Some(at) = self.links.get_mut(&link) else { return };
        if let Some(outstanding) = at.outstanding.take_if(|outstanding| outstanding.token == token) {
            at.measured(now.saturating_sub(outstanding.sent));
        }
        at.greeted = true;
        self.peer_heard(now, link);
        self.count_introductions(now, link);
        let many = gossip.entries.len() >= MAX_ENTRIES;
        self.take(now, link, *gossip);
        self.not_given(now, link);
        let (can_ask, again) = (self.can_ask(now, link), self.asks_again(now, link));
        let Some(at) = self.links.get_mut(&link) else { return };
        at.extra += 1;
        if at.extra < MAX_EXTRA {
            if at.send_buckets || (can_ask && many) {
                at.next = now;
            } else if can_ask || !at.pending.is_empty() {
                at.soon(now, self.config.interval);
            } else if let Some(again) = again {
                at.next = at.next.min(again);
            }
        }
        let done = at.is_quiet() || at.extra >= MAX_EXTRA || (at.pending.is_empty() && !can_ask && !at.send_buckets);
        if at.passing && at.dialled && done {
            // What the other end was told it asks for with a request of its own.
            match at.batches > 0 && at.digest != Some(self.table.digest()) {
                true => at.leaves = Some(now + self.config.interval / LOOKS_ON),
                false => self.close(now, link, CloseReason::Passing),
            }
        } else if at.dialled && at.peer_passing && !at.passing {
            let peer = at.peer.clone();
            self.postpone(now, &peer);
            self.close(now, link, CloseReason::Passing);
        }
        self.run_links(now);
    }

    /// Something else came over the link: the other end lives.
    pub fn heard(&mut self, now: Duration, link: LinkId) {
        self.peer_heard(now, link);
    }

    /// A round trip over the link was measured.
    pub fn latency(&mut self, _now: Duration, link: LinkId, round_trip: Duration) {
        if let Some(at) = self.links.get_mut(&link) {
            at.measured(round_trip);
        }
    }

    /// This relay feels different now.
    pub fn set_status(&mut self, now: Duration, status: RelayStatus) {
        if self.own().status != status {
            self.change_own(now, |entry| entry.status = status);
        }
    }

    /// This relay is reached elsewhere now.
    pub fn set_address(&mut self, now: Duration, address: String) {
        if self.own().address != address {
            self.change_own(now, |entry| entry.address = address);
        }
    }

    /// `sync.interval` changed: links keep their pace from here on.
    pub fn set_interval(&mut self, now: Duration, interval: Duration) {
        self.config.interval = interval.max(MIN_INTERVAL);
        let interval = self.config.interval;
        for link in self.links.values_mut() {
            link.next = link.next.min(now + interval);
        }
        self.chores = self.chores.min(now + interval / 4);
        self.next_probe = self.next_probe.min(now + interval * 4);
    }

    /// Says goodbye on every link, and closes them.
    pub fn leave(&mut self, now: Duration) {
        if self.left {
            return;
        }
        self.change_own(now, |entry| entry.status = RelayStatus::Left);
        self.left = true;
        let links: Vec<LinkId> = self.links.keys().copied().collect();
        for link in links {
            if let Some(at) = self.links.get_mut(&link) {
                at.passing = true;
                at.greeted = false;
            }
            self.send(now, link, 0);
            self.close(now, link, CloseReason::Leaving);
        }
    }

    /// The clock reached the deadline.
    pub fn tick(&mut self, now: Duration) {
        if self.left {
            self.chores = now + self.config.interval;
            return;
        }
        if self.chores <= now {
            self.chores = now + self.random.jittered(self.config.interval / 4);
            self.look_after_links(now);
            self.look_after_troubled(now);
            self.look_after_dials(now);
            self.look_after_own(now);
        }
        self.run_links(now);
    }

    /// This relay's own entry.
    pub fn own(&self) -> &Arc<RelayEntry> {
        &self.own_entry
    }

    /// Links that last.
    pub fn links(&self) -> usize {
        self.lasting_links()
    }

    /// What was counted.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Signs a newer entry of this relay, and has it told.
    pub(crate) fn change_own(&mut self, now: Duration, change: impl FnOnce(&mut RelayEntry)) {
        let mut entry = RelayEntry::clone(self.own());
        match entry.version.checked_add(1) {
            Some(version) => entry.version = version,
            None => entry.incarnation = entry.incarnation.saturating_add(1),
        }
        change(&mut entry);
        entry.signature = self.keys.sign(&entry_bytes(&entry));
        self.own_entry = Arc::new(entry);
        self.table.update(self.own, Arc::clone(&self.own_entry), now);
        self.touch(now, self.own);
    }

    /// A row changed: every link has to be told, soon but not one by one.
    pub(crate) fn touch(&mut self, now: Duration, slot: Slot) {
        let Some(known_by) = self.table.row(slot).map(|row| row.known_by) else {
            return;
        };
        let interval = self.config.interval;
        for link in self.links.values_mut() {
            // Who only passes hears it elsewhere.
            if known_by & link.bit == 0 && (link.lasts() || slot == self.own) {
                link.pending.insert(slot);
                link.soon(now, interval);
            }
        }
    }

    /// Sends what is due.
    fn run_links(&mut self, now: Duration) {
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
                // It may be back in the next round.
                if let Some(link) = self.links.get_mut(&id) {
                    link.outstanding = None;
                    link.next = now + self.config.interval / 4;
                }
                continue;
            }
            self.send(now, id, tries);
        }
    }

    /// A request, for the `tries + 1`th time.
    fn send(&mut self, now: Duration, id: LinkId, tries: u32) {
        if tries > 0 {
            self.lost(now, id);
        }
        self.count_introductions(now, id);
        let gossip = self.compose(now, id, true);
        let interval = self.config.interval;
        let next = now + self.random.jittered(interval);
        let token = Token(self.next_token);
        let Some(link) = self.links.get_mut(&id) else { return };
        self.next_token += 1;
        let (sent, until) = (now, now + link.patience(interval));
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

    /// Closes a link.
    pub(crate) fn close(&mut self, now: Duration, id: LinkId, reason: CloseReason) {
        if self.drop_link(now, id).is_some() {
            self.out.push_back(Output::Close { link: id, reason });
        }
    }

    fn close_at_once(&mut self, link: LinkId, reason: CloseReason) {
        self.out.push_back(Output::Close { link, reason });
    }

    fn drop_link(&mut self, now: Duration, id: LinkId) -> Option<Link> {
        let link = self.links.remove(&id)?;
        self.bits &= !link.bit;
        self.table.clear_link(link.bit);
        self.asked.retain(|_, (asked, _)| *asked != id);
        self.helping.retain(|helping| helping.link != id);
        self.drop_claims(now, id);
        // What it was to bring is asked for elsewhere.
        for other in self.links.values_mut().filter(|other| !other.offers.is_empty()) {
            other.soon(now, self.config.interval);
        }
        if let Some(row) = self.table.find_mut(link.peer.as_str()) {
            let local = row.local();
            local.link = local.link.filter(|at| *at != id);
            local.latency = Some(link.latency);
        }
        Some(link)
    }

    /// Whether a second link to the same relay is better than the first.
    fn prefers(&self, now: Duration, other: LinkId, peer: &Peer) -> bool {
        let Some(other) = self.links.get(&other) else {
            return true;
        };
        // A link that only looks must not end one that lasts; an old one that went silent must not hold a new one up.
        let stale = other.arrivals.silence(now) > self.config.interval / 2;
        if other.dialled == peer.dial.is_some() || stale {
            return true;
        }
        // Both dialled at once: both ends keep the one from the smaller key.
        let ours_wins = self.keys.public_key() < peer.public_key;
        ours_wins == peer.dial.is_some()
    }

    /// A relay without any other link asks at a full one: who has most links gives way.
    fn make_room(&mut self, now: Duration, link: LinkId) {
        if !self.links.get(&link).is_some_and(|link| link.passing && !link.dialled) {
            return;
        }
        let may_go = |other: &&(LinkId, u16)| other.1 >= 3;
        let others: Vec<(LinkId, u16)> = self
            .links
            .iter()
            .filter(|(id, other)| **id != link && other.lasts() && !self.is_seed(&other.peer))
            .map(|(id, other)| (*id, other.peer_links))
            .collect();
        let Some(&(other, _)) = others.iter().filter(may_go).max_by_key(|(_, links)| *links) else {
            return;
        };
        self.part(now, other, CloseReason::MakesRoom);
        if let Some(at) = self.links.get_mut(&link) {
            at.passing = false;
        }
    }

    /// Tells the other end that the link ends for no fault of anybody, and ends it.
    pub(crate) fn part(&mut self, now: Duration, link: LinkId, reason: CloseReason) {
        if let Some(at) = self.links.get_mut(&link) {
            at.passing = true;
        }
        self.send(now, link, 0);
        self.close(now, link, reason);
    }

    pub(crate) fn lasting_links(&self) -> usize {
        self.links.values().filter(|link| link.lasts()).count()
    }

    /// Most links by the number of known relays: a small mesh needs fewer, and each costs a message per round, which is as much as an entry.
    fn room(&self) -> usize {
        let bits = usize::BITS.saturating_sub(self.table.len().leading_zeros());
        self.config.max_links.min(2 + bits as usize)
    }

    /// So many are dialled for; the rest is left for others to fill.
    pub(crate) fn wanted_links(&self) -> usize {
        (self.config.max_links * 3 / 4).max(1)
    }
}

/// Up to so many rows are told without a comparison: it would cost more than it saves.
pub(crate) const NEWCOMER: u16 = 16;

//! An exchange: what a message tells, and what is taken from one.
//!
//! News travels as names (`have`); who lacks an entry asks one of those that have it (`want`). So an entry crosses into each relay once, whatever the
//! number of links. One batch of names is under way per link and direction until the other end acknowledges it: what is lost is told again.

use std::sync::Arc;
use std::time::Duration;

use sdk_relay_protocol::mesh::{Accusation, Gossip, Have, Heard, RelayEntry, RelayId, RelayStatus};

use crate::Mesh;
use crate::keys::{Keys, accusation_bytes, entry_bytes};
use crate::limits::{
    BUCKETS, MAX_ACCUSATIONS, MAX_ADDRESS, MAX_CAPABILITIES, MAX_CAPABILITY, MAX_ENTRIES, MAX_HAVE, MAX_PROBES,
    MAX_RELAYS, MAX_SOFTWARE_VERSION, PUBLIC_KEY, SIGNATURE,
};
use crate::link::{Batch, Link, Offer};
use crate::mesh::NEWCOMER;
use crate::output::{CloseReason, LinkId, Output};
use crate::random::mix;
use crate::table::{Place, Row, Table, order, spread};

/// A full relay tells those that it sends away of so many others; so many are taken from it unasked.
const HINTS: usize = 1;

/// Batches of names under way on a link in one direction.
const MAX_TOLD: usize = 4;

/// Signatures that a link may have checked per interval. More than a full exchange needs.
const MAX_CHECKED: usize = 2 * MAX_RELAYS;

/// Intervals for which a link is not asked again for a name of which it gave another key's entry.
const MISTAKEN_FOR: u32 = 2;

/// Comparisons of parts that a link may ask for per interval. Two ends that differ settle it in one or two.
const MAX_COMPARES: u32 = 4;

/// Refuted accusations until a relay's further ones count for nothing. They are halved every [`PARDON`] intervals.
pub(crate) const MAX_STRIKES: u32 = 64;
pub(crate) const PARDON: u32 = 20;

/// Exchanges with different digests and nothing to tell, until parts are compared. News under way makes digests differ for a moment.
const MISMATCHES: u32 = 2;

impl<K: Keys> Mesh<K> {
    /// What is to be told over this link now. Only a request `asks`: the response has the entries, or is the refusal.
    pub(crate) fn compose(&mut self, now: Duration, id: LinkId, asks: bool) -> Gossip {
        let lasting = self.lasting_links();
        let wanted = if asks { self.wanted(now, id) } else { Vec::new() };
        let Some(link) = self.links.get_mut(&id) else {
            return Gossip::default();
        };
        let mut gossip = Gossip {
            digest: self.table.digest(),
            links: lasting as u16,
            relays: self.table.len() as u16,
            passing: link.passing,
            ack: link.ack,
            ..Gossip::default()
        };
        let no_room = link.passing && !link.dialled && !link.peer_passing;
        if !link.greeted && !no_room {
            self.spare.take();
            gossip
                .entries
                .extend(self.table.row(self.own).map(|row| Arc::clone(&row.entry)));
        }
        if no_room {
            // It is sent on.
            for _ in 0..HINTS * 16 {
                let any = self.random.next() as usize;
                let hint = self
                    .table
                    .at_random(any)
                    .filter(|(place, row)| *place != self.own && row.is_trusted() && row.entry.relay_id != link.peer);
                if let Some((_, row)) = hint
                    && gossip.entries.len() < HINTS
                {
                    self.spare.take();
                    gossip.entries.push(Arc::clone(&row.entry));
                }
            }
            return gossip;
        }

        if link.told.len() < MAX_TOLD && !link.pending.is_empty() {
            let mut places = Vec::new();
            while places.len() < MAX_HAVE
                && let Some(place) = link.pending.pop_first()
            {
                if self.table.row(place).is_some_and(|row| row.known_by & link.bit == 0) {
                    places.push(place);
                }
            }
            if !places.is_empty() {
                link.batches = link.batches.wrapping_add(1);
                gossip.batch = link.batches;
                let rows = places.iter().filter_map(|place| self.table.row(*place));
                gossip.have = rows.map(Row::have).collect();
                link.told.push_back(Batch {
                    number: link.batches,
                    places,
                    at: now,
                });
            }
        }

        for (name, entry, accusation) in wanted {
            self.asked.insert(name.clone(), (id, now));
            link.asking.push(name.clone());
            if entry {
                gossip.want.push(name.clone());
            }
            if accusation {
                gossip.doubt.push(name);
            }
        }

        while gossip.entries.len() < MAX_ENTRIES
            && let Some(place) = link.owed.pop_first()
        {
            gossip
                .entries
                .extend(self.table.row(place).map(|row| Arc::clone(&row.entry)));
        }
        while gossip.accusations.len() < MAX_ACCUSATIONS
            && let Some(place) = link.owed_accusations.pop_first()
        {
            gossip
                .accusations
                .extend(self.table.row(place).and_then(|row| row.accusation()).map(Arc::clone));
        }
        self.counters.entries_sent += gossip.entries.len() as u64;
        if link.send_buckets {
            link.send_buckets = false;
            gossip.buckets = self.table.buckets().to_vec();
        }
        gossip.probe = std::mem::take(&mut link.probe).into_iter().collect();
        gossip.heard = std::mem::take(&mut link.answers);
        gossip
    }

    /// Takes what a message brings. What goes beyond the bounds is not looked at.
    pub(crate) fn take(&mut self, now: Duration, id: LinkId, gossip: Gossip) {
        let Some(link) = self.links.get_mut(&id) else { return };
        link.peer_links = gossip.links;
        link.peer_passing = gossip.passing;
        link.digest = Some(gossip.digest);
        while let Some(batch) = link.told.pop_front_if(|batch| batch.number <= gossip.ack) {
            for place in batch.places {
                // What changed meanwhile is pending again.
                if !link.pending.contains(&place)
                    && let Some(row) = self.table.row_mut(place)
                {
                    row.known_by |= link.bit;
                }
            }
        }
        self.lost(now, id);
        let Some(link) = self.links.get_mut(&id) else { return };
        let told = !gossip.have.is_empty() || !gossip.want.is_empty() || !gossip.entries.is_empty();
        if gossip.batch > 0 {
            if gossip.batch == link.ack.wrapping_add(1) {
                link.ack = gossip.batch;
            }
            for have in gossip.have.iter().take(MAX_HAVE) {
                self.take_have(now, id, have);
            }
        }
        for (n, entry) in gossip.entries.into_iter().take(MAX_ENTRIES).enumerate() {
            let hint = gossip.passing && n < HINTS;
            let name = entry.relay_id.clone();
            self.take_entry(now, id, entry, hint);
            // Who is sent on at the entrance goes there: else those who came through it could stay among themselves.
            if hint && self.links.get(&id).is_some_and(|link| link.entrance) {
                self.sent_on = Some(name);
            }
        }
        for accusation in gossip.accusations.into_iter().take(MAX_ACCUSATIONS) {
            self.take_accusation(now, id, accusation);
        }
        self.take_wants(now, id, &gossip.want, &gossip.doubt);
        if gossip.buckets.len() == BUCKETS {
            self.tell_differing(now, id, &gossip.buckets, gossip.digest);
        }
        for asked in gossip.probe.into_iter().take(MAX_PROBES) {
            self.help(now, id, asked);
        }
        for Heard(heard, ago) in gossip.heard.into_iter().take(MAX_PROBES) {
            self.vouched(now, &heard, Duration::from_millis(ago));
        }
        self.compare(id, gossip.relays, told);
    }

    /// What was told and is not acknowledged in time is told again.
    pub(crate) fn lost(&mut self, now: Duration, id: LinkId) {
        let Some(link) = self.links.get_mut(&id) else { return };
        let patience = link.patience(self.config.interval);
        let late = |batch: &Batch| now.saturating_sub(batch.at) >= patience;
        if link.told.front().is_some_and(late) {
            link.batches = link.told.front().map_or(0, |batch| batch.number - 1);
            link.pending.extend(link.told.drain(..).flat_map(|batch| batch.places));
            link.soon(now, self.config.interval);
        }
    }

    fn take_have(&mut self, now: Duration, id: LinkId, have: &Have) {
        let Have(name, incarnation, version, accused) = have;
        let (theirs, accused) = ((*incarnation, *version), *accused != 0);
        // A name that is bound to another key is another relay's.
        let remembered = self.forgotten.get(name).is_some_and(|forgotten| {
            theirs <= forgotten.order && self.keys.bound_key(name).is_none_or(|key| key == forgotten.public_key)
        });
        let place = self.table.place(name.as_str());
        let Some(link) = self.links.get_mut(&id) else { return };
        let offers = link.offers.len() < MAX_RELAYS && link.mistaken.get(name).is_none_or(|until| *until <= now);
        let Some(place) = place else {
            // From who may introduce nobody more, offers would only have to be looked through again and again.
            if !remembered && offers && (link.may_introduce > 0 || *name == link.peer) {
                link.offer(name, theirs, accused);
            }
            return;
        };
        let Some(row) = self.table.row_mut(place) else { return };
        let (ours, our_accused) = (row.order(), row.accusation().is_some());
        // It may be another relay's of the same name. Incarnations that differ are rare otherwise: a relay that was restarted a moment ago.
        let another = row.gives_way() && theirs != ours || row.is_hearsay() && theirs.0 != ours.0;
        if another && offers {
            link.offer(name, theirs, accused);
            return link.soon(now, self.config.interval);
        }
        match (theirs.cmp(&ours), accused, our_accused) {
            (std::cmp::Ordering::Greater, ..) | (std::cmp::Ordering::Equal, true, false) if offers => {
                link.offer(name, theirs, accused);
            }
            (std::cmp::Ordering::Equal, ..) if accused == our_accused => {
                row.known_by |= link.bit;
                link.pending.remove(&place);
            }
            _ => {
                row.known_by &= !link.bit;
                link.pending.insert(place);
                link.soon(now, self.config.interval);
            }
        }
    }

    fn take_entry(&mut self, now: Duration, id: LinkId, entry: Arc<RelayEntry>, hint: bool) {
        let Some(link) = self.links.get_mut(&id) else { return };
        let (bit, from_itself) = (link.bit, entry.relay_id == link.peer);
        let asked_for = link.offers.remove(&entry.relay_id).is_some();
        if self.asked.get(&entry.relay_id).is_some_and(|(asked, _)| *asked == id) {
            self.asked.remove(&entry.relay_id);
        }
        let mut place = self.table.place(entry.relay_id.as_str());
        // A row that another key has under this name.
        let mut rival = None;
        if let Some(row) = place.and_then(|place| self.table.row_mut(place)) {
            if row.entry == entry {
                row.known_by |= if row.accusation().is_none() { bit } else { 0 };
                return;
            }
            if row.entry.public_key != entry.public_key {
                rival = place.take();
            } else if row.order() >= order(&entry) {
                return;
            }
        }
        let introducer = (!from_itself).then(|| link.peer.clone());
        let anothers = from_itself && link.public_key != entry.public_key;
        link.checked += 1;
        let mut refused =
            !(asked_for || from_itself || hint) || anothers || link.checked > MAX_CHECKED || !is_sound(&entry);
        if !refused {
            let bound = self.keys.bound_key(&entry.relay_id);
            let disproven = self.disproven.get(&entry.relay_id);
            let disproven = disproven.is_some_and(|(key, until)| *key == entry.public_key && *until > now);
            refused = bound.as_ref().is_some_and(|key| *key != entry.public_key) || (disproven && !from_itself);
            let gives_way = |place| bound.is_some() || self.table.row(place).is_some_and(Row::gives_way);
            if !refused && let Some(rival) = rival.filter(|rival| *rival == self.own || !gives_way(*rival)) {
                self.contest(now, rival);
                refused = true;
            }
            if refused && let Some(link) = self.links.get_mut(&id) {
                // Else its word would keep those from being asked that have the right one.
                link.mistaken.retain(|_, until| *until > now);
                if link.mistaken.len() < MAX_RELAYS {
                    link.mistaken
                        .insert(entry.relay_id.clone(), now + self.config.interval * MISTAKEN_FOR);
                }
            }
        }
        if refused {
            self.counters.refused += 1;
            return;
        }
        if !self
            .keys
            .verify(&entry.public_key, &entry_bytes(&entry), &entry.signature)
        {
            // Whoever passes it on has not checked it, or has made it.
            self.counters.refused += 1;
            self.close(now, id, CloseReason::Dishonest);
            return;
        }
        if place == Some(self.own) {
            return self.outlive(now, &entry);
        }
        if self
            .forgotten
            .get(&entry.relay_id)
            .is_some_and(|old| old.public_key == entry.public_key && order(&entry) <= old.order)
        {
            return;
        }
        if let Some(rival) = rival {
            self.evict(rival);
        }
        let place = match place {
            Some(place) => {
                if let Some(accusation) = self.table.renew(place, entry, now) {
                    self.strike(&accusation.by);
                }
                if let Some(local) = self.table.row_mut(place).and_then(|row| row.local.as_mut()) {
                    local.suspicion = None;
                }
                place
            }
            None => {
                let exhausted = introducer.is_some() && self.may_introduce(now, id) == 0;
                if exhausted || !self.has_room(now, introducer.as_ref()) {
                    self.counters.refused += 1;
                    return;
                }
                self.forgotten.remove(&entry.relay_id);
                let name = entry.relay_id.clone();
                let left = entry.status == RelayStatus::Left;
                let row = Row::new(entry, now);
                let place = self.table.insert(match introducer {
                    Some(introducer) => row.introduced_by(introducer),
                    None => row,
                });
                match left {
                    // Nobody here had heard of it: it goes as it came.
                    true => self
                        .table
                        .row_mut(place)
                        .into_iter()
                        .for_each(|row| row.local().gone = Some(now)),
                    false => self.out.push_back(Output::Connected(name)),
                }
                place
            }
        };
        self.counters.entries_taken += 1;
        self.spare.learned();
        self.settle(place);
        let links = &self.links;
        if let Some(row) = self.table.row_mut(place) {
            row.known_by = bit;
            let linked = links.iter().find(|(_, link)| link.peer == row.entry.relay_id);
            if let Some((id, link)) = linked {
                let local = row.local();
                local.link = Some(*id);
                local.heard.get_or_insert(link.up);
                local.latency.get_or_insert(link.latency);
            }
            let linked = linked.is_some();
            if row.local.as_ref().is_some_and(|local| local.gone.is_some()) || row.has_left() {
                self.table.trouble.insert(place);
            }
            if linked {
                self.table.proven(place);
            }
        }
        self.review(now, place);
        self.touch(now, place);
    }

    /// What other links offer of it and is here now need not be asked for.
    fn settle(&mut self, place: Place) {
        let Some(name) = self.table.row(place).map(|row| row.entry.relay_id.clone()) else {
            return;
        };
        for link in self.links.values_mut() {
            if link
                .offers
                .get(&name)
                .is_some_and(|offer| lacks(&self.table, &name, offer) == (false, false))
            {
                link.offers.remove(&name);
            }
        }
    }

    /// Whether the other end has something that is asked of nobody else at the moment.
    pub(crate) fn can_ask(&self, now: Duration, id: LinkId) -> bool {
        self.links.get(&id).is_some_and(|link| {
            link.offers
                .iter()
                .any(|(name, offer)| self.may_ask(now, id, name, offer) && self.asked_here(now, id, name))
        })
    }

    /// When what was refused can be asked for again.
    pub(crate) fn asks_again(&self, now: Duration, id: LinkId) -> Option<Duration> {
        let offers = self.links.get(&id)?.offers.values();
        offers.map(|offer| offer.not_before).filter(|at| *at > now).min()
    }

    fn may_ask(&self, now: Duration, id: LinkId, name: &RelayId, offer: &Offer) -> bool {
        let ask_again = now.saturating_sub(self.config.interval / 4);
        let elsewhere = self
            .asked
            .get(name)
            .is_some_and(|(link, at)| *link != id && *at > ask_again);
        offer.not_before <= now && !elsewhere && self.links.get(&id).is_some_and(|link| self.may_bring(link, name))
    }

    /// Whether this link may bring what it offers: it is known, or the other end may introduce one more.
    fn may_bring(&self, link: &Link, name: &RelayId) -> bool {
        link.may_introduce > 0 || *name == link.peer || self.table.place(name.as_str()).is_some()
    }

    /// What is asked for over this link: name, and whether its entry and its accusation. Where others offer the same, each is asked for its share.
    fn wanted(&mut self, now: Duration, id: LinkId) -> Vec<(RelayId, bool, bool)> {
        let any = self.random.next() as usize;
        let Some(link) = self.links.get(&id) else {
            return Vec::new();
        };
        let (mut wanted, mut settled) = (Vec::new(), Vec::new());
        let mut new = link.may_introduce;
        let skip = any.checked_rem(link.offers.len()).unwrap_or(0);
        let from_there = link.offers.iter().skip(skip).chain(link.offers.iter().take(skip));
        for (name, offer) in from_there {
            if wanted.len() >= MAX_ENTRIES {
                break;
            }
            let (entry, accusation) = lacks(&self.table, name, offer);
            if !entry && !accusation {
                settled.push(name.clone());
            } else if self.may_ask(now, id, name, offer) && self.asked_here(now, id, name) {
                if self.table.place(name.as_str()).is_none() && *name != link.peer {
                    let Some(left) = new.checked_sub(1) else { continue };
                    new = left;
                }
                wanted.push((name.clone(), entry, accusation));
            }
        }
        if let Some(link) = self.links.get_mut(&id) {
            for name in settled {
                link.offers.remove(&name);
            }
        }
        wanted
    }

    /// Of the links that offer it, any, but always the same.
    fn asked_here(&self, now: Duration, id: LinkId, name: &RelayId) -> bool {
        let seed = spread(name);
        let rank = |id: LinkId| mix(seed ^ id.0);
        let own = rank(id);
        self.links.iter().all(|(other, link)| {
            *other == id
                || rank(*other) > own
                || link.passing
                || link.offers.get(name).is_none_or(|offer| offer.not_before > now)
                || !self.may_bring(link, name)
        })
    }

    /// The response is here: what was asked for and is not in it is asked for elsewhere.
    pub(crate) fn not_given(&mut self, now: Duration, id: LinkId) {
        let later = now + self.random.around(self.config.interval / 2);
        let Some(link) = self.links.get_mut(&id) else { return };
        let mut refused = Vec::new();
        for name in std::mem::take(&mut link.asking) {
            self.asked.remove(&name);
            if let Some(offer) = link.offers.get_mut(&name) {
                offer.not_before = later;
                refused.push(name);
            }
        }
        for name in refused {
            for (_, link) in self.links.iter_mut().filter(|(other, _)| **other != id) {
                if link.offers.contains_key(&name) {
                    link.soon(now, self.config.interval);
                }
            }
        }
    }

    /// An entry of an earlier life of this relay is newer than the present one: the clock was set back.
    fn outlive(&mut self, now: Duration, earlier: &RelayEntry) {
        let (incarnation, version) = order(earlier);
        self.change_own(now, |entry| {
            entry.incarnation = incarnation.max(entry.incarnation);
            entry.version = entry.version.max(version).saturating_add(1);
        });
    }

    fn take_accusation(&mut self, now: Duration, id: LinkId, accusation: Arc<Accusation>) {
        let Some(link) = self.links.get_mut(&id) else { return };
        link.checked += 1;
        let (bit, checked) = (link.bit, link.checked);
        if self
            .asked
            .get(&accusation.relay_id)
            .is_some_and(|(asked, _)| *asked == id)
        {
            self.asked.remove(&accusation.relay_id);
        }
        let Some(place) = self.table.place(accusation.relay_id.as_str()) else {
            return;
        };
        let Some(row) = self.table.row(place) else { return };
        if row.order() != (accusation.incarnation, accusation.version) || row.accusation().is_some() {
            return;
        }
        let accuser = self.table.find(accusation.by.as_str()).filter(|accuser| {
            let strikes = accuser.local.as_ref().map_or(0, |local| local.strikes);
            strikes < MAX_STRIKES && accusation.by != accusation.relay_id && checked <= MAX_CHECKED
        });
        let signed = accuser.is_some_and(|accuser| {
            accusation.signature.len() == SIGNATURE
                && self.keys.verify(
                    &accuser.entry.public_key,
                    &accusation_bytes(&accusation),
                    &accusation.signature,
                )
        });
        if !signed {
            link.offers.remove(&accusation.relay_id);
            self.counters.refused += 1;
            return;
        }
        if place == self.own {
            self.must_refute = true;
            return self.look_after_own(now);
        }
        self.table.accuse(place, accusation);
        self.settle(place);
        if let Some(row) = self.table.row_mut(place) {
            row.known_by = bit;
            row.local().doubted_until = now + self.config.interval * 3;
        }
        self.touch(now, place);
    }

    /// What the other end asks for goes into the next message, as far as this relay's share allows.
    fn take_wants(&mut self, now: Duration, id: LinkId, want: &[RelayId], doubt: &[RelayId]) {
        let Some(link) = self.links.get_mut(&id) else { return };
        let places = |table: &Table, names: &[RelayId]| -> Vec<Place> {
            names.iter().filter_map(|name| table.place(name.as_str())).collect()
        };
        self.spare.grow(now, self.config.interval, self.table.len());
        for place in places(&self.table, want.get(..MAX_ENTRIES).unwrap_or(want)) {
            let Some(row) = self.table.row_mut(place) else { continue };
            let spare = self.spare.take();
            if spare || !row.given {
                row.given = true;
                link.owed.insert(place);
            }
        }
        link.owed_accusations
            .extend(places(&self.table, doubt.get(..MAX_ACCUSATIONS).unwrap_or(doubt)));
    }

    /// The other end has other things in some parts: all of them are told.
    fn tell_differing(&mut self, now: Duration, id: LinkId, buckets: &[u64], digest: u64) {
        let Some(link) = self.links.get_mut(&id) else { return };
        // Who sends made-up parts would be told everything again and again.
        link.compares += 1;
        if link.compares > MAX_COMPARES {
            return;
        }
        let differing = self.table.differing(buckets);
        link.compared = Some((self.table.digest(), digest));
        for place in differing {
            if let Some(row) = self.table.row_mut(place) {
                row.known_by &= !link.bit;
                link.pending.insert(place);
            }
        }
        if !link.pending.is_empty() {
            link.soon(now, self.config.interval);
        }
    }

    /// Where both ends have nothing to tell and yet differ, parts are compared; once for each such pair, whatever comes of it.
    fn compare(&mut self, id: LinkId, relays: u16, told: bool) {
        let own = self.table.digest();
        let Some(link) = self.links.get_mut(&id) else { return };
        let Some(theirs) = link.digest else { return };
        let no_room = (link.passing && !link.dialled && !link.peer_passing)
            || (link.peer_passing && link.dialled && !link.passing);
        if theirs == own || no_room || link.compared == Some((own, theirs)) {
            link.mismatches = 0;
            return;
        }
        // Over a new link it is settled at once: the ends have never compared.
        let first = link.compared.is_none();
        if first && (relays <= NEWCOMER || self.table.len() <= usize::from(NEWCOMER)) {
            link.compared = Some((own, theirs));
            link.pending.extend(self.table.iter().map(|(place, _)| place));
            return;
        }
        if first || (!told && link.is_quiet()) {
            link.mismatches += 1;
        }
        if first || link.mismatches >= MISMATCHES {
            link.mismatches = 0;
            link.compared = Some((own, theirs));
            link.send_buckets = true;
        }
    }
}

/// Whether this relay lacks the offered entry, and whether it lacks the accusation.
fn lacks(table: &Table, id: &RelayId, offer: &Offer) -> (bool, bool) {
    let Offer {
        incarnation,
        version,
        accused,
        ..
    } = *offer;
    match table.find(id.as_str()) {
        None => (true, accused),
        Some(row) if row.order() < (incarnation, version) => (true, accused),
        Some(row) if row.gives_way() && row.order() != (incarnation, version) => (true, accused),
        Some(row) if row.is_hearsay() && row.order().0 != incarnation => (true, accused),
        Some(row) => {
            let same = row.order() == (incarnation, version);
            (false, same && accused && row.accusation().is_none())
        }
    }
}

/// Within the bounds of the wire. The name has been checked when it was read.
fn is_sound(entry: &RelayEntry) -> bool {
    let printable = |text: &str, most: usize| text.len() <= most && text.bytes().all(|b| b.is_ascii_graphic());
    // One way to write a key: two would be two keys.
    let hex = |text: &str, length: usize| {
        text.len() == length && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    };
    // A relay that nobody can dial has no address.
    hex(&entry.public_key, PUBLIC_KEY)
        && hex(&entry.signature, SIGNATURE)
        && printable(&entry.address, MAX_ADDRESS)
        && printable(&entry.software_version, MAX_SOFTWARE_VERSION)
        && entry.capabilities.len() <= MAX_CAPABILITIES
        && entry
            .capabilities
            .iter()
            .all(|capability| printable(capability, MAX_CAPABILITY))
}

//! Who is alive: silence, suspicion, accusation, refutation (SWIM, Das et al. 2002, over links instead of datagrams).
//!
//! Each relay watches those that it is linked to, and now and then looks at another one. Who does not answer is dialled again, and others are asked
//! about it. If nobody has heard of it for two intervals, it is accused; the accusation travels like an entry, and a newer entry of the accused voids
//! it. What is heard at first hand counts more than what others say.

use std::sync::Arc;
use std::time::Duration;

use sdk_relay_protocol::http::RelayHealth;
use sdk_relay_protocol::mesh::{Accusation, Heard, RelayId, RelayStatus};

use crate::Mesh;
use crate::intake::{MAX_STRIKES, PARDON};
use crate::keys::{Keys, accusation_bytes};
use crate::limits::{HELPERS, MAX_FORGOTTEN, MAX_PROBES};
use crate::output::{CloseReason, LinkId, Output};
use crate::phi::LATE;
use crate::table::{Doubt, Forgotten, Place, Row, Suspicion};
use crate::view::RelayView;

/// Relays that are looked for on behalf of others at a time: each costs a dial.
const MAX_HELPING: usize = 32;

/// A relay that another looks for.
pub(crate) struct Helping {
    target: RelayId,
    pub(crate) link: LinkId,
    until: Duration,
}

impl<K: Keys> Mesh<K> {
    /// All that are known, this one first, then by name. Those that have said goodbye are not among them.
    pub fn relays(&self, now: Duration) -> Vec<RelayView> {
        let own = self
            .table
            .row(self.own)
            .into_iter()
            .map(|row| self.view(now, self.own, row));
        let others = self
            .table
            .iter()
            .filter(|(place, row)| *place != self.own && !row.has_left());
        own.chain(others.map(|(place, row)| self.view(now, place, row)))
            .collect()
    }

    /// One of them.
    pub fn relay(&self, now: Duration, relay_id: &str) -> Option<RelayView> {
        let place = self.table.place(relay_id)?;
        let row = self.table.row(place).filter(|row| !row.has_left())?;
        Some(self.view(now, place, row))
    }

    /// Hash of all that this relay knows of all: equal at two relays that agree.
    pub fn digest(&self) -> u64 {
        self.table.digest()
    }

    fn view(&self, now: Duration, place: Place, row: &Row) -> RelayView {
        let local = row.local.as_deref();
        let link = row.link();
        let vouched = local.and_then(|local| local.vouched);
        let measured = link.and_then(|link| self.links.get(&link)).map(|link| link.latency);
        let learned = [Some(row.learned), row.heard(), vouched];
        RelayView {
            entry: Arc::clone(&row.entry),
            health: self.health(now, place, row),
            heard: row.heard(),
            learned: learned.into_iter().flatten().max().unwrap_or(row.learned),
            link,
            latency: measured.or(local.and_then(|local| local.latency)),
        }
    }

    fn health(&self, now: Duration, place: Place, row: &Row) -> RelayHealth {
        let told = match row.entry.status {
            RelayStatus::Healthy => RelayHealth::Healthy,
            RelayStatus::Degraded => RelayHealth::Warning,
            RelayStatus::Critical | RelayStatus::Left => RelayHealth::Critical,
        };
        if place == self.own || told == RelayHealth::Critical {
            return told;
        }
        let interval = self.config.interval;
        let local = row.local.as_deref();
        if let Some(link) = row.link().and_then(|link| self.links.get(&link)) {
            let (silence, late) = (link.arrivals.silence(now), link.arrivals.phi(now, interval) >= LATE);
            return match late {
                true if silence >= interval * 3 => RelayHealth::Critical,
                true => RelayHealth::Warning,
                false => told,
            };
        }
        let silence = row.heard().map(|heard| now.saturating_sub(heard));
        // Who accused wrongly too often is not believed in what he said before either: those who no longer listen do not pass it on to the accused.
        let strikes = |by: &RelayId| {
            let accuser = self.table.find(by.as_str()).and_then(|row| row.local.as_ref());
            accuser.map_or(0, |local| local.strikes)
        };
        let accused = row
            .accusation()
            .is_some_and(|accusation| strikes(&accusation.by) < MAX_STRIKES);
        if !accused && row.suspicion().is_none() || silence.is_some_and(|silence| silence < interval) {
            return told;
        }
        let gone = local
            .and_then(|local| local.doubt)
            .is_some_and(|doubt| doubt.silent && now >= doubt.until);
        match accused && gone {
            true => RelayHealth::Critical,
            false => RelayHealth::Warning,
        }
    }

    /// The other end of a link has sent something.
    pub(crate) fn peer_heard(&mut self, now: Duration, id: LinkId) {
        let Some(link) = self.links.get_mut(&id) else { return };
        link.arrivals.heard(now, self.config.interval);
        let Some(place) = self.table.place(link.peer.as_str()) else {
            return;
        };
        let Some(row) = self.table.row_mut(place) else { return };
        let local = row.local();
        local.heard = Some(now);
        local.link = Some(id);
        let back = local.suspicion.take().is_some() || local.gone.is_some();
        self.uncontest(place);
        self.table.proven(place);
        if back {
            self.answer_seekers(now, place);
            self.review(now, place);
        }
    }

    /// A relay does not answer.
    pub(crate) fn suspect(&mut self, now: Duration, place: Place) {
        let Some(row) = self.table.row_mut(place) else { return };
        if place == self.own || row.has_left() || row.suspicion().is_some() || row.gone().is_some() {
            return;
        }
        let local = row.local();
        let since = local
            .heard
            .unwrap_or(now)
            .max(now.saturating_sub(self.config.interval * 2));
        local.suspicion = Some(Suspicion { since, asked: None });
        self.table.trouble.insert(place);
        self.ask_others(now, place);
    }

    /// SWIM's indirect probe: can others reach it?
    fn ask_others(&mut self, now: Duration, place: Place) {
        let Some(row) = self.table.row_mut(place) else { return };
        let target = row.entry.relay_id.clone();
        if let Some(suspicion) = &mut row.local().suspicion {
            suspicion.asked = Some(now);
        }
        let mut helpers: Vec<LinkId> = self
            .links
            .iter()
            .filter(|(_, l)| l.lasts() && l.peer != target)
            .map(|(id, _)| *id)
            .collect();
        for _ in 0..HELPERS {
            if helpers.is_empty() {
                return;
            }
            let helper = helpers.swap_remove(self.random.below(helpers.len()));
            if let Some(link) = self.links.get_mut(&helper).filter(|link| link.probe.len() < MAX_PROBES) {
                link.probe.insert(target.clone());
                link.next = now;
            }
        }
    }

    /// Another asks whether this relay has heard of `target`.
    pub(crate) fn help(&mut self, now: Duration, link: LinkId, target: RelayId) {
        let Some(place) = self.table.place(target.as_str()).filter(|place| *place != self.own) else {
            return;
        };
        let heard = self.table.row(place).and_then(Row::heard);
        if heard.is_some_and(|heard| now.saturating_sub(heard) <= self.config.interval) {
            return self.answer(now, link, &target, heard);
        }
        if self.helping.len() < MAX_HELPING && !self.helping.iter().any(|h| h.target == target && h.link == link) {
            let until = now + self.config.interval * 2;
            self.helping.push(Helping { target, link, until });
            self.dial_row(now, place, true);
        }
    }

    fn answer_seekers(&mut self, now: Duration, place: Place) {
        let Some(row) = self.table.row(place) else { return };
        let (name, heard) = (row.entry.relay_id.clone(), row.heard());
        let seekers: Vec<LinkId> = self
            .helping
            .iter()
            .filter(|h| h.target == name)
            .map(|h| h.link)
            .collect();
        self.helping.retain(|helping| helping.target != name);
        for link in seekers {
            self.answer(now, link, &name, heard);
        }
    }

    fn answer(&mut self, now: Duration, link: LinkId, target: &RelayId, heard: Option<Duration>) {
        let ago = heard.map_or(Duration::ZERO, |heard| now.saturating_sub(heard));
        if let Some(link) = self.links.get_mut(&link).filter(|link| link.answers.len() < MAX_PROBES) {
            let ago = u64::try_from(ago.as_millis()).unwrap_or(u64::MAX);
            link.answers.push(Heard(target.clone(), ago));
            link.next = link.next.min(now + self.config.interval / 30);
        }
    }

    /// Another has heard of a relay. It is taken for two intervals at most: a word about others must not hide a death.
    pub(crate) fn vouched(&mut self, now: Duration, target: &RelayId, ago: Duration) {
        let Some(row) = self.table.find_mut(target.as_str()) else {
            return;
        };
        let Some(suspicion) = row.suspicion() else { return };
        let when = now.saturating_sub(ago);
        if when > suspicion.since {
            let linked = row.link().is_some();
            let local = row.local();
            local.vouched = Some(when);
            // It is there, only not for this relay. Without a link it is no longer this relay's business.
            if !linked {
                local.suspicion = None;
            }
        }
    }

    /// Tells the driver what changed with a relay's health.
    pub(crate) fn review(&mut self, now: Duration, place: Place) {
        let Some(row) = self.table.row(place) else { return };
        let critical = self.health(now, place, row) == RelayHealth::Critical;
        let (name, address) = (row.entry.relay_id.clone(), row.entry.address.clone());
        let goodbye = row.has_left();
        match (critical, row.gone().is_some()) {
            (true, false) => {
                self.out.push_back(Output::Disconnected {
                    relay_id: name,
                    address,
                    goodbye,
                });
                self.table.trouble.insert(place);
            }
            (false, true) => self.out.push_back(Output::Connected(name)),
            _ => return,
        }
        if let Some(row) = self.table.row_mut(place) {
            row.local().gone = critical.then_some(now);
        }
    }

    /// Links that went silent, and links that only passed.
    pub(crate) fn look_after_links(&mut self, now: Duration) {
        let interval = self.config.interval;
        let mut silent = Vec::new();
        let mut over = Vec::new();
        for (id, link) in &self.links {
            let silence = link.arrivals.silence(now);
            let late = link.arrivals.phi(now, interval) >= LATE;
            if !link.lasts() {
                let leaves = link.leaves.is_some_and(|at| at <= now);
                if leaves || now.saturating_sub(link.up) > interval * 2 {
                    over.push((*id, CloseReason::Passing));
                }
            } else if late {
                silent.push(link.peer.clone());
                if silence >= interval * 3 {
                    over.push((*id, CloseReason::Silent));
                }
            }
        }
        for peer in silent {
            if let Some(place) = self.table.place(peer.as_str()) {
                self.review(now, place);
                self.suspect(now, place);
            }
        }
        for (id, reason) in over {
            self.close(now, id, reason);
        }
    }

    /// Those that are suspected, accused or gone.
    pub(crate) fn look_after_troubled(&mut self, now: Duration) {
        let interval = self.config.interval;
        self.helping.retain(|helping| helping.until > now);
        self.settle_claims(now);
        self.ask_accused(now);
        for place in self.table.trouble.clone() {
            let Some(row) = self.table.row(place) else { continue };
            let trusted = row.is_trusted();
            if trusted {
                self.table.trouble.remove(&place);
                continue;
            }
            let Some(row) = self.table.row(place) else { continue };
            if let Some(gone) = row.gone()
                && row.link().is_none()
                && now.saturating_sub(gone) >= self.config.forget_after
            {
                self.forget(now, place);
                continue;
            }
            if let Some(suspicion) = row.suspicion() {
                let vouched = row
                    .local
                    .as_ref()
                    .and_then(|local| local.vouched)
                    .is_some_and(|at| at > suspicion.since);
                let (linked, accused) = (row.link().is_some(), row.accusation().is_some());
                let due = suspicion.since + interval * if vouched { 4 } else { 2 };
                if now >= due {
                    if let Some(row) = self.table.row_mut(place) {
                        // From here on the accusation speaks, or another's does already.
                        row.local().suspicion = None;
                    }
                    if !accused {
                        self.accuse(now, place, suspicion.since);
                    }
                } else {
                    if suspicion
                        .asked
                        .is_none_or(|asked| now.saturating_sub(asked) >= interval)
                    {
                        self.ask_others(now, place);
                    }
                    if !linked {
                        self.dial_row(now, place, true);
                    }
                }
            }
            self.review(now, place);
        }
    }

    fn accuse(&mut self, now: Duration, place: Place, since: Duration) {
        let Some(row) = self.table.row(place) else { return };
        let (incarnation, version) = row.order();
        let mut accusation = Accusation {
            relay_id: row.entry.relay_id.clone(),
            incarnation,
            version,
            by: self.own_id.clone(),
            signature: String::new(),
        };
        accusation.signature = self.keys.sign(&accusation_bytes(&accusation));
        self.table.accuse(place, Arc::new(accusation));
        if let Some(row) = self.table.row_mut(place) {
            row.local().doubt = Some(Doubt {
                until: since + self.config.interval * 3,
                silent: true,
            });
        }
        self.counters.accused += 1;
        self.touch(now, place);
    }

    /// This relay is accused: it says that it lives. At most four times in an interval, whatever others say.
    pub(crate) fn look_after_own(&mut self, now: Duration) {
        let interval = self.config.interval;
        if self.must_refute && self.refuted.is_none_or(|last| now.saturating_sub(last) >= interval / 4) {
            self.must_refute = false;
            self.refuted = Some(now);
            self.counters.refuted += 1;
            self.change_own(now, |_| ());
        }
        if now >= self.next_pardon {
            self.next_pardon = now + interval * PARDON;
            self.forgotten.retain(|_, forgotten| forgotten.until > now);
            self.disproven.retain(|_, until| *until > now);
            self.asked.retain(|_, (_, at)| now.saturating_sub(*at) < interval);
            let places: Vec<Place> = self.table.iter().map(|(place, _)| place).collect();
            for place in places {
                if let Some(local) = self.table.row_mut(place).and_then(|row| row.local.as_mut()) {
                    local.strikes /= 2;
                }
            }
        }
    }

    /// An accusation by `accuser` was wrong.
    pub(crate) fn strike(&mut self, accuser: &RelayId) {
        if let Some(row) = self.table.find_mut(accuser.as_str()) {
            let local = row.local();
            local.strikes = local.strikes.saturating_add(1);
        }
    }

    pub(crate) fn forget(&mut self, now: Duration, place: Place) {
        let Some(row) = self.take_out(place) else { return };
        self.counters.forgotten += 1;
        if self.forgotten.len() >= MAX_FORGOTTEN {
            let first = self
                .forgotten
                .iter()
                .min_by_key(|(_, forgotten)| forgotten.until)
                .map(|(name, _)| name.clone());
            first.and_then(|name| self.forgotten.remove(&name));
        }
        // Others forget at about the same time; until they all have, it must not come back from them.
        let forgotten = Forgotten {
            public_key: row.entry.public_key.clone(),
            order: row.order(),
            until: now + self.config.forget_after,
        };
        self.forgotten.insert(row.entry.relay_id.clone(), forgotten);
    }

    pub(crate) fn take_out(&mut self, place: Place) -> Option<Row> {
        for link in self.links.values_mut() {
            link.pending.remove(&place);
            link.owed.remove(&place);
            link.owed_accusations.remove(&place);
            for batch in &mut link.told {
                batch.places.retain(|told| *told != place);
            }
        }
        self.table.remove(place)
    }
}

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
use crate::output::{CloseReason, Output};
use crate::phi::LATE;
use crate::view::RelayView;
use sdk_relay_mesh_table::LinkId;
use sdk_relay_mesh_table::{Accused, Forgotten, Row, Slot, Suspicion};

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
            .filter(|(slot, row)| *slot != self.own && !row.has_left());
        own.chain(others.map(|(slot, row)| self.view(now, slot, row))).collect()
    }

    /// One of them.
    pub fn relay(&self, now: Duration, relay_id: &str) -> Option<RelayView> {
        let slot = self.table.slot(relay_id)?;
        let row = self.table.row(slot).filter(|row| !row.has_left())?;
        Some(self.view(now, slot, row))
    }

    /// Hash of all that this relay knows of all: equal at two relays that agree.
    pub fn digest(&self) -> u64 {
        self.table.digest()
    }

    fn view(&self, now: Duration, slot: Slot, row: &Row) -> RelayView {
        let local = row.local.as_deref();
        let link = row.link();
        let vouched = local.and_then(|local| local.indirect_ack);
        let measured = link.and_then(|link| self.links.get(&link)).map(|link| link.latency);
        let learned = [Some(row.updated), row.last_received(), vouched];
        RelayView {
            entry: Arc::clone(&row.entry),
            health: self.health(now, slot, row),
            heard: row.last_received(),
            learned: learned.into_iter().flatten().max().unwrap_or(row.updated),
            link,
            latency: measured.or(local.and_then(|local| local.latency)),
        }
    }

    fn health(&self, now: Duration, slot: Slot, row: &Row) -> RelayHealth {
        let told = match row.entry.status {
            RelayStatus::Healthy => RelayHealth::Healthy,
            RelayStatus::Degraded => RelayHealth::Warning,
            RelayStatus::Critical | RelayStatus::Left => RelayHealth::Critical,
        };
        if slot == self.own || told == RelayHealth::Critical {
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
        let silence = row.last_received().map(|heard| now.saturating_sub(heard));
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
            .and_then(|local| local.accused)
            .is_some_and(|accused| accused.unresponsive && now >= accused.deadline);
        match accused && gone {
            true => RelayHealth::Critical,
            false => RelayHealth::Warning,
        }
    }

    /// The other end of a link has sent something.
    pub(crate) fn peer_heard(&mut self, now: Duration, id: LinkId) {
        let Some(link) = self.links.get_mut(&id) else { return };
        link.arrivals.heard(now, self.config.interval);
        let Some(slot) = self.table.slot(link.peer.as_str()) else {
            return;
        };
        let Some(row) = self.table.row_mut(slot) else { return };
        let local = row.local();
        local.last_received = Some(now);
        local.link = Some(id);
        let back = local.suspicion.take().is_some() || local.down_since.is_some();
        self.uncontest(slot);
        self.table.mark_first_hand(slot);
        if back {
            self.answer_seekers(now, slot);
            self.review(now, slot);
        }
    }

    /// A relay does not answer.
    pub(crate) fn suspect(&mut self, now: Duration, slot: Slot) {
        let Some(row) = self.table.row_mut(slot) else { return };
        if slot == self.own || row.has_left() || row.suspicion().is_some() || row.down_since().is_some() {
            return;
        }
        let local = row.local();
        let since = local
            .last_received
            .unwrap_or(now)
            .max(now.saturating_sub(self.config.interval * 2));
        local.suspicion = Some(Suspicion { since, probed: None });
        self.table.unhealthy.insert(slot);
        self.ask_others(now, slot);
    }

    /// SWIM's indirect probe: can others reach it?
    fn ask_others(&mut self, now: Duration, slot: Slot) {
        let Some(row) = self.table.row_mut(slot) else { return };
        let target = row.entry.relay_id.clone();
        if let Some(suspicion) = &mut row.local().suspicion {
            suspicion.probed = Some(now);
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
        let Some(slot) = self.table.slot(target.as_str()).filter(|slot| *slot != self.own) else {
            return;
        };
        let heard = self.table.row(slot).and_then(Row::last_received);
        if heard.is_some_and(|heard| now.saturating_sub(heard) <= self.config.interval) {
            return self.answer(now, link, &target, heard);
        }
        if self.helping.len() < MAX_HELPING && !self.helping.iter().any(|h| h.target == target && h.link == link) {
            let until = now + self.config.interval * 2;
            self.helping.push(Helping { target, link, until });
            self.dial_row(now, slot, true);
        }
    }

    fn answer_seekers(&mut self, now: Duration, slot: Slot) {
        let Some(row) = self.table.row(slot) else { return };
        let (name, heard) = (row.entry.relay_id.clone(), row.last_received());
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
            local.indirect_ack = Some(when);
            // It is there, only not for this relay. Without a link it is no longer this relay's business.
            if !linked {
                local.suspicion = None;
            }
        }
    }

    /// Tells the driver what changed with a relay's health.
    pub(crate) fn review(&mut self, now: Duration, slot: Slot) {
        let Some(row) = self.table.row(slot) else { return };
        let critical = self.health(now, slot, row) == RelayHealth::Critical;
        let (name, address) = (row.entry.relay_id.clone(), row.entry.address.clone());
        let goodbye = row.has_left();
        match (critical, row.down_since().is_some()) {
            (true, false) => {
                self.out.push_back(Output::Disconnected {
                    relay_id: name,
                    address,
                    goodbye,
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
            if let Some(slot) = self.table.slot(peer.as_str()) {
                self.review(now, slot);
                self.suspect(now, slot);
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
        for slot in self.table.unhealthy.clone() {
            let Some(row) = self.table.row(slot) else { continue };
            let trusted = row.is_trusted();
            if trusted {
                self.table.unhealthy.remove(&slot);
                continue;
            }
            let Some(row) = self.table.row(slot) else { continue };
            if let Some(gone) = row.down_since()
                && row.link().is_none()
                && now.saturating_sub(gone) >= self.config.forget_after
            {
                self.forget(now, slot);
                continue;
            }
            if let Some(suspicion) = row.suspicion() {
                let vouched = row
                    .local
                    .as_ref()
                    .and_then(|local| local.indirect_ack)
                    .is_some_and(|at| at > suspicion.since);
                let (linked, accused) = (row.link().is_some(), row.accusation().is_some());
                let due = suspicion.since + interval * if vouched { 4 } else { 2 };
                if now >= due {
                    if let Some(row) = self.table.row_mut(slot) {
                        // From here on the accusation speaks, or another's does already.
                        row.local().suspicion = None;
                    }
                    if !accused {
                        self.accuse(now, slot, suspicion.since);
                    }
                } else {
                    if suspicion
                        .probed
                        .is_none_or(|asked| now.saturating_sub(asked) >= interval)
                    {
                        self.ask_others(now, slot);
                    }
                    if !linked {
                        self.dial_row(now, slot, true);
                    }
                }
            }
            self.review(now, slot);
        }
    }

    fn accuse(&mut self, now: Duration, slot: Slot, since: Duration) {
        let Some(row) = self.table.row(slot) else { return };
        let (incarnation, version) = row.order();
        let mut accusation = Accusation {
            relay_id: row.entry.relay_id.clone(),
            incarnation,
            version,
            by: self.own_id.clone(),
            signature: String::new(),
        };
        accusation.signature = self.keys.sign(&accusation_bytes(&accusation));
        self.table.accuse(slot, Arc::new(accusation));
        if let Some(row) = self.table.row_mut(slot) {
            row.local().accused = Some(Accused {
                deadline: since + self.config.interval * 3,
                unresponsive: true,
            });
        }
        self.counters.accused += 1;
        self.touch(now, slot);
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
            let slots: Vec<Slot> = self.table.iter().map(|(slot, _)| slot).collect();
            for slot in slots {
                if let Some(local) = self.table.row_mut(slot).and_then(|row| row.local.as_mut()) {
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

    pub(crate) fn forget(&mut self, now: Duration, slot: Slot) {
        let Some(row) = self.take_out(slot) else { return };
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

    pub(crate) fn take_out(&mut self, slot: Slot) -> Option<Row> {
        for link in self.links.values_mut() {
            link.pending.remove(&slot);
            link.owed.remove(&slot);
            link.owed_accusations.remove(&slot);
            for batch in &mut link.told {
                batch.slots.retain(|told| *told != slot);
            }
        }
        self.table.remove(slot)
    }
}

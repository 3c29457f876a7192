//! The network: messages, dials and closed connections.

use std::time::Duration;

use sdk_relay_protocol::http::RelayHealth;
use sdk_relay_protocol::mesh::{Gossip, RelayId};

use sdk_relay_mesh::{DialId, LinkId, Mesh, Output, Peer};

use crate::keys::SimulatedKeys;
use crate::queue::{Connection, Event};
use crate::simulation::{Relay, Simulation, address, name};
use crate::wire;

/// Timeout of a dial to an address that does not answer.
const NO_ANSWER: Duration = Duration::from_secs(10);

impl Simulation {
    pub(crate) fn handle_event(&mut self, event: Event) {
        match event {
            Event::Wake(n, starts) => {
                let due = self
                    .relays
                    .get(n)
                    .is_some_and(|r| r.alive && r.starts == starts && r.next_wake <= self.now);
                if due {
                    self.drive(n, Mesh::tick);
                }
            }
            Event::Request(link, to, token, gossip) => {
                if !self.connections.contains_key(&link) {
                    return;
                }
                let mut response = None;
                let want = gossip.want.clone();
                self.drive(to, |mesh, now| response = Some(mesh.request(now, link, gossip)));
                if let Some(gossip) = response.and_then(|gossip| self.corrupt(to, gossip, &want)) {
                    let message = wire::response(&name(to), Box::new(gossip));
                    if let Some((peer, at, gossip)) = self.transmit(link, to, message) {
                        self.queue.push(at, Event::Response(link, peer, token, gossip));
                    }
                }
            }
            Event::Response(link, to, token, gossip) => {
                if self.connections.contains_key(&link) {
                    self.drive(to, |mesh, now| mesh.response(now, link, token, gossip));
                }
            }
            Event::HungUp(link, to) => self.drive(to, |mesh, now| mesh.link_down(now, link)),
            Event::Dialled(from, starts, dial, to) => {
                if self
                    .relays
                    .get(from)
                    .is_some_and(|relay| relay.starts == starts && relay.alive)
                {
                    self.dialled(from, dial, to);
                }
            }
        }
    }

    /// Calls a relay's state machine, and performs its outputs.
    pub(crate) fn drive(&mut self, n: usize, what: impl FnOnce(&mut Mesh<SimulatedKeys>, Duration)) {
        let now = self.now;
        let Some(relay) = self
            .relays
            .get_mut(n)
            .filter(|relay| relay.alive && now >= relay.started)
        else {
            return;
        };
        what(&mut relay.mesh, now.saturating_sub(relay.started));
        while let Some(output) = self.relays.get_mut(n).and_then(|relay| relay.mesh.poll()) {
            self.handle_output(n, output);
        }
        if let Some(relay) = self.relays.get_mut(n) {
            let deadline = relay.mesh.deadline() + relay.started;
            if deadline < relay.next_wake || relay.next_wake <= now {
                relay.next_wake = deadline.max(now + Duration::from_millis(1));
                self.queue.push(relay.next_wake, Event::Wake(n, relay.starts));
            }
        }
    }

    fn handle_output(&mut self, n: usize, output: Output) {
        match output {
            Output::Request { link, token, gossip } => {
                let Some(gossip) = self.corrupt(n, *gossip, &[]) else {
                    return;
                };
                let message = wire::request(&name(n), Box::new(gossip));
                if let Some((peer, at, gossip)) = self.transmit(link, n, message) {
                    self.queue.push(at, Event::Request(link, peer, token, gossip));
                }
            }
            Output::Dial {
                dial,
                address: to,
                expect,
            } => {
                let target = self.index(name_of(&to)).filter(|target| address(*target) == to);
                // A relay other than the expected one fails the handshake.
                let target = target.filter(|to| {
                    let own = self.relays.get(*to).map(|relay| relay.mesh.own());
                    expect.as_ref().is_none_or(|(name, key)| {
                        own.is_some_and(|own| own.relay_id == *name && own.public_key == *key)
                    })
                });
                let reached = target.filter(|to| {
                    let there = self
                        .relays
                        .get(*to)
                        .is_some_and(|relay| relay.alive && self.now >= relay.started);
                    there && !self.is_cut(n, *to)
                });
                // A dial takes several messages; the transport repeats a lost one once.
                let lost = self.network.loss > 0.0 && self.chance() < self.network.loss;
                let there = reached.filter(|_| !lost);
                let wait = if there.is_some() { self.delay() * 4 } else { NO_ANSWER };
                let starts = self.relays.get(n).map_or(0, |relay| relay.starts);
                self.queue.push(self.now + wait, Event::Dialled(n, starts, dial, there));
            }
            Output::Close { link, reason: _ } => self.hang_up(link, n),
            Output::Connected(other) => self.reconnected(n, &other),
            Output::Disconnected { relay_id, .. } => {
                let now = self.now;
                if let Some(relay) = self.relays.get_mut(n) {
                    relay.disconnected.insert(relay_id, now);
                }
            }
        }
    }

    fn dialled(&mut self, from: usize, dial: DialId, to: Option<usize>) {
        let alive = |n: &usize| self.relays.get(*n).is_some_and(|relay| relay.alive);
        let Some(to) = to.filter(alive).filter(|to| !self.is_cut(from, *to)) else {
            return self.drive(from, |mesh, now| mesh.dial_failed(now, dial));
        };
        let link = LinkId(self.next_link);
        self.next_link += 1;
        let delay = self.delay();
        self.connections.insert(
            link,
            Connection {
                ends: [from, to],
                delay,
            },
        );
        let peer = |relay: &Relay, dial| Peer {
            relay_id: relay.mesh.own().relay_id.clone(),
            public_key: relay.mesh.own().public_key.clone(),
            dial,
            latency: delay * 2,
        };
        let (Some(dialler), Some(dialled)) = (self.relays.get(from), self.relays.get(to)) else {
            return;
        };
        let (seen_there, seen_here) = (peer(dialler, None), peer(dialled, Some(dial)));
        self.drive(to, |mesh, now| mesh.link_up(now, link, seen_there));
        self.drive(from, |mesh, now| mesh.link_up(now, link, seen_here));
    }

    /// Sends a message: its bytes count even if it is lost. Returns the receiver and the time of arrival.
    fn transmit(
        &mut self,
        link: LinkId,
        from: usize,
        message: sdk_relay_protocol::ServerMessage,
    ) -> Option<(usize, Duration, Box<Gossip>)> {
        if let Some(relay) = self.relays.get_mut(from) {
            relay.sent += wire::length(&message);
        }
        let message = match self.decode_messages {
            true => serde_json::from_slice(&sdk_relay_protocol::encode(&message).ok()?).ok()?,
            false => message,
        };
        let connection = self.connections.get(&link)?;
        let (delay, [dialler, dialled]) = (connection.delay, connection.ends);
        let to = if from == dialler { dialled } else { dialler };
        let lost = self.network.loss > 0.0 && self.chance() < self.network.loss;
        if lost || self.is_cut(from, to) {
            return None;
        }
        Some((to, self.now + delay, wire::gossip(message)?))
    }

    /// Closes a connection. The other end notices, unless the network is partitioned.
    pub(crate) fn hang_up(&mut self, link: LinkId, by: usize) {
        let Some(connection) = self.connections.get(&link) else {
            return;
        };
        let [dialler, dialled] = connection.ends;
        let other = if by == dialler { dialled } else { dialler };
        let at = self.now + connection.delay + Duration::from_micros(1);
        if !self.is_cut(by, other) {
            self.queue.push(at, Event::HungUp(link, other));
        }
    }

    /// A relay considers another one alive again: was it a false positive?
    fn reconnected(&mut self, n: usize, other: &RelayId) {
        let since = self
            .relays
            .get_mut(n)
            .and_then(|relay| relay.disconnected.remove(other));
        if let Some(since) = since {
            self.record_false_positive(n, other, since);
        }
    }

    fn record_false_positive(&mut self, n: usize, other: &RelayId, since: Duration) {
        let Some(target) = self.index(other.as_str()) else {
            return;
        };
        let Some(relay) = self.relays.get(target).filter(|relay| relay.alive) else {
            return;
        };
        let hostile = |n: usize| self.relays.get(n).is_some_and(|relay| relay.hostility.is_some());
        if self.is_cut(n, target) || hostile(n) || hostile(target) {
            return;
        }
        let wrong = self.now.saturating_sub(since.max(self.healed).max(relay.started));
        self.longest_false_positive = self.longest_false_positive.max(wrong);
        self.false_positives += 1;
    }

    /// Also counts the relays that are wrongly considered critical at this moment.
    pub fn count_false_positives(&mut self) {
        let mut still = Vec::new();
        for (n, relay) in self.relays.iter().enumerate().filter(|(_, relay)| relay.alive) {
            for view in relay.mesh.relays(self.now.saturating_sub(relay.started)) {
                let critical = view.health == RelayHealth::Critical;
                if let Some(since) = relay.disconnected.get(&view.entry.relay_id).filter(|_| critical) {
                    still.push((n, view.entry.relay_id.clone(), *since));
                }
            }
        }
        for (n, other, since) in still {
            self.record_false_positive(n, &other, since);
        }
    }

    fn is_cut(&self, one: usize, other: usize) -> bool {
        (one < self.network.cut) != (other < self.network.cut)
    }

    fn delay(&mut self) -> Duration {
        let (least, most) = self.network.delay;
        least + (most.saturating_sub(least)).mul_f64(self.chance())
    }
}

fn name_of(address: &str) -> &str {
    address.split('.').next().unwrap_or(address)
}

//! The links of this relay: how they come up, and what arrives over them.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use sdk_relay_mesh::{DialId, LinkId, Peer};
use sdk_relay_protocol::mesh::{Gossip, RelayId};
use sdk_relay_transport::network_of;
use serde_json::{Map, Value};

use super::Mesh;
use super::bindings::Origin;
use super::inbound::{Inbound, Up};
use super::known::KnownRelay;
use super::link::{self, Exchange, Handle};
use super::proof::Proven;

impl Mesh {
    /// A relay that dialled from this address was accepted.
    pub fn joined(self: &Arc<Self>, peer: &Proven, from: IpAddr, latency: Duration, learned: KnownRelay) -> Inbound {
        let (up, exchange) = self.up(peer, None, Origin::Network(network_of(from)), latency, learned);
        Inbound { exchange, up }
    }

    pub(super) fn up(
        self: &Arc<Self>,
        peer: &Proven,
        dial: Option<DialId>,
        origin: Origin,
        latency: Duration,
        learned: KnownRelay,
    ) -> (Up, Exchange) {
        let id = LinkId(self.next_link.fetch_add(1, Ordering::Relaxed));
        let (handle, exchange) = link::link(id, peer, dial.is_some(), origin);
        let up = Up {
            id,
            relay_id: peer.relay_id.clone(),
            peer: Arc::clone(&handle.peer),
            mesh: Arc::clone(self),
        };
        // Registered before the state machine knows the link, so that its outputs find it.
        self.links().insert(id, handle);
        // The name was validated in the handshake.
        if let Ok(relay_id) = RelayId::new(&peer.relay_id) {
            let peer = Peer {
                relay_id,
                public_key: peer.public_key.clone(),
                dial,
                latency,
            };
            let taken = self.with(|core, now| {
                core.link_up(now, id, peer);
                core.is_up(id)
            });
            if taken {
                self.learn_relay(&up.relay_id, learned);
            }
        }
        (up, exchange)
    }

    /// Gossip of a request that arrived over a link: returns the gossip of the response. Invalid gossip is ignored.
    pub fn gossip(&self, link: LinkId, payload: Option<&Map<String, Value>>) -> Option<Box<Gossip>> {
        let gossip = read_gossip(payload)?;
        Some(Box::new(self.with(|core, now| core.request(now, link, gossip))))
    }

    /// A message arrived over a link.
    pub fn received(&self, link: LinkId, relay_id: &str) {
        let up = self.with(|core, now| {
            core.received(now, link);
            core.is_up(link)
        });
        if up {
            self.mark_seen(relay_id);
        }
    }

    /// Names of the relays to which this one has a link.
    pub fn linked(&self) -> Vec<String> {
        let mut names: Vec<String> = self.links().values().map(|h| h.relay_id.clone()).collect();
        names.sort();
        names.dedup();
        names
    }

    pub(super) fn links(&self) -> MutexGuard<'_, HashMap<LinkId, Handle>> {
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The gossip of a payload, if it can be decoded.
pub(super) fn read_gossip(payload: Option<&Map<String, Value>>) -> Option<Box<Gossip>> {
    serde_json::from_value(payload?.get("gossip")?.clone()).ok()
}

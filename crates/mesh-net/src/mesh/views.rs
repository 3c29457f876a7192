//! The other relays, as clients and operators see them: from the state machine, their handshakes and their syncs.

use sdk_relay_config::address::{is_own_machine, literal};
use std::collections::HashMap;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use sdk_relay_config::{url_of, without_scheme};
use sdk_relay_mesh::{LinkId, Mesh as Core};
use sdk_relay_protocol::http::{Link, RelayHealth};
use sdk_relay_protocol::mesh::RelayStatus;
use sdk_relay_protocol::{API_VERSION, OtherRelay, SyncType};
use sdk_relay_telemetry::clock::unix_now;
use serde_json::{Map, Value};

use super::known::{Around, Known, KnownRelay, MeshRelay};
use super::resolve::check_name;
use super::{Mesh, identity};

/// Most relays that a client receives. It needs one; the others are for when that one is down too.
const MAX_OTHERS: usize = 16;

/// Mean round trip to the linked relays, in milliseconds.
fn mean_ms(relays: &[MeshRelay]) -> Option<f64> {
    let linked = relays.iter().filter(|r| r.link != Link::Gossip);
    let linked: Vec<f64> = linked.filter_map(|r| Some(r.latency?.as_secs_f64() * 1000.0)).collect();
    let mean = linked.iter().sum::<f64>() / linked.len() as f64;
    (!linked.is_empty()).then(|| (mean * 1000.0).round() / 1000.0)
}

/// The first second of 2020: no relay of this program started earlier.
const EARLIEST: u64 = 1_577_836_800;
/// Clocks of other relays may be ahead by this much.
const CLOCK_AHEAD: u64 = 86_400;

/// Seconds since the start that another relay reports; `None` if that is not plausible.
fn uptime_since(now: u64, started: u64) -> Option<u64> {
    (EARLIEST..=now.saturating_add(CLOCK_AHEAD))
        .contains(&started)
        .then(|| now.saturating_sub(started))
}

impl Mesh {
    /// The other relays, by name. Those that have left are not listed.
    pub fn relays(&self) -> Vec<MeshRelay> {
        let (views, now) = self.read(|core, now| (core.relays(now), now));
        let known = self.known();
        let links = self.links();
        let dialled: HashMap<&str, bool> = links.values().map(|h| (h.relay_id.as_str(), h.dialled)).collect();
        let unix = unix_now();
        let others = views
            .into_iter()
            .filter(|view| view.entry.relay_id.as_str() != self.own.relay_id && view.entry.status != RelayStatus::Left);
        let mut relays: Vec<MeshRelay> = others
            .map(|view| {
                let name = view.entry.relay_id.as_str();
                let of_link = known.get(name);
                let ago = now.saturating_sub(view.last_received.unwrap_or(view.last_update).max(view.last_update));
                MeshRelay {
                    public_key: view.entry.public_key.clone(),
                    url: self.shareable_url(&view.entry.address),
                    version: of_link.map_or_else(|| API_VERSION.to_owned(), |k| k.version.clone()),
                    capabilities: view.entry.capabilities.clone(),
                    health: view.health,
                    last_seen: unix
                        .saturating_sub(ago.as_secs())
                        .max(of_link.map_or(0, |k| k.last_seen)),
                    uptime: uptime_since(unix, view.entry.started),
                    software_version: view.entry.software_version.clone(),
                    link: match dialled.get(name) {
                        Some(true) => Link::Outbound,
                        Some(false) => Link::Inbound,
                        None => Link::Gossip,
                    },
                    latency: view.latency,
                    facts: of_link.map(|k| k.facts.clone()).unwrap_or_default(),
                    relay_id: name.to_owned(),
                }
            })
            .collect();
        relays.sort_by(|a, b| a.relay_id.cmp(&b.relay_id));
        relays
    }

    pub(super) fn learn_relay(&self, relay_id: &str, learned: KnownRelay) {
        let mut known = self.known();
        let of_it = known.entry(relay_id.to_owned()).or_default();
        of_it.version = learned.version;
        of_it.last_seen = unix_now();
    }

    pub(super) fn mark_seen(&self, relay_id: &str) {
        if let Some(known) = self.known().get_mut(relay_id) {
            known.last_seen = unix_now();
        }
    }

    /// The URL of an advertised address, if clients may receive it: only if this relay itself would dial it. A host
    /// name has to be resolved first.
    pub(super) fn shareable_url(&self, address: &str) -> Option<String> {
        let url = url_of(address)?;
        let fits = match literal(&url) {
            Some(ip) => self.reach.allows(ip),
            // The proxy resolves it, for this relay and for clients that use one.
            None if self.proxy.is_some() => check_name(&url, Some(&self.reach)).is_ok(),
            None => self.verdicts.get(&url) == Some(true),
        };
        fits.then_some(url)
    }

    /// `HOST:PORT` of an advertised address, if clients may receive it.
    pub(super) fn shareable_address(&self, address: &str) -> Option<String> {
        self.shareable_url(address).map(|url| without_scheme(&url).to_owned())
    }

    /// The address that a relay without a key claims, if clients may receive it: not one of this machine or of a
    /// network that this relay would not dial. Host names are passed on unresolved: names that anybody can send are not
    /// looked up.
    pub fn claimed_address(&self, address: String) -> Option<String> {
        let url = url_of(&address)?;
        let fits = literal(&url).map_or_else(|| !is_own_machine(&url), |ip| self.reach.allows(ip));
        fits.then_some(address)
    }

    /// Host names that have to be resolved before clients may receive them, a few at a time. None with a proxy.
    pub(super) fn unresolved(&self) -> Vec<String> {
        if self.proxy.is_some() {
            return Vec::new();
        }
        let views = self.read(Core::relays);
        let urls = views.iter().filter_map(|view| url_of(&view.entry.address));
        self.verdicts.due(urls.filter(|url| literal(url).is_none()))
    }

    /// Records what a relay's sync reported about itself, over a link that the state machine has accepted.
    pub fn record_sync(&self, link: LinkId, relay_id: &str, sync_type: SyncType, payload: Option<&Map<String, Value>>) {
        if !self.read(|core, _| core.is_up(link)) {
            return;
        }
        if let Some(known) = self.known().get_mut(relay_id) {
            known.facts.learn_from(sync_type, payload);
        }
    }

    /// The snapshot of the last refresh.
    pub fn around(&self) -> Arc<Around> {
        Arc::clone(&self.around.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Refreshes the snapshot, and removes relays that the state machine has removed.
    pub(super) fn refresh_snapshot(&self) {
        let mut relays = self.relays();
        let (known, latency_ms) = (relays.len() as u64, mean_ms(&relays));
        self.known()
            .retain(|name, _| relays.iter().any(|r| r.relay_id == *name));
        relays.retain(|r| r.health == RelayHealth::Healthy && r.url.is_some());
        // Relays without a link come last, in a different order at each relay, so that their load is spread.
        relays.sort_by_cached_key(|r| {
            (
                r.latency.unwrap_or(Duration::MAX),
                identity::pair_hash(&self.own.relay_id, &r.relay_id),
            )
        });
        let others = relays.into_iter().take(MAX_OTHERS).filter_map(|r| {
            Some(OtherRelay {
                relay_id: r.relay_id,
                url: r.url?,
            })
        });
        let around = Around {
            known,
            latency_ms,
            others: others.collect(),
        };
        *self.around.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(around);
    }

    fn known(&self) -> MutexGuard<'_, HashMap<String, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_implausible_start_gives_no_uptime() {
        let now = 1_800_000_000;
        assert_eq!(uptime_since(now, now - 60), Some(60));
        assert_eq!(uptime_since(now, now + 60), Some(0), "a clock that is ahead");
        for wrong in [0, 1, EARLIEST - 1, now + CLOCK_AHEAD + 1, u64::MAX] {
            assert_eq!(uptime_since(now, wrong), None, "{wrong}");
        }
    }
}

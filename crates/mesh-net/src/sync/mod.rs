//! `sync` messages: responses to requests, and the reports on the topics of the same types.

mod asker;
mod cache;
mod facts;
mod force;
mod history;
mod names;
mod planned;
mod relays;

use std::sync::Arc;
use std::time::Duration;

use sdk_relay_config::Config;
use sdk_relay_events::{Frame, Hub, Report};
use sdk_relay_protocol::http::{SyncDirection, SyncOutcome, SyncRecord};
use sdk_relay_protocol::mesh::Gossip;
use sdk_relay_protocol::{ServerMessage, Sync, SyncMessage, SyncPayload, SyncResponse, SyncType, Topic};
use sdk_relay_telemetry::clock::unix_now;
use tokio::time::Instant;

pub use asker::{Asker, connection_id};
use cache::SyncCache;
pub use facts::Facts;
pub use force::Forced;
pub use history::{History, HistoryFilter, Page};
pub(crate) use names::message_id;
pub use planned::Planned;
pub(crate) use relays::Announcements;
pub use relays::is_relay_id;

use crate::host::Host;
use crate::metrics::MeshMetrics;

/// The topics on which `sync` messages are sent, and the type of each.
pub const REPORT_TOPICS: [(Topic, SyncType); 3] = [
    (Topic::Sync, SyncType::StateSync),
    (Topic::Health, SyncType::HealthSync),
    (Topic::Metrics, SyncType::MetricsSync),
];

/// The syncs of this relay.
#[derive(Debug)]
pub struct Syncs {
    /// Completed syncs.
    pub history: Arc<History>,
    /// Forced syncs.
    pub forced: Forced,
    /// When the next own one is due.
    pub next: Planned,
    cache: SyncCache,
    relay_id: String,
    metrics: Arc<MeshMetrics>,
}

/// The response to a `sync` request, until it is sent. Call [`Answer::ended`] with the result.
#[derive(Debug)]
pub struct Answer {
    /// The response.
    pub frame: Frame,
    received: Instant,
    made_after: Duration,
    sync_type: SyncType,
    asker: Asker,
    message_id: String,
}

impl Syncs {
    /// The syncs of the relay with this name.
    pub fn new(relay_id: String, history: Arc<History>, metrics: Arc<MeshMetrics>) -> Self {
        Self {
            history,
            forced: Forced::default(),
            next: Planned::default(),
            cache: SyncCache::default(),
            relay_id,
            metrics,
        }
    }

    /// Answers a `sync` request; from the cache if the same peer has sent one with the same `message_id` within ten
    /// minutes. The claims of the request about its sender are ignored. A response with this relay's state contains
    /// gossip, if there is any.
    pub(crate) fn answer(
        &self,
        host: &dyn Host,
        request: &Sync,
        asker: &Asker,
        gossip: impl FnOnce() -> Option<Box<Gossip>>,
    ) -> Answer {
        let received = Instant::now();
        self.metrics.sync_requests.inc();
        let known = self.cache.get(asker, &request.message_id);
        if known.is_some() {
            &self.metrics.cache_hits
        } else {
            &self.metrics.cache_misses
        }
        .inc();
        let frame = known.unwrap_or_else(|| {
            let response = self.make_response(host, request, gossip);
            self.cache.put(asker, &request.message_id, response.clone());
            response
        });
        Answer {
            frame,
            received,
            made_after: received.elapsed(),
            sync_type: request.sync_type,
            asker: asker.clone(),
            message_id: request.message_id.clone(),
        }
    }

    /// A connection ended: its responses are removed from the cache.
    pub fn forget(&self, asker: &Asker) {
        self.cache.forget(asker);
    }

    pub(crate) fn relay_id(&self) -> &str {
        &self.relay_id
    }

    /// Counters of syncs and links.
    pub fn metrics(&self) -> &Arc<MeshMetrics> {
        &self.metrics
    }

    fn make_response(&self, host: &dyn Host, request: &Sync, gossip: impl FnOnce() -> Option<Box<Gossip>>) -> Frame {
        let mut payload = host.payload(request.sync_type);
        if let SyncPayload::State(state) = &mut payload {
            state.gossip = gossip();
        }
        Frame::encode(&ServerMessage::SyncResponse(SyncResponse {
            sync_type: request.sync_type,
            relay_id: self.relay_id.clone(),
            payload,
            timestamp: unix_now(),
            message_id: message_id(),
            in_reply_to: request.message_id.clone(),
        }))
    }

    /// This relay's report on a topic; `None` for topics without one.
    pub fn report(&self, host: &dyn Host, topic: Topic) -> Option<Frame> {
        let (_, sync_type) = REPORT_TOPICS.into_iter().find(|(t, _)| *t == topic)?;
        Some(Frame::encode(&ServerMessage::Sync(SyncMessage {
            sync_type,
            relay_id: self.relay_id.clone(),
            payload: host.payload(sync_type),
            timestamp: unix_now(),
            message_id: message_id(),
        })))
    }

    /// Publishes reports on a topic at its interval, which may change meanwhile, while the returned future is polled.
    pub async fn report_regularly(self: Arc<Self>, host: Arc<dyn Host>, hub: Arc<Hub>, topic: Topic) {
        let mut settings = host.config();
        let mut last = Instant::now();
        loop {
            let every = interval_of(&settings.borrow_and_update(), topic);
            if topic == Topic::Sync {
                self.next.plan((last + every).saturating_duration_since(Instant::now()));
            }
            tokio::select! {
                () = tokio::time::sleep_until(last + every) => {
                    last = Instant::now();
                    if let Some(frame) = self.report(&*host, topic) {
                        hub.report(Report { topic, frame });
                    }
                }
                // The relay owns the sender while this runs.
                _ = settings.changed() => {}
            }
        }
    }
}

impl Answer {
    /// Counts the response and adds it to the history. `failed` is the reason why it could not be sent.
    pub fn ended(self, syncs: &Syncs, failed: Option<&str>) {
        if failed.is_some() {
            syncs.metrics.sync_errors.inc();
        } else {
            syncs.metrics.sync_seconds.inc_by(self.made_after.as_secs_f64());
            syncs.metrics.sync_responses.inc();
        }
        let record = SyncRecord {
            timestamp: unix_now(),
            sync_type: self.sync_type,
            target_relay: self.asker.name(),
            status: if failed.is_some() {
                SyncOutcome::Failed
            } else {
                SyncOutcome::Success
            },
            duration: self.received.elapsed().as_secs_f64().mul_add(1000.0, 0.5) as u64,
            message_id: self.message_id,
            payload_size: self.frame.len() as u64,
            latency: (self.made_after.as_secs_f64() * 1e6).round() / 1000.0,
            direction: SyncDirection::Inbound,
            error: failed.map(str::to_owned),
        };
        syncs.history.add(&self.asker, record);
    }
}

fn interval_of(config: &Config, topic: Topic) -> Duration {
    match topic {
        Topic::Health => config.health_interval,
        Topic::Metrics => config.metrics_interval,
        _ => config.sync_interval,
    }
}

//! `sync` messages: answers to requests, and the reports on the topics of the same kinds.

mod asker;
mod cache;
mod facts;
mod force;
mod history;
mod planned;
mod relays;

use std::sync::Arc;
use std::time::Duration;

use bitcoin::hex::DisplayHex;
use bitcoin::secp256k1::rand::RngCore;
use bitcoin::secp256k1::rand::rngs::OsRng;
use sdk_relay_config::Config;
use sdk_relay_events::{Frame, Report};
use sdk_relay_mesh::LinkId;
use sdk_relay_protocol::http::{SyncDirection, SyncOutcome, SyncRecord};
use sdk_relay_protocol::{ServerMessage, Sync, SyncMessage, SyncPayload, SyncResponse, SyncType, Topic};
use sdk_relay_telemetry::clock::unix_now;
use tokio::time::Instant;

pub use asker::{Asker, connection_id};
pub use cache::SyncCache;
pub use facts::Facts;
pub use force::Forced;
pub use history::{History, HistoryFilter, Page};
pub use planned::Planned;
pub use relays::{Announcements, is_relay_id};

use crate::context::Context;
use crate::reports;

/// The topics that bring `sync` messages, and what each brings.
pub const TOPICS: [(Topic, SyncType); 3] = [
    (Topic::Sync, SyncType::StateSync),
    (Topic::Health, SyncType::HealthSync),
    (Topic::Metrics, SyncType::MetricsSync),
];

/// The answer to a `sync` request, on its way. [`Answer::ended`] is to be told how it went.
#[derive(Debug)]
pub struct Answer {
    /// What is to be sent.
    pub frame: Frame,
    received: Instant,
    made_after: Duration,
    sync_type: SyncType,
    asker: Asker,
    message_id: String,
}

/// Answers a `sync` request that came over a link of the mesh, where it is named: from the cache when the same one has asked with the same
/// `message_id` within ten minutes. What the request says of its sender is not looked at.
pub fn answer(cx: &Context, request: &Sync, asker: &Asker, link: Option<LinkId>) -> Answer {
    let received = Instant::now();
    cx.counters.sync_requests.inc();
    let known = cx.sync_cache.get(asker, &request.message_id);
    if known.is_some() {
        &cx.counters.cache_hits
    } else {
        &cx.counters.cache_misses
    }
    .inc();
    let frame = known.unwrap_or_else(|| {
        let response = make_response(cx, request, link);
        cx.sync_cache.put(asker, &request.message_id, response.clone());
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

impl Answer {
    /// Counts it and keeps it in the history: `failed` says why the answer did not reach the other side.
    pub fn ended(self, cx: &Context, failed: Option<&str>) {
        if failed.is_some() {
            cx.counters.sync_errors.inc();
        } else {
            cx.counters.sync_seconds.inc_by(self.made_after.as_secs_f64());
            cx.counters.sync_responses.inc();
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
        cx.sync_history.add(&self.asker, record);
    }
}

fn make_response(cx: &Context, request: &Sync, link: Option<LinkId>) -> Frame {
    let mut payload = reports::payload(cx, request.sync_type);
    if let (SyncPayload::State(state), Some(link)) = (&mut payload, link) {
        state.gossip = cx.mesh.gossip(link, request.payload.as_ref());
    }
    Frame::encode(&ServerMessage::SyncResponse(SyncResponse {
        sync_type: request.sync_type,
        relay_id: cx.relay_id.clone(),
        payload,
        timestamp: unix_now(),
        message_id: message_id(),
        in_reply_to: request.message_id.clone(),
    }))
}

/// This relay's report on a topic now; `None` for the topics that bring none.
pub fn report(cx: &Context, topic: Topic) -> Option<Frame> {
    let (_, sync_type) = TOPICS.into_iter().find(|(t, _)| *t == topic)?;
    Some(Frame::encode(&ServerMessage::Sync(SyncMessage {
        sync_type,
        relay_id: cx.relay_id.clone(),
        payload: reports::payload(cx, sync_type),
        timestamp: unix_now(),
        message_id: message_id(),
    })))
}

/// Reports on a topic at its interval, which may change meanwhile, for as long as the returned future is polled.
pub async fn report_regularly(cx: Arc<Context>, topic: Topic) {
    let mut settings = cx.settings.watch();
    let mut last = Instant::now();
    loop {
        let every = interval_of(&settings.borrow_and_update(), topic);
        if topic == Topic::Sync {
            cx.next_sync
                .plan((last + every).saturating_duration_since(Instant::now()));
        }
        tokio::select! {
            () = tokio::time::sleep_until(last + every) => {
                last = Instant::now();
                if let Some(frame) = report(&cx, topic) {
                    cx.hub.report(Report { topic, frame });
                }
            }
            // The relay holds the sender for as long as this runs.
            _ = settings.changed() => {}
        }
    }
}

fn interval_of(config: &Config, topic: Topic) -> Duration {
    match topic {
        Topic::Health => config.health_interval,
        Topic::Metrics => config.metrics_interval,
        _ => config.sync_interval,
    }
}

/// A name for a message, which nobody can guess and no other message has.
pub(crate) fn message_id() -> String {
    format!("msg-{}", unguessable())
}

/// 128 random bits of the system in hex.
fn unguessable() -> String {
    let mut bytes = [0; 16];
    OsRng.fill_bytes(&mut bytes);
    bytes.to_lower_hex_string()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_of_messages_say_nothing_about_the_next_one() {
        let names: HashSet<String> = (0..1000).map(|_| message_id()).collect();
        assert_eq!(names.len(), 1000);
        for name in &names {
            let random = name.strip_prefix("msg-").unwrap();
            assert!(
                random.len() == 32 && random.bytes().all(|b| b.is_ascii_hexdigit()),
                "{name}"
            );
        }
        // No part of 32 bits is shared, as a second or a count would be.
        let parts: HashSet<&str> = names.iter().map(|name| &name[4..12]).collect();
        assert!(parts.len() > 990);
    }
}

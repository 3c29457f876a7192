//! Requests to other relays: matched with their responses, timed, repeated once, counted, and kept in the history.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use sdk_relay_events::Frame;
use sdk_relay_mesh::LinkId;
use sdk_relay_protocol::http::{ActiveSync, ForcedResult, SyncDirection, SyncOutcome, SyncRecord};
use sdk_relay_protocol::mesh::Gossip;
use sdk_relay_protocol::{ServerMessage, Sync, SyncMessage, SyncPayload, SyncReply, SyncType, encode};
use sdk_relay_telemetry::clock::unix_now;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};

use super::Mesh;
use super::link::{Ask, Handle, Work};
use super::order::Order;
use super::tasks::Purpose;
use crate::host::Host;
use crate::sync::{Answer, Asker, message_id};

/// Transmissions of a request. The second one has the same `message_id`: the peer answers it from its cache if it
/// received the first.
const TRIES: u32 = 2;

/// A request that waits for its response.
pub(super) struct Pending {
    mesh: Arc<Mesh>,
    handle: Handle,
    sync_type: SyncType,
    message_id: String,
    frame: Frame,
    began: Instant,
    reply: Option<oneshot::Receiver<SyncReply>>,
}

/// A response, and its latency.
pub(super) struct Answered {
    pub(super) reply: SyncReply,
    pub(super) latency: Duration,
}

impl Mesh {
    /// The longest duration of a sync.
    pub fn longest_sync(&self) -> Duration {
        self.timeouts.response * TRIES
    }

    /// Syncs in progress, in the order of their start.
    pub fn active(&self) -> Vec<ActiveSync> {
        let active = self.active.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<ActiveSync> = active.values().cloned().collect();
        all.sort_by(|a, b| (a.started, &a.target_relay).cmp(&(b.started, &b.target_relay)));
        all
    }

    /// Queues a forced sync for the driver. Returns false if the queue is full.
    pub fn order(&self, order: Order) -> bool {
        self.orders.try_send(order).is_ok()
    }

    /// Answers a `sync` request that arrived over a link of the mesh, or over a connection that is not one.
    pub fn answer(&self, host: &dyn Host, request: &Sync, asker: &Asker, link: Option<LinkId>) -> Answer {
        let gossip = || self.gossip(link?, request.payload.as_ref());
        self.syncs.answer(host, request, asker, gossip)
    }

    /// Sends a request; [`Pending::end`] waits for its response.
    pub(super) fn begin(
        self: &Arc<Self>,
        host: &dyn Host,
        handle: Handle,
        sync_type: SyncType,
        gossip: Option<Box<Gossip>>,
    ) -> Pending {
        let mut payload = host.payload(sync_type);
        if let SyncPayload::State(state) = &mut payload {
            state.gossip = gossip;
        }
        let message_id = message_id();
        let active = ActiveSync {
            sync_type,
            target_relay: handle.relay_id.clone(),
            started: unix_now(),
            status: "in_progress".to_owned(),
        };
        let mut all = self.active.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(message_id.clone(), active);
        drop(all);
        let mut pending = Pending {
            frame: Frame::encode(&ServerMessage::Sync(SyncMessage {
                sync_type,
                relay_id: self.own.relay_id.clone(),
                payload,
                timestamp: unix_now(),
                message_id: message_id.clone(),
            })),
            mesh: Arc::clone(self),
            handle,
            sync_type,
            message_id,
            began: Instant::now(),
            reply: None,
        };
        pending.send();
        pending
    }

    pub(super) fn handle(&self, link: LinkId) -> Option<Handle> {
        self.links().get(&link).cloned()
    }

    /// Sends all types of a forced sync to all of its targets, one after the other.
    pub(super) async fn run_forced(self: Arc<Self>, host: Arc<dyn Host>, order: Order) {
        for target in &order.target_relays {
            for sync_type in order.sync_types.iter().copied() {
                let handle = self.links().values().find(|h| h.relay_id == *target).cloned();
                let ended = match handle {
                    Some(handle) => self.begin(&*host, handle, sync_type, None).end().await,
                    None => Err("the link has ended".to_owned()),
                };
                self.report(&order, target, sync_type, ended);
            }
        }
    }

    /// Reports the remaining syncs of a forced one as failed.
    pub(super) fn give_up(&self, order: &Order) {
        let results = self.syncs.forced.get(&order.sync_id).map(|forced| forced.results);
        let has_ended = |target: &str, sync_type| {
            let mut ended = results.iter().flatten();
            ended.any(|result| result.target_relay == target && result.sync_type == sync_type)
        };
        for target in &order.target_relays {
            for sync_type in order
                .sync_types
                .iter()
                .copied()
                .filter(|kind| !has_ended(target, *kind))
            {
                self.report(
                    order,
                    target,
                    sync_type,
                    Err("an internal error of this relay".to_owned()),
                );
            }
        }
    }

    fn report(&self, order: &Order, target: &str, sync_type: SyncType, ended: Result<Answered, String>) {
        let (status, latency, error) = match ended {
            Ok(answered) => (SyncOutcome::Success, Some(milliseconds(answered.latency)), None),
            Err(error) => (SyncOutcome::Failed, None, Some(error)),
        };
        let result = ForcedResult {
            target_relay: target.to_owned(),
            sync_type,
            status,
            latency,
            error,
        };
        self.syncs.forced.ended(&order.sync_id, result);
    }
}

impl Pending {
    /// The purpose of the task that waits for the response.
    pub(super) fn purpose(&self) -> Purpose {
        Purpose::Answer {
            link: self.handle.id,
            relay_id: self.handle.relay_id.clone(),
        }
    }

    fn send(&mut self) {
        let (reply, answer) = oneshot::channel();
        let ask = Ask {
            frame: self.frame.clone(),
            message_id: self.message_id.clone(),
            reply,
        };
        self.mesh.metrics.sync_requests.inc();
        self.reply = self.handle.enqueue(Work::Ask(ask)).then_some(answer);
    }

    /// Waits for the response, records what it reports, and adds it to the history.
    pub(super) async fn end(mut self) -> Result<Answered, String> {
        let ended = self.answer().await;
        let took = self.began.elapsed();
        let metrics = &self.mesh.metrics;
        let (size, latency) = match &ended {
            Ok(answered) => {
                metrics.sync_responses.inc();
                metrics.sync_seconds.inc_by(answered.latency.as_secs_f64());
                let size = encode(&answered.reply).map_or(0, |bytes| bytes.len() as u64);
                self.mesh.record_sync(
                    self.handle.id,
                    &self.handle.relay_id,
                    self.sync_type,
                    Some(&answered.reply.payload),
                );
                (size, answered.latency)
            }
            Err(_) => {
                metrics.sync_errors.inc();
                (0, took)
            }
        };
        let record = SyncRecord {
            timestamp: unix_now(),
            sync_type: self.sync_type,
            target_relay: self.handle.peer.name(),
            status: if ended.is_ok() {
                SyncOutcome::Success
            } else {
                SyncOutcome::Failed
            },
            duration: took.as_secs_f64().mul_add(1000.0, 0.5) as u64,
            message_id: self.message_id.clone(),
            payload_size: size,
            latency: milliseconds(latency),
            direction: SyncDirection::Outbound,
            error: ended.as_ref().err().cloned(),
        };
        self.mesh.syncs.history.add(&self.handle.peer, record);
        ended
    }

    async fn answer(&mut self) -> Result<Answered, String> {
        for attempt in 1..=TRIES {
            let sent = Instant::now();
            let Some(reply) = self.reply.take() else {
                return Err("the queue of the link is full".to_owned());
            };
            match timeout(self.mesh.timeouts.response, reply).await {
                Ok(Ok(reply)) if reply.sync_type == self.sync_type && reply.relay_id == self.handle.relay_id => {
                    let latency = sent.elapsed();
                    return Ok(Answered { reply, latency });
                }
                Ok(Ok(_)) => return Err("the response does not match the request".to_owned()),
                Ok(Err(_)) => return Err("the link ended before the response".to_owned()),
                Err(_) if attempt < TRIES => self.send(),
                Err(_) => {}
            }
        }
        Err(format!(
            "no response within {} s, after two attempts",
            self.mesh.longest_sync().as_secs()
        ))
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        let mut active = self.mesh.active.lock().unwrap_or_else(PoisonError::into_inner);
        active.remove(&self.message_id);
    }
}

/// With three decimals.
fn milliseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1000.0
}

#[cfg(test)]
mod tests;

//! Commits events, and publishes them.

use std::collections::BTreeSet;
use std::time::Duration;

use bitcoin::OutPoint;
use bytes::Bytes;
use sdk_relay_protocol::{EncodeError, Event, Notification, ServerMessage, encode};
use sdk_relay_store::{Batch, BlockChange, InvalidBlockHash, LogEntry};
use sdk_relay_telemetry::Stages;
use sdk_relay_telemetry::clock::unix_now;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Worker;
use crate::ledger::Change;

/// Retry interval of a failed commit, so that detection resumes soon after space was freed on a full disk.
const COMMIT_RETRY: Duration = Duration::from_secs(1);

/// What one chain event causes: events to log, in order, and the outputs of the relay's own wallets whose records
/// change.
#[derive(Default)]
pub(super) struct PendingCommit {
    pub(super) events: Vec<Event>,
    pub(super) changed: BTreeSet<OutPoint>,
}

impl PendingCommit {
    /// Changes of the ledger of the relay's own wallets.
    pub(super) fn outputs(&mut self, changes: impl IntoIterator<Item = Change>) {
        for Change { outpoint, event } in changes {
            self.changed.insert(outpoint);
            self.events.push(event);
        }
    }
}

impl Worker {
    /// Logs and publishes an event of the mesh.
    pub(super) async fn log(&mut self, event: Event, stop: &CancellationToken) {
        let mut pending = PendingCommit::default();
        pending.events.push(event);
        self.commit(pending, None, stop).await;
    }

    /// Commits events and records, and then publishes the events. Retries until the store accepts them: continuing
    /// without them would lose events.
    pub(super) async fn commit(
        &mut self,
        pending: PendingCommit,
        block: Option<BlockChange>,
        stop: &CancellationToken,
    ) {
        let PendingCommit { events, changed } = pending;
        for event in &events {
            match event {
                Event::PaymentDetected(_) => self.parts.metrics.payments_detected.inc(),
                Event::PaymentReverted(_) => self.parts.metrics.payments_reverted.inc(),
                _ => 0,
            };
        }
        let entries = (self.next_event_id..)
            .zip(events)
            .map(|(id, event)| entry(id, event))
            .collect::<Result<Vec<_>, _>>();
        let payments = changed
            .into_iter()
            .map(|outpoint| {
                let output = self.ledger.output(&outpoint);
                Ok((outpoint, output.map(|output| output.encode(outpoint)).transpose()?))
            })
            .collect::<Result<Vec<_>, InvalidEvent>>();
        let batch = match entries.and_then(|events| payments.map(|payments| (events, payments))) {
            Ok((events, payments)) => Batch {
                block,
                events,
                payments,
            },
            Err(error) => {
                // Continuing would lose the event. Ending detection ends the relay.
                tracing::error!(%error, "detection failed: please report this bug");
                stop.cancel();
                return;
            }
        };
        if batch.is_empty() {
            return;
        }
        let detected = Instant::now();
        while let Err(error) = self.parts.store.commit(&batch) {
            if self.parts.vitals.set_store_fails(true) {
                tracing::error!(%error, "cannot write events: check the disk of data_dir; detection is paused, retrying every second");
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(COMMIT_RETRY) => {}
            }
        }
        if self.parts.vitals.set_store_fails(false) {
            tracing::info!("events can be written again");
        }
        let written = detected.elapsed();
        self.parts.metrics.commit_seconds.observe(written);
        self.parts.metrics.events_logged.inc_by(batch.events.len() as u64);
        self.time_commit(&batch, detected, written);
        self.next_event_id += batch.events.len() as u64;
        self.parts.hub.publish(batch.events, batch.block);
    }
}

impl Worker {
    /// Records the times of a batch that is committed and not published yet. Events of the mesh have none.
    fn time_commit(&self, batch: &Batch, detected: Instant, written: Duration) {
        let (Some((noticed, available)), Some(first), Some(last)) =
            (self.observed, batch.events.first(), batch.events.last())
        else {
            return;
        };
        let mut types: Vec<&'static str> = batch.events.iter().map(|event| event.kind.as_str()).collect();
        types.dedup();
        let stages = Stages {
            node: available - noticed,
            detect: detected - available,
            log: written,
        };
        self.parts.timings.committed(first.id, last.id, types, stages);
    }
}

/// An event cannot be logged: a bug in the relay.
#[derive(Debug, thiserror::Error)]
enum InvalidEvent {
    #[error(transparent)]
    Encode(#[from] EncodeError),
    #[error(transparent)]
    BlockHash(#[from] InvalidBlockHash),
}

fn entry(id: u64, event: Event) -> Result<LogEntry, InvalidEvent> {
    let entry = LogEntry::new(id, &event, Bytes::new())?;
    let message = ServerMessage::Notification(Notification {
        event,
        timestamp: unix_now(),
        event_id: Some(id),
        watch_seq: None,
    });
    Ok(LogEntry {
        payload: encode(&message)?.into(),
        ..entry
    })
}

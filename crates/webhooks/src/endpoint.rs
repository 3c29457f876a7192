//! The task of one endpoint: posts one event of the log after the other, each until it is delivered.

mod step;

use std::collections::VecDeque;
use std::future::pending;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sdk_relay_config::WebhookConfig;
use sdk_relay_platform::clock::unix_now;
use sdk_relay_protocol::http::WebhookDisabled;
use sdk_relay_store::{LogEntry, StoreError};
use tokio::sync::{Notify, Semaphore, watch};
use tokio::time::{Instant, sleep, sleep_until};

use crate::backoff::Retry;
use crate::done::{Done, Lane};
use crate::message::Message;
use crate::metrics::EndpointMetrics;
use crate::positions::{Position, Positions};
use crate::post::{Failure, Post};
use crate::signature::Keys;
use crate::source::EventSource;
use crate::status::{Status, Then};

/// Interval between attempts to read the log, if the disk fails.
const READ_AGAIN: Duration = Duration::from_secs(1);

/// An endpoint of the configuration.
pub(crate) struct Endpoint {
    pub(crate) config: WebhookConfig,
    pub(crate) keys: Arc<Keys>,
    pub(crate) post: Box<dyn Post>,
    pub(crate) positions: Arc<Positions>,
    pub(crate) source: Arc<dyn EventSource>,
    pub(crate) metrics: EndpointMetrics,
    pub(crate) retry: Retry,
    /// Ends a wait of the task: a request has changed the position.
    pub(crate) woken: Notify,
    /// One test at a time.
    pub(crate) testing: Semaphore,
    pub(crate) status: Mutex<Status>,
}

impl Endpoint {
    pub(crate) fn name(&self) -> &str {
        &self.config.name
    }

    pub(crate) fn position(&self) -> Position {
        self.positions.of(self.name())
    }

    /// Changes its position, and returns the number of the change, for [`Positions::saved`].
    pub(crate) fn change(&self, change: impl FnOnce(&mut Position)) -> u64 {
        self.positions.change(self.name(), change)
    }

    /// The same, unless `change` refuses it.
    pub(crate) fn try_change<E>(&self, change: impl FnOnce(&mut Position) -> Result<(), E>) -> Result<u64, E> {
        self.positions.try_change(self.name(), change)
    }

    pub(crate) fn status(&self) -> MutexGuard<'_, Status> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Posts events until it is dropped.
    pub(crate) async fn run(self: Arc<Self>) {
        let mut head = self.source.head();
        let mut ahead = VecDeque::new();
        let mut reads = true;
        loop {
            // Before the log is read: an event that is committed later ends the wait below.
            head.mark_unchanged();
            if self.position().disabled.is_some() {
                self.wait(&mut head).await;
                continue;
            }
            match self.next(&mut ahead).await {
                Ok(Some((message, done))) => self.deliver(&message, &done, &mut head).await,
                Ok(None) => self.wait(&mut head).await,
                Err(error) => {
                    self.report_unreadable(&error, reads);
                    sleep(READ_AGAIN).await;
                    reads = false;
                    continue;
                }
            }
            reads = true;
        }
    }

    /// Waits for a newer event, a request, or the end of the pause of a replay.
    async fn wait(&self, head: &mut watch::Receiver<u64>) {
        // Events of other types were skipped.
        self.measure(head);
        let position = self.position();
        let replays = position.replay.is_some() && position.disabled.is_none();
        let replay = self.status().next_replay().filter(|_| replays);
        tokio::select! {
            changed = head.changed() => if changed.is_err() {
                // The relay is shutting down.
                pending::<()>().await;
            },
            () = self.woken.notified() => self.status().hasten_replay(),
            () = until(replay) => {}
        }
    }

    /// One attempt, and the pause after a failure.
    async fn deliver(&self, message: &Message, done: &Done, head: &mut watch::Receiver<u64>) {
        match self.post.post(message).await {
            Ok(_) => {
                self.metrics.delivered.inc();
                if self.status().delivered(done.lane()) {
                    tracing::info!(webhook = self.name(), "the webhook works again");
                }
                let number = self.change(|position| done.apply(position));
                // Before the next one: a kill repeats one message at most.
                self.positions.saved(number).await;
                self.measure(head);
            }
            // What has been skipped meanwhile says nothing about the next message.
            Err(_) if done.is_over(&self.position()) => {
                self.metrics.failed.inc();
            }
            Err(failure) => match self.failed(message, done, &failure) {
                // New events do not wait for a replay: `wait` has its pause.
                Then::Pause(_) if done.lane() == Lane::Replay => {}
                Then::Pause(pause) => self.pause(pause, head).await,
                Then::Disable(reason) => self.disable(reason).await,
            },
        }
    }

    fn failed(&self, message: &Message, done: &Done, failure: &Failure) -> Then {
        self.metrics.failed.inc();
        let (then, is_first) = self.status().failed(message, done, failure, &self.retry);
        let (webhook, webhook_id) = (self.name(), &message.id);
        if is_first {
            tracing::warn!(webhook, webhook_id, %failure, "a webhook cannot be delivered; trying again with growing pauses");
        } else {
            tracing::debug!(webhook, webhook_id, %failure, "a webhook cannot be delivered");
        }
        then
    }

    async fn disable(&self, reason: String) {
        tracing::error!(
            webhook = self.name(),
            reason,
            "the webhook is disabled: once its endpoint works, POST /webhooks/NAME/enable continues where it stopped"
        );
        let since = unix_now();
        self.status().reset();
        let number = self.change(|position| position.disabled = Some(WebhookDisabled { since, reason }));
        self.positions.saved(number).await;
    }

    /// Waits this long, or until a request asks for an attempt.
    async fn pause(&self, pause: Duration, head: &mut watch::Receiver<u64>) {
        self.measure(head);
        let until = Instant::now() + pause;
        loop {
            tokio::select! {
                () = sleep_until(until) => return,
                () = self.woken.notified() => return,
                changed = head.changed() => match changed {
                    Ok(()) => self.measure(head),
                    Err(_) => pending().await,
                }
            }
        }
    }

    fn measure(&self, head: &watch::Receiver<u64>) {
        let position = self.position();
        let lag = head.borrow().saturating_sub(position.after);
        self.metrics.lag.set(i64::try_from(lag).unwrap_or(i64::MAX));
        self.metrics.disabled.set(i64::from(position.disabled.is_some()));
    }

    fn report_unreadable(&self, error: &StoreError, is_first: bool) {
        if is_first {
            tracing::error!(webhook = self.name(), %error, "cannot read the events of a webhook; trying again every second");
        }
    }

    /// Whether it gets events of this type.
    fn wants(&self, entry: &LogEntry) -> Option<&'static str> {
        let kind = crate::message::type_of(entry.kind)?;
        self.config.events.contains(&kind).then_some(kind)
    }
}

/// Waits until then; for ever without it.
async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => pending().await,
    }
}

#[cfg(test)]
mod tests;

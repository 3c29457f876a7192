//! Sends the messages.

use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use sdk_relay_outbound::Outbound;
use sdk_relay_platform::clock::unix_now;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use crate::key::PushKey;
use crate::message::request;
use crate::metrics::PushMetrics;
use crate::outcome::Outcome;
use crate::queue::{Job, Queue, Recipient, Then};
use crate::subscription::{Subscription, WrongSubscription};
use crate::timeouts::Timeouts;

/// Messages that are sent at the same time: as many as there are requests to URLs of clients.
const AT_ONCE: usize = 256;

/// Web Push of one relay. Clones are handles to the same one.
#[derive(Clone)]
pub struct Push(Arc<Shared>);

struct Shared {
    outbound: Outbound,
    key: PushKey,
    subject: String,
    queue: Mutex<Queue>,
    woken: Notify,
    metrics: PushMetrics,
}

/// Wakes the client of one watch.
#[derive(Debug)]
pub struct Receiver {
    push: Push,
    to: Recipient,
}

impl Push {
    /// `subject`: where the operators of push services reach that of the relay, a `mailto:` or `https:` URL.
    pub fn new(outbound: Outbound, key: PushKey, subject: String, metrics: PushMetrics, timeouts: Timeouts) -> Self {
        Self(Arc::new(Shared {
            outbound,
            key,
            subject,
            queue: Mutex::new(Queue::new(timeouts)),
            woken: Notify::new(),
            metrics,
        }))
    }

    /// The public key in base64url, to which clients bind their subscriptions.
    pub fn public_key(&self) -> &str {
        self.0.key.public()
    }

    /// What wakes the client of a watch at this subscription. `client`: the address of the client, for its limits.
    ///
    /// # Errors
    /// What is wrong with the subscription.
    pub fn receiver(
        &self,
        (endpoint, p256dh, auth): (&str, &str, &str),
        client: IpAddr,
    ) -> Result<Receiver, WrongSubscription> {
        let subscription = Subscription::new(endpoint, p256dh, auth, self.0.outbound.allows_http())?;
        Ok(Receiver {
            push: self.clone(),
            to: Recipient {
                subscription: Arc::new(subscription),
                client,
            },
        })
    }

    /// Sends the messages, until it is dropped.
    pub async fn run(self) {
        let mut running = FuturesUnordered::new();
        loop {
            let next = {
                let mut queue = self.0.queue();
                for job in queue.take(AT_ONCE - running.len(), Instant::now()) {
                    running.push(self.0.send(job));
                }
                let pending = i64::try_from(queue.waiting() + running.len()).unwrap_or(i64::MAX);
                self.0.metrics.pending.set(pending);
                queue.next().filter(|_| running.len() < AT_ONCE)
            };
            tokio::select! {
                Some((job, outcome)) = running.next() => self.0.finished(&job, &outcome),
                () = sleep_until(next.unwrap_or_else(Instant::now)), if next.is_some() => {}
                () = self.0.woken.notified() => {}
            }
        }
    }
}

impl Shared {
    async fn send(&self, job: Job) -> (Job, Outcome) {
        let subscription = &job.to.subscription;
        let message = (&*job.watch_id, job.count);
        let outcome = match request(&self.key, &self.subject, subscription, message, unix_now()) {
            Ok(request) => Outcome::of(self.outbound.post(job.to.client, &request).await),
            Err(error) => Outcome::Rejected(error.to_string()),
        };
        (job, outcome)
    }

    /// Records the outcome. The lines of the log name the push service, and neither the endpoint nor the watch.
    fn finished(&self, job: &Job, outcome: &Outcome) {
        let then = self.queue().finished(&job.watch_id, outcome, Instant::now());
        self.metrics.count(outcome.as_str(), 1);
        let service = &job.to.subscription.target.origin();
        match (outcome, then) {
            (Outcome::Rejected(reason), _) => {
                tracing::debug!(service, reason, "a push service has rejected a message");
            }
            (Outcome::Failed { reason, .. }, Then::Again(pause)) => {
                tracing::debug!(service, reason, ?pause, "a push message is tried again");
            }
            (Outcome::Failed { reason, .. }, Then::GivenUp) => {
                self.metrics.count("given_up", 1);
                tracing::info!(
                    service,
                    reason,
                    "a push message could not be delivered in hours: given up until the next match"
                );
            }
            (Outcome::Gone, _) => tracing::debug!(service, "a push subscription has ended"),
            _ => {}
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Receiver {
    /// Matches wait for the client of this watch. Returns at once.
    pub fn wake(&self, watch_id: &str, count: u64) {
        let shared = &self.push.0;
        shared.queue().wake(watch_id, &self.to, count, Instant::now());
        shared.woken.notify_one();
    }

    /// The watch has ended.
    pub fn ended(&self, watch_id: &str) {
        self.push.0.queue().ended(watch_id);
    }
}

impl fmt::Debug for Push {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Push").field(&self.public_key()).finish()
    }
}

#[cfg(test)]
mod tests;

//! Which watch gets a message when. No I/O, and no clock.
//!
//! A watch has one message at most, which stands for all of its matches. There is an entry for each watch that has had
//! one, so that the queue is bounded as detached watches are.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bitcoin::secp256k1::rand::Rng as _;
use sdk_relay_platform::random;
use tokio::time::Instant;

use crate::outcome::Outcome;
use crate::subscription::Subscription;
use crate::timeouts::Timeouts;

/// Attempts for one message: with the pauses of [`Timeouts`] they take some three hours.
const ATTEMPTS: u32 = 10;
/// Longest pause that a push service may ask for.
const MOST_ASKED: Duration = Duration::from_secs(24 * 3600);
/// Pauses are up to this part longer, so that the messages after an outage do not come together.
const JITTER: f64 = 0.25;

/// The messages of all watches.
#[derive(Debug)]
pub(crate) struct Queue {
    timeouts: Timeouts,
    entries: HashMap<Arc<str>, Entry>,
    due: BTreeSet<(Instant, Arc<str>)>,
}

#[derive(Debug)]
struct Entry {
    to: Recipient,
    /// Matches that the client has not released.
    count: u64,
    state: State,
    /// Failed attempts for this message.
    failures: u32,
    /// No message before this.
    not_before: Instant,
}

/// Where the message of a watch goes.
#[derive(Clone, Debug)]
pub(crate) struct Recipient {
    pub(crate) subscription: Arc<Subscription>,
    /// The client that has made the watch, for its limits.
    pub(crate) client: IpAddr,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// No message.
    Idle,
    /// A message at this time.
    Due(Instant),
    /// A message is being sent; whether there have been matches since.
    Sending { is_old: bool },
    /// The subscription has ended.
    Gone,
}

/// A message to send now.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) watch_id: Arc<str>,
    pub(crate) count: u64,
    pub(crate) to: Recipient,
}

/// What follows from an outcome, for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    /// Nothing.
    Done,
    /// Another attempt after a pause.
    Again(Duration),
    /// No further attempt until the next match.
    GivenUp,
    /// No further message.
    Ended,
}

impl Queue {
    pub(crate) fn new(timeouts: Timeouts) -> Self {
        Self {
            timeouts,
            entries: HashMap::new(),
            due: BTreeSet::new(),
        }
    }

    /// Matches wait for the client of this watch.
    pub(crate) fn wake(&mut self, watch_id: &str, to: &Recipient, count: u64, now: Instant) {
        let Some((id, entry)) = self.entries.get_key_value(watch_id) else {
            let id: Arc<str> = watch_id.into();
            let entry = Entry {
                to: to.clone(),
                count,
                state: State::Due(now),
                failures: 0,
                not_before: now,
            };
            self.due.insert((now, Arc::clone(&id)));
            self.entries.insert(id, entry);
            return;
        };
        let (id, at) = (Arc::clone(id), entry.not_before.max(now));
        let Some(entry) = self.entries.get_mut(&id) else { return };
        entry.count = count;
        match &mut entry.state {
            State::Idle => {
                entry.state = State::Due(at);
                self.due.insert((at, id));
            }
            State::Sending { is_old } => *is_old = true,
            // The next attempt has the new count.
            State::Due(_) | State::Gone => {}
        }
    }

    /// The watch has ended.
    pub(crate) fn ended(&mut self, watch_id: &str) {
        if let Some((id, entry)) = self.entries.remove_entry(watch_id)
            && let State::Due(at) = entry.state
        {
            self.due.remove(&(at, id));
        }
    }

    /// When the next message is to be sent.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.due.first().map(|(at, _)| *at)
    }

    /// The messages that are to be sent now, at most so many.
    pub(crate) fn take(&mut self, most: usize, now: Instant) -> Vec<Job> {
        let mut jobs = Vec::new();
        while jobs.len() < most {
            let Some((_, id)) = self.due.pop_first_if_due(now) else {
                break;
            };
            let Some(entry) = self.entries.get_mut(&id) else {
                continue;
            };
            entry.state = State::Sending { is_old: false };
            jobs.push(Job {
                count: entry.count,
                to: entry.to.clone(),
                watch_id: id,
            });
        }
        jobs
    }

    /// Messages that wait for their time.
    pub(crate) fn waiting(&self) -> usize {
        self.due.len()
    }

    /// The result of a job.
    pub(crate) fn finished(&mut self, watch_id: &Arc<str>, outcome: &Outcome, now: Instant) -> Then {
        // The watch has ended meanwhile.
        let Some(entry) = self.entries.get_mut(watch_id) else {
            return Then::Done;
        };
        let is_old = entry.state == State::Sending { is_old: true };
        let (then, state) = match outcome {
            Outcome::Gone => (Then::Ended, State::Gone),
            Outcome::Delivered | Outcome::Rejected(_) => {
                entry.failures = 0;
                entry.not_before = now + self.timeouts.between;
                let state = if is_old {
                    State::Due(entry.not_before)
                } else {
                    State::Idle
                };
                let is_rejected = *outcome != Outcome::Delivered;
                (if is_rejected { Then::GivenUp } else { Then::Done }, state)
            }
            Outcome::Postponed(pause) => {
                let pause = jittered(*pause);
                (Then::Again(pause), State::Due(now + pause))
            }
            Outcome::Failed { asked, .. } => {
                entry.failures += 1;
                let pause = self.timeouts.pause(entry.failures, *asked);
                if entry.failures >= ATTEMPTS {
                    entry.failures = 0;
                    // The next match begins again, but not at once.
                    entry.not_before = now + pause;
                    (Then::GivenUp, State::Idle)
                } else {
                    (Then::Again(pause), State::Due(now + pause))
                }
            }
        };
        entry.state = state;
        if let State::Due(at) = state {
            self.due.insert((at, Arc::clone(watch_id)));
        }
        then
    }
}

/// Takes the first entry of a set of times, if its time has come.
trait PopFirst {
    fn pop_first_if_due(&mut self, now: Instant) -> Option<(Instant, Arc<str>)>;
}

impl PopFirst for BTreeSet<(Instant, Arc<str>)> {
    fn pop_first_if_due(&mut self, now: Instant) -> Option<(Instant, Arc<str>)> {
        if self.first()?.0 > now {
            return None;
        }
        self.pop_first()
    }
}

impl Timeouts {
    /// The pause after so many failures, at least 1; longer if the push service has asked for it.
    fn pause(&self, failures: u32, asked: Option<Duration>) -> Duration {
        let factor = 2_u32.saturating_pow(failures.saturating_sub(1));
        let pause = self.first_pause.saturating_mul(factor).min(self.longest_pause);
        jittered(pause.max(asked.unwrap_or_default().min(MOST_ASKED)))
    }
}

fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(random::rng().gen_range(1.0..=1.0 + JITTER))
}

#[cfg(test)]
mod tests;

//! What came of the attempts since the start.

use std::collections::VecDeque;
use std::time::Duration;

use sdk_relay_platform::clock::{date_and_minute, unix_now};
use sdk_relay_protocol::http::WebhookFailure;
use tokio::time::Instant;

use crate::backoff::{self, Retry};
use crate::done::{Done, Lane};
use crate::message::Message;
use crate::post::Failure;

/// Most messages of which the failures are kept.
const MOST_RECENT: usize = 10;

/// The attempts of one endpoint.
#[derive(Debug, Default)]
pub(crate) struct Status {
    pub(crate) deliveries: u64,
    pub(crate) failures: u64,
    /// Unix seconds.
    pub(crate) last_delivery: Option<u64>,
    /// The messages that have failed, the newest failure first.
    pub(crate) recent: VecDeque<WebhookFailure>,
    /// Of the next new message; `None` after a success.
    new: Option<Failing>,
    /// Of the next message of a replay.
    replay: Option<Failing>,
}

/// Attempts that have all failed.
#[derive(Clone, Debug)]
pub(crate) struct Failing {
    pub(crate) began: Instant,
    /// Unix second of the first.
    pub(crate) since: u64,
    failures: u32,
    next: Instant,
    /// Unix second of the next.
    pub(crate) next_attempt: u64,
    /// The event of the last one; `None` for a gap.
    pub(crate) event_id: Option<u64>,
    /// What happened last.
    pub(crate) error: String,
}

/// What follows a failure.
#[derive(Debug)]
pub(crate) enum Then {
    Pause(Duration),
    /// No further attempt, for this reason.
    Disable(String),
}

impl Status {
    /// Returns whether the endpoint had failed before.
    pub(crate) fn delivered(&mut self, lane: Lane) -> bool {
        self.deliveries += 1;
        self.last_delivery = Some(unix_now());
        self.lane(lane).take().is_some()
    }

    /// Records a failure. Returns what follows, and whether it is the first one in a row.
    pub(crate) fn failed(&mut self, message: &Message, done: &Done, failure: &Failure, retry: &Retry) -> (Then, bool) {
        let (now, lane) = (unix_now(), done.lane());
        self.failures += 1;
        self.record(message, done, failure, now);
        let is_first = self.lane(lane).is_none();
        let failing = self.lane(lane).get_or_insert_with(|| Failing {
            began: Instant::now(),
            since: now,
            failures: 0,
            next: Instant::now(),
            next_attempt: now,
            event_id: None,
            error: String::new(),
        });
        failing.failures = failing.failures.saturating_add(1);
        failing.event_id = done.event_id();
        failing.error = failure.to_string();
        if failure.is_final() {
            let reason = "the endpoint answered with status 410: it wants no more messages".to_owned();
            return (Then::Disable(reason), is_first);
        }
        let lasts_too_long = retry.give_up.is_some_and(|limit| failing.began.elapsed() >= limit);
        // What an administrator has asked for again says nothing about the others.
        if lasts_too_long && lane == Lane::New {
            let since = date_and_minute(Duration::from_secs(failing.since));
            let reason = format!("every attempt since {since} has failed; the last: {failure}");
            return (Then::Disable(reason), is_first);
        }
        let pause = backoff::pause(failing.failures, failure.asked(), retry);
        failing.next = Instant::now() + pause;
        failing.next_attempt = now.saturating_add(pause.as_secs());
        (Then::Pause(pause), is_first)
    }

    /// Forgets that it has failed: it is disabled.
    pub(crate) fn reset(&mut self) {
        (self.new, self.replay) = (None, None);
    }

    /// The same for the next new message: what has failed was skipped, or begins anew.
    pub(crate) fn reset_new(&mut self) {
        self.new = None;
    }

    /// The same for the next message of a replay.
    pub(crate) fn reset_replay(&mut self) {
        self.replay = None;
    }

    /// The attempts that have failed and go on; those of a replay only if there is one.
    pub(crate) fn failing(&self, replays: bool) -> Option<(Lane, &Failing)> {
        let new = self.new.as_ref().map(|failing| (Lane::New, failing));
        new.or_else(|| Some((Lane::Replay, self.replay.as_ref().filter(|_| replays)?)))
    }

    /// When the next message of a replay may be tried, if one has failed.
    pub(crate) fn next_replay(&self) -> Option<Instant> {
        self.replay.as_ref().map(|failing| failing.next)
    }

    pub(crate) fn is_replay_due(&self) -> bool {
        self.next_replay().is_none_or(|next| next <= Instant::now())
    }

    /// The next message of a replay may be tried now.
    pub(crate) fn hasten_replay(&mut self) {
        if let Some(failing) = &mut self.replay {
            failing.next = Instant::now();
        }
    }

    fn lane(&mut self, lane: Lane) -> &mut Option<Failing> {
        match lane {
            Lane::New => &mut self.new,
            Lane::Replay => &mut self.replay,
        }
    }

    fn record(&mut self, message: &Message, done: &Done, failure: &Failure, now: u64) {
        let known = self.recent.iter().position(|known| known.webhook_id == message.id);
        let before = known.and_then(|at| self.recent.remove(at));
        let (attempts, first_attempt) = before.map_or((0, now), |before| (before.attempts, before.first_attempt));
        self.recent.push_front(WebhookFailure {
            webhook_id: message.id.clone(),
            event_id: done.event_id(),
            attempts: attempts.saturating_add(1),
            first_attempt,
            last_attempt: now,
            status: failure.status().map(|status| status.as_u16()),
            error: failure.to_string(),
        });
        self.recent.truncate(MOST_RECENT);
    }
}

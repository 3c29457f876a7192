//! What an HTTP/2 connection is doing: its requests, and the bytes of answers that it has not accepted.
//!
//! HTTP/2 has flow control of its own: a client can keep its connection alive, and let answers wait for ever. The
//! timeout of a write does not see that, because nothing is written.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::Bytes;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// How long a connection may be in a state.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Without a first request.
    pub(super) first: Duration,
    /// Without a request, after the first one. While it is closing, again the first limit.
    pub(super) idle: Duration,
    /// With a frame of an answer that is not accepted.
    pub(super) unsent: Duration,
}

/// What takes too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Overdue {
    /// The first request.
    First,
    /// The next request.
    Idle,
    /// A frame of an answer.
    Unsent,
}

/// The requests and unsent frames of one connection.
#[derive(Debug)]
pub(super) struct Activity {
    limits: Limits,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug)]
struct State {
    calls: usize,
    was_used: bool,
    is_closing: bool,
    /// The start, or the end of the last request.
    idle_since: Instant,
    next: u64,
    /// By age: when the frame was given to the connection.
    unsent: BTreeMap<u64, Instant>,
}

impl Activity {
    pub(super) fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Self {
            limits,
            state: Mutex::new(State {
                calls: 0,
                was_used: false,
                is_closing: false,
                idle_since: Instant::now(),
                next: 0,
                unsent: BTreeMap::new(),
            }),
            changed: Notify::new(),
        })
    }

    /// Begins a request, which ends when its handle is dropped.
    pub(super) fn begin(self: &Arc<Self>) -> Call {
        let mut state = self.lock();
        state.calls += 1;
        state.was_used = true;
        drop(state);
        self.changed.notify_one();
        Call(Arc::clone(self))
    }

    /// The connection takes no further requests: without one in progress, it has little time left.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.is_closing = true;
        state.idle_since = Instant::now();
        drop(state);
        self.changed.notify_one();
    }

    /// Waits until something takes too long.
    pub(super) async fn overdue(&self) -> Overdue {
        loop {
            match self.deadline() {
                Some((at, what)) if at <= Instant::now() => return what,
                Some((at, _)) => tokio::select! {
                    () = sleep_until(at) => {}
                    () = self.changed.notified() => {}
                },
                None => self.changed.notified().await,
            }
        }
    }

    fn deadline(&self) -> Option<(Instant, Overdue)> {
        let state = self.lock();
        let unsent = state.unsent.values().next();
        let unsent = unsent.map(|since| (*since + self.limits.unsent, Overdue::Unsent));
        let (limit, what) = match (state.was_used, state.is_closing) {
            (false, _) => (self.limits.first, Overdue::First),
            (true, false) => (self.limits.idle, Overdue::Idle),
            (true, true) => (self.limits.first, Overdue::Idle),
        };
        let idle = (state.calls == 0).then(|| (state.idle_since + limit, what));
        unsent.into_iter().chain(idle).min_by_key(|(at, _)| *at)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request in progress.
#[derive(Debug)]
pub(super) struct Call(Arc<Activity>);

impl Call {
    /// The same bytes, unsent until their last slice is dropped.
    pub(super) fn track(&self, bytes: Bytes) -> Bytes {
        let mut state = self.0.lock();
        let number = state.next;
        state.next += 1;
        let is_first = state.unsent.is_empty();
        state.unsent.insert(number, Instant::now());
        drop(state);
        if is_first {
            self.0.changed.notify_one();
        }
        Bytes::from_owner(Unsent {
            bytes,
            number,
            activity: Arc::clone(&self.0),
        })
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.calls -= 1;
        state.idle_since = Instant::now();
        drop(state);
        self.0.changed.notify_one();
    }
}

struct Unsent {
    bytes: Bytes,
    number: u64,
    activity: Arc<Activity>,
}

impl AsRef<[u8]> for Unsent {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Unsent {
    fn drop(&mut self) {
        self.activity.lock().unsent.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{advance, timeout};

    use super::*;

    const FIRST: Duration = Duration::from_secs(10);
    const IDLE: Duration = Duration::from_secs(600);
    const UNSENT: Duration = Duration::from_secs(300);

    fn activity() -> Arc<Activity> {
        Activity::new(Limits {
            first: FIRST,
            idle: IDLE,
            unsent: UNSENT,
        })
    }

    async fn overdue_after(activity: &Activity) -> (Overdue, Duration) {
        let since = Instant::now();
        let what = timeout(10 * IDLE, activity.overdue()).await;
        (what.expect("something is overdue"), since.elapsed())
    }

    /// The sleep of tokio is exact to a millisecond.
    fn is(found: (Overdue, Duration), what: Overdue, limit: Duration) {
        let late = found.1.checked_sub(limit);
        assert!(
            found.0 == what && late.is_some_and(|late| late < Duration::from_millis(10)),
            "{found:?}, not {what:?} after {limit:?}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_request_is_due_soon_and_further_ones_later() {
        let activity = activity();
        is(overdue_after(&activity).await, Overdue::First, FIRST);
        let calls = [activity.begin(), activity.begin()];
        let waits = timeout(10 * IDLE, activity.overdue()).await;
        assert!(waits.is_err(), "it has requests");
        drop(calls);
        is(overdue_after(&activity).await, Overdue::Idle, IDLE);
        activity.close();
        is(overdue_after(&activity).await, Overdue::Idle, FIRST);
    }

    #[tokio::test(start_paused = true)]
    async fn a_frame_is_unsent_until_its_last_slice_is_dropped() {
        let activity = activity();
        let call = activity.begin();
        let first = call.track(Bytes::from_static(&[7; 100]));
        advance(UNSENT / 2).await;
        let second = call.track(Bytes::from_static(&[8; 100]));
        let slice = first.slice(99..);
        drop(first);
        is(overdue_after(&activity).await, Overdue::Unsent, UNSENT / 2);
        assert_eq!(&*slice, [7]);
        drop(slice);
        is(overdue_after(&activity).await, Overdue::Unsent, UNSENT / 2);
        drop(second);
        assert!(timeout(10 * IDLE, activity.overdue()).await.is_err());
        // Also for a request that has ended on this side.
        let third = call.track(Bytes::from_static(&[9; 100]));
        drop(call);
        is(overdue_after(&activity).await, Overdue::Unsent, UNSENT);
        drop(third);
    }
}

//! Responses to `sync` requests, so that a repeated request is not processed again.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sdk_relay_events::Frame;
use tokio::time::Instant;

use super::Asker;

/// How long a response is kept (docs/API.md, "Request a report").
const KEPT_FOR: Duration = Duration::from_secs(600);
/// Most bytes in total. Beyond it the peer with the most bytes loses its oldest response: a repeated request is then
/// processed again.
const MOST: usize = 8 << 20;
/// Most bytes per peer. A response with changes of hundreds of relays has some 100 KB, all others about a kilobyte.
const MOST_OF_ONE: usize = 1 << 20;
/// Overhead of a response beside its bytes and its identifier: entries of the tables.
const OVERHEAD: usize = 256;

/// Responses by peer and `message_id`.
#[derive(Debug, Default)]
pub(super) struct SyncCache {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    askers: HashMap<Arc<Asker>, Answers>,
    /// Peers by bytes, to find the largest.
    sizes: BTreeSet<(usize, Arc<Asker>)>,
    bytes: usize,
    swept: Option<Instant>,
}

/// The responses to one peer, oldest first in `ages`.
#[derive(Debug, Default)]
struct Answers {
    frames: HashMap<Arc<str>, Frame>,
    ages: VecDeque<(Instant, Arc<str>)>,
    bytes: usize,
}

impl SyncCache {
    /// The response to this message, if it is not older than ten minutes.
    pub(super) fn get(&self, asker: &Asker, message_id: &str) -> Option<Frame> {
        let mut inner = self.lock();
        inner.expire(Instant::now());
        inner.askers.get(asker)?.frames.get(message_id).cloned()
    }

    /// Keeps a response, if it fits.
    pub(super) fn put(&self, asker: &Asker, message_id: &str, answer: Frame) {
        let mut inner = self.lock();
        let now = Instant::now();
        inner.expire(now);
        if cost(message_id, &answer) > MOST_OF_ONE {
            return;
        }
        let known = inner.askers.get_key_value(asker).map(|(key, _)| Arc::clone(key));
        let asker = known.unwrap_or_else(|| Arc::new(asker.clone()));
        inner.change(&asker, |answers| answers.put(now, message_id, answer));
        while inner.bytes > MOST
            && let Some((_, largest)) = inner.sizes.last().cloned()
        {
            inner.change(&largest, Answers::drop_oldest);
        }
    }

    /// A connection ended: its responses are removed.
    pub(super) fn forget(&self, asker: &Asker) {
        let mut inner = self.lock();
        let known = inner.askers.get_key_value(asker).map(|(key, _)| Arc::clone(key));
        if let Some(asker) = known {
            inner.change(&asker, |answers| *answers = Answers::default());
        }
    }

    /// Bytes that it takes.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.lock().bytes
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Changes the responses of one peer, and keeps the sums. A peer without responses is removed.
    fn change(&mut self, asker: &Arc<Asker>, change: impl FnOnce(&mut Answers)) {
        let answers = self.askers.entry(Arc::clone(asker)).or_default();
        let before = answers.bytes;
        change(answers);
        let (after, empty) = (answers.bytes, answers.ages.is_empty());
        self.bytes = self.bytes + after - before;
        self.sizes.remove(&(before, Arc::clone(asker)));
        if empty {
            self.askers.remove(asker);
        } else {
            self.sizes.insert((after, Arc::clone(asker)));
        }
    }

    /// Removes expired responses, at most once per second.
    fn expire(&mut self, now: Instant) {
        if self
            .swept
            .is_some_and(|at| now.duration_since(at) < Duration::from_secs(1))
        {
            return;
        }
        self.swept = Some(now);
        let old = |answers: &Answers| answers.oldest().is_some_and(|at| now.duration_since(at) >= KEPT_FOR);
        let due: Vec<Arc<Asker>> = self
            .askers
            .iter()
            .filter(|(_, answers)| old(answers))
            .map(|(asker, _)| Arc::clone(asker))
            .collect();
        for asker in due {
            self.change(&asker, |answers| {
                while old(answers) {
                    answers.drop_oldest();
                }
            });
        }
    }
}

impl Answers {
    fn put(&mut self, now: Instant, message_id: &str, answer: Frame) {
        let name: Arc<str> = message_id.into();
        self.bytes += cost(message_id, &answer);
        if let Some(before) = self.frames.insert(Arc::clone(&name), answer) {
            self.bytes -= cost(message_id, &before);
        } else {
            self.ages.push_back((now, name));
        }
        while self.bytes > MOST_OF_ONE {
            self.drop_oldest();
        }
    }

    fn oldest(&self) -> Option<Instant> {
        self.ages.front().map(|(at, _)| *at)
    }

    fn drop_oldest(&mut self) {
        if let Some((_, name)) = self.ages.pop_front()
            && let Some(frame) = self.frames.remove(&name)
        {
            self.bytes -= cost(&name, &frame);
        }
    }
}

fn cost(message_id: &str, answer: &Frame) -> usize {
    OVERHEAD + message_id.len() + answer.len()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn frame(text: &'static str) -> Frame {
        Frame::logged(1, Bytes::from_static(text.as_bytes()))
    }

    fn large(bytes: usize) -> Frame {
        Frame::logged(1, vec![b'a'; bytes].into())
    }

    fn relay(n: u64) -> Asker {
        Asker::Proven {
            relay_id: "relay-2".to_owned(),
            public_key: format!("{n:064x}"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn kept_for_ten_minutes_and_per_peer() {
        let cache = SyncCache::default();
        cache.put(&relay(1), "msg-1", frame("a"));
        assert_eq!(cache.get(&relay(1), "msg-1"), Some(frame("a")));
        for other in [relay(2), Asker::Connection(1)] {
            assert_eq!(cache.get(&other, "msg-1"), None, "another key, whatever its name");
        }
        tokio::time::advance(KEPT_FOR - Duration::from_secs(1)).await;
        assert_eq!(cache.get(&relay(1), "msg-1"), Some(frame("a")));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(cache.get(&relay(1), "msg-1"), None);
        assert_eq!(cache.bytes(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn bounded_in_bytes_per_peer_and_in_total() {
        let cache = SyncCache::default();
        cache.put(&relay(1), "small", frame("a"));
        for n in 0..100_u64 {
            for m in 0..20 {
                cache.put(&Asker::Connection(n), &m.to_string(), large(100_000));
                assert!(cache.bytes() <= MOST);
            }
        }
        assert!(cache.bytes() > MOST / 2);
        assert_eq!(
            cache.get(&relay(1), "small"),
            Some(frame("a")),
            "others' answers do not cost it its own"
        );
        assert!(cache.get(&Asker::Connection(99), "19").is_some());
        assert_eq!(cache.get(&Asker::Connection(99), "0"), None);
        cache.put(&relay(1), "too large", large(MOST_OF_ONE));
        assert_eq!(cache.get(&relay(1), "too large"), None);
        for n in 0..100 {
            cache.forget(&Asker::Connection(n));
        }
        assert_eq!(cache.bytes(), OVERHEAD + "small".len() + 1);
        let inner = cache.lock();
        assert_eq!((inner.askers.len(), inner.sizes.len()), (1, 1));
    }
}

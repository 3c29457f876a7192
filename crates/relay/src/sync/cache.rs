//! Answers to `sync` requests, kept so that a repeated request is not processed again.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::hub::Frame;

/// How long an answer is kept (CONTRACT, "Sync").
const KEPT_FOR: Duration = Duration::from_secs(600);
/// Answers kept at most, about a kilobyte each. Beyond it the oldest go early: a repeated request is then merely answered anew.
const KEPT_MOST: usize = 4096;

type Key = (String, String);

/// Answers by sender and `message_id`.
#[derive(Debug, Default)]
pub struct SyncCache {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    answers: HashMap<Key, Frame>,
    /// In the order in which they came, which is the order in which they go.
    ages: VecDeque<(Instant, Key)>,
}

impl SyncCache {
    /// The answer that this sender got for this message, not longer than ten minutes ago.
    pub fn get(&self, sender: &str, message_id: &str) -> Option<Frame> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.expire(Instant::now());
        inner.answers.get(&(sender.to_owned(), message_id.to_owned())).cloned()
    }

    /// Keeps an answer.
    pub fn put(&self, sender: &str, message_id: &str, answer: Frame) {
        let key = (sender.to_owned(), message_id.to_owned());
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        inner.expire(now);
        if inner.answers.insert(key.clone(), answer).is_none() {
            inner.ages.push_back((now, key));
        }
        while inner.ages.len() > KEPT_MOST {
            inner.drop_oldest();
        }
    }
}

impl Inner {
    fn expire(&mut self, now: Instant) {
        while self
            .ages
            .front()
            .is_some_and(|(at, _)| now.duration_since(*at) >= KEPT_FOR)
        {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        if let Some((_, key)) = self.ages.pop_front() {
            self.answers.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn frame(text: &'static str) -> Frame {
        Frame::from_text(Bytes::from_static(text.as_bytes()))
    }

    #[tokio::test(start_paused = true)]
    async fn kept_for_ten_minutes_and_for_its_sender() {
        let cache = SyncCache::default();
        cache.put("relay-2", "msg-1", frame("a"));
        assert_eq!(cache.get("relay-2", "msg-1"), Some(frame("a")));
        assert_eq!(cache.get("relay-3", "msg-1"), None);
        tokio::time::advance(KEPT_FOR - Duration::from_secs(1)).await;
        assert_eq!(cache.get("relay-2", "msg-1"), Some(frame("a")));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(cache.get("relay-2", "msg-1"), None);
    }

    #[tokio::test(start_paused = true)]
    async fn bounded() {
        let cache = SyncCache::default();
        for n in 0..=KEPT_MOST {
            cache.put("r", &n.to_string(), frame("a"));
        }
        assert_eq!(cache.get("r", "0"), None);
        assert!(cache.get("r", "1").is_some());
        assert_eq!(cache.inner.lock().unwrap().answers.len(), KEPT_MOST);
    }
}

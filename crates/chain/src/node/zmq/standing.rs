//! State of the connection to the ZMQ publisher, for `/health` and for the follower.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use super::topics::Missing;
use crate::source::EventSource;

/// Connections that end within this time are counted together.
const CUTS_WITHIN: Duration = Duration::from_secs(300);
/// So many of them are a problem: a node that is restarted, or updated and restarted, ends one or two.
const CUTS: usize = 4;

/// State of the connection.
#[derive(Debug, Default)]
pub(super) struct Standing {
    /// The address, once it is known.
    pub(super) url: Option<String>,
    state: State,
    /// Topics that the node does not publish there. Logged when it changes, not at each connection.
    pub(super) missing: Option<Missing>,
    /// The node has answered which topics it publishes, since this connection was made.
    is_checked: bool,
    /// A message of the topic `sequence` was received over this connection. This overrides `getzmqnotifications`: a
    /// proxy may forward the topic from another address.
    pub(super) has_sequence: bool,
    /// When the newest connections have ended, at most [`CUTS`] of them, and why the last one.
    cuts: VecDeque<Instant>,
    last_reason: String,
}

#[derive(Debug, Default)]
enum State {
    /// The first attempt has not ended.
    #[default]
    Starting,
    /// The node publishes none of the topics.
    Absent,
    Connected,
    /// A connection has ended, and the next attempt has not.
    Ended,
    /// Since when the publisher is unreachable, and why.
    Unreached((Instant, String)),
}

impl Standing {
    pub(super) fn unreached(&self) -> Option<&(Instant, String)> {
        match &self.state {
            State::Unreached(unreached) => Some(unreached),
            _ => None,
        }
    }

    /// The node has answered that it publishes none of the topics.
    pub(super) fn is_absent(&self) -> bool {
        matches!(self.state, State::Absent)
    }

    pub(super) fn is_connected(&self) -> bool {
        matches!(self.state, State::Connected)
    }

    /// Topics are known to be missing without which changes are not announced.
    pub(super) fn is_partial(&self) -> bool {
        !self.has_sequence && self.missing.as_ref().is_some_and(|missing| missing.lacks_sequence)
    }

    /// All changes are known to be announced.
    pub(super) fn signals_all(&self) -> bool {
        self.is_connected() && (self.has_sequence || (self.is_checked && !self.is_partial()))
    }

    pub(super) fn event_source(&self) -> Option<EventSource> {
        match &self.state {
            State::Starting => None,
            State::Connected if self.signals_all() => Some(EventSource::Zmq),
            State::Connected if !self.is_checked => None,
            State::Connected if self.missing.as_ref().is_some_and(|missing| missing.lacks_all) => {
                Some(EventSource::Polling)
            }
            State::Connected => Some(EventSource::ZmqWithoutSequence),
            State::Absent | State::Ended | State::Unreached(_) => Some(EventSource::Polling),
        }
    }

    /// The node publishes none of the topics; returns whether that is news.
    pub(super) fn set_absent(&mut self) -> bool {
        self.url = None;
        self.missing = None;
        !matches!(std::mem::replace(&mut self.state, State::Absent), State::Absent)
    }

    /// A connection has been made; returns whether the publisher was unreachable before.
    pub(super) fn set_connected(&mut self) -> bool {
        self.is_checked = false;
        self.has_sequence = false;
        matches!(
            std::mem::replace(&mut self.state, State::Connected),
            State::Unreached(_)
        )
    }

    /// The connection has ended for this reason.
    pub(super) fn set_ended(&mut self, reason: String) {
        self.cuts.push_back(Instant::now());
        if self.cuts.len() > CUTS {
            self.cuts.pop_front();
        }
        self.last_reason = reason;
        self.state = State::Ended;
        self.has_sequence = false;
    }

    /// Why the last connection has ended, if connections have ended again and again within [`CUTS_WITHIN`].
    pub(super) fn keeps_ending(&self) -> Option<&str> {
        let oldest = self.cuts.front().filter(|_| self.cuts.len() >= CUTS)?;
        (oldest.elapsed() <= CUTS_WITHIN).then_some(self.last_reason.as_str())
    }

    /// An attempt to connect has failed; returns whether it is the first.
    pub(super) fn set_unreached(&mut self, reason: String) -> bool {
        if let State::Unreached((_, known)) = &mut self.state {
            *known = reason;
            return false;
        }
        self.state = State::Unreached((Instant::now(), reason));
        true
    }

    /// The node has answered which topics are missing; `None` if it has not. Returns the advice if it is another one
    /// than before.
    pub(super) fn set_checked(&mut self, answer: Option<Option<Missing>>) -> Option<String> {
        let missing = answer?;
        self.is_checked = true;
        let news = missing
            .as_ref()
            .filter(|missing| self.missing.as_ref() != Some(missing));
        let advice = news.map(|missing| missing.advice.clone());
        self.missing = missing;
        advice
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn missing(lacks_sequence: bool, lacks_all: bool) -> Option<Option<Missing>> {
        Some(Some(Missing {
            advice: "add zmqpubsequence".to_owned(),
            lacks_sequence,
            lacks_all,
        }))
    }

    #[test]
    fn signals_are_relied_on_only_once_the_topics_are_known() {
        let mut standing = Standing::default();
        assert_eq!((standing.event_source(), standing.signals_all()), (None, false));
        standing.set_connected();
        assert_eq!((standing.event_source(), standing.signals_all()), (None, false));
        // The node does not answer: only a message of the topic shows that it is published.
        assert_eq!(standing.set_checked(None), None);
        assert_eq!((standing.event_source(), standing.signals_all()), (None, false));
        standing.has_sequence = true;
        assert_eq!(
            (standing.event_source(), standing.signals_all()),
            (Some(EventSource::Zmq), true)
        );

        standing.set_ended("disconnected".to_owned());
        assert_eq!(
            (standing.event_source(), standing.signals_all()),
            (Some(EventSource::Polling), false)
        );
        standing.set_connected();
        standing.set_checked(Some(None));
        assert_eq!(
            (standing.event_source(), standing.signals_all()),
            (Some(EventSource::Zmq), true)
        );
    }

    #[test]
    fn missing_topics_are_reported_once_and_polled() {
        let mut standing = Standing::default();
        standing.set_connected();
        assert!(standing.set_checked(missing(true, false)).is_some());
        assert_eq!(standing.event_source(), Some(EventSource::ZmqWithoutSequence));
        assert!(standing.is_partial() && !standing.signals_all());
        standing.set_connected();
        assert_eq!(standing.set_checked(missing(true, false)), None, "the same advice");
        assert!(standing.set_checked(missing(true, true)).is_some());
        assert_eq!(standing.event_source(), Some(EventSource::Polling));
        // A proxy forwards the topic.
        standing.has_sequence = true;
        assert_eq!(
            (standing.event_source(), standing.is_partial()),
            (Some(EventSource::Zmq), false)
        );
        // `rawtx` alone is missing: transactions are requested from the node.
        standing.set_connected();
        standing.set_checked(missing(false, false));
        assert_eq!(
            (standing.event_source(), standing.signals_all()),
            (Some(EventSource::Zmq), true)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_ends_again_and_again_is_a_problem_until_it_lasts() {
        let mut standing = Standing::default();
        for n in 1..=CUTS {
            assert_eq!(standing.keeps_ending(), None, "after {} cuts", n - 1);
            standing.set_connected();
            tokio::time::advance(Duration::from_secs(10)).await;
            standing.set_ended(format!("cut {n}"));
        }
        // Also while it is connected, and nothing else is wrong.
        standing.set_connected();
        standing.set_checked(Some(None));
        assert_eq!(standing.keeps_ending(), Some("cut 4"));
        tokio::time::advance(CUTS_WITHIN).await;
        assert_eq!(standing.keeps_ending(), None);
        // Restarts of the node on different days.
        for _ in 0..3 * CUTS {
            standing.set_ended("disconnected".to_owned());
            standing.set_connected();
            tokio::time::advance(CUTS_WITHIN / 2).await;
            assert_eq!(standing.keeps_ending(), None);
        }
        assert!(standing.cuts.len() <= CUTS);
    }

    #[test]
    fn an_unreachable_publisher_is_news_once() {
        let mut standing = Standing::default();
        assert!(standing.set_unreached("refused".to_owned()) && !standing.set_unreached("timeout".to_owned()));
        assert_eq!(standing.unreached().unwrap().1, "timeout");
        assert_eq!(standing.event_source(), Some(EventSource::Polling));
        assert!(standing.set_connected());
        assert!(standing.set_absent() && !standing.set_absent());
    }
}

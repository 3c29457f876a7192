//! What a delivery changes.

use sdk_relay_protocol::http::WebhookReplay;

use crate::gap::Gap;
use crate::positions::Position;

/// What a delivery means for the position.
#[derive(Debug)]
pub(crate) enum Done {
    Event(u64),
    Gap(Gap),
    /// The event with this id, of this replay.
    Replayed(WebhookReplay, u64),
}

/// Which messages have pauses of their own: those that are sent again hold up no new ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lane {
    New,
    Replay,
}

impl Done {
    pub(crate) fn lane(&self) -> Lane {
        match self {
            Self::Event(_) | Self::Gap(_) => Lane::New,
            Self::Replayed(..) => Lane::Replay,
        }
    }

    /// The event that the message is about.
    pub(crate) fn event_id(&self) -> Option<u64> {
        match self {
            Self::Event(id) | Self::Replayed(_, id) => Some(*id),
            Self::Gap(_) => None,
        }
    }

    /// Whether a request has ended it while it was being sent.
    pub(crate) fn is_over(&self, position: &Position) -> bool {
        match self {
            Self::Event(id) => position.after >= *id,
            Self::Gap(gap) => position.gap.as_ref() != Some(gap),
            Self::Replayed(replay, _) => position.replay != Some(*replay),
        }
    }

    pub(crate) fn apply(&self, position: &mut Position) {
        match self {
            // A request may have moved it further.
            Self::Event(id) => position.after = position.after.max(*id),
            Self::Gap(gap) => {
                // The request `enable` with `after_event` ends a gap too.
                if position.gap.take().is_some() {
                    position.after = position.after.max(gap.next.saturating_sub(1));
                    position.hole = position.hole.max(gap.hole);
                }
            }
            // A request may have ended it, and another one begun the next.
            Self::Replayed(replay, id) => {
                if position.replay == Some(*replay) {
                    position.replay = rest(*replay, *id);
                }
            }
        }
    }
}

/// What is left of a replay after this event.
fn rest(replay: WebhookReplay, done: u64) -> Option<WebhookReplay> {
    let next = replay.next.max(done.saturating_add(1));
    (next <= replay.to).then_some(WebhookReplay { next, ..replay })
}

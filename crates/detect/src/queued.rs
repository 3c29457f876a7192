//! A message that waits for a client.

use super::budget::Share;
use super::watch_message::WatchMessage;

/// A queued message. It counts in the mailbox of its watch from its creation, wherever it is stored.
#[derive(Debug)]
pub(super) struct QueuedMessage {
    pub(super) message: WatchMessage,
    /// A watch with this `from_height` finds it again; 0 for a message that is not about a payment.
    pub(super) from_height: u32,
    _share: Share,
}

impl QueuedMessage {
    /// A message that counts as this share.
    pub(super) fn new(message: WatchMessage, from_height: u32, share: Share) -> Self {
        Self {
            message,
            from_height,
            _share: share,
        }
    }
}

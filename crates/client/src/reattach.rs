//! What the client keeps of a detached watch.

use sdk_relay_backfill::{Heights, ResumePoint};
use sdk_relay_protocol::{Attach, SecretHex};

/// A watch that its relay goes on with after a disconnect.
#[derive(Debug)]
pub(crate) struct Detached {
    /// Its id at the relay.
    pub(crate) relay_id: String,
    pub(crate) token: SecretHex,
    /// The relay that has it: the token is sent to no other.
    pub(crate) url: String,
    /// The app has stored the matches up to this one.
    pub(crate) released: u64,
    /// The app was given the matches up to this one.
    pub(crate) delivered: u64,
    /// After a reconnect, until the relay has answered: what the watch has received if it has to be registered again,
    /// and the history for that.
    pub(crate) renewed: Option<(ResumePoint, Option<Heights>)>,
}

/// What becomes of a detached watch after a reconnect.
#[derive(Debug, PartialEq)]
pub(crate) enum Reattach {
    /// It is to be attached to.
    Attach { watch_id: String, attach: Attach },
    /// It is at another relay, and the client does not know its keys.
    Lost { watch_id: String },
}

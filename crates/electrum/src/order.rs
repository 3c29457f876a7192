//! What a subscription to silent payments is asked with, and what it becomes.

use sdk_relay_protocol::SecretHex;

use crate::start::Start;

/// The keys of a wallet, as the client has sent them.
#[derive(Debug)]
pub(crate) struct Keys {
    pub(crate) scan: SecretHex,
    pub(crate) spend: String,
}

/// A request for a subscription.
#[derive(Debug)]
pub(crate) struct Order {
    pub(crate) keys: Keys,
    pub(crate) start: Start,
    pub(crate) labels: Vec<u32>,
}

/// A subscription whose watch is registered.
#[derive(Debug)]
pub(crate) struct Subscribed {
    pub(crate) address: String,
    /// Ascending; 0 is always the first.
    pub(crate) labels: Vec<u32>,
    pub(crate) start_height: u32,
    pub(crate) watch_id: String,
}

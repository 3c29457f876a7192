//! What a subscription to silent payments is asked with, and what it becomes.

use sdk_relay_protocol::SecretHex;

use crate::error::RpcError;
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
    pub(crate) earlier: EarlierBlocks,
    pub(crate) watch_id: String,
}

/// The blocks before the start of a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EarlierBlocks {
    /// They have no silent payments, or the subscription has them.
    Nothing,
    /// Not scanned; or with fewer labels, by a watch that goes on until they are scanned with all.
    Unscanned,
    /// By the watch of the subscription before it.
    Watched,
}

/// Watches of the blocks before the start of subscriptions, by address.
#[derive(Debug)]
pub(crate) struct EarlierScans {
    pub(crate) registered: Vec<(String, String)>,
    /// Why one is not registered.
    pub(crate) failure: Option<RpcError>,
}

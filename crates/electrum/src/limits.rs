//! Limits of a connection. docs/API.md lists them.

use std::time::Duration;

/// Longest line in bytes, without its end: as other servers have it. The largest transaction that a node relays has 400
/// KB, 800,000 hex digits.
pub const MAX_LINE: usize = 1_000_000;
/// Largest number of requests in a batch. Their answers are sent together, so they wait for the slowest.
pub(crate) const MAX_BATCH: usize = 100;
/// Longest id of a request. Clients send numbers and short texts.
pub(crate) const MAX_ID: usize = 1_000;
/// Bytes of the parameters of a batch that wait until its subscriptions are registered. Those of 99 requests about
/// scripts are 7 KB.
pub(crate) const LATER_BYTES: usize = 64 << 10;
/// Bytes per second that a client accepts at least. The largest answers, 16 MiB, take a quarter of an hour then.
pub(crate) const SLOWEST_READER: u64 = 16 << 10;
/// Largest number of subscriptions to scripts of one connection.
pub(crate) const MAX_SCRIPTS: usize = 1_000;
/// Labels of the watches of all clients: a label takes half a kilobyte.
pub(crate) const LABELS: usize = 1_000_000;
/// The same of one address (IPv6: of one /64), for each subscription that a connection may have.
pub(crate) const LABELS_PER_SUBSCRIPTION: usize = 100;
/// Watches that a subscription has while it is widened: that which follows the chain and that of the earlier blocks,
/// each with the one that takes its place.
pub(crate) const WATCHES_OF_SUBSCRIPTION: usize = 4;
/// A watch counts as this many labels at least: so an address has at most two watches for each subscription.
pub(crate) const LABELS_AT_LEAST: usize = 50;
/// Memory of the subscriptions of one connection in bytes: three quarters of what they and the found outputs may take.
pub(crate) const SUBSCRIPTIONS_BYTES: usize = 6 << 20;
/// Transactions in one notification: progress reaches the client between them.
pub(crate) const PAGE: usize = 100;
/// Lines that one connection has in work at once. Further ones are not read, so that a client that sends faster than
/// the node answers waits in its own queue.
pub(crate) const LINES_IN_WORK: usize = 8;
/// Found transactions that wait for the first notification of their subscription. With more of them the connection
/// leaves the rest in its mailbox, which is bounded and makes the scan wait.
pub(crate) const FOUND_AHEAD: usize = 1_000;
/// Headers in one answer, as other servers have it.
pub(crate) const MAX_HEADERS: u32 = 2_016;
/// Longest name of a method in an answer or a request to the backend; the longest that exists has 34 characters.
pub(crate) const MAX_METHOD: usize = 100;

/// Requests of one address per second, on average, and at once. Sparrow sends six for each payment of a wallet, one
/// after the other. A client beyond the limit waits: refusing would break the wallet.
pub(crate) const REQUESTS_PER_SECOND: u32 = 200;
/// As many as a wallet of 80 payments needs.
pub(crate) const REQUESTS_AT_ONCE: u32 = 500;
/// Addresses whose rate is known; above it, idle ones are forgotten.
pub(crate) const ADDRESSES: usize = 10_000;

/// Requests to the node at once, of all clients: half of the requests that the node takes from this relay, as detection
/// and the index need it too.
pub(crate) const NODE_REQUESTS: usize = 4;
/// Of one address.
pub(crate) const NODE_REQUESTS_PER_ADDRESS: usize = 2;

/// Interval of subscriptions after the first ones: each new one scans the whole mempool.
pub(crate) const SUBSCRIPTION_INTERVAL: Duration = Duration::from_secs(10);
/// Subscriptions of a connection in a short time, however few watches it may have: each replaces the one before of the
/// same wallet.
pub(crate) const SUBSCRIPTIONS_AT_LEAST: u32 = 20;
/// Subscriptions of one address in a short time, or those of one connection if it may have more. A wallet program has a
/// few.
pub(crate) const SUBSCRIPTIONS_AT_ONCE: u32 = 100;

/// Requests to the backend that wait for it, and messages of it that wait for the client: of one connection.
pub(crate) const BACKEND_AHEAD: usize = 64;
/// Scripts that are subscribed to again at once after the connection to the backend was lost.
pub(crate) const AGAIN_AT_ONCE: usize = 16;
/// How often a subscription is sent again that the backend refuses after the connection to it was lost: a server that
/// starts, or that many clients connect to at once, refuses some for seconds.
pub(crate) const REFUSALS: u8 = 3;
/// Longest line of the backend: the hex digits of a block that is one transaction.
pub(crate) const BACKEND_LINE: usize = 8_100_000;

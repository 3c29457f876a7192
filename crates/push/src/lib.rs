//! Web Push: the relay wakes the clients of detached watches through the push services of their browsers and phones
//! (RFC 8030), and UnifiedPush, which is the same for phones without one.
//!
//! A client subscribes with its push service, and gives the relay the endpoint and the keys of the subscription
//! ([`Subscription`]). The relay posts a thin message there, encrypted for the client (RFC 8291, on RFC 8188): the push
//! service learns that something has happened, and not what. The relay signs its requests with a key of its own (VAPID,
//! RFC 8292), to which a subscription can be bound. All requests go through the crate `outbound`, because clients
//! choose where they go.
//!
//! A message is a hint: the matches wait at the relay until the client attaches to its watch. So one message at a time
//! stands for all matches of a watch, and a later one replaces it.

mod encryption;
mod key;
mod key_file;
mod message;
mod metrics;
mod outcome;
mod push;
mod queue;
mod subscription;
mod timeouts;
mod token;

pub use key::PushKey;
pub use key_file::{KEY_FILE, KeyError};
pub use metrics::PushMetrics;
pub use push::{Push, Receiver};
pub use subscription::{Subscription, WrongSubscription};
pub use timeouts::Timeouts;

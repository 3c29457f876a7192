//! The configured ZMQ address of the node.

/// Where the node publishes ZMQ messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ZmqAddress {
    /// Where the node says (`getzmqnotifications`), if anywhere; otherwise it is polled.
    Reported,
    /// At this address, `tcp://HOST:PORT`.
    At(String),
    /// ZMQ is not used: the node is polled.
    Off,
}

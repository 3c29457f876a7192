//! What an endpoint does not get.

use serde::{Deserialize, Serialize};

/// Events, or blocks without events, that an endpoint does not get. It is durable before it is reported: its id
/// contains its ends, which would differ later.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Gap {
    /// The last event before it.
    pub(crate) after: u64,
    /// The first event after it.
    pub(crate) next: u64,
    /// The newest hole of the log that it covers.
    pub(crate) hole: u64,
    pub(crate) reason: Reason,
    /// Unix second at which it was noticed.
    pub(crate) noticed: u64,
}

/// Why there is a gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Reason {
    /// The log no longer has the events.
    Removed,
    /// The relay could not follow the chain, and skipped blocks.
    BlocksSkipped,
    /// The log was replaced by an older one.
    LogReplaced,
    /// The event cannot be read.
    Unreadable,
}

impl Reason {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Removed => "removed",
            Self::BlocksSkipped => "blocks_skipped",
            Self::LogReplaced => "log_replaced",
            Self::Unreadable => "unreadable",
        }
    }
}

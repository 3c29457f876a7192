//! A dial in progress.

use std::time::Duration;

use sdk_relay_protocol::mesh::RelayId;

/// A dial in progress.
pub(crate) struct PendingDial {
    pub(crate) seed: Option<usize>,
    pub(crate) relay: Option<RelayId>,
    /// The key that `relay` has to prove; `None` for a configured address, whose key the driver checks.
    pub(crate) key: Option<String>,
    /// To probe, not for a link.
    pub(crate) probe: bool,
    /// A configured relay, or one to which it redirected this one.
    pub(crate) bootstrap: bool,
    /// The introducer, if nothing was received first hand.
    pub(crate) introducer: Option<RelayId>,
    /// Why it is dialled although it is unproven.
    pub(crate) cause: Cause,
    pub(crate) since: Duration,
}

impl PendingDial {
    /// Nothing was ever received from it first hand.
    pub(crate) fn is_unproven(&self) -> bool {
        self.introducer.is_some()
    }

    /// It is dialled because it is accused.
    pub(crate) fn is_of_accused(&self) -> bool {
        self.cause == Cause::Accused
    }
}

/// Dials of unproven relays have a limit for each cause.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// For a link, or to probe.
    Any,
    /// Another key claims its name.
    Contested,
    /// It is accused.
    Accused,
}

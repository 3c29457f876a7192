//! A dial in progress.

use std::time::Duration;

use sdk_relay_protocol::mesh::RelayId;

/// A dial under way.
pub(crate) struct Dialling {
    pub(crate) seed: Option<usize>,
    pub(crate) relay: Option<RelayId>,
    /// The key that `relay` has to prove; a configured address may have any.
    pub(crate) key: Option<String>,
    /// Only to look.
    pub(crate) probe: bool,
    /// A configured relay, or one to which it sent this one on.
    pub(crate) entrance: bool,
    /// By whose word alone it is known; `None` if something was received from itself.
    pub(crate) introducer: Option<RelayId>,
    /// Why it is dialled though nobody here has heard from it.
    pub(crate) cause: Cause,
    pub(crate) since: Duration,
}

impl Dialling {
    /// Nobody here has ever heard from it.
    pub(crate) fn is_unproven(&self) -> bool {
        self.introducer.is_some()
    }

    /// It stood accused.
    pub(crate) fn is_of_accused(&self) -> bool {
        self.cause == Cause::Accused
    }
}

/// Dials of relays that nobody here has ever heard from are bounded for each of these.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// For a link, or to look.
    Any,
    /// Another key claims its name.
    Contested,
    /// It stands accused.
    Accused,
}

//! The mesh on the network: links to other relays, and the syncs that travel over them.
//!
//! The state machine of `sdk-relay-mesh` makes the decisions; [`mesh`] has the keys, links and timers around it.
//! [`sync`] answers requests, keeps the history of syncs, and reports on topics. [`Host`] is what both need from the
//! process around them.

mod host;
mod mesh;
mod metrics;
mod sync;

pub use host::Host;
pub use mesh::{
    Around, IdentityError, Inbound, KnownRelay, LinkStep, Listener, Mesh, MeshError, MeshRelay, NAMES_FILE, Order,
    Orders, Proven, Timeouts, check_identity, public_key, run,
};
pub use metrics::MeshMetrics;
pub use sync::{
    Answer, Asker, Facts, Forced, History, HistoryFilter, Page, Planned, REPORT_TOPICS, Syncs, connection_id,
    is_relay_id,
};

//! A relay's part of the mesh on the network: its links to other relays, and the syncs that it exchanges with them.
//!
//! What is decided is decided by the state machine of `sdk-relay-mesh`; [`mesh`] has the keys, links and clocks around it. [`sync`] answers
//! requests, keeps those that are over, and reports on topics. What both ask of the process that they are part of is in [`Host`].

mod host;
mod mesh;
mod sync;

pub use host::Host;
pub use mesh::{
    Around, IdentityError, Inbound, KnownRelay, LONGEST_SYNC, LinkStep, Listener, Mesh, MeshError, MeshRelay, Order,
    Orders, Proven, check_identity, run,
};
pub use sync::{
    Answer, Asker, Facts, Forced, History, HistoryFilter, Page, Planned, REPORT_TOPICS, Syncs, connection_id,
    is_relay_id,
};

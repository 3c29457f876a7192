//! Gossip, membership and failure detection between relays: a state machine without I/O.
//!
//! [`Mesh`] is the state machine of one relay. Its driver owns the sockets, the clock and the key: it reports each
//! input, and performs each output of [`Mesh::poll`].
//!
//! | input | call |
//! |---|---|
//! | a link is up, both ends authenticated | [`Mesh::link_up`] |
//! | a link ended | [`Mesh::link_down`] |
//! | the driver cannot serve a link | [`Mesh::fail`] |
//! | a dial failed (refused, timeout, other key) | [`Mesh::dial_failed`] |
//! | a `StateSync` request with `gossip` arrived | [`Mesh::request`]: returns the `gossip` of the response |
//! | a `StateSync` response with `gossip` arrived | [`Mesh::response`] |
//! | any other message arrived over the link | [`Mesh::received`] |
//! | a round trip was measured | [`Mesh::latency`] |
//! | the relay's own status or address changed | [`Mesh::set_status`], [`Mesh::set_address`] |
//! | `sync.interval` changed | [`Mesh::set_interval`] |
//! | the relay shuts down | [`Mesh::leave`] |
//! | [`Mesh::deadline`] has passed | [`Mesh::tick`] |
//!
//! Signatures (`L: LinkId`, `now: Duration`):
//!
//! ```text
//! Mesh::new(config: Config, own: Own, keys: K, seed: u64, now) -> Mesh<K>      // seed: from the system's randomness
//! link_up(now, L, Peer)      link_down(now, L)      fail(now, L)      dial_failed(now, DialId)
//! request(now, L, Box<Gossip>) -> Gossip            response(now, L, Token, Box<Gossip>)
//! received(now, L)           latency(now, L, Duration)
//! set_status(now, RelayStatus)   set_address(now, String)   set_interval(now, Duration)   leave(now)
//! tick(now)                  deadline() -> Duration         poll() -> Option<Output>
//! relays(now) -> Vec<RelayView>   relay(now, &str) -> Option<RelayView>   own() -> &Arc<RelayEntry>
//! links() -> usize           counters() -> Counters
//! ```
//!
//! After each call, drain [`Mesh::poll`]. `now` is the time since the driver started, on a monotonic clock; no other
//! clock is used.
//!
//! Guarantees: no input causes a panic. Whatever peers send, the state machine keeps at most [`limits::MAX_RELAYS`]
//! relays, requests at most [`limits::MAX_DIALS`] dials at a time, and its messages stay below the wire's limit. Each
//! relay has signed what is stored about it. Other relays can make it `warning`, and `critical` only if it does not
//! answer for three intervals.

mod accusations;
mod accused;
mod choose;
mod claims;
mod closing;
mod compare;
mod compose;
pub mod config;
mod dial;
mod dial_results;
mod entries;
mod forget;
mod health;
mod indirect_probe;
mod introductions;
pub mod keys;
pub mod limits;
mod link;
mod links;
mod mesh;
mod names;
mod offers;
pub mod output;
mod own;
mod pending_dial;
mod phi;
mod probes;
mod receive;
mod requests;
mod seed;
mod seeds;
mod space;
mod spare;
mod suspicion;
pub mod view;
mod views;

pub use config::{Config, Own};
pub use keys::Keys;
pub use mesh::Mesh;
pub use output::{CloseReason, DialId, Output, Peer, Token};
pub use sdk_relay_mesh_table::LinkId;
pub use view::{Counters, RelayView};

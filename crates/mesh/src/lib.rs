//! Relays that find each other, stay in step and watch over each other: a state machine without I/O.
//!
//! [`Mesh`] is one relay's part. Its driver owns the sockets, the clock and the key: it tells what happens, and does what [`Mesh::poll`] says.
//!
//! | what happens | tell it |
//! |---|---|
//! | a link stands, both ends proven | [`Mesh::link_up`] |
//! | a link broke | [`Mesh::link_down`] |
//! | the driver cannot serve a link | [`Mesh::fail`] |
//! | a dial failed (refused, timeout, other key) | [`Mesh::dial_failed`] |
//! | a `StateSync` request with `gossip` came | [`Mesh::request`]: it returns the `gossip` of the response |
//! | a `StateSync` response with `gossip` came | [`Mesh::response`] |
//! | any other message came over the link | [`Mesh::heard`] |
//! | a round trip was measured | [`Mesh::latency`] |
//! | the relay's own status or address changed | [`Mesh::set_status`], [`Mesh::set_address`] |
//! | `sync.interval` changed | [`Mesh::set_interval`] |
//! | the relay shuts down | [`Mesh::leave`] |
//! | the clock reached [`Mesh::deadline`] | [`Mesh::tick`] |
//!
//! Signatures (`L: LinkId`, `now: Duration`):
//!
//! ```text
//! Mesh::new(config: Config, own: Own, keys: K, seed: u64, now) -> Mesh<K>      // seed: from the system's randomness
//! link_up(now, L, Peer)      link_down(now, L)      fail(now, L)      dial_failed(now, DialId)
//! request(now, L, Box<Gossip>) -> Gossip            response(now, L, Token, Box<Gossip>)
//! heard(now, L)              latency(now, L, Duration)
//! set_status(now, RelayStatus)   set_address(now, String)   set_interval(now, Duration)   leave(now)
//! tick(now)                  deadline() -> Duration         poll() -> Option<Output>
//! relays(now) -> Vec<RelayView>   relay(now, &str) -> Option<RelayView>   own() -> &Arc<RelayEntry>
//! links() -> usize           counters() -> Counters
//! ```
//!
//! After each of these, drain [`Mesh::poll`]. `now` is the time since the driver's own start on a monotonic clock: no other clock matters.
//!
//! Guarantees: no input makes it panic. Whatever peers send, it keeps at most [`limits::MAX_RELAYS`] relays, asks for at most
//! [`limits::MAX_DIALS`] dials at a time, and its messages stay below the wire's limit. What it keeps of a relay is signed by that relay; what others say
//! of it can make it `warning`, and `critical` only when it does not answer for three intervals.

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
mod dialling;
mod entries;
mod forget;
mod health;
mod helping;
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

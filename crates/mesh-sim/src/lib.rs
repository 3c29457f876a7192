//! A mesh in memory: many relays, a network with delays, loss and partitions, and a clock of its own. The same seed
//! gives the same run, byte for byte.
//!
//! Bytes are those of the `sync` and `sync_response` messages as they are serialised on the wire.

mod hostile;
mod hostility;
mod keys;
mod network;
mod queue;
mod simulation;
mod wire;

pub use hostility::Hostility;
pub use keys::SimulatedKeys;
pub use simulation::{Network, Relay, Shape, Simulation, lone, name};

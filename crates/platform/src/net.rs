//! TCP: listening, connecting, and the names of hosts. In a simulation, connections are in memory, and the names and
//! the faults are those that functions of [`simulation`](crate::simulation) set.

mod connect;
mod listen;
pub(crate) mod memory;
mod stream;

pub use connect::{connect, lookup};
pub use listen::{Listener, ListeningSocket, can_bind, listen};
pub use stream::Stream;

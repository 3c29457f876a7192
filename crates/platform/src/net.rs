//! TCP: listening, connecting, also through a SOCKS proxy, and the names of hosts. In a simulation, connections are in
//! memory, and the names and the faults are those that functions of [`simulation`](crate::simulation) set.

mod cause;
mod connect;
mod listen;
pub(crate) mod memory;
mod onion;
mod own;
mod plain;
mod proxy;
mod socks;
mod stream;

pub use cause::find_cause;
pub use connect::{connect, lookup};
pub use listen::{Listener, ListeningSocket, can_bind, listen};
pub use onion::{is_onion, is_onion_v3};
pub use own::is_own;
pub use plain::{PlainText, SpeaksTls};
pub use proxy::{Proxy, ProxyError, WrongProxy};
pub use stream::Stream;

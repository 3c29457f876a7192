//! Common parts of the ports: accepting and limiting connections, TLS, shutdown.
//!
//! Guarantees: every wait for a client has a deadline (handshake, headers, incomplete input, an answer that is not
//! read); every kind of connection, the memory of incomplete input and that of unread answers are bounded; and one
//! address cannot exhaust the bound of all.

mod address_permits;
mod admission;
mod answer_budget;
mod client_address;
mod client_network;
mod connection_slots;
mod final_writes;
mod half_close;
mod http2_server;
pub mod http_runtime;
mod http_server;
mod input_budget;
mod listener;
mod listener_state;
pub mod open_files;
mod ports;
mod shutdown;
mod slotted;
mod spawn;
mod timeouts;
pub mod tls;
mod write_timeout;

pub use address_permits::{AddressPermit, AddressPermits};
pub use admission::{Admission, PendingPermit, Permit, Refusals};
pub use answer_budget::{AnswerBudget, AnswerShare, SMALL_ANSWER};
pub use client_address::ClientAddress;
pub use client_network::network_of;
pub use final_writes::FinalWrites;
pub use half_close::PeerFinished;
pub use http_server::{Api, Peer, http1_builder, serve_http};
pub use http2_server::serve_http2;
pub use input_budget::{Buffer, Evicted, Input, InputBudget, InputMetrics};
pub use listener::{Secured, Stream, accept, listen, secured};
pub use listener_state::ListenerState;
pub use open_files::{HTTP_CONNECTIONS, HTTP2_CONNECTIONS};
pub use ports::Ports;
pub use shutdown::{Shutdown, shutdown_requested};
pub use spawn::{SpawnConnection, spawn_until, spawn_work};
pub use timeouts::Timeouts;
pub use tls::{Tls, TlsError};

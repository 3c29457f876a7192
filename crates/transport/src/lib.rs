//! What both ports share: connections are accepted and bounded, speak TLS where it is configured, and end with the
//! relay.
//!
//! Guarantees: every wait for a client has a deadline (handshake, headers, unfinished input, an answer that is not
//! taken), every kind of connection, the memory of unfinished input and that of answers that are not read have a bound,
//! and one address cannot use up the bound of all.

mod address_permits;
mod admission;
mod answer_budget;
mod client_address;
mod client_network;
mod connection_slots;
mod half_close;
pub mod http_runtime;
mod http_server;
mod input_budget;
mod last_words;
mod listener;
mod listener_state;
pub mod open_files;
mod ports;
mod shutdown;
mod spawn;
pub mod tls;
mod write_timeout;

pub use address_permits::{AddressPermit, AddressPermits};
pub use admission::{Admission, Permit, Seat};
pub use answer_budget::{AnswerBudget, AnswerShare, SMALL_ANSWER};
pub use client_address::ClientAddress;
pub use client_network::network_of;
pub use half_close::PeerFinished;
pub use http_server::{Api, HEADERS_WITHIN, Peer, http1_builder, serve_http};
pub use input_budget::{Buffer, Evicted, INPUT_DEADLINE, Input, InputBudget};
pub use last_words::LastWords;
pub use listener::{Secured, Stream, accept, listen, may_listen, secured};
pub use listener_state::ListenerState;
pub use open_files::HTTP_CONNECTIONS;
pub use ports::Ports;
pub use shutdown::{Shutdown, shutdown_requested};
pub use spawn::SpawnConnection;
pub use tls::{Tls, TlsError};

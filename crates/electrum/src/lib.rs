//! The Electrum protocol (1.4 to 1.4.2) with silent payments, for wallets such as Sparrow: JSON-RPC 2.0, a request or a
//! batch in each line, over TCP or TLS.
//!
//! [`listener`] admits clients, [`connection`] is the task of one socket, [`lines`] reads and writes its lines, and
//! [`works`] are the tasks of those that wait.
//! [`session`] turns requests into answers and questions, and messages of watches into notifications, without I/O;
//! [`subscription`] decides when which notification is sent, [`outputs`] answers for the scripts of found outputs.
//! Questions go to [`node`], [`subscribe`] (detection) and [`backend`].
//!
//! Guarantees: a line, a batch, a connection and an address have limits ([`limits`]), each with a reason in the answer;
//! every question and every write has a deadline ([`Timeouts`]); a client that does not read keeps nothing that others
//! wait for. No key reaches a log line, an error or a counter.

mod args;
mod ask;
mod backend;
mod connection;
mod error;
mod extents;
mod handles;
mod label_share;
mod limits;
mod lines;
mod listener;
mod merkle;
mod methods;
mod metrics;
mod node;
pub mod offline;
mod order;
mod outputs;
mod pace;
mod reply;
mod request;
mod scans;
mod session;
mod start;
mod subscribe;
mod subscription;
mod timeouts;
mod tip;
mod version;
mod work;
mod works;

pub use backend::check_backend;
pub use handles::{Handles, Parts};
pub use limits::MAX_LINE;
pub use listener::serve_electrum;
pub use metrics::ElectrumMetrics;
pub use timeouts::Timeouts;

//! The membership table of the mesh: a [`Row`] for each known relay, the digest by which two tables are compared, and
//! how far each relay is.
//!
//! The table stores and counts. What a message or a timer changes in it is decided by `sdk-relay-mesh`.

pub mod distance;
mod hearsay;
mod introducers;
mod introductions;
mod link_id;
pub mod random;
mod row;
mod rows;
mod state;
mod table;

pub use hearsay::Hearsay;
pub use link_id::LinkId;
pub use row::{Row, order};
pub use rows::{BUCKETS, Slot, name_hash};
pub use state::{Accused, Claim, Forgotten, Local, Suspicion};
pub use table::Table;

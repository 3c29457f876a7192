//! How the crates are put together: a file for each.

mod chain;
mod edges;
mod index;
mod mesh;
mod store;

pub(crate) use chain::{Kind, open_source};
pub(crate) use edges::Service;
pub(crate) use index::{open_index, open_oracle};
pub(crate) use mesh::{default_relay_id, spawn_mesh};
pub(crate) use store::open_store;

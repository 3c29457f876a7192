//! Version 1, one file for each route.

pub(crate) mod block_hash;
pub(crate) mod block_height;
pub(crate) mod filters;
pub(crate) mod forward_tx;
pub(crate) mod info;
pub(crate) mod spent_index;
pub(crate) mod tweak_index;
pub(crate) mod tweaks;
pub(crate) mod utxos;

//! Version 1, one file for each route.

pub(in crate::http) mod block_hash;
pub(in crate::http) mod block_height;
pub(in crate::http) mod filters;
pub(in crate::http) mod forward_tx;
pub(in crate::http) mod info;
pub(in crate::http) mod spent_index;
pub(in crate::http) mod tweak_index;
pub(in crate::http) mod tweaks;
pub(in crate::http) mod utxos;

//! Version 2 over HTTP, one file for each route. Its other way, gRPC, is not offered.

pub(in crate::http) mod compute_index;
pub(in crate::http) mod full_block;
pub(in crate::http) mod info;
pub(in crate::http) mod spent_outputs;
pub(in crate::http) mod tweaks;
pub(in crate::http) mod utxos;

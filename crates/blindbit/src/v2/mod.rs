//! Version 2 over HTTP, one file for each route. Its gRPC interface is [`grpc`](crate::grpc).

pub(crate) mod compute_index;
pub(crate) mod full_block;
pub(crate) mod info;
pub(crate) mod spent_outputs;
pub(crate) mod tweaks;
pub(crate) mod utxos;

//! BlindBit's gRPC interface, with a client that has only the .proto.

mod access;
mod calls;
pub(crate) mod client;
mod errors;
mod hostile;
mod reflection;
mod restart;
mod wallets;

//! The gRPC interface of BlindBit Oracle v2: messages, the stub of a server and that of a client.
//!
//! `generated.rs`, `server.rs` and `descriptor.bin` come from `proto/oracle.proto`, so that no build needs `protoc`. A
//! test compares them with it, and writes them: `UPDATE_GENERATED=1 cargo test -p sdk-relay-blindbit-proto`.

mod encoded;

#[rustfmt::skip]
#[allow(
    missing_docs,
    unused_qualifications,
    clippy::all,
    clippy::clone_on_ref_ptr,
    reason = "generated: tests/it/generated.rs writes this file"
)]
mod generated;
#[rustfmt::skip]
#[allow(
    missing_docs,
    unused_qualifications,
    clippy::all,
    clippy::clone_on_ref_ptr,
    reason = "generated: tests/it/generated.rs writes this file"
)]
mod server;

pub use encoded::Encoded;
pub use generated::*;
pub use server::*;

/// The encoded `FileDescriptorSet` of the interface, for server reflection.
pub const DESCRIPTOR: &[u8] = include_bytes!("descriptor.bin");

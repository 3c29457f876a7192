//! How the crates are put together: a file and a function for each.

pub(crate) mod chain;
pub(crate) mod detect;
pub(crate) mod dev;
pub(crate) mod edges;
pub(crate) mod index;
pub(crate) mod mesh;
pub(crate) mod metrics;
pub(crate) mod service;
pub(crate) mod sockets;
pub(crate) mod store;
pub(crate) mod wallet;
pub(crate) mod webhooks;

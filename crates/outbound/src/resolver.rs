//! From a name to its addresses.

use std::io;
use std::net::SocketAddr;

use async_trait::async_trait;
use sdk_relay_platform::net::lookup;

/// Resolves names.
#[async_trait]
pub trait Resolver: Send + Sync {
    /// The addresses of a name, with this port. It is called once for each attempt, and its answer is all that is
    /// called. The caller has a time limit, and goes on without the answer.
    async fn resolve(&self, name: &str, port: u16) -> io::Result<Vec<SocketAddr>>;
}

/// The resolver of the system.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemResolver;

#[async_trait]
impl Resolver for SystemResolver {
    /// The name is absolute: domains that the system appends to names are those of the operator's network.
    async fn resolve(&self, name: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        lookup(&format!("{name}.:{port}")).await
    }
}

//! Which reverse proxies are believed, and which header of theirs.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::ip_network::IpNetwork;

/// Which forwarding header the trusted proxies write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ForwardingHeader {
    /// `X-Forwarded-For`, or `Forwarded` in a request without it.
    #[default]
    Auto,
    /// `X-Forwarded-For` alone.
    XForwardedFor,
    /// `Forwarded` alone: for proxies that pass on an `X-Forwarded-For` that the client wrote.
    Forwarded,
}

/// The reverse proxies whose forwarding header is believed.
#[derive(Clone, Debug, Default)]
pub struct TrustedProxies {
    networks: Vec<IpNetwork>,
    header: ForwardingHeader,
    /// Whether the log already says that a proxy names no client.
    unnamed: Arc<AtomicBool>,
}

impl TrustedProxies {
    /// Proxies in these networks, which write this header.
    pub fn new(networks: Vec<IpNetwork>, header: ForwardingHeader) -> Self {
        Self {
            networks,
            header,
            unnamed: Arc::default(),
        }
    }

    /// Whether none is configured.
    pub fn is_empty(&self) -> bool {
        self.networks.is_empty()
    }

    /// Whether a TCP peer of this address is a trusted proxy, which speaks for many clients.
    pub fn contains(&self, ip: IpAddr) -> bool {
        self.networks.iter().any(|network| network.contains(ip))
    }

    /// The header that they write.
    pub fn header(&self) -> ForwardingHeader {
        self.header
    }

    /// Notes that a proxy named no client. True for the first time, which is logged.
    pub fn note_unnamed(&self) -> bool {
        !self.unnamed.swap(true, Ordering::Relaxed)
    }
}

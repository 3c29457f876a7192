//! Trusted reverse proxies, and their forwarding header.

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
    /// `X-Forwarded-For` only.
    XForwardedFor,
    /// `Forwarded` only: for proxies that pass on an `X-Forwarded-For` that the client wrote.
    Forwarded,
}

/// The reverse proxies whose forwarding header is used.
#[derive(Clone, Debug, Default)]
pub struct TrustedProxies {
    networks: Vec<IpNetwork>,
    header: ForwardingHeader,
    /// Whether a request without a forwarding header has been logged.
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

    /// Whether a TCP peer with this address is a trusted proxy, which forwards requests of many clients.
    pub fn contains(&self, ip: IpAddr) -> bool {
        self.networks.iter().any(|network| network.contains(ip))
    }

    /// The header that they write.
    pub fn header(&self) -> ForwardingHeader {
        self.header
    }

    /// Records that a proxy sent no client address. Returns true the first time, which is logged.
    pub fn note_unnamed(&self) -> bool {
        !self.unnamed.swap(true, Ordering::Relaxed)
    }
}

//! `[http]` and `[auth]`: who may ask, under which names, and through which proxies.

use hyper::Uri;

use super::checker::Checker;
use crate::error::ConfigError;
use crate::file::File;
use crate::host_name::normal_name;
use crate::ip_network::WrongIpNetwork;
use crate::peer_address::url_of;
use crate::secret::Secret;
use crate::trusted_proxies::{ForwardingHeader, TrustedProxies};

/// Most names of this relay: each request's host is compared with all of them.
const MAX_HOSTS: usize = 64;
/// Longest DNS name (RFC 1035).
const MAX_NAME: usize = 253;
/// Most networks of trusted proxies; large content networks have about twenty.
const MAX_PROXIES: usize = 256;

/// The tokens of the HTTP API.
#[derive(Clone, Debug, Default)]
pub struct Auth {
    /// Needed to change things; without one, loopback alone may.
    pub admin_token: Option<Secret>,
    /// Needed to read; without one, anybody may.
    pub read_token: Option<Secret>,
}

impl Auth {
    pub(super) fn check(at: &Checker<'_>, file: &File) -> Result<Self, ConfigError> {
        Ok(Self {
            admin_token: at.token("auth.admin_token", &file.auth.admin_token)?,
            read_token: at.token("auth.read_token", &file.auth.read_token)?,
        })
    }
}

/// Origins of pages, without a path.
pub(super) fn origins(at: &Checker<'_>, origins: &[String]) -> Result<Vec<String>, ConfigError> {
    for origin in origins {
        let host = origin
            .strip_prefix("https://")
            .or_else(|| origin.strip_prefix("http://"));
        if host.is_none_or(|h| h.is_empty() || h.contains(['/', '*', '@']) || !h.is_ascii()) {
            return Err(at.wrong(
                "http.cors_origins",
                origin,
                "expected origins such as https://app.example.com, without a path",
            ));
        }
    }
    Ok(origins.to_vec())
}

/// Names of this relay, with the host of `mesh.advertise`: other relays connect by it.
pub(super) fn hosts(at: &Checker<'_>, file: &File) -> Result<Vec<String>, ConfigError> {
    let mut hosts = Vec::new();
    for host in &file.http.hosts {
        let name = normal_name(host);
        let fits = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
        if name.is_empty() || name.len() > MAX_NAME || !name.bytes().all(fits) {
            let why = "expected names such as relay.example.com, without a scheme, port or wildcard";
            return Err(at.wrong("http.hosts", host, why));
        }
        hosts.push(name);
    }
    if hosts.len() > MAX_HOSTS {
        let why = format!("expected at most {MAX_HOSTS}");
        return Err(at.wrong("http.hosts", &format!("{} entries", hosts.len()), &why));
    }
    let advertised = url_of(&file.mesh.advertise).and_then(|url| url.parse::<Uri>().ok());
    hosts.extend(advertised.as_ref().and_then(Uri::host).map(normal_name));
    Ok(hosts)
}

/// The reverse proxies whose forwarding header is believed.
pub(super) fn trusted_proxies(at: &Checker<'_>, file: &File) -> Result<TrustedProxies, ConfigError> {
    let mut networks = Vec::new();
    for text in &file.http.trusted_proxies {
        let network = text
            .parse()
            .map_err(|error: WrongIpNetwork| at.wrong("http.trusted_proxies", text, &error.to_string()))?;
        networks.push(network);
    }
    if networks.len() > MAX_PROXIES {
        let why = format!("expected at most {MAX_PROXIES}: combine them into networks");
        return Err(at.wrong("http.trusted_proxies", &format!("{} entries", networks.len()), &why));
    }
    let header = match file.http.forwarding_header.as_str() {
        "auto" => ForwardingHeader::Auto,
        "x-forwarded-for" => ForwardingHeader::XForwardedFor,
        "forwarded" => ForwardingHeader::Forwarded,
        other => {
            let why = "expected auto, x-forwarded-for or forwarded";
            return Err(at.wrong("http.forwarding_header", other, why));
        }
    };
    Ok(TrustedProxies::new(networks, header))
}

//! The host that a request names: `Host`, or the authority of a request target in absolute form (RFC 9112, section
//! 3.2).
//!
//! A web page can make the name of its own site resolve to the address of the relay (DNS rebinding). Its requests then
//! come from the machine of its visitor, and its origin equals the requested host. They are recognised by that host,
//! which is not configured.

use std::net::{IpAddr, Ipv6Addr};

use hyper::header::{HOST, HeaderValue};
use hyper::{Request, Version};
use sdk_relay_config::{Config, normal_name};

/// The checked host of a request, which no page of another site can use; an extension of requests.
#[derive(Clone, Debug)]
pub struct CheckedHost(pub Option<RequestHost>);

/// Why the host of a request is invalid: 400 according to RFC 9112.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// HTTP/1.1 without `Host`.
    #[error("the header Host is missing: HTTP/1.1 requires it")]
    Missing,
    /// More than one.
    #[error("the header Host is repeated: expected one header with one host")]
    Several,
    /// Not `HOST` or `HOST:PORT`.
    #[error("the header Host is malformed: expected HOST or HOST:PORT")]
    Malformed,
    /// The request target names another one.
    #[error("the request target and the header Host name different hosts")]
    Different,
}

/// A request's host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestHost {
    name: Name,
    port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Name {
    Ip(IpAddr),
    /// In lower case, without a dot at the end.
    Dns(String),
}

impl RequestHost {
    /// The host of a request; `None` for HTTP/1.0 without a host, or with an empty one.
    pub fn of<B>(request: &Request<B>) -> Result<Option<Self>, HostError> {
        let mut lines = request.headers().get_all(HOST).iter();
        let line = lines.next();
        if lines.next().is_some() {
            return Err(HostError::Several);
        }
        let named = match line {
            None if request.version() < Version::HTTP_11 => None,
            None => return Err(HostError::Missing),
            Some(value) => Self::parse(value)?,
        };
        match request.uri().authority() {
            None => Ok(named),
            Some(target) => {
                let target = parse(target.as_str()).ok_or(HostError::Malformed)?;
                if named.is_some_and(|named| named != target) {
                    return Err(HostError::Different);
                }
                Ok(Some(target))
            }
        }
    }

    fn parse(value: &HeaderValue) -> Result<Option<Self>, HostError> {
        let text = value.to_str().map_err(|_| HostError::Malformed)?.trim();
        if text.is_empty() {
            return Ok(None);
        }
        parse(text).map(Some).ok_or(HostError::Malformed)
    }

    /// Whether this host cannot be that of a page of another site: an IP address, `localhost`, a host of `http.hosts`,
    /// or the one of `mesh.advertise`.
    pub fn is_checked(&self, config: &Config) -> bool {
        match &self.name {
            Name::Ip(_) => true,
            Name::Dns(name) => name == "localhost" || config.hosts.contains(name),
        }
    }

    /// Whether a page of this origin was served by this host. Behind a proxy that terminates TLS, the relay does not
    /// know the scheme of its clients.
    pub fn is_origin(&self, origin: &str, tls: bool) -> bool {
        let (host, default_port) = match origin.split_once("://") {
            Some(("https", host)) => (host, 443),
            Some(("http", host)) if !tls => (host, 80),
            _ => return false,
        };
        parse(host).is_some_and(|of_page| {
            of_page.name == self.name && of_page.port.unwrap_or(default_port) == self.port.unwrap_or(default_port)
        })
    }
}

/// `HOST` or `HOST:PORT`, without a user before it.
fn parse(text: &str) -> Option<RequestHost> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (address, rest) = rest.split_once(']')?;
            let address: Ipv6Addr = address.parse().ok()?;
            let port = if rest.is_empty() {
                None
            } else {
                Some(rest.strip_prefix(':')?)
            };
            (Name::Ip(address.into()), port)
        }
        None => {
            let (host, port) = text.split_once(':').map_or((text, None), |(h, p)| (h, Some(p)));
            (name(host)?, port)
        }
    };
    let port = match port {
        None | Some("") => None,
        Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => Some(digits.parse().ok()?),
        Some(_) => return None,
    };
    Some(RequestHost { name: host, port })
}

/// An IPv4 address or a name. Names with characters that RFC 3986 allows, but DNS names do not have, are refused.
fn name(host: &str) -> Option<Name> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return address.is_ipv4().then_some(Name::Ip(address));
    }
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=%".contains(&b);
    (!host.is_empty() && host.bytes().all(allowed)).then(|| Name::Dns(normal_name(host)))
}

#[cfg(test)]
mod tests;

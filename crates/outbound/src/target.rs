//! A URL that a client names.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hyper::http::uri::PathAndQuery;
use sdk_relay_platform::net::is_onion;

/// Longest URL. Those of push services have up to some 1,000 characters.
const MAX_URL: usize = 2048;
/// Longest name (RFC 1035).
const MAX_NAME: usize = 253;
/// Longest part of a name between dots.
const MAX_LABEL: usize = 63;
/// Ports below it belong to services that the system administrator runs, few of which speak HTTP.
const FIRST_FREE_PORT: u16 = 1024;
const HTTPS: u16 = 443;
const HTTP: u16 = 80;

/// Why a URL is not accepted. The text is for the client that has named it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WrongTarget {
    /// It is too long.
    #[error("the URL is longer than {MAX_URL} characters")]
    Long,
    /// It has characters that URLs do not have.
    #[error(
        "the URL has characters other than printable ASCII, or a backslash: write names in their ASCII form (xn--…)"
    )]
    Characters,
    /// Its scheme is another one.
    #[error("the URL does not begin with https://")]
    Scheme,
    /// It has a user or a password.
    #[error("the URL has a user or a password")]
    User,
    /// It has a fragment.
    #[error("the URL has a fragment (#…), which is not sent to servers")]
    Fragment,
    /// Its host is neither a name with a dot nor an IP address.
    #[error("the host of the URL is not a DNS name with a dot, nor an IP address in its usual form")]
    Host,
    /// Its host is an onion service.
    #[error("the URL is that of an onion service, which is not called")]
    Onion,
    /// Its port is not allowed.
    #[error("the port of the URL is neither {HTTPS} nor from {FIRST_FREE_PORT} to 65535")]
    Port,
    /// Its path is malformed.
    #[error("the path of the URL has characters that must be percent-encoded")]
    Path,
}

/// A URL that may be called if its addresses are public. `Debug` shows the origin only: the path of an endpoint is
/// often all that authorises a caller.
#[derive(Clone, PartialEq, Eq)]
pub struct Target {
    is_tls: bool,
    host: Host,
    port: u16,
    path: PathAndQuery,
}

/// The host of a URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// A DNS name in lower case, with a dot, and without one at its end.
    Name(String),
    /// An address.
    Address(IpAddr),
}

impl Target {
    /// Parses a URL of a client. Strict: where two parsers could read a URL in two ways, it is refused. `allow_http`:
    /// whether TLS may be missing.
    ///
    /// # Errors
    /// What the client has to change.
    pub fn parse(url: &str, allow_http: bool) -> Result<Self, WrongTarget> {
        if url.len() > MAX_URL {
            return Err(WrongTarget::Long);
        }
        // Some parsers take a backslash for a slash, and remove tabs and line breaks.
        if !url.bytes().all(|b| b.is_ascii_graphic() && b != b'\\') {
            return Err(WrongTarget::Characters);
        }
        if url.contains('#') {
            return Err(WrongTarget::Fragment);
        }
        let (scheme, rest) = url.split_once("://").ok_or(WrongTarget::Scheme)?;
        let is_tls = scheme.eq_ignore_ascii_case("https");
        let is_allowed = is_tls || (allow_http && scheme.eq_ignore_ascii_case("http"));
        if !is_allowed {
            return Err(WrongTarget::Scheme);
        }
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        if authority.contains('@') {
            return Err(WrongTarget::User);
        }
        let (host, port) = split_port(authority)?;
        let host = Host::parse(host)?;
        let default = if is_tls { HTTPS } else { HTTP };
        let port = match port {
            None => default,
            Some(digits) => parse_port(digits, default)?,
        };
        let path = if path.starts_with('/') {
            path.parse()
        } else {
            format!("/{path}").parse()
        };
        Ok(Self {
            is_tls,
            host,
            port,
            path: path.map_err(|_| WrongTarget::Path)?,
        })
    }

    /// Whether it is called over TLS.
    pub fn is_tls(&self) -> bool {
        self.is_tls
    }

    /// Its host.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `HOST`, or `HOST:PORT` if that is not the port of its scheme; an IPv6 address is in brackets.
    pub fn authority(&self) -> String {
        let default = if self.is_tls { HTTPS } else { HTTP };
        match self.port {
            port if port == default => self.host.to_string(),
            port => format!("{}:{port}", self.host),
        }
    }

    /// Its origin (RFC 6454): scheme and authority.
    pub fn origin(&self) -> String {
        let scheme = if self.is_tls { "https" } else { "http" };
        format!("{scheme}://{}", self.authority())
    }

    /// Its path and query.
    pub(crate) fn path(&self) -> &PathAndQuery {
        &self.path
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Target({}/…)", self.origin())
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(IpAddr::V4(v4)) => v4.fmt(f),
            Self::Address(IpAddr::V6(v6)) => write!(f, "[{v6}]"),
        }
    }
}

impl Host {
    fn parse(text: &str) -> Result<Self, WrongTarget> {
        if let Some(rest) = text.strip_prefix('[') {
            // Without a zone: the parser of the standard library takes none.
            let bare = rest.strip_suffix(']').ok_or(WrongTarget::Host)?;
            let v6: Ipv6Addr = bare.parse().map_err(|_| WrongTarget::Host)?;
            return Ok(Self::Address(v6.into()));
        }
        let labels: Vec<_> = text.split('.').collect();
        let last = labels.last().copied().unwrap_or_default();
        if is_number(last) {
            // Resolvers read 127.1, 0x7f.1 and 0177.0.0.1 as addresses too. Only four decimal numbers are accepted, and
            // the parser of the standard library takes no others.
            let v4: Ipv4Addr = text.parse().map_err(|_| WrongTarget::Host)?;
            return Ok(Self::Address(v4.into()));
        }
        if is_onion(text) {
            return Err(WrongTarget::Onion);
        }
        // A name without a dot is one of the local network.
        if labels.len() < 2 || text.len() > MAX_NAME || !labels.into_iter().all(is_label) {
            return Err(WrongTarget::Host);
        }
        Ok(Self::Name(text.to_ascii_lowercase()))
    }
}

/// Whether the last part of a host makes it an IPv4 address in one of the forms that resolvers read: decimal, octal or
/// hexadecimal (WHATWG URL, "ends in a number").
fn is_number(label: &str) -> bool {
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let hexadecimal = label.strip_prefix("0x").or_else(|| label.strip_prefix("0X"));
    (!label.is_empty() && digits(label)) || hexadecimal.is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// A part of a name. Empty ones are refused, and with them a dot at the end.
fn is_label(label: &str) -> bool {
    (1..=MAX_LABEL).contains(&label.len())
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

/// The host, and the digits of the port.
fn split_port(authority: &str) -> Result<(&str, Option<&str>), WrongTarget> {
    let after_address = authority.rfind(']').map_or(0, |at| at + 1);
    match authority[after_address..].find(':') {
        None => Ok((authority, None)),
        Some(at) => {
            let (host, port) = authority.split_at(after_address + at);
            Ok((host, port.get(1..)))
        }
    }
}

fn parse_port(digits: &str, default: u16) -> Result<u16, WrongTarget> {
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(WrongTarget::Port);
    }
    let port: u16 = digits.parse().map_err(|_| WrongTarget::Port)?;
    let is_allowed = port == HTTPS || port == default || port >= FIRST_FREE_PORT;
    is_allowed.then_some(port).ok_or(WrongTarget::Port)
}

#[cfg(test)]
mod tests;

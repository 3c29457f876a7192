//! Connections through a SOCKS proxy, such as Tor.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;
use std::time::Duration;

use tokio::time::timeout;
use zeroize::Zeroizing;

use super::socks::{self, Rejected};
use super::{Stream, connect, lookup};

/// Timeout for the connection to the proxy and its authentication. A proxy is on this machine or near it.
const REACH_TIMEOUT: Duration = Duration::from_secs(5);
/// Timeout for the connection from the proxy to its target. Tor builds a circuit for it, which takes some seconds, up
/// to about fifteen to an onion service; it keeps trying after that, so that the next attempt finds the circuit.
const TARGET_TIMEOUT: Duration = Duration::from_secs(20);
/// Longest user or password (RFC 1929).
const MAX_CREDENTIAL: usize = 255;
/// Longest host name (RFC 1035).
const MAX_NAME: usize = 253;

/// A SOCKS 5 proxy. Names are resolved by the proxy alone: nothing looks up a host that is reached through one.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    /// `HOST:PORT`; an IPv6 address is in brackets.
    address: String,
    credentials: Option<(Zeroizing<String>, Zeroizing<String>)>,
}

/// Why a text is no proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct WrongProxy(
    /// What is expected.
    pub &'static str,
);

/// Why a connection through a proxy fails. No variant holds the user or the password.
#[derive(Debug, thiserror::Error)]
pub enum ProxyError {
    /// The proxy cannot be reached, or does not reply.
    #[error("the SOCKS proxy {proxy} does not answer: {reason}")]
    Away {
        /// `HOST:PORT` of the proxy.
        proxy: String,
        /// What has happened.
        reason: String,
    },
    /// The proxy does not accept this client.
    #[error("the SOCKS proxy {proxy} cannot be used: {reason}")]
    Rejected {
        /// `HOST:PORT` of the proxy.
        proxy: String,
        /// Why.
        reason: String,
    },
    /// The proxy does not reach the peer.
    #[error("the SOCKS proxy {proxy} cannot connect to {target}: {reason}")]
    Target {
        /// `HOST:PORT` of the proxy.
        proxy: String,
        /// `HOST:PORT` of the peer.
        target: String,
        /// As the proxy says it.
        reason: String,
    },
}

impl ProxyError {
    /// Whether the proxy itself is the problem, and not the peer behind it.
    pub fn is_of_proxy(&self) -> bool {
        match self {
            Self::Away { .. } | Self::Rejected { .. } => true,
            Self::Target { .. } => false,
        }
    }
}

impl Proxy {
    /// `HOST:PORT` of the proxy.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Whether it is used with a password.
    pub fn has_password(&self) -> bool {
        self.credentials.is_some()
    }

    /// Connects to `HOST:PORT` through the proxy (an IPv6 address is in brackets). Ends within 25 s.
    ///
    /// # Errors
    /// What the proxy does, or what it reports about its target.
    pub async fn connect(&self, target: &str) -> Result<Stream, ProxyError> {
        self.connect_within(target, TARGET_TIMEOUT).await
    }

    async fn connect_within(&self, target: &str, limit: Duration) -> Result<Stream, ProxyError> {
        let refused = |reason: String| ProxyError::Target {
            proxy: self.address.clone(),
            target: target.to_owned(),
            reason,
        };
        let (host, port) = host_and_port(target).ok_or_else(|| refused("it is not HOST:PORT".to_owned()))?;
        let mut stream = match timeout(REACH_TIMEOUT, self.reach()).await {
            Ok(reached) => reached?,
            Err(_) => return Err(self.away(format!("no reply within {} s", REACH_TIMEOUT.as_secs()))),
        };
        match timeout(limit, socks::request(&mut stream, host, port)).await {
            Ok(Ok(())) => Ok(stream),
            Ok(Err(error)) => Err(refused(error.to_string())),
            Err(_) => Err(refused(format!("no reply within {} s", limit.as_secs_f64()))),
        }
    }

    /// A connection to the proxy, authenticated.
    async fn reach(&self) -> Result<Stream, ProxyError> {
        let away = |error: std::io::Error| self.away(error.to_string());
        let mut last = None;
        for address in lookup(&self.address).await.map_err(away)? {
            match connect(address).await {
                Ok(stream) => return self.authenticated(stream).await,
                Err(error) => last = Some(error),
            }
        }
        Err(last.map_or_else(|| self.away("its name has no address".to_owned()), away))
    }

    async fn authenticated(&self, mut stream: Stream) -> Result<Stream, ProxyError> {
        stream.set_nodelay().map_err(|error| self.away(error.to_string()))?;
        let credentials = self
            .credentials
            .as_ref()
            .map(|(user, password)| (user.as_str(), password.as_str()));
        match socks::authenticate(&mut stream, credentials).await {
            Ok(()) => Ok(stream),
            Err(error @ Rejected::Io(_)) => Err(self.away(error.to_string())),
            Err(error) => Err(ProxyError::Rejected {
                proxy: self.address.clone(),
                reason: error.to_string(),
            }),
        }
    }

    fn away(&self, reason: String) -> ProxyError {
        ProxyError::Away {
            proxy: self.address.clone(),
            reason,
        }
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy")
            .field("address", &self.address)
            .field("has_password", &self.credentials.is_some())
            .finish()
    }
}

/// `socks5://[USER:PASSWORD@]HOST:PORT`. `socks5h`, which stands for names that the proxy resolves, is the same.
impl FromStr for Proxy {
    type Err = WrongProxy;

    fn from_str(text: &str) -> Result<Self, WrongProxy> {
        let expected = WrongProxy("expected socks5://HOST:PORT, such as socks5://127.0.0.1:9050");
        let (scheme, rest) = text.split_once("://").ok_or(expected)?;
        if !["socks5", "socks5h"].contains(&scheme.to_ascii_lowercase().as_str()) {
            return Err(WrongProxy(
                "expected socks5://HOST:PORT: no other proxy protocol is supported",
            ));
        }
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (credentials, address) = match rest.rsplit_once('@') {
            Some((credentials, address)) => (Some(credentials), address),
            None => (None, rest),
        };
        let (host, _) = host_and_port(address).ok_or(expected)?;
        if host.parse::<Ipv6Addr>().is_err() && !is_name(host) {
            return Err(expected);
        }
        Ok(Self {
            address: address.to_owned(),
            credentials: credentials.map(parse_credentials).transpose()?,
        })
    }
}

fn parse_credentials(text: &str) -> Result<(Zeroizing<String>, Zeroizing<String>), WrongProxy> {
    let wrong = WrongProxy(
        "expected USER:PASSWORD before the @, each with 1 to 255 bytes; write special characters as in URLs, % and two hex digits",
    );
    let (user, password) = text.split_once(':').ok_or(wrong)?;
    let decoded = |text: &str| {
        let decoded = percent_decoded(text).ok_or(wrong)?;
        let fits = (1..=MAX_CREDENTIAL).contains(&decoded.len());
        fits.then_some(decoded).ok_or(wrong)
    };
    Ok((decoded(user)?, decoded(password)?))
}

fn percent_decoded(text: &str) -> Option<Zeroizing<String>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len()));
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let mut digit = || char::from(rest.next()?).to_digit(16).and_then(|d| u8::try_from(d).ok());
                digit()? << 4 | digit()?
            }
            b if b.is_ascii_graphic() && !b"@/:".contains(&b) => b,
            _ => return None,
        });
    }
    std::str::from_utf8(&bytes)
        .ok()
        .map(|text| Zeroizing::new(text.to_owned()))
}

/// Host without brackets, and port, of `HOST:PORT`.
fn host_and_port(target: &str) -> Option<(&str, u16)> {
    let (host, port) = target.rsplit_once(':')?;
    let port = port.parse().ok().filter(|port| *port > 0)?;
    match host.strip_prefix('[') {
        Some(rest) => Some((
            rest.strip_suffix(']').filter(|ip| ip.parse::<Ipv6Addr>().is_ok())?,
            port,
        )),
        // An IPv6 address without brackets: its last group may be the port.
        None if host.contains(':') => None,
        None => (!host.is_empty()).then_some((host, port)),
    }
}

fn is_name(host: &str) -> bool {
    host.len() <= MAX_NAME && host.bytes().all(|b| b.is_ascii_alphanumeric() || b".-_".contains(&b))
}

#[cfg(test)]
mod tests;

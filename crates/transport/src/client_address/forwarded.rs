//! Reads `X-Forwarded-For` and `Forwarded` (RFC 7239) from the right.

use std::net::{IpAddr, SocketAddr};

use hyper::header::{GetAll, HeaderValue};

/// The addresses in a forwarding header, nearest first; `None` for an element without an address. Several lines form
/// one list.
pub(super) struct Hops<'a> {
    /// The remaining elements, the next one last.
    elements: Vec<&'a str>,
    read: fn(&str) -> Option<IpAddr>,
}

impl<'a> Hops<'a> {
    pub(super) fn x_forwarded_for(lines: GetAll<'a, HeaderValue>) -> Self {
        Self::new(lines, |line| line.split(',').collect(), address)
    }

    pub(super) fn forwarded(lines: GetAll<'a, HeaderValue>) -> Self {
        Self::new(lines, |line| split(line, ','), forwarded_for)
    }

    fn new(
        lines: GetAll<'a, HeaderValue>,
        split: fn(&'a str) -> Vec<&'a str>,
        read: fn(&str) -> Option<IpAddr>,
    ) -> Self {
        // A line that is not ASCII is an unparsable element.
        let elements = lines
            .iter()
            .flat_map(|line| line.to_str().map_or_else(|_| vec![""], split));
        Self {
            elements: elements.collect(),
            read,
        }
    }
}

impl Iterator for Hops<'_> {
    type Item = Option<IpAddr>;

    fn next(&mut self) -> Option<Self::Item> {
        self.elements.pop().map(|element| (self.read)(element.trim()))
    }
}

/// Splits at separators outside quoted strings.
fn split(text: &str, separator: char) -> Vec<&str> {
    let (mut quoted, mut escaped) = (false, false);
    text.split(move |c| {
        if escaped {
            escaped = false;
            return false;
        }
        match c {
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            c => return c == separator && !quoted,
        }
        false
    })
    .collect()
}

/// The address of the parameter `for`, which must occur once.
fn forwarded_for(element: &str) -> Option<IpAddr> {
    let mut nodes = split(element, ';').into_iter().filter_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        name.trim().eq_ignore_ascii_case("for").then(|| value.trim())
    });
    let node = nodes.next()?;
    if nodes.next().is_some() {
        return None;
    }
    let node = match node.strip_prefix('"') {
        Some(quoted) => quoted.strip_suffix('"')?,
        None => node,
    };
    address(node)
}

/// `IP`, `IPv4:PORT`, `[IPv6]` or `[IPv6]:PORT`. `None` for names such as `unknown` and `_hidden`.
fn address(text: &str) -> Option<IpAddr> {
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok().map(IpAddr::V6);
    let ip = text
        .parse()
        .ok()
        .or_else(bracketed)
        .or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))?;
    Some(ip.to_canonical())
}

//! Relays to connect to: the last one, those that the app has named, those that the relay has listed.

use std::net::IpAddr;

use sdk_relay_protocol::OtherRelay;

use crate::transport;

/// Maximum number of listed relays. Each is tried in every round.
const OTHERS: usize = 16;

/// The relays of a client.
#[derive(Debug)]
pub(crate) struct Routes {
    named: Vec<String>,
    listed: Vec<String>,
    /// URL of the last connection.
    current: String,
}

/// A relay to try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) url: String,
    /// Whether the app has named it, so that it may receive secrets.
    pub(crate) named: bool,
}

impl Routes {
    /// Routes of a client whose first connection is to `first`.
    pub(crate) fn new(first: &str, others: &[String]) -> Self {
        let named = std::iter::once(first.to_owned()).chain(others.iter().cloned());
        Self {
            named: named.collect(),
            listed: Vec::new(),
            current: first.to_owned(),
        }
    }

    /// Sets the relays that the current relay has listed, nearest first. Leaves out those that are less safe than the
    /// ones that the app has named: without TLS if those use it, or with a private address if those have none.
    pub(crate) fn set_listed(&mut self, others: &[OtherRelay]) {
        let all_secure = self.named.iter().all(|url| url.starts_with("wss://"));
        let any_private = self.named.iter().any(|url| is_private(url));
        let urls = others.iter().map(|other| &other.url);
        let usable = urls.filter(|url| {
            let secure = url.starts_with("wss://") || !all_secure;
            transport::address(url).is_ok() && secure && (any_private || !is_private(url))
        });
        self.listed = usable.take(OTHERS).cloned().collect();
    }

    /// URL of the last connection.
    pub(crate) fn current(&self) -> &str {
        &self.current
    }

    /// Records the relay of a new connection.
    pub(crate) fn set_current(&mut self, url: &str) {
        url.clone_into(&mut self.current);
    }

    /// The relays to try, in order: that of the last connection, then the others.
    pub(crate) fn round(&self, only_named: bool) -> Vec<Route> {
        let mut round: Vec<Route> = Vec::new();
        let named = self.named.iter().map(|url| (url, true));
        let listed = self.listed.iter().map(|url| (url, false));
        for (url, is_named) in named.chain(listed).filter(|(_, is_named)| *is_named || !only_named) {
            if !round.iter().any(|route| route.url == *url) {
                round.push(Route {
                    url: url.clone(),
                    named: is_named,
                });
            }
        }
        // Stable: the others stay in their order.
        round.sort_by_key(|route| route.url != self.current);
        round
    }
}

/// Whether the host is an address that only this machine or its network can reach.
fn is_private(url: &str) -> bool {
    let Ok(address) = transport::address(url) else {
        return false;
    };
    let host = address.rsplit_once(':').map_or(&*address, |(host, _)| host);
    let host = host.trim_start_matches('[').trim_end_matches(']');
    match host.parse() {
        Ok(IpAddr::V4(ip)) => ip.is_loopback() || ip.is_private() || ip.is_link_local() || ip.is_unspecified(),
        Ok(IpAddr::V6(ip)) => {
            ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local() || ip.is_unspecified()
        }
        Err(_) => host.eq_ignore_ascii_case("localhost"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn other(url: &str) -> OtherRelay {
        OtherRelay {
            relay_id: url.to_owned(),
            url: url.to_owned(),
        }
    }

    fn urls(routes: &Routes, only_named: bool) -> Vec<String> {
        routes.round(only_named).into_iter().map(|r| r.url).collect()
    }

    #[test]
    fn order_is_last_then_named_then_listed() {
        let mut routes = Routes::new("ws://a.example:1", &["ws://b.example:1".to_owned()]);
        routes.set_listed(&[other("ws://c.example:1"), other("ws://b.example:1"), other("not a url")]);
        let all = ["ws://a.example:1", "ws://b.example:1", "ws://c.example:1"];
        assert_eq!(urls(&routes, false), all);
        assert_eq!(urls(&routes, true), all[..2]);
        assert_eq!(
            routes.round(false).iter().map(|r| r.named).collect::<Vec<_>>(),
            [true, true, false]
        );
        routes.set_current("ws://c.example:1");
        assert_eq!(urls(&routes, false), [all[2], all[0], all[1]]);
        assert_eq!(
            urls(&routes, true),
            all[..2],
            "the last is one that may not have secrets"
        );
    }

    #[test]
    fn less_safe_relays_are_left_out() {
        let listed = [
            "ws://c.example:1",
            "wss://c.example:1",
            "wss://10.0.0.1:1",
            "wss://[::1]:1",
        ]
        .map(other);
        let mut routes = Routes::new("wss://a.example:1", &[]);
        routes.set_listed(&listed);
        assert_eq!(urls(&routes, false), ["wss://a.example:1", "wss://c.example:1"]);
        let mut routes = Routes::new("ws://127.0.0.1:1", &[]);
        routes.set_listed(&listed);
        assert_eq!(urls(&routes, false).len(), 5);
        let many: Vec<_> = (0..100).map(|n| other(&format!("ws://c.example:{n}"))).collect();
        routes.set_listed(&many);
        assert_eq!(urls(&routes, false).len(), 1 + OTHERS);
    }
}

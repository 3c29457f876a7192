//! Where to connect next: to the same relay, to others that the app has named, to others that the relay has told of.

use std::net::IpAddr;

use sdk_relay_protocol::OtherRelay;

use crate::transport;

/// Other relays at most: one is enough, and each is tried in every round.
const OTHERS: usize = 16;

/// The relays of a client.
#[derive(Debug)]
pub(crate) struct Routes {
    named: Vec<String>,
    told: Vec<String>,
    /// That of the last connection.
    current: String,
}

/// A relay to try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) url: String,
    /// The app has named it: it may have secrets.
    pub(crate) named: bool,
}

impl Routes {
    /// Of a client whose first connection is to the first of these.
    pub(crate) fn new(first: &str, others: &[String]) -> Self {
        let named = std::iter::once(first.to_owned()).chain(others.iter().cloned());
        Self {
            named: named.collect(),
            told: Vec::new(),
            current: first.to_owned(),
        }
    }

    /// The relay of this connection told of others, the nearest first. Those are left out that are less safe than the ones that the app has
    /// named: without TLS where these have it, or with a private address where these have none.
    pub(crate) fn told(&mut self, others: &[OtherRelay]) {
        let all_secure = self.named.iter().all(|url| url.starts_with("wss://"));
        let any_private = self.named.iter().any(|url| is_private(url));
        let urls = others.iter().map(|other| &other.url);
        let usable = urls.filter(|url| {
            let secure = url.starts_with("wss://") || !all_secure;
            transport::address(url).is_ok() && secure && (any_private || !is_private(url))
        });
        self.told = usable.take(OTHERS).cloned().collect();
    }

    /// The relay of the last connection.
    pub(crate) fn current(&self) -> &str {
        &self.current
    }

    /// There is a connection to it.
    pub(crate) fn at(&mut self, url: &str) {
        url.clone_into(&mut self.current);
    }

    /// What to try, in order: the relay of the last connection, which may be back at once; then the others.
    pub(crate) fn round(&self, only_named: bool) -> Vec<Route> {
        let mut round: Vec<Route> = Vec::new();
        let named = self.named.iter().map(|url| (url, true));
        let told = self.told.iter().map(|url| (url, false));
        for (url, is_named) in named.chain(told).filter(|(_, is_named)| *is_named || !only_named) {
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

/// Whether the host is an address that is reached from here alone, or from the same network.
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
    fn first_the_last_then_the_named_then_the_told() {
        let mut routes = Routes::new("ws://a.example:1", &["ws://b.example:1".to_owned()]);
        routes.told(&[other("ws://c.example:1"), other("ws://b.example:1"), other("not a url")]);
        let all = ["ws://a.example:1", "ws://b.example:1", "ws://c.example:1"];
        assert_eq!(urls(&routes, false), all);
        assert_eq!(urls(&routes, true), all[..2]);
        assert_eq!(
            routes.round(false).iter().map(|r| r.named).collect::<Vec<_>>(),
            [true, true, false]
        );
        routes.at("ws://c.example:1");
        assert_eq!(urls(&routes, false), [all[2], all[0], all[1]]);
        assert_eq!(
            urls(&routes, true),
            all[..2],
            "the last is one that may not have secrets"
        );
    }

    #[test]
    fn nobody_is_sent_to_a_less_safe_place() {
        let told = [
            "ws://c.example:1",
            "wss://c.example:1",
            "wss://10.0.0.1:1",
            "wss://[::1]:1",
        ]
        .map(other);
        let mut routes = Routes::new("wss://a.example:1", &[]);
        routes.told(&told);
        assert_eq!(urls(&routes, false), ["wss://a.example:1", "wss://c.example:1"]);
        let mut routes = Routes::new("ws://127.0.0.1:1", &[]);
        routes.told(&told);
        assert_eq!(urls(&routes, false).len(), 5);
        let many: Vec<_> = (0..100).map(|n| other(&format!("ws://c.example:{n}"))).collect();
        routes.told(&many);
        assert_eq!(urls(&routes, false).len(), 1 + OTHERS);
    }
}

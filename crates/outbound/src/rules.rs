//! Which addresses may be called.

use std::io;
use std::net::{IpAddr, SocketAddr};

use sdk_relay_config::IpNetwork;
use sdk_relay_platform::net::is_own;

use crate::kind::Kind;

/// What the operator has configured, and where the relay itself is.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// Whether URLs may begin with `http://`.
    pub allow_http: bool,
    /// Networks of the operator that may be called although they are not public.
    pub allow: Vec<IpNetwork>,
    /// Public networks that may not be called.
    pub refuse: Vec<IpNetwork>,
    /// Addresses that the relay listens on.
    pub listens_on: Vec<SocketAddr>,
    /// DNS names of the relay, in lower case.
    pub own_names: Vec<String>,
    /// Public addresses of the relay that no interface of its machine has.
    pub own_addresses: Vec<IpAddr>,
}

impl Rules {
    /// Whether a connection to this address may be opened. `resolved`: what the relay's own names lead to.
    ///
    /// # Errors
    /// The outer one: the system does not say which addresses are its own.
    pub(crate) fn check(&self, address: SocketAddr, resolved: &[IpAddr]) -> io::Result<Result<(), Kind>> {
        let ip = address.ip();
        let own = self.own_addresses.contains(&ip) || resolved.contains(&ip) || is_own(ip)?;
        Ok(self.decide(address, own))
    }

    fn decide(&self, address: SocketAddr, own: bool) -> Result<(), Kind> {
        let ip = address.ip();
        if self.is_listener(address, own) {
            return Err(Kind::Own);
        }
        if self.refuse.iter().any(|network| network.contains(ip)) {
            return Err(Kind::Configured);
        }
        match Kind::of(ip).or(own.then_some(Kind::Own)) {
            None => Ok(()),
            Some(kind) if kind.may_be_allowed() && self.allow.iter().any(|network| network.contains(ip)) => Ok(()),
            Some(kind) => Err(kind),
        }
    }

    /// Whether the relay itself answers there. What it serves to this machine alone is not for its clients.
    fn is_listener(&self, address: SocketAddr, own: bool) -> bool {
        let is_here = own || address.ip().is_loopback();
        self.listens_on.iter().any(|listener| {
            listener.port() == address.port()
                && (listener.ip() == address.ip() || (listener.ip().is_unspecified() && is_here))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn networks(of: &[&str]) -> Vec<IpNetwork> {
        of.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn rules() -> Rules {
        Rules {
            allow: networks(&[
                "127.0.0.0/8",
                "10.1.0.0/16",
                "169.254.0.0/16",
                "::1",
                "fc00::/7",
                "fe80::/10",
                "64:ff9b::/96",
            ]),
            refuse: networks(&["9.9.9.0/24", "10.1.2.0/24"]),
            listens_on: vec!["0.0.0.0:8090".parse().unwrap(), "127.0.0.1:8091".parse().unwrap()],
            own_addresses: vec!["8.8.4.4".parse().unwrap()],
            ..Rules::default()
        }
    }

    fn decide(address: &str) -> Result<(), Kind> {
        let address: SocketAddr = address.parse().unwrap();
        rules().decide(address, rules().own_addresses.contains(&address.ip()))
    }

    #[test]
    fn an_allowance_opens_its_networks_and_no_others() {
        for open in [
            "127.0.0.1:443",
            "10.1.1.1:443",
            "[fd12::1]:443",
            "8.8.8.8:443",
            "[::1]:443",
        ] {
            assert_eq!(decide(open), Ok(()), "{open}");
        }
        for (closed, kind) in [
            ("10.2.0.1:443", Kind::Private),
            ("192.168.0.1:443", Kind::Private),
            ("169.254.169.254:443", Kind::LinkLocal),
            ("[fe80::1]:443", Kind::LinkLocal),
            ("[fd00:ec2::254]:443", Kind::Metadata),
            ("[::ffff:127.0.0.1]:443", Kind::Mapped),
            ("[64:ff9b::7f00:1]:443", Kind::Nat64),
            ("9.9.9.9:443", Kind::Configured),
            ("10.1.2.3:443", Kind::Configured),
        ] {
            assert_eq!(decide(closed), Err(kind), "{closed}");
        }
    }

    #[test]
    fn the_relay_does_not_call_itself() {
        for own in [
            "127.0.0.1:8090",
            "127.9.9.9:8090",
            "[::1]:8090",
            "127.0.0.1:8091",
            "8.8.4.4:8090",
            // Not in `allow`.
            "8.8.4.4:443",
        ] {
            assert_eq!(decide(own), Err(Kind::Own), "{own}");
        }
        // Another program of this machine, which the operator has allowed.
        assert_eq!(decide("127.0.0.2:8091"), Ok(()));
    }

    #[test]
    fn an_interface_of_this_machine_is_its_own() {
        let loopback = "127.0.0.1:443".parse().unwrap();
        assert_eq!(Rules::default().check(loopback, &[]).unwrap(), Err(Kind::Loopback));
        let resolved = "9.9.9.9".parse().unwrap();
        let public = "9.9.9.9:443".parse().unwrap();
        assert_eq!(Rules::default().check(public, &[]).unwrap(), Ok(()));
        assert_eq!(Rules::default().check(public, &[resolved]).unwrap(), Err(Kind::Own));
    }
}

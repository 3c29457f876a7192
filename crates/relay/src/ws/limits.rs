//! Who may connect: connections are counted, in all and by address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// Counts connections.
#[derive(Debug)]
pub struct Admission {
    most: usize,
    most_per_address: usize,
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// A place among the connections; dropping it frees the place.
#[derive(Debug)]
pub struct Permit {
    admission: Arc<Admission>,
    address: Option<IpAddr>,
}

impl Admission {
    /// At most `most` connections, and `most_per_address` of one address. Loopback addresses count only in all: behind a reverse proxy every
    /// client comes from there.
    pub fn new(most: usize, most_per_address: usize) -> Arc<Self> {
        Arc::new(Self {
            most,
            most_per_address,
            counts: Mutex::default(),
        })
    }

    /// A place for a connection from this address, where there is one.
    pub fn admit(self: &Arc<Self>, from: IpAddr) -> Option<Permit> {
        let address = (!from.to_canonical().is_loopback()).then(|| network_of(from));
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.all >= self.most {
            return None;
        }
        if let Some(address) = address {
            let count = counts.by_address.entry(address).or_default();
            if *count >= self.most_per_address {
                return None;
            }
            *count += 1;
        }
        counts.all += 1;
        Some(Permit {
            admission: Arc::clone(self),
            address,
        })
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut counts = self.admission.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.all -= 1;
        let Some(address) = self.address else { return };
        if let Some(count) = counts.by_address.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                counts.by_address.remove(&address);
            }
        }
    }
}

/// What counts as one address: an IPv4 address, or the /64 that one IPv6 customer has.
pub fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.into(),
        IpAddr::V6(v6) => std::net::Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn counted_in_all_and_by_address() {
        let admission = Admission::new(4, 2);
        let first = admission.admit(ip("192.0.2.1")).unwrap();
        let _second = admission.admit(ip("192.0.2.1")).unwrap();
        assert!(admission.admit(ip("192.0.2.1")).is_none());
        assert!(
            admission.admit(ip("::ffff:192.0.2.1")).is_none(),
            "the same address in IPv6 clothes"
        );
        let _third = admission.admit(ip("192.0.2.2")).unwrap();
        let _fourth = admission.admit(ip("192.0.2.3")).unwrap();
        assert!(admission.admit(ip("192.0.2.4")).is_none(), "full");
        drop(first);
        assert!(admission.admit(ip("192.0.2.1")).is_some());
    }

    #[test]
    fn an_ipv6_customer_is_one_address() {
        let admission = Admission::new(100, 1);
        let _first = admission.admit(ip("2001:db8:1:2::1")).unwrap();
        assert!(admission.admit(ip("2001:db8:1:2:ffff::9")).is_none());
        assert!(admission.admit(ip("2001:db8:1:3::1")).is_some());
    }

    #[test]
    fn loopback_counts_only_in_all() {
        let admission = Admission::new(3, 1);
        let _held = [ip("127.0.0.1"), ip("127.0.0.1"), ip("::1")].map(|a| admission.admit(a).unwrap());
        assert!(admission.admit(ip("127.0.0.1")).is_none());
    }
}

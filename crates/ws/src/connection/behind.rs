//! Whether a connection is behind the log, counted over all connections.

use std::sync::Arc;

use sdk_relay_telemetry::Traffic;

/// There may be events that were not sent to the client yet. Counted in `clients_behind` until it is dropped.
pub(super) struct Behind {
    traffic: Arc<Traffic>,
    is: bool,
}

impl Behind {
    pub(super) fn new(traffic: Arc<Traffic>) -> Self {
        Self { traffic, is: false }
    }

    pub(super) fn get(&self) -> bool {
        self.is
    }

    pub(super) fn set(&mut self, is: bool) {
        match (self.is, is) {
            (false, true) => drop(self.traffic.clients_behind.inc()),
            (true, false) => drop(self.traffic.clients_behind.dec()),
            _ => {}
        }
        self.is = is;
    }
}

impl Drop for Behind {
    fn drop(&mut self) {
        self.set(false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_counts_once_and_until_it_ends() {
        let traffic = Arc::<Traffic>::default();
        let (mut one, mut other) = (Behind::new(Arc::clone(&traffic)), Behind::new(Arc::clone(&traffic)));
        one.set(true);
        one.set(true);
        other.set(true);
        assert_eq!(traffic.clients_behind.get(), 2);
        one.set(false);
        drop(other);
        assert_eq!(traffic.clients_behind.get(), 0);
    }
}

//! Detects a dead ZMQ connection by its silence.
//!
//! After a power loss of the publisher's machine, or if a firewall drops the state of the connection, the connection
//! stays open and silent for ever: the node sends no ZMQ heartbeats. A busy network is never silent for minutes; on a
//! quiet one, a reconnect costs nothing.

use std::time::Duration;

/// Interval between checks.
pub(super) const CHECK_INTERVAL: Duration = Duration::from_secs(60);
/// Consecutive checks without a message after which the connection is closed.
const MAX_SILENT_CHECKS: u32 = 10;

/// State between the checks of one connection.
#[derive(Debug)]
pub(super) struct SilenceDetector {
    received: bool,
    silent_checks: u32,
    /// Number of breaks of the RPC connection to the same node when this connection was made.
    breaks: u64,
}

impl SilenceDetector {
    pub(super) fn new(breaks: u64) -> Self {
        Self {
            received: false,
            silent_checks: 0,
            breaks,
        }
    }

    pub(super) fn on_message(&mut self) {
        self.received = true;
    }

    /// Whether to close the connection. `breaks` is the current number of breaks of the RPC connection: if that
    /// connection broke and this one is silent since, one check is enough.
    pub(super) fn check(&mut self, breaks: u64) -> bool {
        self.silent_checks = if std::mem::take(&mut self.received) {
            0
        } else {
            self.silent_checks + 1
        };
        self.silent_checks >= MAX_SILENT_CHECKS || (self.silent_checks > 0 && breaks != self.breaks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_silent_checks_in_a_row_give_up() {
        let mut silence = SilenceDetector::new(3);
        assert!((0..9).all(|_| !silence.check(3)));
        silence.on_message();
        assert!((0..10).all(|_| !silence.check(3)));
        assert!(silence.check(3));
    }

    #[test]
    fn one_silent_check_gives_up_after_a_break_of_the_rpc_connection() {
        let mut silence = SilenceDetector::new(3);
        silence.on_message();
        assert!(!silence.check(4));
        assert!(silence.check(4));
    }
}

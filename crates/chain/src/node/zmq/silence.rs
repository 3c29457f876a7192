//! When a connection that says nothing is given up.
//!
//! A publisher whose machine lost power, or a way to it that a firewall forgot, leaves a connection that is silent for
//! ever. ZMQ has no word for "still here" that the node would send. A busy network is never silent for minutes; on a
//! quiet one, connecting anew costs nothing.

use std::time::Duration;

/// Time between two looks.
pub(super) const LOOK: Duration = Duration::from_secs(60);
/// Looks in a row without a message in between, after which the connection is given up.
const SILENT_LOOKS: u32 = 10;

/// What is remembered between the looks at one connection.
#[derive(Debug)]
pub(super) struct Silence {
    heard: bool,
    silent_looks: u32,
    /// How often the RPC connection to the same node had broken when this connection was made.
    breaks: u64,
}

impl Silence {
    pub(super) fn new(breaks: u64) -> Self {
        Self {
            heard: false,
            silent_looks: 0,
            breaks,
        }
    }

    pub(super) fn heard(&mut self) {
        self.heard = true;
    }

    /// Whether to give the connection up. `breaks` is the number of breaks of the RPC connection by now: when that
    /// broke and this one says nothing since, one look is enough.
    pub(super) fn look(&mut self, breaks: u64) -> bool {
        self.silent_looks = if std::mem::take(&mut self.heard) {
            0
        } else {
            self.silent_looks + 1
        };
        self.silent_looks >= SILENT_LOOKS || (self.silent_looks > 0 && breaks != self.breaks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_silent_looks_in_a_row_are_too_many() {
        let mut silence = Silence::new(3);
        assert!((0..9).all(|_| !silence.look(3)));
        silence.heard();
        assert!((0..10).all(|_| !silence.look(3)));
        assert!(silence.look(3));
    }

    #[test]
    fn one_is_too_many_when_the_node_was_away() {
        let mut silence = Silence::new(3);
        silence.heard();
        assert!(!silence.look(4));
        assert!(silence.look(4));
    }
}

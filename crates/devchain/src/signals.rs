//! Sends the signals to all receivers.

use tokio::sync::mpsc;

use sdk_relay_chain::Signal;

/// Capacity of the queue of a receiver: a block of small payments. A full queue ends with `Lost`, and accepts no more
/// signals until the receiver has caught up.
pub const SIGNALS_AHEAD: usize = 4096;

#[derive(Debug, Default)]
pub(super) struct Signals {
    receivers: Vec<Receiver>,
}

#[derive(Debug)]
struct Receiver {
    queue: mpsc::Sender<Signal>,
    lost: bool,
}

impl Signals {
    pub(super) fn subscribe(&mut self) -> mpsc::Receiver<Signal> {
        self.subscribe_bounded(SIGNALS_AHEAD)
    }

    fn subscribe_bounded(&mut self, ahead: usize) -> mpsc::Receiver<Signal> {
        self.receivers.retain(|receiver| !receiver.queue.is_closed());
        // The last slot is reserved for `Lost`.
        let (queue, receiver) = mpsc::channel(ahead + 1);
        self.receivers.push(Receiver { queue, lost: false });
        receiver
    }

    /// Never waits. Removes dropped receivers.
    pub(super) fn send(&mut self, signals: &[Signal]) {
        self.receivers.retain_mut(|receiver| {
            for signal in signals {
                receiver.send(signal);
            }
            !receiver.queue.is_closed()
        });
    }
}

impl Receiver {
    fn send(&mut self, signal: &Signal) {
        let signal = match (self.queue.capacity(), self.lost) {
            (0 | 1, true) => return,
            (0 | 1, false) => {
                self.lost = true;
                Signal::Lost
            }
            _ => {
                self.lost = false;
                signal.clone()
            }
        };
        #[expect(
            clippy::let_underscore_must_use,
            reason = "it fails only on a closed queue, which `Signals::send` then removes: the capacity was checked above, and there is no other sender"
        )]
        let _ = self.queue.try_send(signal);
    }
}

#[cfg(test)]
mod tests {
    use bitcoin::Txid;
    use bitcoin::hashes::Hash;

    use super::*;

    fn left(sequence: u64) -> Signal {
        Signal::Left {
            txid: Txid::all_zeros(),
            sequence,
        }
    }

    #[test]
    fn a_full_queue_ends_in_one_lost_and_then_continues() {
        let mut signals = Signals::default();
        let mut slow = signals.subscribe_bounded(2);
        let mut fast = signals.subscribe_bounded(10);
        let sent: Vec<_> = (0..5).map(left).collect();
        signals.send(&sent);
        assert_eq!(slow.try_recv(), Ok(left(0)));
        assert_eq!(slow.try_recv(), Ok(left(1)));
        assert_eq!(slow.try_recv(), Ok(Signal::Lost));
        assert!(slow.try_recv().is_err());
        signals.send(&[left(5)]);
        assert_eq!(slow.try_recv(), Ok(left(5)));
        for sequence in 0..6 {
            assert_eq!(fast.try_recv(), Ok(left(sequence)));
        }
    }

    #[test]
    fn a_dropped_receiver_is_forgotten() {
        let mut signals = Signals::default();
        drop(signals.subscribe());
        let kept = signals.subscribe();
        assert_eq!(signals.receivers.len(), 1);
        drop(kept);
        signals.send(&[Signal::Chain]);
        assert_eq!(signals.receivers.len(), 0);
    }
}

//! Signals of a source, and their receiver.

use bitcoin::{Transaction, Txid};
use tokio::sync::mpsc::{self, error::TryRecvError};
use tokio_util::task::AbortOnDropHandle;

use crate::joined::joined;

/// An unsolicited notification of a source. Signals are hints and may be lost; `Lost` reports a loss.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signal {
    /// The best chain changed.
    Chain,
    /// A transaction entered the mempool (`A` of the ZMQ topic `sequence`).
    Entered {
        /// Which.
        txid: Txid,
        /// The transaction, if the source sent it (ZMQ topic `rawtx`).
        tx: Option<Box<Transaction>>,
        /// Mempool sequence number after the change.
        sequence: u64,
    },
    /// A transaction left the mempool without being mined (`R` of the ZMQ topic `sequence`).
    Left {
        /// Which.
        txid: Txid,
        /// Mempool sequence number after the change.
        sequence: u64,
    },
    /// Signals were lost, or the connection is new: compare everything with the source.
    Lost,
}

/// Receiver of signals, with the task that reads them from the source, if there is one. Dropping it ends the task.
#[derive(Debug)]
pub struct Signals {
    receiver: mpsc::Receiver<Signal>,
    reader: Option<AbortOnDropHandle<()>>,
}

impl Signals {
    /// Signals that the task `reader` sends.
    pub fn read_by(reader: impl Future<Output = ()> + Send + 'static, receiver: mpsc::Receiver<Signal>) -> Self {
        let reader = Some(AbortOnDropHandle::new(tokio::spawn(reader)));
        Self { receiver, reader }
    }

    /// The next signal; `None` once they have ended. Cancel-safe.
    ///
    /// # Panics
    /// If the task has panicked.
    pub async fn recv(&mut self) -> Option<Signal> {
        let signal = self.receiver.recv().await;
        if signal.is_none()
            && let Some(reader) = &mut self.reader
        {
            joined(reader.await);
            self.reader = None;
        }
        signal
    }

    /// The next queued signal.
    pub fn try_recv(&mut self) -> Result<Signal, TryRecvError> {
        self.receiver.try_recv()
    }
}

impl From<mpsc::Receiver<Signal>> for Signals {
    fn from(receiver: mpsc::Receiver<Signal>) -> Self {
        Self { receiver, reader: None }
    }
}

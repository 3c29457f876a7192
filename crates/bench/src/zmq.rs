//! A bare subscriber of the node's `rawtx`: the fastest possible notification of a transaction.

use std::time::Instant;

use anyhow::{Context, Result};
use bitcoin::{Transaction, Txid, consensus};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use zeromq::{Socket, SocketRecv, SubSocket};

/// Queue of received transactions. A bench takes each one before it creates the next, so a full queue means that the
/// bench has ended.
const QUEUE: usize = 1024;

/// A subscription, which ends on drop.
pub(crate) struct RawTx {
    arrivals: mpsc::Receiver<(Txid, Instant)>,
    task: JoinHandle<()>,
}

impl RawTx {
    /// Subscribes at `tcp://HOST:PORT`. It takes effect at the node with a short delay.
    pub(crate) async fn subscribe(url: &str) -> Result<Self> {
        let mut socket = SubSocket::new();
        socket.connect(url).await.context("the node's ZMQ port")?;
        socket.subscribe("rawtx").await.context("subscribing to rawtx")?;
        let (sender, arrivals) = mpsc::channel(QUEUE);
        let task = tokio::spawn(async move {
            while let Ok(message) = socket.recv().await {
                // Before decoding: this is the time at which a subscriber has received it.
                let at = Instant::now();
                let tx = message.get(1).map(|body| consensus::deserialize::<Transaction>(body));
                if let Some(Ok(tx)) = tx
                    && sender.send((tx.compute_txid(), at)).await.is_err()
                {
                    break;
                }
            }
        });
        Ok(Self { arrivals, task })
    }

    /// The arrival of this transaction; others are skipped. The node publishes some of them twice (mempool, block).
    pub(crate) async fn arrival(&mut self, txid: Txid) -> Result<Instant> {
        loop {
            let (seen, at) = self.arrivals.recv().await.context("the ZMQ subscription ended")?;
            if seen == txid {
                return Ok(at);
            }
        }
    }
}

impl Drop for RawTx {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bitcoin::Amount;
    use testkit::{Bitcoind, InputKind, Options, Payee, Payer};
    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn receives_a_payment_over_zmq() {
        let node = Bitcoind::start(Options::default()).await;
        let mut payer = Payer::funded(&node).await;
        let mut rawtx = RawTx::subscribe(&node.zmq_url()).await.unwrap();
        let to = [(Payee::new(&[]).address(), Amount::from_sat(10_000))];
        let mut received = None;
        // The first ones can be missed: the subscription may not be effective yet.
        for _ in 0..payer.coins(InputKind::P2tr) {
            let tx = payer.pay(&[InputKind::P2tr], &to);
            let sent = Instant::now();
            let txid = node.send_raw(&tx).await;
            if let Ok(at) = timeout(Duration::from_secs(2), rawtx.arrival(txid)).await {
                received = Some(at.unwrap().duration_since(sent));
                break;
            }
        }
        assert!(received.unwrap() < Duration::from_secs(2));
    }
}

//! A bare subscriber of the node's `rawtx`: the fastest way in which anybody can hear of a transaction.

use std::time::Instant;

use anyhow::{Context, Result};
use bitcoin::{Transaction, Txid, consensus};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use zeromq::{Socket, SocketRecv, SubSocket};

/// Transactions that nobody took yet; a bench takes each before it makes the next, so that more than a few mean that it
/// has ended.
const QUEUE: usize = 1024;

/// A subscription. Dropped, it ends.
pub(crate) struct RawTx {
    arrivals: mpsc::Receiver<(Txid, Instant)>,
    task: JoinHandle<()>,
}

impl RawTx {
    /// Subscribes at `tcp://HOST:PORT`. The node may publish a little longer without knowing of it.
    pub(crate) async fn subscribe(url: &str) -> Result<Self> {
        let mut socket = SubSocket::new();
        socket.connect(url).await.context("the node's ZMQ port")?;
        socket.subscribe("rawtx").await.context("subscribing to rawtx")?;
        let (sender, arrivals) = mpsc::channel(QUEUE);
        let task = tokio::spawn(async move {
            while let Ok(message) = socket.recv().await {
                // Before anything is read of it: this is the time at which a subscriber has it.
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

    /// The arrival of this transaction; others are passed over. The node publishes some of them twice (mempool, block).
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
    async fn hears_of_a_payment() {
        let node = Bitcoind::start(Options::default()).await;
        let mut payer = Payer::funded(&node).await;
        let mut rawtx = RawTx::subscribe(&node.zmq_url()).await.unwrap();
        let to = [(Payee::new(&[]).address(), Amount::from_sat(10_000))];
        let mut heard = None;
        // The first ones can be missed: the subscription is on its way to the node.
        for _ in 0..payer.coins(InputKind::P2tr) {
            let tx = payer.pay(&[InputKind::P2tr], &to);
            let sent = Instant::now();
            let txid = node.send_raw(&tx).await;
            if let Ok(at) = timeout(Duration::from_secs(2), rawtx.arrival(txid)).await {
                heard = Some(at.unwrap().duration_since(sent));
                break;
            }
        }
        assert!(heard.unwrap() < Duration::from_secs(2));
    }
}

//! Signals from the node's ZMQ publisher.
//!
//! Guarantees: the task ends when the receiver of its signals is dropped; after every break of the connection, gap in
//! the counters or full queue it sends one [`Signal::Lost`], so that the follower compares with the node; it retries an
//! unreachable publisher until the receiver is dropped, and logs it once.

mod connect;
mod frame;
mod reader;
pub(super) mod report;
mod reported;
mod silence;
mod standing;
mod topics;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::StreamExt as _;
use sdk_relay_platform::net::Proxy;
use tokio::{sync::mpsc, time::Instant};
use zeromq::{SocketEvent, SocketRecv as _, ZmqMessage};

use crate::node::zmq_address::ZmqAddress;
use crate::rpc::{RpcClient, RpcError};
use crate::signals::Signals;
use crate::source::{EventSource, Signal, Signalling};
use connect::{Connection, connect};
use reader::Reader;
use silence::SilenceDetector;
use standing::Standing;

/// Capacity of the queue to the follower: the mempool traffic of one block interval. A slower follower compares
/// everything with the node, which is cheaper than a longer queue.
const MAX_SIGNALS: usize = 1024;
/// Up to this many queued signals, a signal carries its transaction whatever its size; above, only if it is no larger
/// than [`SMALL_TX`], and the follower requests other transactions from the node. Standard transactions have at most
/// 400 KB, so the queue holds at most 42 MB of them.
const WITH_LARGE_TX: usize = 64;
/// Largest transaction, in bytes, that a signal always carries.
const SMALL_TX: usize = 16 << 10;
/// First wait after a failed attempt.
const MIN_BACKOFF: Duration = Duration::from_millis(100);
/// Longest wait between attempts: a restarted node is connected within this time.
const MAX_BACKOFF: Duration = Duration::from_secs(2);
/// Interval between requests for the ZMQ address of a node that publishes none of the topics. Only a restart of the
/// node can change its answer. That usually breaks a connection, which is noticed earlier; a fast one between two polls
/// does not.
const ASK_INTERVAL: Duration = Duration::from_secs(10);
/// A subscription takes effect at the publisher some time after it was sent (a round trip, and up to a millisecond in
/// libzmq). Messages before that are lost without a gap in the counters, so [`Signal::Lost`] is sent only after this
/// time.
const SETTLE: Duration = Duration::from_millis(200);
/// The same behind a proxy, in addition: a round trip through Tor takes up to some seconds, and payments should not
/// wait for it where it takes less.
const SETTLE_BEHIND_PROXY: Duration = Duration::from_secs(5);

/// The ZMQ publisher of the node, and the state of the connection.
#[derive(Debug)]
pub(super) struct Publisher {
    /// The configured address; `None`: the node reports it.
    configured: Option<String>,
    /// On the way to the node.
    proxy: Option<Proxy>,
    standing: Arc<Mutex<Standing>>,
}

impl Publisher {
    /// `None` if ZMQ is not used.
    pub(super) fn new(address: ZmqAddress, proxy: Option<Proxy>) -> Option<Self> {
        let configured = match address {
            ZmqAddress::Off => return None,
            ZmqAddress::At(url) => Some(url),
            ZmqAddress::Reported => None,
        };
        Some(Self {
            configured,
            proxy,
            standing: Arc::default(),
        })
    }

    /// State of the connection; `None` until it is known whether there is an address.
    pub(super) fn signalling(&self) -> Option<Signalling> {
        let standing = lock(&self.standing);
        if standing.url.is_none() && !standing.is_absent() {
            return None;
        }
        Some(Signalling {
            url: standing.url.clone(),
            is_reported: self.configured.is_none(),
            is_connected: standing.is_connected(),
            unreached: standing.unreached().cloned(),
            keeps_ending: standing.keeps_ending().map(str::to_owned),
            is_partial: standing.is_partial(),
            missing: standing.missing.as_ref().map(|missing| missing.advice.clone()),
        })
    }

    /// Whether the node is known to publish every change there.
    pub(super) fn signals_all(&self) -> bool {
        lock(&self.standing).signals_all()
    }

    /// See [`ChainSource::event_source`](crate::ChainSource::event_source).
    pub(super) fn event_source(&self) -> Option<EventSource> {
        lock(&self.standing).event_source()
    }

    /// Starts the receiving task. It ends when the receiver is dropped.
    pub(super) fn signals(&self, rpc: RpcClient) -> Signals {
        let (sender, receiver) = mpsc::channel(MAX_SIGNALS);
        let mut listener = Listener {
            configured: self.configured.clone(),
            proxy: self.proxy.clone(),
            rpc,
            queue: Queue {
                sender: sender.clone(),
                lost: false,
            },
            standing: Arc::clone(&self.standing),
        };
        let reader = async move {
            tokio::select! {
                () = sender.closed() => {}
                () = listener.listen() => {}
            }
        };
        Signals::read_by(reader, receiver)
    }
}

fn lock(standing: &Mutex<Standing>) -> MutexGuard<'_, Standing> {
    standing.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Listener {
    configured: Option<String>,
    proxy: Option<Proxy>,
    rpc: RpcClient,
    queue: Queue,
    standing: Arc<Mutex<Standing>>,
}

impl Listener {
    async fn listen(&mut self) {
        let mut backoff = MIN_BACKOFF;
        loop {
            match self.address().await {
                Ok(Some(url)) => {
                    if self.listen_at(&url).await {
                        backoff = MIN_BACKOFF;
                    }
                }
                Ok(None) => {
                    self.until_next_request().await;
                    continue;
                }
                Err(error) => tracing::debug!(%error, "the node does not report its ZMQ addresses"),
            }
            tokio::time::sleep(backoff).await;
            backoff = (backoff * 2).min(MAX_BACKOFF);
        }
    }

    /// The configured address, or the one that the node reports; `None` if it publishes none of the topics.
    async fn address(&self) -> Result<Option<String>, RpcError> {
        if let Some(url) = &self.configured {
            lock(&self.standing).url = Some(url.clone());
            return Ok(Some(url.clone()));
        }
        let reported = reported::address(&self.rpc).await?;
        let mut standing = lock(&self.standing);
        if let Some(url) = &reported {
            if standing.url.as_ref() != Some(url) {
                tracing::info!(url, "the node publishes ZMQ messages");
            }
            standing.url = Some(url.clone());
        } else if standing.set_absent() {
            tracing::info!("{}", reported::ADVICE);
        }
        Ok(reported)
    }

    /// Waits until another answer to `getzmqnotifications` is possible.
    async fn until_next_request(&self) {
        let (breaks, end) = (self.rpc.breaks(), Instant::now() + ASK_INTERVAL);
        while self.rpc.breaks() == breaks && Instant::now() < end {
            tokio::time::sleep(MAX_BACKOFF).await;
        }
    }

    /// Receives from this address until the connection ends; `false` if it cannot be reached.
    async fn listen_at(&mut self, url: &str) -> bool {
        match connect(url, self.proxy.as_ref()).await {
            Ok(connection) => {
                if lock(&self.standing).set_connected() {
                    tracing::info!(url, "receiving ZMQ messages from the node");
                } else {
                    tracing::debug!(url, "connected to the ZMQ publisher");
                }
                let reason = self.receive(url, connection).await;
                tracing::debug!(url, reason, "connection to the ZMQ publisher ended");
                lock(&self.standing).set_ended(reason);
                true
            }
            Err(error) => {
                if lock(&self.standing).set_unreached(error.to_string()) {
                    tracing::warn!(url, %error, "cannot connect to the ZMQ publisher; polling the node and retrying");
                }
                false
            }
        }
    }

    /// Forwards the signals of one connection; returns why it ended.
    async fn receive(&mut self, url: &str, mut connection: Connection) -> String {
        let mut reader = Reader::default();
        let mut has_sequence = false;
        let connected = Instant::now();
        let settled = tokio::time::sleep_until(connected + SETTLE);
        tokio::pin!(settled);
        let mut fresh = true;
        let mut settles_later = self.proxy.is_some();
        let mut silence = SilenceDetector::new(self.rpc.breaks());
        let mut looks = tokio::time::interval_at(Instant::now() + silence::CHECK_INTERVAL, silence::CHECK_INTERVAL);
        let check = answered(self.rpc.clone(), url.to_owned());
        tokio::pin!(check);
        let mut checking = true;
        loop {
            tokio::select! {
                message = connection.socket.recv() => match message {
                    Ok(message) => {
                        silence.on_message();
                        self.pass_on(url, &mut reader, message);
                        if !has_sequence && reader.has_sequence() {
                            has_sequence = true;
                            lock(&self.standing).has_sequence = true;
                        }
                    }
                    Err(error) => return error.to_string(),
                },
                event = connection.events.next() => match event {
                    Some(SocketEvent::Disconnected(_) | SocketEvent::Closed) | None => return "disconnected".to_owned(),
                    Some(_) => {}
                },
                _ = looks.tick() => if silence.check(self.rpc.breaks()) {
                    return "no message for 10 minutes, or none since the node restarted".to_owned();
                },
                () = &mut settled, if fresh || settles_later => {
                    if fresh {
                        settled.as_mut().reset(connected + SETTLE_BEHIND_PROXY);
                    } else {
                        settles_later = false;
                    }
                    fresh = false;
                    self.queue.lose();
                }
                missing = &mut check, if checking => {
                    checking = false;
                    if let Some(advice) = lock(&self.standing).set_checked(Some(missing)) {
                        tracing::warn!("{advice}");
                    }
                    // The follower relies on signals from now on, if all topics are there.
                    if !fresh {
                        self.queue.lose();
                    }
                }
                () = self.queue.send_lost(), if self.queue.lost => {}
            }
        }
    }

    fn pass_on(&mut self, url: &str, reader: &mut Reader, message: ZmqMessage) {
        match reader.read(&message.into_vec()) {
            Ok(reading) => {
                if let Some(gap) = reading.gap {
                    tracing::debug!(url, %gap, "ZMQ messages were lost; comparing with the node");
                    self.queue.lose();
                }
                if let Some(signal) = reading.signal {
                    self.queue.send(signal);
                }
            }
            Err(error) => {
                tracing::warn!(url, %error, "ignoring a malformed ZMQ message");
                self.queue.lose();
            }
        }
    }
}

/// Bounded queue to the follower.
struct Queue {
    sender: mpsc::Sender<Signal>,
    /// Signals were dropped, and [`Signal::Lost`] is not sent yet.
    lost: bool,
}

impl Queue {
    fn send(&mut self, signal: Signal) {
        let signal = match signal {
            Signal::Entered { txid, tx, sequence } => {
                let waiting = self.sender.max_capacity() - self.sender.capacity();
                let tx = tx.filter(|tx| waiting < WITH_LARGE_TX || tx.total_size() <= SMALL_TX);
                Signal::Entered { txid, tx, sequence }
            }
            other => other,
        };
        // `Lost` must precede every signal after the loss.
        if self.lost {
            self.lose();
        }
        // A signal before a pending `Lost` is redundant: the follower compares everything.
        if !self.lost && self.sender.try_send(signal).is_err() {
            self.lost = true;
        }
    }

    fn lose(&mut self) {
        self.lost = self.sender.try_send(Signal::Lost).is_err();
    }

    /// Sends `Lost` as soon as the queue has capacity.
    async fn send_lost(&mut self) {
        if let Ok(permit) = self.sender.reserve().await {
            permit.send(Signal::Lost);
            self.lost = false;
        } else {
            // The receiver was dropped: this task is about to end.
            std::future::pending::<()>().await;
        }
    }
}

/// The topics that the node does not publish there. A starting node does not answer yet: asked again.
async fn answered(rpc: RpcClient, url: String) -> Option<topics::Missing> {
    loop {
        if let Some(missing) = topics::missing(rpc.clone(), url.clone()).await {
            return missing;
        }
        tokio::time::sleep(MAX_BACKOFF).await;
    }
}

#[cfg(test)]
mod tests {
    use bitcoin::hashes::Hash as _;
    use bitcoin::{Amount, ScriptBuf, Transaction, TxOut, Txid, absolute::LockTime, transaction::Version};

    use super::*;

    #[tokio::test]
    async fn a_long_queue_holds_few_large_transactions_and_every_signal() {
        let (sender, mut receiver) = mpsc::channel(MAX_SIGNALS);
        let mut queue = Queue { sender, lost: false };
        let entered = |bytes: usize| Signal::Entered {
            txid: Txid::all_zeros(),
            tx: Some(Box::new(Transaction {
                version: Version::TWO,
                lock_time: LockTime::ZERO,
                input: Vec::new(),
                output: vec![TxOut {
                    value: Amount::ZERO,
                    script_pubkey: ScriptBuf::from_bytes(vec![0; bytes]),
                }],
            })),
            sequence: 1,
        };
        for n in 0..MAX_SIGNALS {
            queue.send(entered(if n % 2 == 0 { 400_000 } else { 10_000 }));
        }
        let (mut signals, mut bytes) = (0, 0);
        while let Ok(Signal::Entered { tx, .. }) = receiver.try_recv() {
            signals += 1;
            bytes += tx.map_or(0, |tx| tx.total_size());
        }
        assert_eq!((signals, queue.lost), (MAX_SIGNALS, false));
        assert!(bytes <= WITH_LARGE_TX * 400_100 + MAX_SIGNALS * SMALL_TX, "{bytes}");
    }

    #[tokio::test]
    async fn a_full_queue_drops_signals_and_sends_lost_once_before_any_later_signal() {
        let (sender, mut receiver) = mpsc::channel(2);
        let mut queue = Queue { sender, lost: false };
        (0..5).for_each(|_| queue.send(Signal::Chain));
        assert!(queue.lost);
        assert_eq!(receiver.recv().await, Some(Signal::Chain));
        queue.send(Signal::Chain);
        assert!(queue.lost, "the queue had capacity for `Lost` only");
        assert_eq!(receiver.recv().await, Some(Signal::Chain));
        assert_eq!(receiver.recv().await, Some(Signal::Lost));
        queue.send_lost().await;
        queue.send(Signal::Chain);
        assert_eq!(receiver.recv().await, Some(Signal::Lost));
        assert_eq!(receiver.recv().await, Some(Signal::Chain));
        assert!(!queue.lost);
    }
}

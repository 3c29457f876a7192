//! Signals from the node's ZMQ publisher.
//!
//! Guarantees: the task ends when the receiver of its signals is dropped; after every break of the connection, gap in
//! the counters or full queue it sends one [`Signal::Lost`], so that the follower compares with the node; it retries an
//! unreachable publisher until the receiver is dropped, and logs it once.

mod frame;
mod reader;
mod silence;
mod topics;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::StreamExt as _;
use tokio::{sync::mpsc, time::Instant};
use zeromq::{Socket as _, SocketEvent, SocketOptions, SocketRecv as _, SubSocket, ZmqError, ZmqMessage};

use crate::rpc::RpcClient;
use crate::signals::Signals;
use crate::source::{Signal, Signalling};
use frame::Topic;
use reader::Reader;
use silence::SilenceDetector;
use topics::Missing;

/// Capacity of the queue to the follower: the mempool traffic of one block interval. A slower follower compares
/// everything with the node, which is cheaper than a longer queue.
const MAX_SIGNALS: usize = 1024;
/// Up to this many queued signals, a signal carries its transaction whatever its size; above, only if it is no larger
/// than [`SMALL_TX`], and the follower requests other transactions from the node. Standard transactions have at most
/// 400 KB, so the queue holds at most 42 MB of them.
const WITH_LARGE_TX: usize = 64;
/// Largest transaction, in bytes, that a signal always carries.
const SMALL_TX: usize = 16 << 10;
/// Timeout of one connection attempt. The library retries within it, after 50, 100, 200 ms and so on.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// First wait after a failed attempt.
const MIN_BACKOFF: Duration = Duration::from_millis(100);
/// Longest wait between attempts: a restarted node is connected within this time.
const MAX_BACKOFF: Duration = Duration::from_secs(2);
/// A subscription takes effect at the publisher some time after it was sent (a round trip, and up to a millisecond in
/// libzmq). Messages before that are lost without a gap in the counters, so [`Signal::Lost`] is sent only after this
/// time.
const SETTLE: Duration = Duration::from_millis(200);

/// The ZMQ publisher of the node, and the state of the connection.
#[derive(Debug)]
pub(super) struct Publisher {
    url: String,
    standing: Arc<Mutex<Standing>>,
}

/// State of the connection.
#[derive(Debug, Default)]
struct Standing {
    /// Since when the publisher is unreachable, and why.
    unreached: Option<(Instant, String)>,
    /// Topics that the node does not publish there. Logged when it changes, not at each connection.
    missing: Option<Missing>,
    /// A message of the topic `sequence` was received over this connection. This overrides `getzmqnotifications`: a
    /// proxy may forward the topic from another address.
    has_sequence: bool,
}

impl Standing {
    fn is_partial(&self) -> bool {
        !self.has_sequence && self.missing.as_ref().is_some_and(|missing| missing.lacks_sequence)
    }
}

impl Publisher {
    pub(super) fn new(url: String) -> Self {
        let standing = Arc::default();
        Self { url, standing }
    }

    /// State of the connection.
    pub(super) fn signalling(&self) -> Signalling {
        let standing = lock(&self.standing);
        Signalling {
            url: self.url.clone(),
            unreached: standing.unreached.clone(),
            is_partial: standing.is_partial(),
            missing: standing.missing.as_ref().map(|missing| missing.advice.clone()),
        }
    }

    /// Whether the node publishes every change, as far as known.
    pub(super) fn signals_all(&self) -> bool {
        !lock(&self.standing).is_partial()
    }

    /// Starts the receiving task. It ends when the receiver is dropped.
    pub(super) fn signals(&self, rpc: RpcClient) -> Signals {
        let (sender, receiver) = mpsc::channel(MAX_SIGNALS);
        let mut listener = Listener {
            url: self.url.clone(),
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
    url: String,
    rpc: RpcClient,
    queue: Queue,
    standing: Arc<Mutex<Standing>>,
}

impl Listener {
    async fn listen(&mut self) {
        let mut backoff = MIN_BACKOFF;
        loop {
            match connected(&self.url).await {
                Ok((socket, events)) => {
                    if lock(&self.standing).unreached.take().is_some() {
                        tracing::info!(url = self.url, "receiving ZMQ messages from the node");
                    } else {
                        tracing::debug!(url = self.url, "connected to the ZMQ publisher");
                    }
                    backoff = MIN_BACKOFF;
                    let reason = self.receive(socket, events).await;
                    tracing::debug!(url = self.url, reason, "connection to the ZMQ publisher ended");
                }
                Err(error) => {
                    let reason = error.to_string();
                    let mut standing = lock(&self.standing);
                    if let Some((_, known)) = &mut standing.unreached {
                        *known = reason;
                    } else {
                        tracing::warn!(url = self.url, %error, "cannot connect to the ZMQ publisher; polling the node and retrying");
                        standing.unreached = Some((Instant::now(), reason));
                    }
                }
            }
            tokio::time::sleep(backoff).await;
            backoff = (backoff * 2).min(MAX_BACKOFF);
        }
    }

    /// Forwards the signals of one connection; returns why it ended.
    async fn receive(&mut self, mut socket: SubSocket, mut events: Events) -> String {
        let mut reader = Reader::default();
        let mut has_sequence = false;
        lock(&self.standing).has_sequence = false;
        let settled = tokio::time::sleep_until(Instant::now() + SETTLE);
        tokio::pin!(settled);
        let mut fresh = true;
        let mut silence = SilenceDetector::new(self.rpc.breaks());
        let mut looks = tokio::time::interval_at(Instant::now() + silence::CHECK_INTERVAL, silence::CHECK_INTERVAL);
        let check = topics::missing(self.rpc.clone(), self.url.clone());
        tokio::pin!(check);
        let mut checking = true;
        loop {
            tokio::select! {
                message = socket.recv() => match message {
                    Ok(message) => {
                        silence.on_message();
                        self.pass_on(&mut reader, message);
                        if !has_sequence && reader.has_sequence() {
                            has_sequence = true;
                            lock(&self.standing).has_sequence = true;
                        }
                    }
                    Err(error) => return error.to_string(),
                },
                event = events.next() => match event {
                    Some(SocketEvent::Disconnected(_) | SocketEvent::Closed) | None => return "disconnected".to_owned(),
                    Some(_) => {}
                },
                _ = looks.tick() => if silence.check(self.rpc.breaks()) {
                    return "no message for 10 minutes, or none since the node restarted".to_owned();
                },
                () = &mut settled, if fresh => {
                    fresh = false;
                    self.queue.lose();
                }
                missing = &mut check, if checking => {
                    checking = false;
                    self.complain(missing);
                }
                () = self.queue.send_lost(), if self.queue.lost => {}
            }
        }
    }

    fn pass_on(&mut self, reader: &mut Reader, message: ZmqMessage) {
        match reader.read(&message.into_vec()) {
            Ok(reading) => {
                if let Some(gap) = reading.gap {
                    tracing::debug!(url = self.url, %gap, "ZMQ messages were lost; comparing with the node");
                    self.queue.lose();
                }
                if let Some(signal) = reading.signal {
                    self.queue.send(signal);
                }
            }
            Err(error) => {
                tracing::warn!(url = self.url, %error, "ignoring a malformed ZMQ message");
                self.queue.lose();
            }
        }
    }

    fn complain(&self, missing: Option<Missing>) {
        let mut standing = lock(&self.standing);
        if let Some(missing) = &missing
            && standing.missing.as_ref() != Some(missing)
        {
            tracing::warn!("{}", missing.advice);
        }
        standing.missing = missing;
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

type Events = futures_util::stream::BoxStream<'static, SocketEvent>;

/// One connection, subscribed. The library's own reconnection is not used: it waits up to 30 s between attempts and
/// does not report failed ones.
async fn connected(url: &str) -> Result<(SubSocket, Events), ZmqError> {
    let mut options = SocketOptions::default();
    options.connect_timeout(CONNECT_TIMEOUT);
    let mut socket = SubSocket::with_options(options);
    let events = socket.monitor().boxed();
    for topic in Topic::ALL {
        socket.subscribe(topic.name()).await?;
    }
    socket.connect(url).await?;
    Ok((socket, events))
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

//! The protocol of one connection, without I/O: requests become answers or questions, messages of watches become
//! notifications.

mod scripts;
mod silent;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use bitcoin::Txid;
use bitcoin::consensus::encode::deserialize_hex;
use sdk_relay_detect::WatchMessage;
use sdk_relay_protocol::Event;
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::args::Args;
use crate::ask::{Answer, Ask, BackendCall, Step};
use crate::error::RpcError;
use crate::limits::{MAX_HEADERS, SUBSCRIPTION_INTERVAL, SUBSCRIPTIONS_AT_LEAST};
use crate::methods::{HEADERS, SCRIPTS, SCRIPTS_PREFIX, SUBSCRIBE, UNSUBSCRIBE, unknown};
use crate::outputs::{Found, Outputs, Place, ScriptHash, Spend};
use crate::pace::Pace;
use crate::reply::{Text, notification, status_text, text};
use crate::request::{Call, Params};
use crate::scans::{Earlier, Scans};
use crate::subscription::Subscription;
use crate::timeouts::Timeouts;
use crate::version::{server_name, version};

/// What differs between connections.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    /// Whether scan keys may cross this connection.
    pub(crate) takes_keys: bool,
    /// `electrum.labels_per_subscription`.
    pub(crate) max_labels: usize,
    /// `electrum.subscriptions_per_connection`.
    pub(crate) max_subscriptions: usize,
    pub(crate) has_backend: bool,
    pub(crate) is_positional: bool,
    pub(crate) timeouts: Timeouts,
}

/// The state of one connection.
#[derive(Debug)]
pub(crate) struct Session {
    options: Options,
    /// The tip that the client knows, if new ones are notified.
    tip: Option<Text>,
    /// By address.
    subscriptions: HashMap<Arc<str>, Subscription>,
    /// The addresses, by the watch that serves them.
    by_watch: HashMap<String, Served>,
    earlier: Earlier,
    watches: u64,
    /// The rate of new subscriptions.
    new_subscriptions: Pace,
    outputs: Outputs,
    /// Scripts whose changes are notified, with the last status.
    scripts: HashMap<ScriptHash, Option<String>>,
    /// Scripts whose changes the backend reports, or will report if it accepts the subscription.
    backend_scripts: BTreeMap<ScriptHash, AtBackend>,
    /// Scripts with changes that are not notified yet.
    changed: BTreeSet<ScriptHash>,
    /// Those of them that may have no transaction any more, which is not notified at once.
    emptied: BTreeMap<ScriptHash, Emptied>,
}

/// A subscription at the backend.
#[derive(Clone, Copy, Debug, Default)]
struct AtBackend {
    is_subscribed: bool,
    /// Requests for it without an answer.
    asked: usize,
}

/// A script that may have no transaction any more, but soon again.
#[derive(Clone, Debug, Default)]
struct Emptied {
    /// Of its subscription.
    address: Arc<str>,
    /// The number of the watch that has reverted its payment; 0: none has.
    by: u64,
    was_in_block: bool,
    /// All that the watch finds again is found.
    is_settled: bool,
    /// When it is notified, if it is not settled before.
    at: Option<Instant>,
}

/// What a watch is for.
#[derive(Clone, Debug)]
struct Served {
    address: Arc<str>,
    role: Role,
    /// Unique within the connection; a later watch has a higher one.
    number: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// It scans from the start, and its payments are reported.
    Main,
    /// It scans the blocks before the start: its payments are not reported, and their scripts are known.
    Earlier,
    /// The watch with this number takes its place. Until that has scanned its blocks, changes of the outputs that this
    /// one has found are applied.
    Replaced(u64),
}

impl Session {
    pub(crate) fn new(options: Options) -> Self {
        Self {
            options,
            tip: None,
            subscriptions: HashMap::new(),
            by_watch: HashMap::new(),
            earlier: Earlier::default(),
            watches: 0,
            new_subscriptions: Pace::new(SUBSCRIPTION_INTERVAL, at_once(options.max_subscriptions)),
            outputs: Outputs::default(),
            scripts: HashMap::new(),
            backend_scripts: BTreeMap::new(),
            changed: BTreeSet::new(),
            emptied: BTreeMap::new(),
        }
    }

    /// Handles a request.
    pub(crate) fn call(&mut self, call: Call) -> Step {
        self.step(call).unwrap_or_else(|error| Step::Done(Err(error)))
    }

    fn step(&mut self, Call { method, params, .. }: Call) -> Result<Step, RpcError> {
        let done = |text: Text| Ok(Step::Done(Ok(text)));
        match method.as_str() {
            "server.version" => version(&params).and_then(done),
            "server.features" => {
                let silent = self.options.takes_keys;
                none(&params).map(|()| Step::Ask(Ask::Features { silent }))
            }
            "server.ping" => none(&params).and_then(|()| done("null".to_owned())),
            "server.banner" => none(&params).and_then(|()| done(text(&self.banner()))),
            "server.donation_address" => none(&params).and_then(|()| done(text(""))),
            "server.peers.subscribe" => none(&params).and_then(|()| done("[]".to_owned())),
            HEADERS => none(&params).map(|()| Step::Ask(Ask::Tip)),
            "blockchain.block.header" => {
                let args = Args::new(&params, &["height", "cp_height"])?;
                without_checkpoint(&args, 1)?;
                Ok(Step::Ask(Ask::Header(args.required(0)?)))
            }
            "blockchain.block.headers" => {
                let args = Args::new(&params, &["start_height", "count", "cp_height"])?;
                without_checkpoint(&args, 2)?;
                let (start, count) = (args.required(0)?, args.required(1)?.min(MAX_HEADERS));
                Ok(Step::Ask(Ask::Headers { start, count }))
            }
            "blockchain.transaction.get" => self.transaction(&params),
            "blockchain.transaction.get_merkle" => {
                let args = Args::new(&params, &["tx_hash", "height"])?;
                let (txid, height) = (txid(&args)?, args.required(1)?);
                Ok(Step::Ask(Ask::Merkle { txid, height }))
            }
            "blockchain.transaction.id_from_pos" => {
                let args = Args::new(&params, &["height", "tx_pos", "merkle"])?;
                Ok(Step::Ask(Ask::FromPosition {
                    height: args.required(0)?,
                    position: args.required(1)?,
                    with_merkle: args.flag(2)?,
                }))
            }
            "blockchain.transaction.broadcast" => {
                let args = Args::new(&params, &["raw_tx"])?;
                let hex = args.text(0, "expected a transaction in hex")?;
                let tx = deserialize_hex(&hex).map_err(|_| args.wrong(0, "expected a transaction in hex"))?;
                Ok(Step::Ask(Ask::Broadcast(Box::new(tx))))
            }
            "blockchain.estimatefee" => {
                let args = Args::new(&params, &["number", "mode"])?;
                Ok(Step::Ask(Ask::Estimate(args.required(0)?)))
            }
            "blockchain.relayfee" => none(&params).map(|()| Step::Ask(Ask::RelayFee)),
            // The node has no histogram, and to make one its whole mempool would have to be read.
            "mempool.get_fee_histogram" => none(&params).and_then(|()| done("[]".to_owned())),
            SUBSCRIBE => self.subscribe(&params),
            UNSUBSCRIBE => self.unsubscribe(&params),
            method if method.starts_with(SCRIPTS_PREFIX) => self.script(method, &params),
            other => Err(unknown(other)),
        }
    }

    fn banner(&self) -> String {
        let first = format!(
            "{}: silent payments (BIP352). The relay that you are connected to scans with the scan keys that you send it, and so learns which \
             payments you receive. It cannot spend them. It keeps the keys in memory only, until you disconnect.",
            server_name()
        );
        let first = if self.options.takes_keys {
            first
        } else {
            first + " This connection is not encrypted, and takes no keys: connect to the TLS port."
        };
        if self.options.has_backend {
            first + " Requests about other scripts are passed on to another Electrum server."
        } else {
            first
        }
    }

    fn transaction(&self, params: &Params) -> Result<Step, RpcError> {
        let args = Args::new(params, &["tx_hash", "verbose"])?;
        let (txid, is_verbose) = (txid(&args)?, args.flag(1)?);
        let found = self.outputs.transaction(txid);
        match (is_verbose, found, self.options.has_backend) {
            (false, found, _) => Ok(Step::Ask(Ask::Transaction { txid, found })),
            (true, None, true) => Ok(Step::Ask(Ask::Backend(transaction_call(txid, true)))),
            (true, _, _) => Err(args.wrong(1, "this relay answers with the hex digits only: ask without verbose")),
        }
    }

    /// Takes the answer to a question of a request. Returns the answer to the request.
    pub(crate) fn answered(&mut self, answer: Answer) -> Result<Text, RpcError> {
        match answer {
            Answer::Text(text) => text,
            Answer::Tip(tip) => {
                self.tip = Some(tip.clone());
                Ok(tip)
            }
            Answer::Subscribed(subscribed) => Ok(self.subscribed(*subscribed)),
            Answer::Unsubscribed { address } => Ok(self.unsubscribed(&address)),
            Answer::EarlierScans(scans) => {
                self.registered(&scans);
                Ok("null".to_owned())
            }
            Answer::Script { method, script } => self.found_script(method, script),
            Answer::OfBackend(of_backend) => self.at_backend(of_backend),
        }
    }

    /// The answers to all subscriptions so far were written at this time.
    pub(crate) fn written(&mut self, now: Instant) {
        self.subscriptions.values_mut().for_each(|s| s.set_answered(now));
    }

    /// A message of a watch.
    pub(crate) fn mail(&mut self, message: WatchMessage) {
        // Of a watch that has ended meanwhile.
        let Some(Served { address, role, number }) = self.by_watch.get(message.watch_id()).cloned() else {
            return;
        };
        let Some(subscription) = self.subscriptions.get_mut(&address) else {
            return;
        };
        let is_main = role == Role::Main;
        match message {
            WatchMessage::MempoolScanned { .. } => {
                if is_main {
                    // Outputs that the watch before it has found there, and that have left since.
                    let in_mempool = |place| place == Place::Mempool;
                    let gone = self.outputs.scanned(&address, number, in_mempool);
                    self.gone(&address, gone);
                }
            }
            WatchMessage::Settled { .. } => {
                let emptied = self.emptied.values_mut();
                emptied
                    .filter(|emptied| emptied.by == number)
                    .for_each(|emptied| emptied.is_settled = true);
            }
            WatchMessage::Progress(progress) => {
                if is_main {
                    subscription.progressed(progress.progress);
                }
                if progress.progress >= 1.0 && !matches!(role, Role::Replaced(_)) {
                    let start = subscription.start_height;
                    let is_missing = |height| progress.missing.iter().any(|m| m.from <= height && height <= m.to);
                    let gone = self.outputs.scanned(&address, number, |place| match place {
                        Place::Block(height) => is_main == (height >= start) && !is_missing(height),
                        // `MempoolScanned` is the end of that scan.
                        Place::Mempool => false,
                    });
                    self.gone(&address, gone);
                    self.has_scanned(&address, role, number);
                }
            }
            // Only of detached watches, which this edge has none of.
            WatchMessage::Gap(_) | WatchMessage::Ended(_) => {}
            WatchMessage::Payment(message) => match &message.notification.event {
                Event::PaymentDetected(payment) => {
                    let Some(found) = message.found else { return };
                    if matches!(role, Role::Replaced(_)) && !self.outputs.contains(&message.outpoint) {
                        // The watch in its place finds it.
                        return;
                    }
                    if is_main {
                        subscription.detected(message.outpoint, payment, found.tweak_key);
                    }
                    let output = Found {
                        key: found.key,
                        sats: payment.amount_sats,
                        place: Place::of(payment.block_height),
                        fee: payment.fee_sats,
                    };
                    let script = self.outputs.found(message.outpoint, output, &address, number);
                    if let Some(height) = payment.spent_height {
                        // Its spend is older than the subscription.
                        let spend = spend(payment.spent_by.as_deref(), Some(height), None);
                        self.changed.extend(self.outputs.spent(message.outpoint, spend));
                    }
                    self.changed.insert(script);
                    self.earlier.found(script);
                }
                Event::PaymentReverted(payment) => {
                    if is_main {
                        subscription.reverted(message.outpoint, payment.block_height.is_some());
                    }
                    if let Some(script) = self.outputs.reverted(message.outpoint) {
                        self.changed.insert(script);
                        let emptied = Emptied {
                            address,
                            by: number,
                            was_in_block: payment.block_height.is_some(),
                            ..Emptied::default()
                        };
                        self.emptied.insert(script, emptied);
                    }
                }
                Event::PaymentSpent(spent) => {
                    let spend = spend(spent.spent_by.as_deref(), spent.block_height, spent.fee_sats);
                    self.changed.extend(self.outputs.spent(message.outpoint, spend));
                }
                Event::PaymentSpentReverted(_) => self.changed.extend(self.outputs.unspent(message.outpoint)),
                // The protocol has no notification of depths.
                Event::PaymentConfirmed(_)
                // Not about a watch.
                | Event::BlockMined(_)
                | Event::BlockDisconnected(_)
                | Event::RelayConnected(_)
                | Event::RelayDisconnected(_)
                | Event::Tweaks(_) => {}
            },
        }
    }

    /// Outputs of these scripts are gone.
    fn gone(&mut self, address: &Arc<str>, scripts: Vec<ScriptHash>) {
        for script in scripts {
            self.changed.insert(script);
            self.emptied.entry(script).or_insert_with(|| Emptied {
                address: Arc::clone(address),
                ..Emptied::default()
            });
        }
    }

    /// A watch has scanned its blocks: those in whose place it is are not needed any more.
    fn has_scanned(&mut self, address: &str, role: Role, number: u64) {
        if role == Role::Earlier {
            self.earlier.done(address);
        }
        self.by_watch.retain(|_, served| served.role != Role::Replaced(number));
        self.publish_scans();
    }

    fn publish_scans(&self) {
        let scanning = self
            .subscriptions
            .values()
            .filter(|subscription| !subscription.is_scanned());
        self.earlier.publish(scanning.count());
    }

    /// What requests about scripts wait for.
    pub(crate) fn scans(&self) -> watch::Receiver<Scans> {
        self.earlier.scans()
    }

    /// Whether watches of earlier blocks are to be registered.
    pub(crate) fn wants_earlier_scans(&self) -> bool {
        self.earlier.is_wanted()
    }

    /// Whether messages of watches are to be taken from the mailbox.
    pub(crate) fn takes_mail(&self) -> bool {
        !self.subscriptions.values().any(Subscription::is_full)
    }

    /// Memory of what was found, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.outputs.bytes() + self.subscriptions.values().map(Subscription::bytes).sum::<usize>()
    }

    /// The notifications to send now.
    pub(crate) fn due(&mut self, now: Instant) -> Vec<String> {
        let mut lines = Vec::new();
        let Options {
            is_positional,
            timeouts,
            ..
        } = self.options;
        for subscription in self.subscriptions.values_mut() {
            lines.extend(subscription.due(now, &timeouts, is_positional));
        }
        // A client that has asked for the status meanwhile knows it.
        self.emptied.retain(|script, _| self.changed.contains(script));
        for script in std::mem::take(&mut self.changed) {
            let Some(last) = self.scripts.get_mut(&script) else {
                self.emptied.remove(&script);
                continue;
            };
            let status = self.outputs.status(script);
            if status.is_none() && last.is_some() {
                let emptied = self.emptied.entry(script).or_default();
                let within = if emptied.was_in_block {
                    timeouts.reorganisation
                } else {
                    timeouts.settle
                };
                let at = *emptied.at.get_or_insert(now + within);
                if now < at && !emptied.is_settled {
                    self.changed.insert(script);
                    continue;
                }
            }
            self.emptied.remove(&script);
            if *last != status {
                let params = format!(r#"["{script}",{}]"#, status_text(status.as_deref()));
                lines.push(notification(SCRIPTS, &params));
                *last = status;
            }
        }
        lines
    }

    /// When [`Self::due`] has something to send, if nothing happens before.
    pub(crate) fn next(&self) -> Option<Instant> {
        let next = self.subscriptions.values();
        next.filter_map(|subscription| subscription.next(&self.options.timeouts))
            .chain(self.emptied.values().filter_map(|emptied| emptied.at))
            .min()
    }

    /// The notification of a new tip; `None` if the client knows it, or has not subscribed.
    pub(crate) fn new_tip(&mut self, header: &str) -> Option<String> {
        let known = self.tip.as_mut().filter(|known| *known != header)?;
        header.clone_into(known);
        Some(notification(HEADERS, &format!("[{header}]")))
    }

    /// A notification of the backend; `None` if it is about nothing that the client has subscribed to there.
    pub(crate) fn backend_changed(&self, script: ScriptHash, status: Option<&str>) -> Option<String> {
        let params = format!(r#"["{script}",{}]"#, status_text(status));
        self.backend_scripts
            .contains_key(&script)
            .then(|| notification(SCRIPTS, &params))
    }
}

/// A transaction that spends an output, as detection reports it.
fn spend(by: Option<&str>, height: Option<u32>, fee: Option<u64>) -> Spend {
    Spend {
        txid: by.and_then(|txid| txid.parse().ok()),
        place: Place::of(height),
        fee,
    }
}

/// Passed to the backend, unless the transaction is one that a watch has found.
pub(crate) fn transaction_call(txid: Txid, is_verbose: bool) -> BackendCall {
    BackendCall {
        method: "blockchain.transaction.get",
        params: vec![Value::from(txid.to_string()), Value::from(is_verbose)],
    }
}

fn none(params: &Params) -> Result<(), RpcError> {
    Args::new(params, &[])
        .map(drop)
        .map_err(|_| RpcError::parameter("params: expected none"))
}

/// Subscriptions of a connection in a short time: as many as it may have, and some to the same wallets again.
fn at_once(max_subscriptions: usize) -> u32 {
    u32::try_from(max_subscriptions)
        .unwrap_or(u32::MAX)
        .max(SUBSCRIPTIONS_AT_LEAST)
}

fn txid(args: &Args<'_>) -> Result<Txid, RpcError> {
    args.parsed(0, "expected a transaction id, 64 hex digits")
}

fn without_checkpoint(args: &Args<'_>, at: usize) -> Result<(), RpcError> {
    match args.number(at)? {
        None | Some(0) => Ok(()),
        Some(_) => Err(args.wrong(at, "this relay has no proofs for checkpoints: ask without it")),
    }
}

#[cfg(test)]
mod tests;

//! The state of a node in memory: a block tree, a mempool, and the receivers of its signals.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use bitcoin::absolute::LockTime;
use bitcoin::hashes::Hash;
use bitcoin::transaction::Version;
use bitcoin::{
    Amount, Block, BlockHash, CompactTarget, OutPoint, ScriptBuf, Sequence, Transaction, TxIn, TxMerkleNode, TxOut,
    Txid, Witness, block,
};
use sdk_relay_chain::{BlockRef, BlockWithPrevouts, Signal};
use tokio::sync::mpsc;

/// Small, so that it overflows when the consumer is slow.
const SIGNAL_QUEUE: usize = 16;

/// The node's state. Changes emit signals; answers are taken from it at some moment during the call.
pub(crate) struct World {
    /// Hashes of the best chain, by height.
    pub(crate) active: Vec<BlockHash>,
    /// Unconfirmed transactions, parents before children.
    pub(crate) mempool: Vec<Transaction>,
    /// All transactions ever created.
    pub(crate) txs: HashMap<Txid, Transaction>,
    /// The node does not answer.
    pub(crate) down: bool,
    /// Share of calls that fail, in percent.
    pub(crate) fault_percent: u64,
    /// Number of signals to drop silently.
    pub(crate) drop_signals: u32,
    /// Whether a changed chain is signalled.
    pub(crate) chain_signals: bool,
    /// Answers to `status`.
    pub(crate) chain: &'static str,
    pub(crate) initial_block_download: bool,
    pub(crate) headers: Option<u32>,
    pub(crate) prune_height: Option<u32>,
    /// Whether there are signals at all.
    pub(crate) signalled: bool,
    /// Longest pause within a call; answers may be as old.
    pub(crate) latency: Duration,
    /// Calls so far, by method.
    pub(crate) calls: HashMap<&'static str, u32>,
    pub(crate) blocks: HashMap<BlockHash, Arc<BlockWithPrevouts>>,
    pub(crate) sequence: u64,
    subscribers: Vec<(mpsc::Sender<Signal>, bool)>,
    made: u32,
    random: u64,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let mut world = Self {
            active: Vec::new(),
            mempool: Vec::new(),
            txs: HashMap::new(),
            down: false,
            fault_percent: 0,
            drop_signals: 0,
            chain_signals: true,
            chain: "regtest",
            initial_block_download: false,
            headers: None,
            prune_height: None,
            signalled: true,
            latency: Duration::from_millis(20),
            calls: HashMap::new(),
            blocks: HashMap::new(),
            sequence: 1,
            subscribers: Vec::new(),
            made: 0,
            random: seed | 1,
        };
        world.mine(0, false);
        world
    }

    pub(crate) fn tip(&self) -> BlockRef {
        BlockRef {
            height: self.active.len() as u32 - 1,
            hash: *self.active.last().unwrap(),
        }
    }

    pub(crate) fn at(&self, height: u32) -> BlockRef {
        BlockRef {
            height,
            hash: self.active[height as usize],
        }
    }

    pub(crate) fn mempool_txids(&self) -> HashSet<Txid> {
        self.mempool.iter().map(Transaction::compute_txid).collect()
    }

    /// Whether two transactions spend the same output.
    pub(crate) fn conflict(&self, a: &Txid, b: &Txid) -> bool {
        let spends = |txid| {
            self.txs[txid]
                .input
                .iter()
                .map(|i| i.previous_output)
                .collect::<HashSet<_>>()
        };
        !spends(a).is_disjoint(&spends(b))
    }

    pub(crate) fn prevouts(&self, tx: &Transaction) -> Vec<TxOut> {
        let prevout = |i: &TxIn| self.txs[&i.previous_output.txid].output[i.previous_output.vout as usize].clone();
        if tx.is_coinbase() {
            Vec::new()
        } else {
            tx.input.iter().map(prevout).collect()
        }
    }

    /// Adds a transaction that spends one or two outputs, confirmed or not.
    pub(crate) fn add(&mut self, pick: u64) -> Option<Txid> {
        let mut free = self.free();
        let first = take(&mut free, pick)?;
        let second = if pick.is_multiple_of(3) {
            take(&mut free, pick / 3)
        } else {
            None
        };
        let tx = self.make([Some(first), second].into_iter().flatten().collect());
        Some(self.enter(tx))
    }

    /// Replaces a transaction and what depends on it by one that spends the same.
    pub(crate) fn replace(&mut self, pick: u64) -> Option<(Txid, Txid)> {
        let victim = self
            .mempool
            .get((pick as usize).checked_rem(self.mempool.len())?)?
            .clone();
        let tx = self.make(vec![victim.input[0].previous_output]);
        self.remove(&victim.compute_txid());
        Some((victim.compute_txid(), self.enter(tx)))
    }

    /// Removes a transaction and what depends on it.
    pub(crate) fn evict(&mut self, pick: u64) {
        if let Some(place) = (pick as usize).checked_rem(self.mempool.len()) {
            let txid = self.mempool[place].compute_txid();
            self.remove(&txid);
        }
    }

    /// Mines a block with the first `take` transactions of the mempool, and one that double-spends another of them when
    /// asked to.
    pub(crate) fn mine(&mut self, take: usize, conflict: bool) {
        let mut txs: Vec<_> = self.mempool.drain(..take.min(self.mempool.len())).collect();
        let confirmed = self.unspent();
        let rival = (self.mempool.iter()).find(|tx| tx.input.iter().all(|i| confirmed.contains(&i.previous_output)));
        if let Some(rival) = rival.filter(|_| conflict).cloned() {
            self.remove(&rival.compute_txid());
            txs.push(self.make(vec![rival.input[0].previous_output]));
        }
        self.connect(txs);
        self.signal(Signal::Chain);
    }

    /// Disconnects `depth` blocks and mines `depth + extra` others. Mined transactions return to the mempool if
    /// possible.
    pub(crate) fn reorganise(&mut self, depth: usize, extra: isize) {
        let depth = depth.min(self.active.len() - 1);
        let mut back = Vec::new();
        for hash in self.active.split_off(self.active.len() - depth) {
            back.extend(self.blocks[&hash].block.txdata[1..].iter().cloned());
        }
        let before = self.mempool_txids();
        back.append(&mut self.mempool);
        let mut free = self.unspent();
        for tx in back {
            let txid = tx.compute_txid();
            let spends: Vec<_> = tx.input.iter().map(|i| i.previous_output).collect();
            if spends.iter().all(|outpoint| free.contains(outpoint)) {
                spends.iter().for_each(|outpoint| {
                    free.remove(outpoint);
                });
                free.extend(outpoints(&tx));
                self.mempool.push(tx.clone());
                if !before.contains(&txid) {
                    self.signal_entered(tx);
                }
            } else if before.contains(&txid) {
                self.signal_left(txid);
            }
        }
        for block in 0..depth.saturating_add_signed(extra) {
            // The first of the new blocks mines some of the returned transactions, the others are empty.
            let take = if block == 0 { self.mempool.len() / 2 } else { 0 };
            let txs = self.mempool.drain(..take).collect();
            self.connect(txs);
        }
        self.signal(Signal::Chain);
    }

    /// Restarts after an outage: mempool sequence numbers restart at one.
    pub(crate) fn up(&mut self) {
        if self.down {
            self.down = false;
            self.sequence = 1;
            self.signal(Signal::Lost);
        }
    }

    /// A new queue of signals, if signals are enabled.
    pub(crate) fn subscribe(&mut self) -> Option<mpsc::Receiver<Signal>> {
        self.subscribers.retain(|(subscriber, _)| !subscriber.is_closed());
        let (subscriber, signals) = mpsc::channel(SIGNAL_QUEUE);
        self.signalled.then(|| {
            self.subscribers.push((subscriber, false));
            signals
        })
    }

    /// Sends `Lost` to receivers whose queue was full, once it has capacity.
    pub(crate) fn send_lost(&mut self) {
        for (subscriber, lost) in &mut self.subscribers {
            *lost = *lost && subscriber.try_send(Signal::Lost).is_err();
        }
    }

    /// Sends a signal to the subscribers.
    pub(crate) fn signal(&mut self, signal: Signal) {
        if self.down || (signal == Signal::Chain && !self.chain_signals) {
            return;
        }
        if self.drop_signals > 0 {
            self.drop_signals -= 1;
            return;
        }
        for (subscriber, lost) in &mut self.subscribers {
            *lost |= subscriber.try_send(signal.clone()).is_err();
        }
    }

    fn signal_entered(&mut self, tx: Transaction) {
        self.sequence += 1;
        let (txid, sequence) = (tx.compute_txid(), self.sequence);
        let tx = self.random().is_multiple_of(2).then(|| Box::new(tx));
        self.signal(Signal::Entered { txid, tx, sequence });
    }

    fn signal_left(&mut self, txid: Txid) {
        self.sequence += 1;
        self.signal(Signal::Left {
            txid,
            sequence: self.sequence,
        });
    }

    fn enter(&mut self, tx: Transaction) -> Txid {
        self.mempool.push(tx.clone());
        let txid = tx.compute_txid();
        self.signal_entered(tx);
        txid
    }

    fn remove(&mut self, txid: &Txid) {
        let mut gone = HashSet::from([*txid]);
        let (leave, stay) = std::mem::take(&mut self.mempool).into_iter().partition(|tx| {
            let leaves =
                gone.contains(&tx.compute_txid()) || tx.input.iter().any(|i| gone.contains(&i.previous_output.txid));
            if leaves {
                gone.insert(tx.compute_txid());
            }
            leaves
        });
        self.mempool = stay;
        let leave: Vec<Transaction> = leave;
        // Descendants first, as nodes do.
        leave.iter().rev().for_each(|tx| self.signal_left(tx.compute_txid()));
    }

    fn connect(&mut self, txs: Vec<Transaction>) {
        let mut txdata = vec![self.make(vec![OutPoint::null()])];
        txdata.extend(txs);
        self.made += 1;
        let header = block::Header {
            version: block::Version::TWO,
            prev_blockhash: self.active.last().copied().unwrap_or(BlockHash::all_zeros()),
            merkle_root: TxMerkleNode::all_zeros(),
            time: self.made,
            bits: CompactTarget::from_consensus(0),
            nonce: 0,
        };
        let block = Block { header, txdata };
        let prevouts = block.txdata.iter().map(|tx| self.prevouts(tx)).collect();
        let size = block.total_size();
        self.active.push(block.block_hash());
        self.blocks.insert(
            block.block_hash(),
            Arc::new(BlockWithPrevouts { block, prevouts, size }),
        );
    }

    fn make(&mut self, spends: Vec<OutPoint>) -> Transaction {
        self.made += 1;
        let input = |previous_output| TxIn {
            previous_output,
            script_sig: ScriptBuf::new(),
            sequence: Sequence::MAX,
            witness: Witness::new(),
        };
        let output = |vout| TxOut {
            value: Amount::from_sat(u64::from(self.made) * 10 + vout),
            script_pubkey: ScriptBuf::new(),
        };
        let tx = Transaction {
            version: Version::TWO,
            lock_time: LockTime::from_consensus(self.made),
            input: spends.into_iter().map(input).collect(),
            output: (0..3).map(output).collect(),
        };
        self.txs.insert(tx.compute_txid(), tx.clone());
        tx
    }

    /// Outputs that the best chain leaves unspent.
    fn unspent(&self) -> HashSet<OutPoint> {
        let txs: Vec<_> = self
            .active
            .iter()
            .flat_map(|hash| &self.blocks[hash].block.txdata)
            .collect();
        let mut unspent: HashSet<_> = txs.iter().flat_map(|tx| outpoints(tx)).collect();
        txs.iter().flat_map(|tx| &tx.input).for_each(|i| {
            unspent.remove(&i.previous_output);
        });
        unspent
    }

    /// Outputs that a new transaction may spend, in a fixed order.
    fn free(&self) -> Vec<OutPoint> {
        let mut free = self.unspent();
        free.extend(self.mempool.iter().flat_map(outpoints));
        self.mempool.iter().flat_map(|tx| &tx.input).for_each(|i| {
            free.remove(&i.previous_output);
        });
        let mut free: Vec<_> = free.into_iter().collect();
        free.sort();
        free
    }

    pub(crate) fn random(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random
    }
}

fn outpoints(tx: &Transaction) -> impl Iterator<Item = OutPoint> + use<> {
    let txid = tx.compute_txid();
    (0..tx.output.len() as u32).map(move |vout| OutPoint { txid, vout })
}

fn take(from: &mut Vec<OutPoint>, pick: u64) -> Option<OutPoint> {
    let place = (pick as usize).checked_rem(from.len())?;
    Some(from.swap_remove(place))
}

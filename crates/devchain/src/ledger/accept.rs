//! Whether a transaction may enter the mempool.

use bitcoin::relative::LockTime as RelativeLock;
use bitcoin::{Amount, OutPoint, Transaction, TxOut, Txid, absolute};

use super::policy::{self, INCREMENTAL_FEE, MAX_MEMPOOL, MAX_REPLACED, MAX_TX_SIGOPS, MIN_RELAY_FEE};
use super::{Coin, Ledger, MATURITY, verify};
use sdk_relay_chain::Signal;
use sdk_relay_chain::event::fee;

/// Unit of time-based relative locks in seconds (BIP68).
const LOCK_UNIT: u32 = 512;

/// Why a transaction is refused, with the messages of Bitcoin Core where they exist.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(
    missing_docs,
    reason = "the messages are those of Bitcoin Core and are self-explanatory"
)]
pub enum Rejection {
    #[error("coinbase")]
    Coinbase,
    #[error("bad-txns-vin-empty")]
    NoInputs,
    #[error("bad-txns-vout-empty")]
    NoOutputs,
    #[error("bad-txns-inputs-duplicate")]
    DuplicateInputs,
    #[error("bad-txns-prevout-null")]
    NullInput,
    #[error("bad-txns-vout-toolarge")]
    OutputTooLarge,
    #[error("bad-txns-txouttotal-toolarge")]
    OutputsTooLarge,
    #[error("version")]
    Version,
    #[error("tx-size")]
    TooBig,
    #[error("tx-size-small")]
    TooSmall,
    #[error("dust")]
    Dust,
    #[error("txn-already-in-mempool")]
    AlreadyInMempool,
    #[error("Transaction outputs already in utxo set")]
    AlreadyKnown,
    #[error("bad-txns-inputs-missingorspent")]
    MissingOrSpent,
    #[error("bad-txns-premature-spend-of-coinbase")]
    PrematureCoinbase,
    #[error("bad-txns-in-belowout")]
    InBelowOut,
    #[error("non-final")]
    NonFinal,
    #[error("non-BIP68-final")]
    NonBip68Final,
    #[error("bad-txns-too-many-sigops")]
    TooManySigops,
    #[error("min relay fee not met")]
    MinRelayFee,
    #[error("insufficient fee")]
    InsufficientFee,
    #[error("too many potential replacements")]
    TooManyReplacements,
    #[error("bad-txns-spends-conflicting-tx")]
    SpendsConflicting,
    #[error("mempool full")]
    MempoolFull,
    #[error(
        "input {input} spends {found}: the development chain verifies only P2WPKH, P2PKH, P2SH-P2WPKH and P2TR by its key"
    )]
    NotVerifiable { input: usize, found: String },
    #[error("mandatory-script-verify-flag-failed (input {input}: {reason})")]
    Script { input: usize, reason: &'static str },
}

/// A transaction that may enter, with its derived data.
#[derive(Clone, Debug)]
pub(crate) struct Accepted {
    pub(crate) txid: Txid,
    pub(crate) tx: Transaction,
    pub(crate) prevouts: Vec<TxOut>,
    pub(crate) fee: Amount,
    pub(crate) vsize: u64,
    pub(crate) sigops: usize,
    /// The transactions that it replaces, including their descendants.
    pub(crate) evicts: Vec<Txid>,
}

impl Ledger {
    /// All checks.
    pub(crate) fn check(&self, tx: &Transaction) -> Result<Accepted, Rejection> {
        let accepted = self.check_unsigned(tx)?;
        verify::signatures(tx, &accepted.prevouts)?;
        Ok(accepted)
    }

    /// All checks except signatures: for transactions that were verified before they were written.
    pub(crate) fn check_unsigned(&self, tx: &Transaction) -> Result<Accepted, Rejection> {
        policy::check(tx)?;
        let mut accepted = self.check_context(tx)?;
        if accepted.sigops > MAX_TX_SIGOPS {
            return Err(Rejection::TooManySigops);
        }
        if accepted.fee.to_sat() < accepted.vsize * MIN_RELAY_FEE {
            return Err(Rejection::MinRelayFee);
        }
        accepted.evicts = self.replaced_by(&accepted)?;
        if accepted.evicts.is_empty() && self.mempool.vsize() + accepted.vsize > MAX_MEMPOOL {
            return Err(Rejection::MempoolFull);
        }
        Ok(accepted)
    }

    /// Adds a transaction to the mempool, and removes its conflicts.
    pub(crate) fn enter(&mut self, accepted: Accepted) -> Vec<Signal> {
        let evicts = accepted.evicts.iter();
        let mut signals: Vec<_> = evicts.map(|txid| self.mempool.evict(*txid)).collect();
        signals.push(self.mempool.enter(accepted));
        signals
    }

    /// The descendants of a mempool transaction, including itself; stops above the limit of a replacement.
    pub(crate) fn descendants(&self, txid: Txid) -> Vec<Txid> {
        let mut found = Vec::new();
        self.mempool.with_descendants(txid, MAX_REPLACED, &mut found);
        found
    }

    /// Inputs, maturity, amounts and locks: the contextual validity in a block.
    pub(super) fn check_context(&self, tx: &Transaction) -> Result<Accepted, Rejection> {
        let txid = tx.compute_txid();
        if self.mempool.get(&txid).is_some() {
            return Err(Rejection::AlreadyInMempool);
        }
        if (0..tx.output.len() as u32).any(|vout| self.coins.contains_key(&OutPoint { txid, vout })) {
            return Err(Rejection::AlreadyKnown);
        }
        let coins = tx.input.iter().map(|input| self.coin(&input.previous_output));
        let coins: Vec<Coin> = coins.collect::<Option<_>>().ok_or(Rejection::MissingOrSpent)?;
        let next = self.tip().height + 1;
        if coins.iter().any(|coin| coin.coinbase && next - coin.height < MATURITY) {
            return Err(Rejection::PrematureCoinbase);
        }
        self.check_locks(tx, &coins, next)?;
        let sigops = tx.total_sigop_cost(|outpoint| self.coin(outpoint).map(|coin| coin.txout));
        let prevouts: Vec<TxOut> = coins.into_iter().map(|coin| coin.txout).collect();
        Ok(Accepted {
            txid,
            fee: fee(tx, &prevouts).ok_or(Rejection::InBelowOut)?,
            tx: tx.clone(),
            prevouts,
            vsize: tx.vsize() as u64,
            sigops,
            evicts: Vec::new(),
        })
    }

    /// Absolute and relative locks (BIP65's and BIP68's fields, by median time as of BIP113) for the block at height
    /// `next`.
    fn check_locks(&self, tx: &Transaction, coins: &[Coin], next: u32) -> Result<(), Rejection> {
        let median = self.median_time(self.tip().hash);
        let is_final = match tx.lock_time {
            absolute::LockTime::Blocks(height) => height.to_consensus_u32() < next,
            absolute::LockTime::Seconds(time) => time.to_consensus_u32() < median,
        };
        if !is_final && tx.input.iter().any(|input| input.sequence.enables_absolute_lock_time()) {
            return Err(Rejection::NonFinal);
        }
        if tx.version.0 < 2 {
            return Ok(());
        }
        for (input, coin) in tx.input.iter().zip(coins) {
            let held = match input.sequence.to_relative_lock_time() {
                None => false,
                Some(RelativeLock::Blocks(blocks)) => coin.height + u32::from(blocks.value()) > next,
                Some(RelativeLock::Time(span)) => {
                    let before = self.hash_at(coin.height.saturating_sub(1));
                    let start = before.map_or(median, |hash| self.median_time(hash));
                    start.saturating_add(u32::from(span.value()) * LOCK_UNIT) > median
                }
            };
            if held {
                return Err(Rejection::NonBip68Final);
            }
        }
        Ok(())
    }

    /// The transactions that this one replaces (BIP125 rules 2 to 5, whether or not they signal).
    fn replaced_by(&self, new: &Accepted) -> Result<Vec<Txid>, Rejection> {
        let inputs = || new.tx.input.iter().map(|input| input.previous_output);
        let direct: Vec<Txid> = inputs()
            .filter_map(|outpoint| self.mempool.spender(&outpoint))
            .collect();
        let mut evicts = Vec::new();
        for txid in &direct {
            self.mempool.with_descendants(*txid, MAX_REPLACED, &mut evicts);
        }
        if inputs().any(|outpoint| evicts.contains(&outpoint.txid)) {
            return Err(Rejection::SpendsConflicting);
        }
        if evicts.len() > MAX_REPLACED {
            return Err(Rejection::TooManyReplacements);
        }
        let entries = |txids: &[Txid]| -> Vec<_> { txids.iter().filter_map(|txid| self.mempool.get(txid)).collect() };
        let paid: Amount = entries(&evicts).iter().map(|entry| entry.fee).sum();
        let least = paid.to_sat() + INCREMENTAL_FEE * new.vsize;
        // A higher rate than each of those that it conflicts with: fee/vsize, multiplied out.
        let cheaper = |old: &&super::Entry| new.fee.to_sat() * old.vsize <= old.fee.to_sat() * new.vsize;
        if !evicts.is_empty() && (new.fee.to_sat() < least || entries(&direct).iter().any(cheaper)) {
            return Err(Rejection::InsufficientFee);
        }
        Ok(evicts)
    }
}

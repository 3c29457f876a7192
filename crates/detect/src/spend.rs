//! The spends of outputs: those of one block, or of transactions that entered the mempool together. No I/O.

use std::collections::HashMap;
use std::sync::Arc;

use bitcoin::{BlockHash, OutPoint, Transaction, TxOut, Txid};
use sdk_relay_chain::BlockRef;
use sdk_relay_protocol::{PaymentSpent, btc};
use sdk_relay_scheduler::Facts;
use serde::{Deserialize, Serialize};

/// What spends an output, as it is reported and stored.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub(super) struct Spend {
    /// The spending transaction; `None` if only the index knows the spend, and the node does not have its block.
    pub(super) by: Option<Txid>,
    /// Index of its input; `None` if the index has named the transaction.
    pub(super) vin: Option<u32>,
    /// Height and hash of its block; `None` in the mempool.
    pub(super) block: Option<(u32, BlockHash)>,
    /// Unix seconds.
    pub(super) timestamp: u64,
    /// Of the spending transaction; `None` if the index has named it, and in records of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) fee_sats: Option<u64>,
}

/// What a notification about the spend of an output repeats of its payment.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Coin {
    pub(super) amount_sats: u64,
    /// Shared by all payments of a watch to it.
    pub(super) address: Arc<str>,
    pub(super) label: Option<u32>,
    /// Height of the block of the payment; 0 in the mempool.
    pub(super) height: u32,
}

impl Coin {
    /// The notification that this output is spent, without the watch.
    pub(super) fn spent(&self, outpoint: OutPoint, spend: &Spend) -> PaymentSpent {
        PaymentSpent {
            txid: outpoint.txid.to_string(),
            vout: outpoint.vout,
            amount: btc(self.amount_sats),
            amount_sats: self.amount_sats,
            address: self.address.to_string(),
            label: self.label,
            spent_by: spend.by.map(|by| by.to_string()),
            vin: spend.vin,
            block_height: spend.block.map(|(height, _)| height),
            block_hash: spend.block.map(|(_, hash)| hash.to_string()),
            confirmations: spend.block.map_or(0, |_| 1),
            timestamp: spend.timestamp,
            fee_sats: spend.fee_sats,
            watch_id: None,
            replaced_by: None,
        }
    }
}

/// The inputs of a transaction that can spend a payment, with their indices: those that spend taproot outputs, as those
/// of all silent payments are, and others that `may_be_payment` knows.
pub(super) fn inputs_of(
    tx: &Transaction,
    prevouts: &[TxOut],
    may_be_payment: impl Fn(&OutPoint, &TxOut) -> bool,
) -> Vec<(OutPoint, u32)> {
    let inputs = (0..).zip(tx.input.iter().zip(prevouts));
    let spending = inputs.filter(|(_, (input, prevout))| {
        prevout.script_pubkey.is_p2tr() || may_be_payment(&input.previous_output, prevout)
    });
    spending.map(|(vin, (input, _))| (input.previous_output, vin)).collect()
}

/// The outputs that some transactions spend.
#[derive(Debug)]
pub(super) struct Spends {
    /// Height and hash of their block; `None` in the mempool.
    block: Option<(u32, BlockHash)>,
    timestamp: u64,
    inputs: HashMap<OutPoint, Input>,
    /// The transactions, with their fees.
    by: HashMap<Txid, Option<u64>>,
}

/// The input that spends an output.
#[derive(Clone, Copy, Debug)]
struct Input {
    by: Txid,
    vin: u32,
    /// Position among all inputs.
    position: u32,
}

impl Spends {
    /// Of transactions in this block, with the time of its header.
    pub(super) fn of_block(at: BlockRef, time: u64) -> Self {
        Self::new(Some((at.height, at.hash)), time)
    }

    /// Of transactions in the mempool, seen at this time.
    pub(super) fn of_mempool(seen: u64) -> Self {
        Self::new(None, seen)
    }

    fn new(block: Option<(u32, BlockHash)>, timestamp: u64) -> Self {
        Self {
            block,
            timestamp,
            inputs: HashMap::new(),
            by: HashMap::new(),
        }
    }

    /// Adds inputs of a transaction.
    pub(super) fn add(&mut self, facts: Facts, inputs: &[(OutPoint, u32)]) {
        let by = facts.txid;
        for (outpoint, vin) in inputs {
            let position = u32::try_from(self.inputs.len()).unwrap_or(u32::MAX);
            let vin = *vin;
            self.inputs.insert(*outpoint, Input { by, vin, position });
            self.by.insert(by, facts.fee);
        }
    }

    pub(super) fn get(&self, outpoint: &OutPoint) -> Option<Spend> {
        self.inputs.get(outpoint).map(|input| self.spend(input))
    }

    /// Whether this transaction is one of them, and spends an output.
    pub(super) fn has_tx(&self, txid: &Txid) -> bool {
        self.by.contains_key(txid)
    }

    pub(super) fn len(&self) -> usize {
        self.inputs.len()
    }

    /// Those of these outputs that are spent, in the order of the inputs that spend them.
    pub(super) fn among(&self, outputs: impl Iterator<Item = OutPoint>) -> Vec<(OutPoint, Spend)> {
        self.in_order(outputs.filter_map(|outpoint| Some((outpoint, *self.inputs.get(&outpoint)?))))
    }

    /// The spent outputs that `contains` knows, in the order of the inputs that spend them.
    pub(super) fn known_to(&self, contains: impl Fn(&OutPoint) -> bool) -> Vec<(OutPoint, Spend)> {
        let known = self.inputs.iter().filter(|(outpoint, _)| contains(outpoint));
        self.in_order(known.map(|(outpoint, input)| (*outpoint, *input)))
    }

    fn in_order(&self, found: impl Iterator<Item = (OutPoint, Input)>) -> Vec<(OutPoint, Spend)> {
        let mut found: Vec<_> = found.collect();
        found.sort_unstable_by_key(|(_, input)| input.position);
        let spend = |(outpoint, input): (OutPoint, Input)| (outpoint, self.spend(&input));
        found.into_iter().map(spend).collect()
    }

    fn spend(&self, input: &Input) -> Spend {
        Spend {
            by: Some(input.by),
            vin: Some(input.vin),
            block: self.block,
            timestamp: self.timestamp,
            fee_sats: self.by.get(&input.by).copied().flatten(),
        }
    }
}

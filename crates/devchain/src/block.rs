//! Creates blocks (BIP34 height, BIP141 commitment, BIP113 time, regtest's proof of work).

use bitcoin::absolute::LockTime;
use bitcoin::block::{Header, Version};
use bitcoin::hashes::Hash;
use bitcoin::opcodes::all::OP_RETURN;
use bitcoin::script::Builder;
use bitcoin::{
    Amount, Block, BlockHash, CompactTarget, OutPoint, ScriptBuf, Sequence, Transaction, TxIn, TxMerkleNode, TxOut,
    Witness, transaction,
};

use super::ledger::{Ledger, MEDIAN_SPAN, median};
use sdk_relay_chain::BlockRef;

/// The target of every block: regtest does not adjust it.
const BITS: u32 = 0x207f_ffff;
/// No deployment is signalled (BIP9).
const VERSION: i32 = 0x2000_0000;
/// Halving interval of regtest, starting at 50 BTC.
const HALVING: u32 = 150;
/// BIP141: marks the commitment's output.
const COMMITMENT: [u8; 4] = [0xaa, 0x21, 0xa9, 0xed];
/// BIP141: the witness reserved value of the coinbase.
const RESERVED: [u8; 32] = [0; 32];

/// Position and time of the next block.
#[derive(Clone, Debug)]
pub(super) struct Parent {
    hash: BlockHash,
    height: u32,
    /// Newest first.
    times: Vec<u32>,
}

/// Contents of a block.
#[derive(Debug)]
pub(super) struct Ingredients {
    /// Recipient of the reward.
    pub(super) payout: ScriptBuf,
    /// Makes the block unique at its height.
    pub(super) extra_nonce: [u8; 8],
    /// Current time, in Unix seconds.
    pub(super) now: u32,
    pub(super) fees: Amount,
    pub(super) txs: Vec<Transaction>,
}

impl Parent {
    /// A block of the ledger.
    pub(super) fn at(ledger: &Ledger, block: BlockRef) -> Self {
        Self {
            hash: block.hash,
            height: block.height,
            times: ledger.recent_times(block.hash),
        }
    }

    /// Height of the next block.
    pub(super) fn next_height(&self) -> u32 {
        self.height + 1
    }

    /// Creates the next block and advances to it. Half of all hashes are below the target of regtest, so this takes two
    /// tries on average.
    pub(super) fn mine(&mut self, ingredients: Ingredients) -> Block {
        let Ingredients {
            payout,
            extra_nonce,
            now,
            fees,
            txs,
        } = ingredients;
        let height = self.next_height();
        // Not before the parent, although only the median matters, so that block times are ordered.
        let after_median = median(self.times.clone()).saturating_add(1);
        let newest = self.times.first().copied().unwrap_or_default();
        let time = now.max(newest).max(after_median);
        let coinbase = coinbase(height, payout, extra_nonce, subsidy(height) + fees);
        let mut block = Block {
            header: Header {
                version: Version::from_consensus(VERSION),
                prev_blockhash: self.hash,
                merkle_root: TxMerkleNode::all_zeros(),
                time,
                bits: CompactTarget::from_consensus(BITS),
                nonce: 0,
            },
            txdata: std::iter::once(coinbase).chain(txs).collect(),
        };
        commit(&mut block);
        let target = block.header.target();
        while block.header.validate_pow(target).is_err() {
            block.header.nonce = block.header.nonce.wrapping_add(1);
        }
        self.times.insert(0, time);
        self.times.truncate(MEDIAN_SPAN);
        self.hash = block.block_hash();
        self.height = height;
        block
    }
}

/// Subsidy of a block.
pub(super) fn subsidy(height: u32) -> Amount {
    let halvings = height / HALVING;
    Amount::from_sat(Amount::from_int_btc(50).to_sat().checked_shr(halvings).unwrap_or(0))
}

fn coinbase(height: u32, payout: ScriptBuf, extra_nonce: [u8; 8], value: Amount) -> Transaction {
    // After 33 halvings the reward may be zero: an unspendable output does not grow the set of coins.
    let script_pubkey = match value {
        Amount::ZERO => Builder::new().push_opcode(OP_RETURN).into_script(),
        _ => payout,
    };
    Transaction {
        version: transaction::Version::TWO,
        lock_time: LockTime::ZERO,
        input: vec![TxIn {
            previous_output: OutPoint::null(),
            script_sig: Builder::new()
                .push_int(i64::from(height))
                .push_slice(extra_nonce)
                .into_script(),
            sequence: Sequence::MAX,
            witness: Witness::from_slice(&[RESERVED]),
        }],
        output: vec![TxOut { value, script_pubkey }],
    }
}

/// Adds the witness commitment and the merkle root.
fn commit(block: &mut Block) {
    // Only a block without transactions has no root; this one has its coinbase.
    if let Some(root) = block.witness_root() {
        let commitment = Block::compute_witness_commitment(&root, &RESERVED).to_byte_array();
        let mut data = [0; 36];
        let (mark, rest) = data.split_at_mut(COMMITMENT.len());
        mark.copy_from_slice(&COMMITMENT);
        rest.copy_from_slice(&commitment);
        let output = TxOut {
            value: Amount::ZERO,
            script_pubkey: Builder::new().push_opcode(OP_RETURN).push_slice(data).into_script(),
        };
        if let Some(coinbase) = block.txdata.first_mut() {
            coinbase.output.push(output);
        }
    }
    if let Some(root) = block.compute_merkle_root() {
        block.header.merkle_root = root;
    }
}

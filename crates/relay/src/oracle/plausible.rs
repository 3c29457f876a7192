//! What an Oracle says of a block, held against the block.
//!
//! Which transactions are eligible is known from the block and what it spends, without the multiplication that makes a tweak. Version 2 names
//! them: every name must be there once, every tweak be a point that no other transaction has, and a share of them, drawn at random, is
//! computed and compared. Version 1 gives the tweaks alone, in no order that could be relied on, so that none of them can be told to be that
//! of a transaction without computing it: they are all computed, and the list is held against them.

use std::collections::{HashMap, HashSet};

use bitcoin::secp256k1::PublicKey;
use bitcoin::secp256k1::rand::{Rng, RngCore, thread_rng};
use bitcoin::{Transaction, TxOut, Txid};
use sdk_relay_bip352::{Fast, has_tweak, tweak};
use sdk_relay_chain::{BlockRef, BlockWithPrevouts};
use sdk_relay_store::index::IndexedBlock;

use super::http::{Named, Said};
use crate::index::indexed;

/// Of so many tweaks one is computed …
const ONE_IN: u32 = 8;
/// … and all of a block that has no more than these: it costs nothing.
const SMALL_BLOCK: usize = 64;

/// What cannot be, in words that begin after "of block N: ".
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Implausible(pub(super) String);

/// A block that the Oracle helped to index.
#[derive(Debug)]
pub(super) struct Plausible {
    pub(super) block: IndexedBlock,
    /// Tweaks that were computed all the same.
    pub(super) computed: u64,
}

/// Whether the block has a transaction that may pay silently.
pub(super) fn any_eligible(block: &BlockWithPrevouts) -> bool {
    let mut txs = block.block.txdata.iter().zip(&block.prevouts);
    txs.any(|(tx, prevouts)| has_tweak(tx, prevouts))
}

/// The block with the tweaks that were said, if they can be its own.
pub(super) fn index(at: BlockRef, block: &BlockWithPrevouts, said: &Said) -> Result<Plausible, Implausible> {
    match said {
        Said::Named(named) => from_named(at, block, named, &mut thread_rng()),
        Said::Listed(tweaks) => beside_listed(at, block, tweaks),
    }
}

fn from_named(
    at: BlockRef,
    block: &BlockWithPrevouts,
    named: &[Named],
    rng: &mut dyn RngCore,
) -> Result<Plausible, Implausible> {
    let said: HashMap<Txid, &[u8; 33]> = named.iter().map(|n| (n.txid, &n.tweak)).collect();
    if said.len() != named.len() {
        return Err(Implausible("a transaction is named twice".to_owned()));
    }
    let different: HashSet<_> = named.iter().map(|n| n.tweak).collect();
    if different.len() != named.len() {
        return Err(Implausible("two transactions have the same tweak".to_owned()));
    }
    let all = named.len() <= SMALL_BLOCK;
    let (mut used, mut computed, mut wrong) = (0, 0u64, None);
    let checked = |tx: &Transaction, prevouts: &[TxOut]| {
        if wrong.is_some() || !has_tweak(tx, prevouts) {
            return None;
        }
        let txid = tx.compute_txid();
        let Some(bytes) = said.get(&txid) else {
            wrong = Some(format!("transaction {txid} is eligible, and is not among those named"));
            return None;
        };
        used += 1;
        let Ok(told) = PublicKey::from_slice(*bytes) else {
            wrong = Some(format!("the tweak of transaction {txid} is no point of the curve"));
            return None;
        };
        if all || rng.gen_ratio(1, ONE_IN) {
            computed += 1;
            if tweak(tx, prevouts) != Some(told) {
                wrong = Some(format!("the tweak of transaction {txid} is another"));
                return None;
            }
        }
        Some(told)
    };
    let block = IndexedBlock::with_tweaks(at.height, at.hash, &block.block, &block.prevouts, checked);
    if let Some(wrong) = wrong {
        return Err(Implausible(wrong));
    }
    if used != named.len() {
        let more = named.len() - used;
        return Err(Implausible(format!(
            "{more} of the transactions named are not eligible in it"
        )));
    }
    Ok(Plausible { block, computed })
}

fn beside_listed(at: BlockRef, block: &BlockWithPrevouts, listed: &[[u8; 33]]) -> Result<Plausible, Implausible> {
    let block = indexed(at, block, &Fast::new());
    let mut ours: Vec<_> = block.transactions.iter().map(|tx| tx.tweak).collect();
    let mut theirs = listed.to_vec();
    ours.sort_unstable();
    theirs.sort_unstable();
    if ours.len() != theirs.len() {
        let (ours, theirs) = (ours.len(), theirs.len());
        return Err(Implausible(format!(
            "it lists {theirs} tweaks, and {ours} transactions are eligible"
        )));
    }
    let other = ours.iter().zip(&theirs).filter(|(a, b)| a != b).count();
    if other > 0 {
        return Err(Implausible("it lists a tweak that no transaction has".to_owned()));
    }
    Ok(Plausible {
        computed: ours.len() as u64,
        block,
    })
}

#[cfg(test)]
mod tests {
    use bitcoin::absolute::LockTime;
    use bitcoin::hashes::Hash;
    use bitcoin::secp256k1::{Secp256k1, SecretKey};
    use bitcoin::transaction::Version;
    use bitcoin::{Amount, Block, CompressedPublicKey, Network, OutPoint, ScriptBuf, TxIn, Witness};

    use super::*;

    /// A block of transactions that each spend a P2WPKH output; nobody looks at their signatures.
    fn block_of(transactions: u32) -> (BlockRef, BlockWithPrevouts) {
        let secp = Secp256k1::new();
        let mut block: Block = bitcoin::constants::genesis_block(Network::Regtest);
        let mut prevouts = vec![Vec::new()];
        for n in 0..transactions {
            let key = CompressedPublicKey(SecretKey::new(&mut thread_rng()).public_key(&secp));
            let out = |script_pubkey| TxOut {
                value: Amount::from_sat(10_000),
                script_pubkey,
            };
            let input = TxIn {
                previous_output: OutPoint::new(Txid::hash(&n.to_le_bytes()), 0),
                witness: Witness::from_slice(&[vec![1; 64], key.to_bytes().to_vec()]),
                ..TxIn::default()
            };
            block.txdata.push(Transaction {
                version: Version::TWO,
                lock_time: LockTime::ZERO,
                input: vec![input],
                output: vec![out(ScriptBuf::new_p2tr_tweaked(
                    bitcoin::key::TweakedPublicKey::dangerous_assume_tweaked(key.0.x_only_public_key().0),
                ))],
            });
            prevouts.push(vec![out(ScriptBuf::new_p2wpkh(&key.wpubkey_hash()))]);
        }
        let at = BlockRef {
            height: 7,
            hash: block.block_hash(),
        };
        let block = BlockWithPrevouts {
            size: block.total_size(),
            block,
            prevouts,
        };
        (at, block)
    }

    fn truth(block: &BlockWithPrevouts) -> Vec<Named> {
        let txs = block.block.txdata.iter().zip(&block.prevouts);
        let named = txs.filter_map(|(tx, prevouts)| {
            Some(Named {
                txid: tx.compute_txid(),
                tweak: tweak(tx, prevouts)?.serialize(),
            })
        });
        named.collect()
    }

    /// The block with each tweak computed for itself.
    fn alone(at: BlockRef, block: &BlockWithPrevouts) -> IndexedBlock {
        IndexedBlock::with_tweaks(at.height, at.hash, &block.block, &block.prevouts, tweak)
    }

    #[test]
    fn of_a_large_block_a_part_is_computed() {
        let (at, block) = block_of(200);
        assert!(any_eligible(&block));
        let named = truth(&block);
        assert_eq!(named.len(), 200);
        let own = alone(at, &block);
        let taken = from_named(at, &block, &named, &mut thread_rng()).unwrap();
        assert_eq!(taken.block, own);
        // Of 200 independent draws of one in eight, none or half come less than once in 10^11.
        assert!((1..100).contains(&taken.computed), "{}", taken.computed);

        // Half of them lie: that none of these hundred is drawn has a probability of 10^-6, and ten times in a row of 10^-58.
        let mut lying = named;
        for n in (0..100).step_by(2) {
            let other = lying[n + 1].tweak;
            lying[n + 1].tweak = std::mem::replace(&mut lying[n].tweak, other);
        }
        let noticed = (0..10).any(|_| from_named(at, &block, &lying, &mut thread_rng()).is_err());
        assert!(noticed);
    }

    #[tokio::test]
    async fn what_many_threads_compute_is_what_one_does() {
        let (at, block) = block_of(600);
        let own = alone(at, &block);
        assert_eq!(own.transactions.len(), 600);
        let pool = crate::index::Pool::new(3).unwrap();
        let shared = pool.run(move || indexed(at, &block, &Fast::new())).await;
        assert_eq!(shared, Some(own));
    }

    #[test]
    fn of_a_small_block_all_is_computed() {
        let (at, block) = block_of(20);
        let named = truth(&block);
        let taken = from_named(at, &block, &named, &mut thread_rng()).unwrap();
        assert_eq!(taken.computed, 20);
        let listed: Vec<_> = named.iter().rev().map(|n| n.tweak).collect();
        assert_eq!(
            beside_listed(at, &block, &listed).unwrap().block,
            taken.block,
            "in any order"
        );
        let (_, empty) = block_of(0);
        assert!(!any_eligible(&empty));
    }
}

use std::sync::Arc;

use bitcoin::absolute::LockTime;
use bitcoin::hashes::Hash;
use bitcoin::secp256k1::rand::thread_rng;
use bitcoin::secp256k1::{Secp256k1, SecretKey};
use bitcoin::transaction::Version;
use bitcoin::{
    Amount, Block, CompressedPublicKey, Network, OutPoint, ScriptBuf, Transaction, TxIn, TxOut, Txid, Witness,
};
use sdk_relay_bip352::{Fast, Scanner, tweak};
use sdk_relay_chain::{BlockRef, BlockWithPrevouts};

use super::super::request::Named;
use super::*;
use crate::tweaks::indexed;

/// A block of transactions that each spend a P2WPKH output; their signatures are not checked.
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

fn named(own: &IndexedBlock) -> Vec<Named> {
    let named = own.transactions.iter().map(|tx| Named {
        txid: tx.txid,
        tweak: tx.tweak,
    });
    named.collect()
}

fn scanner() -> Scanner {
    Scanner::new(Arc::new(Fast::new()), |_, _| {})
}

fn listed(own: &IndexedBlock) -> Vec<[u8; 33]> {
    own.transactions.iter().rev().map(|tx| tx.tweak).collect()
}

/// A large block. Regression: one wrong tweak in eight used to pass unnoticed.
fn own() -> IndexedBlock {
    let (at, block) = block_of(200);
    let own = indexed(at, &block, &scanner());
    assert_eq!(own.transactions.len(), 200);
    own
}

#[test]
fn one_false_tweak_in_a_large_block_is_always_noticed() {
    let own = own();
    assert_eq!(check(&own, &OracleBlock::Named(named(&own))), Ok(0));
    assert_eq!(check(&own, &OracleBlock::Listed(listed(&own))), Ok(0));
    for n in 0..200 {
        let (mut names, mut list) = (named(&own), listed(&own));
        names[n].tweak = own.transactions[(n + 1) % 200].tweak;
        let wrong = check(&own, &OracleBlock::Named(names)).unwrap_err();
        assert!(wrong.0.contains(&own.transactions[n].txid.to_string()), "{wrong:?}");
        list[n][32] ^= 1;
        assert!(check(&own, &OracleBlock::Listed(list)).is_err());
        let (mut names, mut list) = (named(&own), listed(&own));
        names.remove(n);
        list.remove(n);
        assert!(
            check(&own, &OracleBlock::Named(names))
                .unwrap_err()
                .0
                .contains("is missing")
        );
        assert!(
            check(&own, &OracleBlock::Listed(list))
                .unwrap_err()
                .0
                .contains("is missing")
        );
    }
}

#[test]
fn tweaks_of_other_transactions_are_ignored() {
    let own = own();
    let (at, removed) = block_of(3);
    let removed = indexed(at, &removed, &scanner());
    let (mut names, mut list) = (named(&removed), listed(&removed));
    names.extend(named(&own));
    list.extend(listed(&own));
    assert_eq!(check(&own, &OracleBlock::Named(names)), Ok(3));
    assert_eq!(check(&own, &OracleBlock::Listed(list)), Ok(3));
    // Two different tweaks of one eligible transaction are an error.
    let (mut twice, mut both) = (named(&own), named(&own));
    twice.push(named(&own).remove(5));
    assert_eq!(check(&own, &OracleBlock::Named(twice)), Ok(1));
    both.push(Named {
        tweak: own.transactions[6].tweak,
        ..named(&own).remove(5)
    });
    assert!(check(&own, &OracleBlock::Named(both)).is_err());
}

#[tokio::test]
async fn many_threads_compute_the_same_as_one() {
    let (at, block) = block_of(600);
    let own = IndexedBlock::with_tweaks(at.height, at.hash, &block.block, &block.prevouts, tweak);
    assert_eq!(own.transactions.len(), 600);
    let pool = crate::Pool::new(3).unwrap();
    let shared = pool.run(move || indexed(at, &block, &scanner())).await;
    assert_eq!(shared, Some(own));
}

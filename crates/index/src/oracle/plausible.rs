//! Compares the answer of an Oracle with the computed block.
//!
//! The tweaks of the block are computed in any case (`tweaks.rs`). Tweaks of transactions that are not eligible in this
//! block are ignored: an Oracle of version 2 keeps the transactions of blocks that a reorganisation has removed, and
//! returns them under the hash of the replacing block.

use std::collections::HashMap;

use bitcoin::Txid;
use sdk_relay_store::index::IndexedBlock;

use super::request::OracleBlock;

/// The difference, as a phrase that continues "of block N: ".
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wrong(pub(super) String);

/// Checks that the answer has the tweak of every eligible transaction of the block; returns the number of other tweaks.
pub(super) fn check(own: &IndexedBlock, theirs: &OracleBlock) -> Result<u64, Wrong> {
    let beside = match theirs {
        OracleBlock::Named(named) => {
            let mut tweaks: HashMap<Txid, Vec<&[u8; 33]>> = HashMap::with_capacity(named.len());
            for one in named {
                tweaks.entry(one.txid).or_default().push(&one.tweak);
            }
            for tx in &own.transactions {
                match tweaks.get(&tx.txid) {
                    None => return Err(Wrong(format!("eligible transaction {} is missing", tx.txid))),
                    Some(theirs) if theirs.iter().any(|tweak| **tweak != tx.tweak) => {
                        return Err(Wrong(format!("the tweak of transaction {} differs", tx.txid)));
                    }
                    Some(_) => {}
                }
            }
            named.len()
        }
        OracleBlock::Listed(listed) => {
            let mut left: HashMap<&[u8; 33], usize> = HashMap::with_capacity(listed.len());
            for tweak in listed {
                *left.entry(tweak).or_default() += 1;
            }
            for tx in &own.transactions {
                match left.get_mut(&tx.tweak).filter(|left| **left > 0) {
                    Some(left) => *left -= 1,
                    None => return Err(Wrong(format!("the tweak of transaction {} is missing", tx.txid))),
                }
            }
            listed.len()
        }
    };
    Ok(beside.saturating_sub(own.transactions.len()) as u64)
}

#[cfg(test)]
mod tests;

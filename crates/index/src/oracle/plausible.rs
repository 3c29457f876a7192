//! What an Oracle says of a block, held against the block.
//!
//! The block's own tweaks are computed here in any case (`tweaks.rs`); an Oracle's answer is a second opinion. What it
//! says of transactions that are not eligible in this block is no business of ours: an Oracle of version 2 keeps the
//! transactions of blocks that a reorganisation has removed, and names them under the hash of the block that took their
//! place.

use std::collections::HashMap;

use bitcoin::Txid;
use sdk_relay_store::index::IndexedBlock;

use super::http::Said;

/// What is wrong, in words that begin after "of block N: ".
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wrong(pub(super) String);

/// Whether every eligible transaction of the block has its tweak in what was said; gives what was said beside them.
pub(super) fn check(own: &IndexedBlock, said: &Said) -> Result<u64, Wrong> {
    let beside = match said {
        Said::Named(named) => {
            let mut tweaks: HashMap<Txid, Vec<&[u8; 33]>> = HashMap::with_capacity(named.len());
            for one in named {
                tweaks.entry(one.txid).or_default().push(&one.tweak);
            }
            for tx in &own.transactions {
                match tweaks.get(&tx.txid) {
                    None => return Err(Wrong(format!("eligible transaction {} is missing", tx.txid))),
                    Some(said) if said.iter().any(|tweak| **tweak != tx.tweak) => {
                        return Err(Wrong(format!("the tweak of transaction {} differs", tx.txid)));
                    }
                    Some(_) => {}
                }
            }
            named.len()
        }
        Said::Listed(listed) => {
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

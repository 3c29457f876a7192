//! The branch that proves a transaction to be in a block.

use bitcoin::Txid;
use bitcoin::hashes::{Hash, HashEngine, sha256d};

/// The hashes beside the path from the transaction at `position` to the root, the lowest first. `None` if there is no
/// such transaction.
pub(crate) fn branch(txids: &[Txid], position: usize) -> Option<Vec<sha256d::Hash>> {
    txids.get(position)?;
    let mut level: Vec<sha256d::Hash> = txids.iter().map(|txid| txid.to_raw_hash()).collect();
    let (mut at, mut branch) = (position, Vec::new());
    while level.len() > 1 {
        // A level of an odd number repeats its last hash.
        if level.len() % 2 == 1 {
            level.extend(level.last().copied());
        }
        branch.push(*level.get(at ^ 1)?);
        level = level.chunks_exact(2).map(parent).collect();
        at /= 2;
    }
    Some(branch)
}

fn parent(pair: &[sha256d::Hash]) -> sha256d::Hash {
    let mut engine = sha256d::Hash::engine();
    for hash in pair {
        engine.input(hash.as_byte_array());
    }
    sha256d::Hash::from_engine(engine)
}

#[cfg(test)]
mod tests {
    use bitcoin::merkle_tree;

    use super::*;

    #[test]
    fn each_branch_leads_to_the_root() {
        for count in 1..20_u8 {
            let txids: Vec<_> = (0..count).map(|n| Txid::from_byte_array([n; 32])).collect();
            let root = merkle_tree::calculate_root(txids.iter().map(|txid| txid.to_raw_hash())).unwrap();
            for position in 0..usize::from(count) {
                let mut at = position;
                let mut hash = txids[position].to_raw_hash();
                for beside in branch(&txids, position).unwrap() {
                    let pair = if at % 2 == 0 { [hash, beside] } else { [beside, hash] };
                    hash = parent(&pair);
                    at /= 2;
                }
                assert_eq!(hash, root, "{position} of {count}");
            }
            assert_eq!(branch(&txids, usize::from(count)), None);
        }
    }
}

//! Reply of `/rest/spenttxouts/HASH.bin`: the prevouts of a block, from the undo data of the node.
//!
//! A compact size and that many transactions; for each a compact size and that many outputs in their consensus encoding
//! (`rest_spent_txouts` in `src/rest.cpp` of Bitcoin Core 30). The list of the first transaction, the coinbase, is
//! empty.

use bitcoin::{
    Block, TxOut, VarInt,
    consensus::{Decodable, encode},
};

/// Why a reply cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum SpentError {
    /// The bytes are not in that format.
    #[error(transparent)]
    Encoding(#[from] encode::Error),
    /// Trailing bytes after the last list.
    #[error("{0} bytes after the end")]
    Trailing(usize),
    /// The prevouts do not match the block.
    #[error("transaction {index} has {inputs} inputs and {prevouts} prevouts")]
    Mismatch {
        index: usize,
        inputs: usize,
        prevouts: usize,
    },
    /// The prevouts do not match the block.
    #[error("{lists} lists of prevouts for {transactions} transactions")]
    Lists { transactions: usize, lists: usize },
}

/// Parses the lists. Memory is allocated for received bytes only, never for an announced count.
pub(super) fn parse(mut bytes: &[u8]) -> Result<Vec<Vec<TxOut>>, SpentError> {
    let mut lists = Vec::new();
    for _ in 0..VarInt::consensus_decode(&mut bytes)?.0 {
        let mut prevouts = Vec::new();
        for _ in 0..VarInt::consensus_decode(&mut bytes)?.0 {
            prevouts.push(TxOut::consensus_decode(&mut bytes)?);
        }
        lists.push(prevouts);
    }
    if bytes.is_empty() {
        Ok(lists)
    } else {
        Err(SpentError::Trailing(bytes.len()))
    }
}

/// Checks that there is one prevout for each input of the block, and none for the coinbase.
pub(super) fn check(block: &Block, lists: &[Vec<TxOut>]) -> Result<(), SpentError> {
    if block.txdata.len() != lists.len() {
        return Err(SpentError::Lists {
            transactions: block.txdata.len(),
            lists: lists.len(),
        });
    }
    for (index, (tx, prevouts)) in block.txdata.iter().zip(lists).enumerate() {
        let inputs = if tx.is_coinbase() { 0 } else { tx.input.len() };
        if inputs != prevouts.len() {
            return Err(SpentError::Mismatch {
                index,
                inputs,
                prevouts: prevouts.len(),
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use bitcoin::{Amount, ScriptBuf, consensus::serialize};
    use proptest::prelude::*;

    use super::*;

    fn encoded(lists: &[Vec<TxOut>]) -> Vec<u8> {
        let mut bytes = serialize(&VarInt::from(lists.len()));
        for list in lists {
            bytes.extend(serialize(&VarInt::from(list.len())));
            list.iter().for_each(|out| bytes.extend(serialize(out)));
        }
        bytes
    }

    fn txout() -> impl Strategy<Value = TxOut> {
        (0..21_000_000u64, prop::collection::vec(any::<u8>(), 0..60)).prop_map(|(value, script)| TxOut {
            value: Amount::from_sat(value),
            script_pubkey: ScriptBuf::from_bytes(script),
        })
    }

    /// From a real node: a coinbase, and a transaction that spends one P2PKH output of 50 BTC.
    const REAL: &str = "02000100f2052a010000001976a91422432e08c5fd39afb8fb152165820f305479e89188ac";

    #[test]
    fn a_real_reply() {
        let bytes: Vec<u8> = bitcoin::hex::FromHex::from_hex(REAL).unwrap();
        let lists = parse(&bytes).unwrap();
        assert_eq!(lists.iter().map(Vec::len).collect::<Vec<_>>(), [0, 1]);
        assert_eq!(lists[1][0].value, Amount::from_int_btc(50));
        assert!(lists[1][0].script_pubkey.is_p2pkh());
    }

    #[test]
    fn counts_beyond_the_bytes_are_refused_without_allocation() {
        for bytes in [
            "ffffffffffffffffff",
            "01ffffffffffffffffff",
            "0101000000000000000000ffffffffffffffff",
            "",
            "0000",
        ] {
            let bytes: Vec<u8> = bitcoin::hex::FromHex::from_hex(bytes).unwrap();
            assert!(parse(&bytes).is_err(), "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(lists in prop::collection::vec(prop::collection::vec(txout(), 0..5), 0..20)) {
            prop_assert_eq!(parse(&encoded(&lists)).unwrap(), lists);
        }

        #[test]
        fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            drop(parse(&bytes));
        }

        #[test]
        fn a_cut_reply_is_refused(lists in prop::collection::vec(prop::collection::vec(txout(), 0..5), 1..20), cut in any::<prop::sample::Index>()) {
            let bytes = encoded(&lists);
            prop_assert!(parse(&bytes[..cut.index(bytes.len())]).is_err());
        }
    }
}

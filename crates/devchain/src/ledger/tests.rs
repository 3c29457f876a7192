//! Signatures of every kind, and blocks that are full. Other errors are compared with those of a node in
//! `tests/it/node.rs`.

use std::collections::HashSet;

use bitcoin::absolute::LockTime;
use bitcoin::script::PushBytesBuf;
use bitcoin::{Address, Amount, ScriptBuf, Sequence, TxIn, Witness, transaction};
use tempfile::TempDir;

use super::*;
use crate::DevChain;
use crate::wallet::Kind;

fn new_chain() -> (TempDir, std::sync::Arc<DevChain>) {
    let dir = tempfile::tempdir().unwrap();
    let chain = DevChain::open(dir.path()).unwrap();
    (dir, chain)
}

/// Spends coins of the wallet to `output`, signed.
fn spend(chain: &DevChain, coins: &[OutPoint], output: Vec<TxOut>) -> Transaction {
    let state = chain.state();
    let prevouts: Vec<_> = coins
        .iter()
        .map(|coin| state.ledger.coin(coin).unwrap().txout)
        .collect();
    let tx = Transaction {
        version: transaction::Version::TWO,
        lock_time: LockTime::ZERO,
        input: coins
            .iter()
            .map(|coin| TxIn {
                previous_output: *coin,
                sequence: Sequence::MAX,
                ..TxIn::default()
            })
            .collect(),
        output,
    };
    state.wallet.sign(tx, &prevouts).unwrap()
}

/// The wallet's coins that can be spent, with their kinds, oldest first.
fn coins(chain: &DevChain) -> Vec<(OutPoint, Kind)> {
    let state = chain.state();
    let next = state.ledger.tip().height + 1;
    let mature = state.ledger.coins().filter(|(_, coin)| next - coin.height >= MATURITY);
    let mut coins: Vec<_> = mature
        .filter_map(|(outpoint, coin)| {
            let kind = state.wallet.kind_of(&coin.txout.script_pubkey)?;
            Some((coin.height, *outpoint, kind))
        })
        .collect();
    coins.sort_unstable_by_key(|(height, ..)| *height);
    coins.into_iter().map(|(_, outpoint, kind)| (outpoint, kind)).collect()
}

fn back(chain: &DevChain, value: Amount) -> TxOut {
    let script_pubkey = chain.state().wallet.script(Kind::P2wpkh);
    TxOut { value, script_pubkey }
}

#[test]
fn every_byte_of_a_signed_input_counts() {
    let (_dir, chain) = new_chain();
    let mut kinds = HashSet::new();
    for (coin, kind) in &coins(&chain)[..4] {
        kinds.insert(*kind);
        let output = back(&chain, Amount::from_int_btc(49));
        let tx = spend(&chain, &[*coin], vec![output]);
        let prevouts = [chain.state().ledger.coin(coin).unwrap().txout];
        assert_eq!(verify::signatures(&tx, &prevouts), Ok(()), "{kind:?}");
        let refused = |tx: &Transaction, prevouts: &[TxOut]| verify::signatures(tx, prevouts).unwrap_err();

        let script_sig = tx.input[0].script_sig.to_bytes();
        for byte in 0..script_sig.len() {
            let mut damaged = tx.clone();
            let mut bytes = script_sig.clone();
            bytes[byte] ^= 1;
            damaged.input[0].script_sig = ScriptBuf::from_bytes(bytes);
            refused(&damaged, &prevouts);
        }
        let witness = tx.input[0].witness.to_vec();
        for (element, byte) in (0..witness.len()).flat_map(|e| (0..witness[e].len()).map(move |b| (e, b))) {
            let mut damaged = tx.clone();
            let mut elements = witness.clone();
            elements[element][byte] ^= 1;
            damaged.input[0].witness = Witness::from_slice(&elements);
            refused(&damaged, &prevouts);
        }
        let mut other_output = tx.clone();
        other_output.output[0].value += Amount::from_sat(1);
        refused(&other_output, &prevouts);
        let mut unsigned = tx.clone();
        unsigned.input[0].witness.clear();
        unsigned.input[0].script_sig = ScriptBuf::new();
        refused(&unsigned, &prevouts);
        let mut extra = tx.clone();
        extra.input[0].witness.push([1]);
        refused(&extra, &prevouts);
        let mut extra = tx.clone();
        extra.input[0].script_sig.push_opcode(bitcoin::opcodes::OP_TRUE);
        refused(&extra, &prevouts);
    }
    assert_eq!(kinds.len(), 4);
}

#[test]
fn an_unverifiable_input_is_refused_and_named() {
    let (_dir, chain) = new_chain();
    let anyone = ScriptBuf::builder()
        .push_opcode(bitcoin::opcodes::OP_TRUE)
        .into_script();
    let program = anyone.to_p2wsh();
    let redeem = PushBytesBuf::try_from(anyone.to_bytes()).unwrap();
    for (script, script_sig, witness) in [
        (
            program.clone(),
            ScriptBuf::new(),
            Witness::from_slice(&[anyone.as_bytes()]),
        ),
        (
            anyone.to_p2sh(),
            ScriptBuf::builder().push_slice(redeem).into_script(),
            Witness::new(),
        ),
    ] {
        let address = Address::from_script(&script, Network::Regtest).unwrap().to_string();
        let txid = chain.pay(&address, Amount::from_sat(100_000)).unwrap();
        let mut tx = Transaction {
            version: transaction::Version::TWO,
            lock_time: LockTime::ZERO,
            input: vec![TxIn {
                previous_output: OutPoint { txid, vout: 0 },
                script_sig,
                sequence: Sequence::MAX,
                witness,
            }],
            output: vec![back(&chain, Amount::from_sat(90_000))],
        };
        let refused = chain.state().ledger.check(&tx).unwrap_err();
        assert!(
            matches!(refused, Rejection::NotVerifiable { input: 0, .. }),
            "{refused}"
        );
        assert!(refused.to_string().contains("the development chain verifies only"));
        tx.output[0].value = Amount::from_sat(100_001);
        assert_eq!(chain.state().ledger.check(&tx).unwrap_err(), Rejection::InBelowOut);
    }
    // A taproot output by a script path, and one with an annex.
    let (taproot, _) = coins(&chain).into_iter().find(|(_, kind)| *kind == Kind::P2tr).unwrap();
    let mut tx = spend(&chain, &[taproot], vec![back(&chain, Amount::from_int_btc(1))]);
    tx.input[0].witness.push([0x50]);
    let prevouts = [chain.state().ledger.coin(&taproot).unwrap().txout];
    let refused = verify::signatures(&tx, &prevouts).unwrap_err();
    assert!(matches!(refused, Rejection::NotVerifiable { input: 0, .. }));
    // The default type of signature has no byte (BIP341).
    let mut signature = tx.input[0].witness.nth(0).unwrap().to_vec();
    signature.push(0);
    tx.input[0].witness = Witness::from_slice(&[signature]);
    let refused = verify::signatures(&tx, &prevouts).unwrap_err();
    assert!(matches!(refused, Rejection::Script { input: 0, .. }));
}

#[test]
fn a_full_block_leaves_the_rest_and_its_children_for_the_next() {
    let (_dir, chain) = new_chain();
    let ballast = TxOut {
        value: Amount::ZERO,
        script_pubkey: ScriptBuf::new_op_return(PushBytesBuf::try_from(vec![0; 98_000]).unwrap()),
    };
    let mut last = None;
    for (coin, _) in &coins(&chain)[..12] {
        let outputs = vec![ballast.clone(), back(&chain, Amount::from_int_btc(49))];
        let tx = spend(&chain, &[*coin], outputs);
        let accepted = chain.state().ledger.check(&tx).unwrap();
        last = Some(chain.state().enter(accepted).unwrap());
    }
    // A small one that would fit without its parent.
    let txid = last.unwrap();
    let child = spend(
        &chain,
        &[OutPoint { txid, vout: 1 }],
        vec![back(&chain, Amount::from_int_btc(48))],
    );
    let accepted = chain.state().ledger.check(&child).unwrap();
    chain.state().enter(accepted).unwrap();

    let mined: Vec<usize> = chain
        .mine(2)
        .unwrap()
        .into_iter()
        .map(|hash| {
            let block = chain.state().stored(hash).unwrap().block;
            assert!(block.weight().to_wu() <= 4_000_000);
            block.txdata.len()
        })
        .collect();
    assert_eq!(mined, [1 + 10, 1 + 3]);
}

#[test]
fn a_replacement_may_not_spend_what_it_replaces() {
    let (_dir, chain) = new_chain();
    let [(first, _), (second, _)] = coins(&chain)[..2] else {
        panic!()
    };
    let tx = spend(&chain, &[first], vec![back(&chain, Amount::from_int_btc(49))]);
    let accepted = chain.state().ledger.check(&tx).unwrap();
    let txid = chain.state().enter(accepted).unwrap();
    let check = |coins: &[OutPoint]| {
        let tx = spend(&chain, coins, vec![back(&chain, Amount::from_int_btc(10))]);
        chain.state().ledger.check(&tx).map(|accepted| accepted.evicts)
    };
    assert_eq!(
        check(&[first, OutPoint { txid, vout: 0 }]),
        Err(Rejection::SpendsConflicting)
    );
    assert_eq!(check(&[first, second]), Ok(vec![txid]));
    assert_eq!(check(&[second, OutPoint { txid, vout: 0 }]), Ok(Vec::new()));
}

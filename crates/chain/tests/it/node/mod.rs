//! Common helpers of the tests of the node source.

use std::time::Duration;

use bitcoin::{
    Amount, OutPoint, ScriptBuf, Sequence, Transaction, TxIn, TxOut, Witness, absolute::LockTime, opcodes::OP_TRUE,
    script::Builder, transaction::Version,
};
use sdk_relay_chain::{
    node::ZmqAddress,
    node::{NodeConfig, NodeSource},
    rpc::Auth,
};
use testkit::Bitcoind;

/// Longer than any step takes on a busy machine.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// A source for `node` with its cookie.
pub(crate) fn source(node: &Bitcoind) -> NodeSource {
    source_with(node, Auth::CookieFile(node.cookie_file()))
}

/// A source for `node`.
pub(crate) fn source_with(node: &Bitcoind, auth: Auth) -> NodeSource {
    NodeSource::new(NodeConfig {
        rpc_url: node.rpc_url(),
        auth,
        zmq: ZmqAddress::At(node.zmq_url()),
        proxy: None,
    })
    .unwrap()
}

/// Number of occurrences of `words` in the log of the node.
pub(crate) fn logged(node: &Bitcoind, words: &str) -> usize {
    let log = std::fs::read_to_string(node.datadir().join("regtest/debug.log")).unwrap();
    log.lines().filter(|line| line.contains(words)).count()
}

/// An anyone-can-spend script.
pub(crate) fn anyones() -> ScriptBuf {
    witness_script().to_p2wsh()
}

/// Spends an output to [`anyones`], whose value is `value`, to the same script.
pub(crate) fn spend_anyones(outpoint: OutPoint, value: Amount) -> Transaction {
    const FEE: Amount = Amount::from_sat(1_000);
    let witness = Witness::from_slice(&[witness_script().to_bytes()]);
    Transaction {
        version: Version::TWO,
        lock_time: LockTime::ZERO,
        input: vec![TxIn {
            previous_output: outpoint,
            script_sig: ScriptBuf::new(),
            sequence: Sequence::ENABLE_RBF_NO_LOCKTIME,
            witness,
        }],
        output: vec![TxOut {
            value: value - FEE,
            script_pubkey: anyones(),
        }],
    }
}

fn witness_script() -> ScriptBuf {
    Builder::new().push_opcode(OP_TRUE).into_script()
}

//! The rows of transactions, and the payments that their outputs are.

use std::collections::HashSet;
use std::sync::Arc;

use bitcoin::{Address, OutPoint, Script, ScriptBuf, Transaction, TxOut, Txid};
use sdk_relay_bip352::{EligibleTx, Match, Scanner, TxWithPrevouts};
use sdk_relay_chain::BlockRef;
use sdk_relay_config::Network;
use sdk_relay_protocol::{TweakOutput, TweakTx};
use sdk_relay_scheduler::{Facts, Row};

use super::known_payment::KnownPayment;

/// Location of a transaction.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place {
    /// In the mempool, seen at this Unix second.
    Mempool(u64),
    /// In a block with this time.
    Block(BlockRef, u64),
    /// In a block of the history, with this time and number of confirmations.
    History(BlockRef, u64, u32),
}

/// The facts of a transaction.
pub(super) fn facts_of(txid: Txid, tx: &Transaction, prevouts: &[TxOut]) -> Facts {
    let fee = sdk_relay_chain::event::fee(tx, prevouts).map(bitcoin::Amount::to_sat);
    Facts {
        txid,
        fee,
        size: tx.total_size() as u64,
    }
}

/// The rows of many transactions, in order: `None` for one that is not eligible (BIP352). A batch costs far less per
/// transaction.
pub(super) fn rows_of(scanner: &Scanner, facts: &[Facts], txs: &[TxWithPrevouts<'_>]) -> Vec<Option<Arc<Row>>> {
    let tweaks = scanner.tweaks(txs).into_iter();
    let row = |(tweak, ((tx, _), facts)): (Option<_>, (&TxWithPrevouts<'_>, &Facts))| {
        tweak.map(|tweak| {
            Arc::new(Row {
                eligible: EligibleTx::with_tweak(tx, tweak),
                facts: *facts,
            })
        })
    };
    tweaks.zip(txs.iter().zip(facts)).map(row).collect()
}

/// The payment of a match. The tweak is included only with a watch, for its owner.
pub(super) fn payment_of(
    row: &Row,
    found: &Match,
    place: Place,
    address: Arc<str>,
    is_of_watch: bool,
) -> (OutPoint, KnownPayment) {
    let mut payment = known_payment(row.facts, place, found.amount.to_sat(), address);
    payment.label = found.label;
    payment.key = Some(found.key);
    payment.tweak = is_of_watch.then(|| found.tweak.clone());
    let (txid, vout) = (row.facts.txid, found.vout);
    (OutPoint { txid, vout }, payment)
}

/// The row for the topic `tweaks`.
pub(super) fn tweak_tx(row: &Row) -> TweakTx {
    let output = |o: &sdk_relay_bip352::TaprootOutput| TweakOutput {
        vout: o.vout,
        public_key: hex(&o.key),
        amount_sats: o.amount.to_sat(),
    };
    TweakTx {
        txid: row.facts.txid.to_string(),
        tweak: row.eligible.tweak.to_string(),
        outputs: row.eligible.outputs.iter().map(output).collect(),
        continues: false,
    }
}

/// The payment of an output of the transaction.
fn known_payment(facts: Facts, place: Place, amount_sats: u64, address: Arc<str>) -> KnownPayment {
    let (block, timestamp, confirmations) = match place {
        Place::Mempool(seen) => (None, seen, 0),
        Place::Block(at, time) => (Some(at), time, 1),
        Place::History(at, time, confirmations) => (Some(at), time, confirmations),
    };
    KnownPayment {
        block: block.map(|at| (at.height, at.hash)),
        confirmations,
        // The depths that a payment of a history has reached are not reported.
        confirmed: if matches!(place, Place::History(..)) {
            confirmations
        } else {
            0
        },
        timestamp,
        amount_sats,
        fee_sats: facts.fee,
        size: facts.size,
        address,
        label: None,
        key: None,
        tweak: None,
        historical: matches!(place, Place::History(..)),
    }
}

/// Payments to the node's wallet: outputs whose scripts are its own.
pub(super) fn to_scripts(
    facts: Facts,
    tx: &Transaction,
    place: Place,
    scripts: &HashSet<ScriptBuf>,
    network: Network,
) -> Vec<(OutPoint, KnownPayment)> {
    let own = (0u32..)
        .zip(&tx.output)
        .filter(|(_, o)| scripts.contains(&o.script_pubkey));
    own.map(|(vout, output)| {
        let address = Address::from_script(&output.script_pubkey, network.params());
        let address = address.map_or_else(|_| output.script_pubkey.to_hex_string(), |a| a.to_string());
        let mut payment = known_payment(facts, place, output.value.to_sat(), address.into());
        payment.key = key_of(&output.script_pubkey);
        (OutPoint { txid: facts.txid, vout }, payment)
    })
    .collect()
}

/// The key of a taproot output.
fn key_of(script: &Script) -> Option<[u8; 32]> {
    if !script.is_p2tr() {
        return None;
    }
    script.as_bytes().last_chunk().copied()
}

fn hex(bytes: &[u8]) -> String {
    use bitcoin::hex::DisplayHex;
    bytes.to_lower_hex_string()
}

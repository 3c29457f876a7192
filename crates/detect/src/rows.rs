//! A transaction as detection sees it, and the payment that an output of it is.

use std::collections::HashSet;
use std::sync::Arc;

use bitcoin::{Address, OutPoint, ScriptBuf, Transaction, TxOut, Txid};
use sdk_relay_bip352::{EligibleTx, Match, Scanner, TxWithPrevouts};
use sdk_relay_chain::BlockRef;
use sdk_relay_config::Network;
use sdk_relay_protocol::{TweakOutput, TweakTx};

use super::known_payment::KnownPayment;

/// An eligible transaction (BIP352) with what its notifications need.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) eligible: EligibleTx,
    pub(super) facts: Facts,
}

/// What a notification says of the transaction itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct Facts {
    pub(super) txid: Txid,
    /// Satoshis.
    pub(super) fee: Option<u64>,
    /// Serialised size in bytes.
    pub(super) size: u64,
}

/// Where a transaction is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place {
    /// In the mempool, seen at this Unix second.
    Mempool(u64),
    /// In a block with this time.
    Block(BlockRef, u64),
    /// In a block of the history with this time and so many confirmations.
    History(BlockRef, u64, u32),
}

impl Facts {
    pub(super) fn of(txid: Txid, tx: &Transaction, prevouts: &[TxOut]) -> Self {
        let fee = sdk_relay_chain::event::fee(tx, prevouts).map(bitcoin::Amount::to_sat);
        Self {
            txid,
            fee,
            size: tx.total_size() as u64,
        }
    }

    /// The payment that one of its outputs is.
    fn payment(&self, place: Place, amount_sats: u64, address: Arc<str>) -> KnownPayment {
        let (block, timestamp, confirmations) = match place {
            Place::Mempool(seen) => (None, seen, 0),
            Place::Block(at, time) => (Some(at), time, 1),
            Place::History(at, time, confirmations) => (Some(at), time, confirmations),
        };
        KnownPayment {
            block: block.map(|at| (at.height, at.hash)),
            confirmations,
            timestamp,
            amount_sats,
            fee_sats: self.fee,
            size: self.size,
            address,
            label: None,
            tweak: None,
            historical: matches!(place, Place::History(..)),
        }
    }
}

impl Row {
    /// The rows of many transactions, in order: `None` for one that is not eligible (BIP352). A batch costs far less per transaction.
    pub(super) fn of(scanner: &Scanner, facts: &[Facts], txs: &[TxWithPrevouts<'_>]) -> Vec<Option<Arc<Self>>> {
        let tweaks = scanner.tweaks(txs).into_iter();
        let row = |(tweak, ((tx, _), facts)): (Option<_>, (&TxWithPrevouts<'_>, &Facts))| {
            tweak.map(|tweak| {
                Arc::new(Self {
                    eligible: EligibleTx::with_tweak(tx, tweak),
                    facts: *facts,
                })
            })
        };
        tweaks.zip(txs.iter().zip(facts)).map(row).collect()
    }

    /// The payment that a match is. The tweak goes along only where a watch is named: to its owner.
    pub(super) fn payment(
        &self,
        found: &Match,
        place: Place,
        address: Arc<str>,
        is_of_watch: bool,
    ) -> (OutPoint, KnownPayment) {
        let mut payment = self.facts.payment(place, found.amount.to_sat(), address);
        payment.label = found.label;
        payment.tweak = is_of_watch.then(|| found.tweak.clone());
        (
            OutPoint {
                txid: self.facts.txid,
                vout: found.vout,
            },
            payment,
        )
    }

    /// The same for the topic `tweaks`.
    pub(super) fn tweak_tx(&self) -> TweakTx {
        let output = |o: &sdk_relay_bip352::TaprootOutput| TweakOutput {
            vout: o.vout,
            public_key: hex(&o.key),
            amount_sats: o.amount.to_sat(),
        };
        TweakTx {
            txid: self.facts.txid.to_string(),
            tweak: self.eligible.tweak.to_string(),
            outputs: self.eligible.outputs.iter().map(output).collect(),
            continues: false,
        }
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
        let payment = facts.payment(place, output.value.to_sat(), address.into());
        (OutPoint { txid: facts.txid, vout }, payment)
    })
    .collect()
}

fn hex(bytes: &[u8]) -> String {
    use bitcoin::hex::DisplayHex;
    bytes.to_lower_hex_string()
}

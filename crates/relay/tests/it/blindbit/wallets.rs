//! A wallet finds exactly its own payments.

use std::collections::BTreeMap;

use bitcoin::{Amount, OutPoint, ScriptBuf, Transaction, TxOut};
use sdk_relay_bip352::{EligibleTx, scan};
use testkit::{InputKind, Payee};

use crate::blindbit::scene::Scene;
use crate::blindbit::wallet::{Coin, Wallet};

const SATS: u64 = 50_000;

/// Pays to each kind of address with each kind of input, several times in one transaction too, among payments to
/// others.
pub(crate) async fn payments(scene: &mut Scene, payee: &Payee) -> Vec<Transaction> {
    let stranger = Payee::new(&[]);
    let all = [
        payee.address(),
        payee.labelled_address(1),
        payee.labelled_address(7),
        payee.change_address(),
    ];
    let mut txs = Vec::new();
    for (n, kind) in (0u64..).zip(InputKind::ALL) {
        let to = (all[usize::try_from(n).unwrap() % all.len()], Amount::from_sat(SATS + n));
        txs.push(scene.payer.pay(&[kind], &[to]));
        txs.push(
            scene
                .payer
                .pay(&[kind], &[(stranger.address(), Amount::from_sat(SATS))]),
        );
    }
    let several: Vec<_> = all.iter().chain(&all).map(|a| (*a, Amount::from_sat(SATS))).collect();
    txs.push(scene.payer.pay(&[InputKind::P2wpkh, InputKind::P2tr], &several));
    for tx in &txs {
        scene.node.send_raw(tx).await;
    }
    txs
}

/// What the payee owns of these, found by the scanner of the relay in the transactions of the payer: compares two
/// implementations.
pub(crate) fn owned(
    payee: &Payee,
    txs: &[Transaction],
    prevouts: &dyn Fn(&OutPoint) -> TxOut,
) -> BTreeMap<OutPoint, Coin> {
    let receiver = payee.receiver();
    let mut coins = BTreeMap::new();
    for tx in txs {
        let spends: Vec<_> = tx.input.iter().map(|i| prevouts(&i.previous_output)).collect();
        let eligible = EligibleTx::from_tx(tx, &spends).unwrap();
        for found in scan(&receiver, &eligible) {
            let outpoint = OutPoint::new(tx.compute_txid(), found.vout);
            coins.insert(outpoint, (found.amount.to_sat(), found.label));
        }
    }
    coins
}

/// Payments to a payee, in a block.
pub(crate) struct Paid {
    pub(crate) txs: Vec<Transaction>,
    /// What their inputs spend.
    pub(crate) outputs: BTreeMap<OutPoint, TxOut>,
    /// What the payee owns of them.
    pub(crate) expected: BTreeMap<OutPoint, Coin>,
    pub(crate) height: u32,
}

/// Sends the payments and mines them.
pub(crate) async fn pay(scene: &mut Scene, payee: &Payee) -> Paid {
    let txs = payments(scene, payee).await;
    let mut outputs = BTreeMap::new();
    for input in txs.iter().flat_map(|tx| &tx.input) {
        let outpoint = input.previous_output;
        outputs.insert(outpoint, scene.node.txout(outpoint).await.unwrap());
    }
    let expected = owned(payee, &txs, &|outpoint| outputs[outpoint].clone());
    assert_eq!(expected.len(), InputKind::ALL.len() + 8, "what was paid");
    let height = scene.mine().await;
    Paid {
        txs,
        outputs,
        expected,
        height,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wallet_finds_every_payment_through_tweaks_and_filters_and_sees_them_spent() {
    let mut scene = Scene::new().await;
    let payee = Payee::new(&[1, 7]);
    let Paid {
        txs,
        outputs,
        expected,
        height: paid_in,
    } = pay(&mut scene, &payee).await;
    let empty = scene.mine().await;

    let from = paid_in - 20;
    for tweaks in ["tweaks", "tweak-index"] {
        let mut wallet = Wallet::new(&payee);
        for height in from..=empty {
            wallet.read(&scene.v1(), height, tweaks, 0).await;
        }
        assert_eq!(wallet.coins, expected, "{tweaks}");
        assert_eq!(wallet.looked_into, [paid_in], "the filter spares the other blocks");
    }
    let mut wallet = Wallet::new(&payee);
    for height in from..=empty {
        wallet.read_v2(&scene.v2(), height).await;
    }
    assert_eq!(wallet.coins, expected, "version 2");

    let mut wallet = Wallet::new(&payee);
    wallet.read(&scene.v1(), paid_in, "tweaks", 0).await;
    let spent: Vec<_> = expected.keys().copied().take(3).collect();
    spend(&scene, &payee, &txs, &outputs, &spent).await;
    let spent_in = scene.mine().await;
    for height in paid_in + 1..=spent_in {
        wallet.read(&scene.v1(), height, "tweaks", 0).await;
    }
    let left: BTreeMap<_, _> = expected.into_iter().filter(|(o, _)| !spent.contains(o)).collect();
    assert_eq!(
        wallet.coins, left,
        "the filter of spent outputs contains the spent ones"
    );

    // A wallet that starts later sees them as spent.
    let mut late = Wallet::new(&payee);
    late.read(&scene.v1(), paid_in, "tweak-index", 0).await;
    assert_eq!(late.coins, left);
}

pub(crate) async fn spend(
    scene: &Scene,
    payee: &Payee,
    txs: &[Transaction],
    outputs: &BTreeMap<OutPoint, TxOut>,
    spent: &[OutPoint],
) {
    let receiver = payee.receiver();
    let mut received = Vec::new();
    for tx in txs {
        let spends: Vec<_> = tx.input.iter().map(|i| outputs[&i.previous_output].clone()).collect();
        for found in scan(&receiver, &EligibleTx::from_tx(tx, &spends).unwrap()) {
            let outpoint = OutPoint::new(tx.compute_txid(), found.vout);
            if spent.contains(&outpoint) {
                let output = tx.output[usize::try_from(found.vout).unwrap()].clone();
                received.push((outpoint, output, found.tweak));
            }
        }
    }
    assert_eq!(received.len(), spent.len());
    let to = ScriptBuf::new_p2wpkh(&bitcoin::WPubkeyHash::from_raw_hash(bitcoin::hashes::Hash::all_zeros()));
    scene.node.send_raw(&payee.spend(&received, to)).await;
}

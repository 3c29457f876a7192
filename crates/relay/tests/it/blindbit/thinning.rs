//! Dust limit and cut-through omit whole transactions: a payment with k > 0 can be found whatever happens to earlier
//! outputs.

use bitcoin::{Amount, OutPoint, ScriptBuf, Transaction, TxOut};
use sdk_relay_bip352::{EligibleTx, OutputTweak, scan};
use serde_json::Value;
use testkit::{InputKind, Payee};

use crate::blindbit::scene::{Scene, json, strings};
use crate::blindbit::wallet::Wallet;

const DUST: u64 = 1_000;
const LARGE: u64 = 60_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whole_transactions_are_left_out() {
    let mut scene = Scene::new().await;
    let payee = Payee::new(&[]);
    let pay = |scene: &mut Scene, sats: &[u64]| {
        let to: Vec<_> = sats.iter().map(|s| (payee.address(), Amount::from_sat(*s))).collect();
        scene.payer.pay(&[InputKind::P2wpkh], &to)
    };
    // The first output of `mixed` is dust, the second is not: k = 1 must be found through a limit that k = 0 does not
    // reach.
    let mixed = pay(&mut scene, &[DUST, LARGE]);
    let dust = pay(&mut scene, &[DUST, DUST + 1]);
    let whole = pay(&mut scene, &[LARGE]);
    let mut received = Vec::new();
    for tx in [&mixed, &dust, &whole] {
        scene.node.send_raw(tx).await;
        received.push(received_of(&scene, &payee, tx).await);
    }
    let height = scene.mine().await;
    let tweaks = async |route: &str, limit: u64| {
        let url = format!("{}/{route}/{height}?dustLimit={limit}", scene.v1());
        strings(&json(&url).await).len()
    };
    let index = json(&format!("{}/compute-index/{height}", scene.v2())).await;
    assert_eq!(index["index"].as_array().unwrap().len(), 3);
    for (limit, left) in [
        (0, 3),
        (DUST, 3),
        (DUST + 1, 3),
        (DUST + 2, 2),
        (LARGE, 2),
        (LARGE + 1, 0),
    ] {
        assert_eq!(tweaks("tweaks", limit).await, left, "tweaks above {limit}");
        assert_eq!(tweaks("tweak-index", limit).await, left, "tweak-index above {limit}");
    }
    let mut wallet = Wallet::new(&payee);
    wallet.read(&scene.v1(), height, "tweaks", LARGE).await;
    let mut sats: Vec<u64> = wallet.coins.values().map(|(sats, _)| *sats).collect();
    sats.sort_unstable();
    assert_eq!(sats, [DUST, LARGE, LARGE], "both outputs of the mixed transaction");

    // k = 0 of the mixed transaction and all of `whole` are spent: the first is kept, the second is omitted.
    let gone: Vec<_> = [received[0][..1].to_vec(), received[2].clone()].concat();
    let unowned = ScriptBuf::new_p2wpkh(&bitcoin::WPubkeyHash::from_raw_hash(bitcoin::hashes::Hash::all_zeros()));
    scene.node.send_raw(&payee.spend(&gone, unowned)).await;
    scene.mine().await;
    assert_eq!(tweaks("tweaks", 0).await, 2, "cut-through");
    assert_eq!(
        tweaks("tweaks", LARGE).await,
        1,
        "cut-through and dust: what is left counts"
    );
    assert_eq!(
        tweaks("tweak-index", 0).await,
        3,
        "without cut-through nothing is missing"
    );
    let mut wallet = Wallet::new(&payee);
    wallet.read(&scene.v1(), height, "tweaks", 0).await;
    let coins: Vec<_> = wallet.coins.keys().copied().collect();
    assert!(
        coins.contains(&received[0][1].0),
        "k = 1 behind a spent k = 0: {coins:?}"
    );
    assert_eq!(coins.len(), 3, "that one, and two of dust");
    let utxos = json(&format!("{}/utxos/{height}", scene.v1())).await;
    let spent = |u: &&Value| u["spent"] == true;
    assert_eq!(utxos.as_array().unwrap().len(), 5, "spent ones too");
    assert_eq!(utxos.as_array().unwrap().iter().filter(spent).count(), 2);
}

/// In the order of k.
async fn received_of(scene: &Scene, payee: &Payee, tx: &Transaction) -> Vec<(OutPoint, TxOut, OutputTweak)> {
    let mut prevouts = Vec::new();
    for input in &tx.input {
        prevouts.push(scene.node.txout(input.previous_output).await.unwrap());
    }
    let eligible = EligibleTx::from_tx(tx, &prevouts).unwrap();
    let found = scan(&payee.receiver(), &eligible).into_iter();
    found
        .map(|m| {
            let output = tx.output[usize::try_from(m.vout).unwrap()].clone();
            (OutPoint::new(tx.compute_txid(), m.vout), output, m.tweak)
        })
        .collect()
}

//! The node accepts every transaction of the payer, and the payee finds its payments.

use bitcoin::hashes::Hash as _;
use bitcoin::{Amount, Transaction};
use sdk_relay_bip352::{EligibleTx, Match, SilentPaymentAddress, scan};
use serde_json::json;
use testkit::{Bitcoind, InputKind, Options, Payee, Payer, PooledNode};

const AMOUNT: Amount = Amount::from_sat(123_456);

async fn node() -> PooledNode {
    PooledNode::take(Options {
        zmq: false,
        rest: false,
        ..Options::default()
    })
    .await
}

/// The payments to the payee in `tx`, which spends confirmed coins.
async fn found(node: &Bitcoind, payee: &Payee, tx: &Transaction) -> Vec<Match> {
    let mut prevouts = Vec::new();
    for input in &tx.input {
        let place = input.previous_output;
        prevouts.push(
            node.txout(place)
                .await
                .unwrap_or_else(|| panic!("{place} is not a coin")),
        );
    }
    let eligible = EligibleTx::from_tx(tx, &prevouts).expect("an eligible transaction");
    scan(&payee.receiver(), &eligible)
}

#[tokio::test]
async fn pays_from_each_kind_of_input_and_from_all_at_once() {
    let node = node().await;
    let mut payer = Payer::funded(&node).await;
    let payee = Payee::new(&[7]);
    let mixed = [
        InputKind::P2tr,
        InputKind::P2pkh,
        InputKind::P2tr,
        InputKind::P2wpkh,
        InputKind::P2shP2wpkh,
    ];
    let mut sent = Vec::new();
    for kinds in InputKind::ALL.iter().map(std::slice::from_ref).chain([&mixed[..]]) {
        let tx = payer.pay(
            kinds,
            &[(payee.address(), AMOUNT), (payee.labelled_address(7), AMOUNT * 2)],
        );
        assert_eq!(tx.input.len(), kinds.len());
        let found = found(&node, &payee, &tx).await;
        let amounts: Vec<_> = found.iter().map(|m| (m.vout, m.amount, m.label)).collect();
        assert_eq!(amounts, [(0, AMOUNT, None), (1, AMOUNT * 2, Some(7))], "{kinds:?}");
        assert_eq!(node.accepts(&tx).await, Ok(()), "{kinds:?}");
        sent.push(node.send_raw(&tx).await);
    }
    let mut mempool = node.mempool().await;
    mempool.sort();
    sent.sort();
    assert_eq!(mempool, sent);
    node.mine(1).await;
    assert_eq!(node.mempool().await, []);
}

#[tokio::test]
async fn the_payee_spends_what_it_finds() {
    let node = node().await;
    let mut payer = Payer::funded(&node).await;
    let payee = Payee::new(&[7]);
    let to = [payee.address(), payee.labelled_address(7), payee.change_address()];
    let tx = payer.pay(&[InputKind::P2tr], &to.map(|address| (address, AMOUNT)));
    let mut found = found(&node, &payee, &tx).await;
    assert_eq!(
        found.iter().map(|m| m.label).collect::<Vec<_>>(),
        [None, Some(7), Some(0)]
    );
    node.mine_with(std::slice::from_ref(&tx)).await;
    let received = |m: &Match| {
        let outpoint = bitcoin::OutPoint::new(tx.compute_txid(), m.vout);
        (outpoint, tx.output[m.vout as usize].clone(), m.tweak.clone())
    };
    let unowned = bitcoin::ScriptBuf::new_p2wpkh(&bitcoin::WPubkeyHash::all_zeros());
    let all: Vec<_> = found.iter().map(received).collect();
    assert_eq!(node.accepts(&payee.spend(&all, unowned.clone())).await, Ok(()));
    // Another output's tweak does not spend it.
    let other = found[1].tweak.clone();
    found[0].tweak = other;
    let wrong = payee.spend(&[received(&found[0])], unowned);
    assert!(node.accepts(&wrong).await.is_err());
}

#[tokio::test]
async fn pays_one_address_several_times_and_plain_scripts() {
    let node = node().await;
    let mut payer = Payer::funded(&node).await;
    let payee = Payee::new(&[]);
    let tx = payer.pay(
        &[InputKind::P2tr],
        &[(payee.address(), AMOUNT), (payee.address(), AMOUNT)],
    );
    assert_eq!(found(&node, &payee, &tx).await.len(), 2);
    assert_ne!(tx.output[0].script_pubkey, tx.output[1].script_pubkey);

    let plain = bitcoin::ScriptBuf::new_p2wpkh(&bitcoin::WPubkeyHash::all_zeros());
    let other = payer.pay(&[InputKind::P2pkh], &[(plain.clone(), AMOUNT)]);
    assert_eq!(
        (other.output[0].value, &other.output[0].script_pubkey),
        (AMOUNT, &plain)
    );
    let block = node.mine_with(&[tx.clone(), other.clone()]).await;
    assert_eq!(node.block(block).await.txdata[1..], [tx, other]);
}

#[tokio::test]
async fn a_replacement_replaces_the_first() {
    let node = node().await;
    let mut payer = Payer::funded(&node).await;
    let (first, second) = (Payee::new(&[]), Payee::new(&[]));
    let tx = payer.pay(&[InputKind::P2wpkh, InputKind::P2tr], &[(first.address(), AMOUNT)]);
    node.send_raw(&tx).await;
    let replacement = payer.replace(&tx, &[(second.address(), AMOUNT)]);
    assert_eq!(found(&node, &second, &replacement).await.len(), 1);
    node.send_raw(&replacement).await;
    assert_eq!(node.mempool().await, [replacement.compute_txid()]);
    let again = payer.replace(&replacement, &[(first.address(), AMOUNT)]);
    node.send_raw(&again).await;
    assert_eq!(node.mempool().await, [again.compute_txid()]);
}

#[tokio::test]
async fn splits_into_as_many_coins_as_a_benchmark_needs() {
    let node = node().await;
    let mut payer = Payer::funded(&node).await;
    let before = payer.coins(InputKind::P2wpkh);
    payer.split(&node, InputKind::P2wpkh, 2500, AMOUNT * 2).await;
    assert_eq!(payer.coins(InputKind::P2wpkh), before + 2500);
    let payee: Vec<(SilentPaymentAddress, Amount)> = vec![(Payee::new(&[]).address(), AMOUNT)];
    for _ in 0..100 {
        node.send_raw(&payer.pay(&[InputKind::P2wpkh], &payee)).await;
    }
    // None depends on another.
    let entries = node.rpc().call("getrawmempool", json!([true])).await.unwrap();
    assert_eq!(
        entries
            .as_object()
            .map(|all| all.values().filter(|e| e["ancestorcount"] == 1).count()),
        Some(100)
    );
}

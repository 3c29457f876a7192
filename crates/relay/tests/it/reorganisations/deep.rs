//! Six blocks are disconnected, with payments of every kind.

use bitcoin::Transaction;
use testkit::InputKind::{P2pkh, P2shP2wpkh, P2tr, P2wpkh};
use testkit::Options;

use crate::reorganisations::scene::{Scene, disconnected, gone, own, seen};
use crate::support::step::Step;

#[tokio::test]
async fn six_blocks_deep_with_signals() {
    six_blocks_deep(Options::default()).await;
}

#[tokio::test]
async fn six_blocks_deep_without_signals() {
    let options = Options {
        zmq: false,
        ..Options::default()
    };
    six_blocks_deep(options).await;
}

async fn six_blocks_deep(options: Options) {
    let mut scene = Scene::new(options).await;
    // One payment, two, one that was never in a mempool, none, one, one.
    let one = scene.pay(&[P2tr]).await;
    let mut old = scene.node.mine(1).await;
    let two = [scene.pay(&[P2wpkh]).await, scene.pay(&[P2pkh, P2tr]).await];
    old.extend(scene.node.mine(1).await);
    let unseen = scene.payment(&[P2shP2wpkh]);
    old.push(scene.node.mine_with(std::slice::from_ref(&unseen)).await);
    old.push(scene.node.mine_with(&[]).await);
    let five = scene.pay(&[P2pkh]).await;
    old.extend(scene.node.mine(1).await);
    let six = scene.pay(&[P2wpkh, P2wpkh]).await;
    old.extend(scene.node.mine(1).await);
    let before = scene.mined(old[5]).await;
    let all = [&one, &two[0], &two[1], &unseen, &five, &six];
    for tx in all {
        assert_eq!(
            before
                .iter()
                .filter(|s| matches!(s, Step::Paid(o, Some(_)) if *o == own(tx)))
                .count(),
            1
        );
    }

    // All six are disconnected: the newest first, each after its payments. The payments are unconfirmed again.
    scene.node.invalidate(old[0]).await;
    let mut received = scene.disconnected(old[0]).await;
    let waits_again = |received: &[Step]| all.iter().all(|tx| received.contains(&seen(tx, None)));
    while !waits_again(&received) {
        let missing = all
            .iter()
            .find(|tx| !received.contains(&seen(tx, None)))
            .expect("one is missing");
        received.extend(scene.paid(missing, None).await);
    }
    let contents: [&[&Transaction]; 6] = [&[&one], &[&two[0], &two[1]], &[&unseen], &[], &[&five], &[&six]];
    let mut rest = received.iter().filter(|step| !matches!(step, Step::Paid(_, None)));
    for (block, txs) in old.iter().zip(contents).rev() {
        let mut reverted: Vec<_> = rest.by_ref().take(txs.len()).cloned().collect();
        let mut expected: Vec<_> = txs.iter().map(|tx| gone(tx, Some(*block), None)).collect();
        // Those of one block in any order.
        reverted.sort_by_key(|step| format!("{step:?}"));
        expected.sort_by_key(|step| format!("{step:?}"));
        assert_eq!(reverted, expected);
        assert_eq!(rest.next(), Some(&disconnected(*block)));
    }
    assert_eq!(rest.next(), None);
    for tx in all {
        assert_eq!(
            received.iter().filter(|step| **step == seen(tx, None)).count(),
            1,
            "once: {received:#?}"
        );
    }

    // On the new branch one payment is replaced before a block, one by a block, one without a replacement; the others
    // are mined again.
    let replaced = scene.replacement(&one);
    scene.node.send_raw(&replaced).await;
    let mut received = scene.paid(&replaced, None).await;
    let (by_block, by_nothing) = (scene.replacement(&two[0]), scene.refusal(&five));
    let mut new = vec![scene.node.mine_with(&[by_block.clone(), by_nothing.clone()]).await];
    new.extend(scene.node.mine(6).await);
    received.extend(scene.mined(new[6]).await);
    let expected = [
        gone(&one, None, Some(&replaced)),
        gone(&two[0], None, Some(&by_block)),
        gone(&five, None, Some(&by_nothing)),
        seen(&by_block, Some(new[0])),
        seen(&replaced, Some(new[1])),
        seen(&two[1], Some(new[1])),
        seen(&unseen, Some(new[1])),
        seen(&six, Some(new[1])),
    ];
    for step in &expected {
        assert_eq!(
            received.iter().filter(|s| *s == step).count(),
            1,
            "{step:?} once: {received:#?}"
        );
    }

    // And back to the old branch, whose blocks and payments were reported before.
    scene.node.invalidate(new[0]).await;
    scene.node.reconsider(old[0]).await;
    let received = scene.mined(old[5]).await;
    let blocks = received
        .iter()
        .filter(|s| matches!(s, Step::Mined(_) | Step::Disconnected(_)));
    let back: Vec<_> = new.iter().rev().map(|b| disconnected(*b)).collect();
    let forth: Vec<_> = old.iter().map(|b| Step::Mined(b.to_string())).collect();
    assert_eq!(blocks.cloned().collect::<Vec<_>>(), [back, forth].concat());
    scene.end().await;
}

//! Replaced payments, in the mempool and in a block.

use sdk_relay_client::{Event, Payment};
use testkit::{InputKind, Options};

use crate::reorganisations::scene::{Scene, gone, mined, of_watch, seen, tweaks};

#[tokio::test]
async fn in_the_mempool_and_in_a_block() {
    let mut scene = Scene::new(Options::default()).await;
    // By another payment, which is replaced without a payment.
    let first = scene.pay(&[InputKind::P2wpkh, InputKind::P2tr]).await;
    let mut expected = vec![seen(&first, None)];
    scene.paid(&first, None).await;
    let second = scene.replacement(&first);
    scene.node.send_raw(&second).await;
    expected.extend([gone(&first, None, Some(&second)), seen(&second, None)]);
    scene.paid(&second, None).await;
    let none = scene.refusal(&second);
    scene.node.send_raw(&none).await;
    expected.push(gone(&second, None, Some(&none)));
    scene.reverted(&second).await;

    // By a transaction that was unseen before its block.
    let third = scene.pay(&[InputKind::P2pkh]).await;
    expected.push(seen(&third, None));
    scene.paid(&third, None).await;
    let fourth = scene.replacement(&third);
    let block = scene.node.mine_with(std::slice::from_ref(&fourth)).await;
    expected.extend([mined(block), seen(&fourth, Some(block)), tweaks(block)]);
    expected.push(gone(&third, None, Some(&fourth)));
    scene.reverted(&third).await;

    let (log, watch) = scene.end().await;
    assert_eq!(log[..expected.len()], expected);
    let expected = of_watch(&expected);
    // A block is scanned for a watch while the mempool changes: the last revert precedes or follows the replacing
    // payment.
    let at = expected.len() - 4;
    let mut swapped = expected.clone();
    swapped[at..].rotate_left(2);
    let watch = &watch[..expected.len()];
    assert!(watch == expected || watch == swapped, "{watch:?}, not {expected:?}");

    // A revert equals the reported payment in every field, except the replacement.
    let received = &scene.owner.notifications;
    let mut reverted = 0;
    for (place, notification) in received.iter().enumerate() {
        let Event::PaymentReverted(payment) = &notification.event else {
            continue;
        };
        let before = received[..place].iter().rev().find_map(|n| match &n.event {
            Event::PaymentDetected(p) if (&p.txid, p.vout) == (&payment.txid, payment.vout) => Some(Payment::clone(p)),
            _ => None,
        });
        assert_eq!(payment.tweak.is_some(), notification.event_id.is_none());
        let taken_back = Payment {
            replaced_by: None,
            ..Payment::clone(payment)
        };
        assert_eq!(Some(taken_back), before);
        assert!(payment.replaced_by.is_some());
        reverted += 1;
    }
    assert_eq!(reverted, 9, "three payments of three outputs");
}

//! One block is disconnected, and each step is reported.

use testkit::{InputKind, Options};

use crate::reorganisations::scene::{Scene, disconnected, gone, mined, of_watch, seen, tweaks};

#[tokio::test]
async fn one_block_deep_step_by_step() {
    let mut scene = Scene::new(Options::default()).await;
    let first = scene.pay(&[InputKind::P2tr]).await;
    let mut expected = vec![seen(&first, None)];
    scene.paid(&first, None).await;

    // Mined, disconnected, mined in another block at the same height.
    let block = scene.node.mine(1).await[0];
    expected.extend([mined(block), seen(&first, Some(block)), tweaks(block)]);
    scene.mined(block).await;
    scene.node.invalidate(block).await;
    expected.extend([gone(&first, Some(block), None), disconnected(block), seen(&first, None)]);
    scene.paid(&first, None).await;
    let rival = scene.node.mine(1).await[0];
    expected.extend([mined(rival), seen(&first, Some(rival)), tweaks(rival)]);
    scene.mined(rival).await;

    // Back to the first block: its reverted payments are reported again.
    scene.node.invalidate(rival).await;
    expected.extend([gone(&first, Some(rival), None), disconnected(rival), seen(&first, None)]);
    scene.paid(&first, None).await;
    scene.node.reconsider(block).await;
    expected.extend([mined(block), seen(&first, Some(block)), tweaks(block)]);
    scene.mined(block).await;

    // The block is disconnected, and the payment is replaced before the next one.
    scene.node.invalidate(block).await;
    expected.extend([gone(&first, Some(block), None), disconnected(block), seen(&first, None)]);
    scene.paid(&first, None).await;
    let second = scene.replacement(&first);
    scene.node.send_raw(&second).await;
    expected.extend([gone(&first, None, Some(&second)), seen(&second, None)]);
    scene.paid(&second, None).await;
    let last = scene.node.mine(1).await[0];
    expected.extend([mined(last), seen(&second, Some(last)), tweaks(last)]);
    scene.mined(last).await;

    let (log, watch) = scene.end().await;
    assert_eq!(log[..expected.len()], expected);
    // Then the last payment follows: unconfirmed, its block, confirmed, tweaks.
    assert_eq!(log.len(), expected.len() + 4, "{log:#?}");
    let expected = of_watch(&expected);
    assert_eq!(watch[..expected.len()], expected);
    assert_eq!(watch.len(), expected.len() + 4, "{watch:#?}");
}

//! A pooled node passes from test to test, unless it is unusable.

use bitcoin::Amount;
use testkit::{InputKind, Options, Payee, Payer, PooledNode};

/// Nodes that no other test of this program takes.
fn options(test: &str) -> Options {
    Options {
        args: vec![format!("-uacomment={test}")],
        ..Options::default()
    }
}

#[tokio::test]
async fn the_next_user_gets_the_same_node_with_an_empty_mempool() {
    let node = PooledNode::take(options("next")).await;
    let other = PooledNode::take(options("next")).await;
    assert_ne!(node.pid(), other.pid(), "two users at once share no node");
    let pid = node.pid();
    let mut payer = Payer::funded(&node).await;
    let to = [(Payee::new(&[]).address(), Amount::from_sat(20_000))];
    let mined = node.send_raw(&payer.pay(&[InputKind::P2tr], &to)).await;
    let block = node.mine(1).await[0];
    node.invalidate(block).await;
    let unconfirmed = node.send_raw(&payer.pay(&[InputKind::P2wpkh], &to)).await;
    assert_eq!(node.mempool().await.len(), 2, "{mined} has returned, and {unconfirmed}");
    let height = node.height().await;
    drop(node);

    let node = PooledNode::take(options("next")).await;
    assert_eq!((node.pid(), node.mempool().await.len()), (pid, 0));
    assert!(node.height().await > height);
    let mut payer = Payer::funded(&node).await;
    node.send_raw(&payer.pay(&InputKind::ALL, &to)).await;
}

#[tokio::test]
async fn a_node_without_coins_for_a_payer_is_not_taken_again() {
    let node = PooledNode::take(options("coins")).await;
    let pid = node.pid();
    let mut payers = 0;
    let mut height = node.height().await;
    loop {
        Payer::funded(&node).await;
        let mined = node.height().await - height;
        height += mined;
        if mined > 100 {
            break;
        }
        payers += 1;
    }
    assert!(payers >= 10, "{payers} payers without a wait for mature coinbases");
    drop(node);
    assert_ne!(PooledNode::take(options("coins")).await.pid(), pid);
}

#[tokio::test]
async fn a_node_that_has_ended_is_replaced() {
    let node = PooledNode::take(options("ended")).await;
    let pid = node.pid();
    let kill = format!("kill -KILL {}", pid.unwrap());
    let killed = std::process::Command::new("sh").args(["-c", &kill]).status();
    assert!(killed.unwrap().success());
    drop(node);
    assert_ne!(PooledNode::take(options("ended")).await.pid(), pid);
}

#[tokio::test]
async fn the_node_of_a_failed_test_is_not_taken_again() {
    let failing = async {
        let node = PooledNode::take(options("failed")).await;
        std::panic::panic_any(node.pid());
    };
    let failed = async { tokio::task::spawn_local(failing).await };
    let failed = tokio::task::LocalSet::new().run_until(failed).await;
    let panic = failed.unwrap_err().into_panic();
    let pid = *panic.downcast::<Option<u32>>().unwrap();
    assert!(pid.is_some());
    assert_ne!(PooledNode::take(options("failed")).await.pid(), pid);
}

#[tokio::test]
async fn a_pruned_node_is_used_once() {
    let options = || Options {
        prune: Some(1),
        ..options("pruned")
    };
    let node = PooledNode::take(options()).await;
    let pid = node.pid();
    assert_eq!(node.height().await, 0);
    drop(node);
    assert_ne!(PooledNode::take(options()).await.pid(), pid);
}

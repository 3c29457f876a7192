//! Nodes that the tests of a program use one after another: a node starts, and its coinbases mature, once for many
//! tests.

use std::ops::Deref;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::node::{Bitcoind, Options};

/// Nodes that no test uses. A static is never dropped: the guard of the program ends its nodes, and removes their data
/// directories.
static IDLE: Mutex<Vec<Bitcoind>> = Mutex::new(Vec::new());

/// Blocks to empty the mempool of the test before: one holds all transactions of any test, and one more those that a
/// disconnected block returned.
const CLEARING_BLOCKS: u32 = 2;

/// A node that one test has to itself, and that other tests of the program have used before: its chain is of any
/// length, and its mempool is empty. A node with a wallet or pruned blocks is new, and used once ([`PooledNode::own`]).
///
/// It cannot be stopped, killed or restarted: a test that does that has a node of its own ([`Bitcoind::start`]), and so
/// has one that fills its chain. Blocks may be disconnected, as long as the last state is a valid chain that includes
/// the coinbases for [`crate::Payer::funded`].
#[derive(Debug)]
pub struct PooledNode {
    /// `None` only while it is dropped.
    node: Option<Bitcoind>,
    is_for_several: bool,
}

impl PooledNode {
    /// An idle node with these options, or a new one.
    pub async fn take(options: Options) -> PooledNode {
        // Wallets and pruned blocks are not undone after a test.
        if options.wallet || options.prune.is_some() {
            return PooledNode::own(options).await;
        }
        while let Some(mut node) = take_idle(&options) {
            if is_reusable(&mut node).await {
                return PooledNode::new(node, true);
            }
        }
        let node = Bitcoind::start(options).await;
        node.mine_stock().await;
        PooledNode::new(node, true)
    }

    /// A new node that no other test gets.
    pub async fn own(options: Options) -> PooledNode {
        PooledNode::new(Bitcoind::start(options).await, false)
    }

    fn new(node: Bitcoind, is_for_several: bool) -> PooledNode {
        PooledNode {
            node: Some(node),
            is_for_several,
        }
    }

    /// Stops the node, which then is not used again.
    pub async fn stop(&mut self) {
        self.is_for_several = false;
        self.node.as_mut().expect("it is dropped later").stop().await;
    }
}

impl Deref for PooledNode {
    type Target = Bitcoind;

    fn deref(&self) -> &Bitcoind {
        self.node.as_ref().expect("it is taken only when it is dropped")
    }
}

impl Drop for PooledNode {
    fn drop(&mut self) {
        let node = self.node.take();
        // A failed test may have left the node in any state.
        let kept = node.filter(|_| self.is_for_several && !std::thread::panicking());
        idle().extend(kept);
    }
}

/// Whether another test can use the node: it runs, has coins left, and its mempool could be emptied.
async fn is_reusable(node: &mut Bitcoind) -> bool {
    // The connections of its client ended with the runtime of the test before.
    if !node.has_stock() || !node.reconnect().await {
        return false;
    }
    for _ in 0..CLEARING_BLOCKS {
        if node.mempool().await.is_empty() {
            return true;
        }
        node.mine(1).await;
    }
    node.mempool().await.is_empty()
}

fn take_idle(options: &Options) -> Option<Bitcoind> {
    let mut idle = idle();
    let at = idle.iter().position(|node| node.options() == options)?;
    Some(idle.swap_remove(at))
}

fn idle() -> MutexGuard<'static, Vec<Bitcoind>> {
    IDLE.lock().unwrap_or_else(PoisonError::into_inner)
}

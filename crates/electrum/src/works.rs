//! The lines of a connection that are in work.
//!
//! Each is a task of its own, which the supervisor owns and which ends with its connection. So a client that does not
//! read, whose connection waits in a write, does not keep what its lines hold meanwhile: permits of the node, and locks
//! of what all clients ask for together.

use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use sdk_relay_transport::{SpawnConnection, spawn_until, spawn_work};
use tokio::sync::oneshot;
use tokio_util::sync::{CancellationToken, DropGuard};

/// The tasks, which end when this is dropped. Each keeps one result, until it is taken.
pub(crate) struct Works<T> {
    spawner: Arc<dyn SpawnConnection>,
    cut: CancellationToken,
    running: FuturesUnordered<oneshot::Receiver<T>>,
    _cut: DropGuard,
}

impl<T: Send + 'static> Works<T> {
    pub(crate) fn new(spawner: Arc<dyn SpawnConnection>) -> Self {
        let cut = CancellationToken::new();
        Self {
            spawner,
            _cut: cut.clone().drop_guard(),
            cut,
            running: FuturesUnordered::new(),
        }
    }

    /// Begins a work whose result is taken with [`Self::next`].
    pub(crate) fn begin(&self, work: impl Future<Output = T> + Send + 'static) {
        self.running.push(spawn_work(&*self.spawner, self.cut.clone(), work));
    }

    /// Runs a task that has no result.
    pub(crate) fn run(&self, task: impl Future<Output = ()> + Send + 'static) {
        spawn_until(&*self.spawner, self.cut.clone(), task);
    }

    /// Works whose result is not taken.
    pub(crate) fn len(&self) -> usize {
        self.running.len()
    }

    /// The next result; `None` if the work has panicked. Waits for ever without one. Cancel safe.
    pub(crate) async fn next(&mut self) -> Option<T> {
        match self.running.next().await {
            Some(result) => result.ok(),
            None => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;

    use sdk_relay_transport::AddressPermits;

    use super::*;

    #[derive(Debug)]
    struct Tasks;

    impl SpawnConnection for Tasks {
        fn spawn(&self, task: Pin<Box<dyn Future<Output = ()> + Send>>) {
            tokio::spawn(task);
        }
    }

    /// A connection that waits in a write takes no results.
    #[tokio::test]
    async fn works_go_on_while_their_connection_waits_for_its_client() {
        let permits = Arc::new(AddressPermits::new(2, 2));
        let address = [192, 0, 2, 1].into();
        let mut works = Works::new(Arc::new(Tasks));
        for n in 0..8 {
            let permits = Arc::clone(&permits);
            works.begin(async move {
                let turn = permits.acquire(address, 1).await;
                // The answer of the node.
                tokio::task::yield_now().await;
                drop(turn);
                n
            });
        }
        // Nothing is taken from them, and the permits are free for others.
        drop(permits.acquire(address, 2).await.unwrap());
        assert_eq!(works.len(), 8);
        let mut results = Vec::new();
        while works.len() > 0 {
            results.push(works.next().await.unwrap());
        }
        results.sort_unstable();
        assert_eq!(results, (0..8).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn works_end_with_their_connection_and_a_panic_is_noticed() {
        let permits = Arc::new(AddressPermits::new(1, 1));
        let mut works = Works::new(Arc::new(Tasks));
        let (held, address) = (Arc::clone(&permits), [192, 0, 2, 1].into());
        works.begin(async move {
            let _turn = held.acquire(address, 1).await;
            std::future::pending::<()>().await;
        });
        tokio::task::yield_now().await;
        assert!(permits.try_acquire(address, 1).is_none());
        works.begin(async { panic!("a test") });
        assert_eq!(works.next().await, None::<()>);
        drop(works);
        drop(permits.acquire(address, 1).await.unwrap());
    }
}

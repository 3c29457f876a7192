//! Owner of the tasks of connections.

use std::fmt::Debug;
use std::pin::Pin;

use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

/// Starts the task of a connection. The process's supervisor implements it, so that every connection has an owner.
pub trait SpawnConnection: Debug + Send + Sync {
    /// Runs the connection to its end.
    fn spawn(&self, connection: Pin<Box<dyn Future<Output = ()> + Send>>);
}

/// Runs a task of a connection, which ends with the connection: when `cut` is cancelled.
pub fn spawn_until(
    spawner: &dyn SpawnConnection,
    cut: CancellationToken,
    task: impl Future<Output = ()> + Send + 'static,
) {
    spawner.spawn(Box::pin(async move {
        tokio::select! {
            () = cut.cancelled() => {}
            () = task => {}
        }
    }));
}

/// The same for work with a result, which goes on while the connection waits for its client. The receiver gets an error
/// if the work has panicked.
pub fn spawn_work<T: Send + 'static>(
    spawner: &dyn SpawnConnection,
    cut: CancellationToken,
    work: impl Future<Output = T> + Send + 'static,
) -> oneshot::Receiver<T> {
    let (sender, done) = oneshot::channel();
    spawn_until(spawner, cut, async move {
        if sender.send(work.await).is_err() {
            tracing::debug!("the work of a connection is done after its end");
        }
    });
    done
}

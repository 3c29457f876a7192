//! The tasks for other relays, and the purpose of each, which is logged if it panics.

use std::collections::HashMap;
use std::fmt;

use sdk_relay_mesh::{DialId, LinkId};
use tokio::task::{Id, JoinSet};

use super::dial::DialError;
use super::order::Order;

/// The purpose of a task.
#[derive(Debug)]
pub(super) enum Purpose {
    /// It waits for a response over a link.
    Answer { link: LinkId, relay_id: String },
    /// It dials, and serves the resulting link.
    Dial { dial: DialId, address: String },
    /// It resolves the host of this URL.
    Resolve(String),
    /// It runs a forced sync.
    Order(Order),
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answer { relay_id, .. } => write!(f, "an answer of relay {relay_id}"),
            Self::Dial { address, .. } => write!(f, "the link to {address}"),
            Self::Resolve(url) => write!(f, "resolving {url}"),
            Self::Order(order) => write!(f, "the forced sync {}", order.sync_id),
        }
    }
}

/// How a task ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// Normally.
    Done,
    /// A configured relay could not be dialled: its address, and the error.
    NotReached(String, DialError),
    /// It panicked.
    Panicked(Purpose),
}

/// The result of a task: a configured relay that could not be dialled.
pub(super) type Outcome = Option<(String, DialError)>;

/// All tasks. Dropping it aborts them.
#[derive(Debug, Default)]
pub(super) struct Tasks {
    running: JoinSet<Outcome>,
    purposes: HashMap<Id, Purpose>,
}

impl Tasks {
    pub(super) fn spawn(&mut self, purpose: Purpose, task: impl Future<Output = Outcome> + Send + 'static) {
        let id = self.running.spawn(task).id();
        self.purposes.insert(id, purpose);
    }

    /// The next task that ends. Cancel-safe.
    pub(super) async fn next(&mut self) -> Ended {
        let Some(ended) = self.running.join_next_with_id().await else {
            return std::future::pending().await;
        };
        let id = match &ended {
            Ok((id, _)) => *id,
            Err(error) => error.id(),
        };
        let purpose = self.purposes.remove(&id);
        match (ended, purpose) {
            (Ok((_, Some((address, error)))), _) => Ended::NotReached(address, error),
            (Err(error), Some(purpose)) if error.is_panic() => Ended::Panicked(purpose),
            _ => Ended::Done,
        }
    }
}

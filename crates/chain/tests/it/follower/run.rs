//! A consumer that follows the model, on virtual time.

use std::sync::Arc;
use std::time::Duration;

use sdk_relay_chain::follower::{Follower, FollowerOptions, Start};
use sdk_relay_chain::{ChainEvent, Observed};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::follower::model::Model;
use crate::follower::replica::Replica;

/// Virtual time within which all events must have been emitted: the longest pause after a failure, and one comparison
/// of the mempool.
const SETTLED: Duration = Duration::from_secs(60);

pub(crate) struct Consumer {
    pub(crate) model: Arc<Model>,
    pub(crate) follower: Follower,
    pub(crate) events: mpsc::Receiver<Observed>,
    pub(crate) replica: Replica,
}

impl Consumer {
    pub(crate) fn start(model: &Arc<Model>, replica: Replica) -> Self {
        let start = Start {
            recent: replica.recent.clone(),
        };
        let (follower, events) = Follower::spawn(Arc::clone(model) as _, start, FollowerOptions::default());
        Self {
            model: Arc::clone(model),
            follower,
            events,
            replica,
        }
    }

    /// Killed and started again, with the last `keep` blocks on its disk.
    pub(crate) fn restart(self, keep: usize) -> Self {
        let Self {
            model,
            follower,
            events,
            mut replica,
        } = self;
        drop((follower, events));
        replica.restart(keep);
        Self::start(&model, replica)
    }

    /// Takes and checks the next event, which must come in time.
    pub(crate) async fn next(&mut self) -> ChainEvent {
        timeout(SETTLED, self.event()).await.expect("an event within a minute")
    }

    async fn event(&mut self) -> ChainEvent {
        let event = self.events.recv().await.expect("the stream never ends").event;
        self.replica.apply(&event, &self.model.world());
        event
    }

    /// Takes events for a while.
    pub(crate) async fn take_for(&mut self, time: Duration) {
        let _elapsed = timeout(time, async {
            loop {
                self.event().await;
            }
        })
        .await;
    }

    /// Takes events until chain and mempool are the model's, and checks that they stay so and that no further event is
    /// emitted.
    pub(crate) async fn settle(&mut self) {
        let settled = timeout(SETTLED, async {
            while !self.replica.matches(&self.model.world()) {
                self.event().await;
            }
        });
        if settled.await.is_err() {
            let world = self.model.world();
            panic!(
                "{:?} {:?} is not {:?} {:?}: {:?}",
                self.replica.tip(),
                self.replica.mempool,
                world.tip(),
                world.mempool_txids(),
                self.follower.status().borrow()
            );
        }
        self.take_for(SETTLED).await;
        let events = self.replica.events;
        self.take_for(SETTLED).await;
        assert!(self.replica.matches(&self.model.world()), "stays settled");
        assert_eq!(self.replica.events, events, "an idle node causes no events");
    }
}

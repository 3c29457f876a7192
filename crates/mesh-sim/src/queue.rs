//! Events in flight, in the order of their times.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::time::Duration;

use sdk_relay_mesh::{DialId, LinkId, Token};
use sdk_relay_protocol::mesh::Gossip;

pub(crate) struct Connection {
    /// The relay that dialled, and the one that was dialled.
    pub(crate) ends: [usize; 2],
    pub(crate) delay: Duration,
}

pub(crate) enum Event {
    /// A timer of a relay; void if it has been restarted since.
    Wake(usize, u64),
    Request(LinkId, usize, Token, Box<Gossip>),
    Response(LinkId, usize, Token, Box<Gossip>),
    HungUp(LinkId, usize),
    /// The result of a dial; void if the relay has been restarted since.
    Dialled(usize, u64, DialId, Option<usize>),
}

/// Events in the order of time, then of insertion.
#[derive(Default)]
pub(crate) struct Queue {
    order: BinaryHeap<Reverse<(Duration, u64)>>,
    events: HashMap<u64, Event>,
    made: u64,
}

impl Queue {
    pub(crate) fn push(&mut self, at: Duration, event: Event) {
        self.made += 1;
        self.order.push(Reverse((at, self.made)));
        self.events.insert(self.made, event);
    }

    pub(crate) fn pop_before(&mut self, until: Duration) -> Option<(Duration, Event)> {
        let Reverse((at, number)) = *self.order.peek()?;
        if at >= until {
            return None;
        }
        self.order.pop();
        self.events.remove(&number).map(|event| (at, event))
    }
}

//! Memory for input that is not finished: WebSocket messages and request bodies of which a part has arrived.
//!
//! A client decides how much of a message it sends and when it sends the rest, so the sum over all clients needs a bound of its own
//! (`limits.input_memory`). While an input waits for more bytes its buffer lies in the [`InputBudget`]; when the sum exceeds the limit, the
//! largest buffers are freed at once, the oldest first among equals, and their owners find out when they are next polled.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// Within this an input that has begun must be complete. The largest one is 1 MiB: a client that needs longer has 100 KiB/s or less.
pub const INPUT_DEADLINE: Duration = Duration::from_secs(10);
/// A buffer grows by a quarter of its size, and by no less than this: it is never much larger than what has arrived, and copied seldom.
const GROWTH: usize = 4 << 10;

/// Appends to an input's buffer. `coming` is what is known to arrive for sure, these bytes included: no more than that is reserved.
pub fn append(buffer: &mut Vec<u8>, bytes: &[u8], coming: usize) {
    let free = buffer.capacity() - buffer.len();
    if free < bytes.len() {
        let step = (buffer.len() / 4).max(GROWTH);
        buffer.reserve_exact(step.min(coming).max(bytes.len()));
    }
    buffer.extend_from_slice(bytes);
}

/// Holds the buffers of all unfinished input.
#[derive(Debug)]
pub struct InputBudget {
    limit: usize,
    cut: Counter,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    bytes: usize,
    parked: HashMap<u64, Held>,
    /// Largest last; among equals the oldest.
    by_size: BTreeSet<(usize, Reverse<u64>)>,
}

#[derive(Debug)]
struct Held {
    buffer: Vec<u8>,
    evicted: CancellationToken,
}

/// An input whose memory was needed for others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the memory for unfinished input is used up (limits.input_memory): send messages in one go, or try again later"
)]
pub struct Evicted;

/// One unfinished input, from its first bytes to its last. Its age decides among equals.
#[derive(Debug)]
pub struct Input {
    budget: Arc<InputBudget>,
    id: u64,
    evicted: CancellationToken,
}

impl InputBudget {
    /// With room for so many bytes. `cut` counts what is given up, for want of memory or of time.
    pub fn new(limit: usize, cut: Counter) -> Arc<Self> {
        Arc::new(Self {
            limit,
            cut,
            state: Mutex::default(),
        })
    }

    /// An input that begins now.
    pub fn begin(self: &Arc<Self>) -> Input {
        let mut state = self.lock();
        let id = state.next;
        state.next += 1;
        Input {
            budget: Arc::clone(self),
            id,
            evicted: CancellationToken::new(),
        }
    }

    /// Bytes that are held now.
    pub fn bytes(&self) -> usize {
        self.lock().bytes
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn remove(&mut self, id: u64) -> Option<Held> {
        let held = self.parked.remove(&id)?;
        let size = held.buffer.capacity();
        self.bytes -= size;
        self.by_size.remove(&(size, Reverse(id)));
        Some(held)
    }
}

impl Input {
    /// Lays the buffer down until more arrives.
    pub fn park(&self, buffer: Vec<u8>) {
        let mut gone = Vec::new();
        let mut state = self.budget.lock();
        state.remove(self.id);
        let size = buffer.capacity();
        state.bytes += size;
        state.by_size.insert((size, Reverse(self.id)));
        let evicted = self.evicted.clone();
        state.parked.insert(self.id, Held { buffer, evicted });
        while state.bytes > self.budget.limit {
            let Some((_, Reverse(largest))) = state.by_size.last().copied() else {
                break;
            };
            gone.extend(state.remove(largest));
        }
        drop(state);
        for held in gone {
            self.budget.cut.inc();
            held.evicted.cancel();
        }
    }

    /// Takes the buffer up again.
    pub fn resume(&self) -> Result<Vec<u8>, Evicted> {
        let held = self.budget.lock().remove(self.id);
        held.map(|held| held.buffer).ok_or(Evicted)
    }

    /// Counts that it was not complete in time.
    pub fn late(&self) {
        self.budget.cut.inc();
    }

    /// Resolves when the memory of this input was needed for others.
    pub fn evicted(&self) -> WaitForCancellationFutureOwned {
        self.evicted.clone().cancelled_owned()
    }
}

impl Drop for Input {
    fn drop(&mut self) {
        // Freed outside the lock.
        let held = self.budget.lock().remove(self.id);
        drop(held);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn park(budget: &Arc<InputBudget>, size: usize) -> Input {
        let input = budget.begin();
        input.park(Vec::with_capacity(size));
        input
    }

    #[test]
    fn the_largest_goes_first_and_the_oldest_among_equals() {
        let cut = Counter::default();
        let budget = InputBudget::new(100, cut.clone());
        let small = park(&budget, 10);
        let (old, young) = (park(&budget, 40), park(&budget, 40));
        assert_eq!(budget.bytes(), 90);
        let next = park(&budget, 30);
        assert_eq!((old.resume(), budget.bytes()), (Err(Evicted), 80));
        assert!(old.evicted.is_cancelled() && !young.evicted.is_cancelled());
        let huge = park(&budget, 90);
        assert_eq!(huge.resume(), Err(Evicted), "it is the largest itself");
        assert_eq!(young.resume().unwrap().capacity(), 40);
        drop((small, next));
        assert_eq!((budget.bytes(), cut.get()), (0, 2));
    }

    #[test]
    fn what_is_dropped_is_given_back_and_nothing_else() {
        let budget = InputBudget::new(1000, Counter::default());
        let input = budget.begin();
        for size in [100, 300, 200] {
            input.park(Vec::with_capacity(size));
            assert_eq!(budget.bytes(), size);
        }
        let other = park(&budget, 50);
        drop(input);
        assert_eq!(budget.bytes(), 50);
        drop(other.resume());
        assert_eq!(budget.bytes(), 0);
    }

    #[test]
    fn a_growing_buffer_is_never_much_larger_than_its_bytes() {
        let total = 1 << 20;
        let (mut buffer, mut left) = (Vec::new(), total);
        while left > 0 {
            let chunk = left.min(1000);
            append(&mut buffer, &vec![1; chunk], left);
            left -= chunk;
            assert!(buffer.capacity() <= (buffer.len() + buffer.len() / 4 + GROWTH).min(total));
        }
        assert_eq!((buffer.len(), buffer.capacity()), (total, total));
    }
}

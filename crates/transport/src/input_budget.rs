//! Budget of the memory of incomplete input: partly received WebSocket messages and request bodies.
//!
//! A client may send a part of a message and delay the rest, so the sum over all clients is bounded
//! (`limits.input_memory`). While an input waits for more bytes, its buffer is parked in the [`InputBudget`]; when the
//! sum exceeds the limit, the largest buffers are freed immediately, the oldest first among equals, and their owners
//! receive an error at their next poll.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use zeroize::Zeroize;

use crate::timeouts::INPUT;

/// Largest piece of a buffer. Pieces of one size are reused for other buffers, which avoids fragmentation.
const PIECE: usize = 16 << 10;
/// Smallest piece: a client may send a message a byte at a time.
const SMALLEST: usize = 64;

/// Incrementally received bytes, in pieces, so that growing does not copy. They may contain keys: each piece is wiped
/// when it is freed.
#[derive(Default, PartialEq, Eq)]
pub struct Buffer {
    pieces: Vec<Vec<u8>>,
    length: usize,
    memory: usize,
}

impl Buffer {
    /// Number of received bytes.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether no byte was received.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Bytes of memory that it holds.
    fn memory(&self) -> usize {
        self.memory
    }

    /// Appends, and passes the appended bytes to `each`, in order. `coming` is the number of bytes that are certain to
    /// arrive, including these.
    pub fn append(&mut self, mut bytes: &[u8], coming: usize, mut each: impl FnMut(&mut [u8])) {
        let mut coming = coming.max(bytes.len());
        while !bytes.is_empty() {
            let free = self.pieces.last().map_or(0, |piece| piece.capacity() - piece.len());
            if free == 0 {
                // At least the current length, so that the number of pieces stays small.
                let size = coming.max(self.length).clamp(SMALLEST, PIECE);
                self.memory += size;
                self.pieces.push(Vec::with_capacity(size));
            }
            let Some(piece) = self.pieces.last_mut() else { return };
            let fits = (piece.capacity() - piece.len()).min(bytes.len());
            let (now, later) = bytes.split_at(fits);
            let before = piece.len();
            piece.extend_from_slice(now);
            each(&mut piece[before..]);
            self.length += fits;
            coming -= fits;
            bytes = later;
        }
    }

    /// All of it in one piece, which the caller has to wipe. Each other piece is wiped and freed once it is copied.
    pub fn into_vec(mut self) -> Vec<u8> {
        let mut pieces = std::mem::take(&mut self.pieces);
        if pieces.len() == 1 {
            return pieces.remove(0);
        }
        let mut whole = Vec::with_capacity(self.length);
        for mut piece in pieces {
            whole.extend_from_slice(&piece);
            piece.zeroize();
        }
        whole
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.pieces.zeroize();
    }
}

/// Without the bytes.
impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Buffer({} bytes)", self.length)
    }
}

/// Holds the buffers of all incomplete input.
#[derive(Debug)]
pub struct InputBudget {
    limit: usize,
    deadline: Duration,
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
    buffer: Buffer,
    evicted: CancellationToken,
}

/// The input was evicted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the memory for unfinished input is used up (limits.input_memory): send each message at once, or try again later"
)]
pub struct Evicted;

/// One incomplete input. Among equally large ones, the oldest is evicted first.
#[derive(Debug)]
pub struct Input {
    budget: Arc<InputBudget>,
    id: u64,
    evicted: CancellationToken,
}

/// What the budget counts.
#[derive(Debug, Default)]
pub struct InputMetrics {
    /// Inputs that were dropped.
    pub unfinished_inputs_cut: Counter,
}

impl InputMetrics {
    /// Registers it below `sdk_relay_`.
    pub fn register(&self, registry: &mut Registry) {
        registry.sub_registry_with_prefix("sdk_relay").register(
            "unfinished_inputs_cut",
            "WebSocket messages and request bodies dropped because they were not complete in time, or memory was short",
            self.unfinished_inputs_cut.clone(),
        );
    }
}

impl InputBudget {
    /// A budget of `limit` bytes. `cut` counts inputs that are dropped because of memory or time.
    pub fn new(limit: usize, cut: Counter) -> Arc<Self> {
        Self::with_deadline(limit, cut, INPUT)
    }

    /// The same with another deadline ([`Timeouts::input`](crate::Timeouts::input)).
    pub fn with_deadline(limit: usize, cut: Counter, deadline: Duration) -> Arc<Self> {
        Arc::new(Self {
            limit,
            deadline,
            cut,
            state: Mutex::default(),
        })
    }

    /// Starts an input.
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

    /// Deadline of an incomplete input.
    pub fn deadline(&self) -> Duration {
        self.deadline
    }

    /// Bytes currently held.
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
        let size = held.buffer.memory();
        self.bytes -= size;
        self.by_size.remove(&(size, Reverse(id)));
        Some(held)
    }
}

impl Input {
    /// Parks the buffer until more bytes arrive.
    pub fn park(&self, buffer: Buffer) {
        let mut gone = Vec::new();
        let mut state = self.budget.lock();
        state.remove(self.id);
        let size = buffer.memory();
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

    /// Takes the parked buffer back.
    pub fn resume(&self) -> Result<Buffer, Evicted> {
        let held = self.budget.lock().remove(self.id);
        held.map(|held| held.buffer).ok_or(Evicted)
    }

    /// Counts an input that missed its deadline.
    pub fn late(&self) {
        self.budget.cut.inc();
    }

    /// Resolves when this input is evicted.
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

    fn buffer(size: usize) -> Buffer {
        let mut buffer = Buffer::default();
        buffer.append(&vec![0; size], size, |_| {});
        buffer
    }

    fn park(budget: &Arc<InputBudget>, size: usize) -> Input {
        let input = budget.begin();
        input.park(buffer(size));
        input
    }

    #[test]
    fn the_largest_is_evicted_first_and_the_oldest_among_equals() {
        let cut = Counter::default();
        let budget = InputBudget::new(1000, cut.clone());
        let small = park(&budget, 100);
        let (old, young) = (park(&budget, 400), park(&budget, 400));
        assert_eq!(budget.bytes(), 900);
        let next = park(&budget, 300);
        assert_eq!((old.resume(), budget.bytes()), (Err(Evicted), 800));
        assert!(old.evicted.is_cancelled() && !young.evicted.is_cancelled());
        let huge = park(&budget, 900);
        assert_eq!(huge.resume(), Err(Evicted), "it is the largest one");
        assert_eq!(young.resume().unwrap().len(), 400);
        drop((small, next));
        assert_eq!((budget.bytes(), cut.get()), (0, 2));
    }

    #[test]
    fn dropped_inputs_release_their_memory_and_nothing_else() {
        let budget = InputBudget::new(1000, Counter::default());
        let input = budget.begin();
        for size in [100, 300, 200] {
            input.park(buffer(size));
            assert_eq!(budget.bytes(), size);
        }
        let other = park(&budget, 150);
        drop(input);
        assert_eq!(budget.bytes(), 150);
        drop(other.resume());
        assert_eq!(budget.bytes(), 0);
    }

    #[test]
    fn a_growing_buffer_is_never_much_larger_than_its_bytes() {
        for (chunk, is_announced) in [(1000, true), (1, false), (50_000, false)] {
            let bytes: Vec<u8> = (0..300_000_u32).map(|n| n as u8).collect();
            let (mut buffer, mut seen) = (Buffer::default(), Vec::new());
            for piece in bytes.chunks(chunk) {
                let coming = if is_announced {
                    bytes.len() - buffer.len()
                } else {
                    piece.len()
                };
                buffer.append(piece, coming, |new| seen.extend_from_slice(new));
                assert!(buffer.memory() <= 2 * buffer.len() + SMALLEST || buffer.memory() <= buffer.len() + PIECE);
            }
            assert!(buffer.pieces.len() <= bytes.len() / PIECE + 20);
            assert_eq!((&seen, &buffer.into_vec()), (&bytes, &bytes));
        }
    }
}

//! Scans on all processors: short ones are waited for, and a block's for many watches goes on beside detection.

use std::num::NonZero;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{Builder, available_parallelism, scope};

use sdk_relay_bip352::{EligibleTx, Engine, Hit, Receiver};
use tokio::sync::oneshot;

use super::rows::Row;
use crate::index::give_way;

/// Pairs of row and receiver for which another thread is worth its start (some 50 µs): about 10 ms of the fast engine's work.
const PAIRS_A_THREAD: usize = 5_000;
/// From so many pairs on (about 50 ms of one processor) detection does not wait for a block's scan. With the most watches that the default
/// allows (10,000), a block of 2,500 eligible transactions is 25 million pairs, tens of seconds.
const LONG: usize = 40_000;
/// How much a long scan gives way: the mempool gets three quarters of a processor that both want. Not more, as on a machine that has other work too
/// a block would wait for minutes.
const NICE: i32 = 5;
/// Rows that a thread of a long scan takes at a time: as many as an engine makes tables for at once, or a few times that.
const ROWS_A_PIECE: usize = 16;

/// What `engine` finds, ordered by row and then by receiver.
pub(super) fn scan(engine: &dyn Engine, receivers: &[Arc<Receiver>], rows: &[Arc<Row>]) -> Vec<Hit> {
    let receivers: Vec<&Receiver> = receivers.iter().map(|r| &**r).collect();
    let rows: Vec<&EligibleTx> = rows.iter().map(|r| &r.eligible).collect();
    let threads = (receivers.len() * rows.len() / PAIRS_A_THREAD).clamp(1, processors());
    let share = rows.len().div_ceil(threads).max(1);
    let found = in_pieces(engine, &receivers, &rows, Pieces { threads, share }, || true);
    found.unwrap_or_else(|| engine.scan(&receivers, &rows))
}

/// Whether so many pairs are a [`LongScan`].
pub(super) fn is_long(receivers: usize, rows: usize) -> bool {
    receivers.saturating_mul(rows) >= LONG
}

/// A scan on threads of low priority. Dropped before its end, it leaves off with the pieces at hand.
pub(super) struct LongScan {
    receivers: Vec<Arc<Receiver>>,
    rows: Vec<Arc<Row>>,
    hits: oneshot::Receiver<Option<Vec<Hit>>>,
    wanted: Arc<AtomicBool>,
}

impl LongScan {
    pub(super) fn start(engine: &Arc<dyn Engine>, receivers: Vec<Arc<Receiver>>, rows: Vec<Arc<Row>>) -> Self {
        let (sender, hits) = oneshot::channel();
        let wanted = Arc::new(AtomicBool::new(true));
        let (engine, still) = (Arc::clone(engine), Arc::clone(&wanted));
        let (for_whom, what) = (receivers.clone(), rows.clone());
        let started = Builder::new().name("scan".to_owned()).spawn(move || {
            give_way(NICE);
            let receivers: Vec<&Receiver> = for_whom.iter().map(|r| &**r).collect();
            let rows: Vec<&EligibleTx> = what.iter().map(|r| &r.eligible).collect();
            let pieces = Pieces {
                threads: processors(),
                share: ROWS_A_PIECE,
            };
            let found = in_pieces(&*engine, &receivers, &rows, pieces, || still.load(Ordering::Relaxed));
            #[expect(clippy::let_underscore_must_use, reason = "whoever asked may be gone by now")]
            let _ = sender.send(found);
        });
        if let Err(error) = started {
            // With the closure went the sender: `hits` gives `None`, and detection scans the block itself.
            tracing::warn!(%error, "the system refuses a thread for the scan of a block");
        }
        Self {
            receivers,
            rows,
            hits,
            wanted,
        }
    }

    /// What it has found; `None` when it has failed. May be asked again when it was not waited for to the end.
    pub(super) async fn hits(&mut self) -> Option<Vec<Hit>> {
        (&mut self.hits).await.ok().flatten()
    }

    /// The same, waited for.
    pub(super) fn anew(&self, engine: &dyn Engine) -> Vec<Hit> {
        scan(engine, &self.receivers, &self.rows)
    }
}

impl Drop for LongScan {
    fn drop(&mut self) {
        self.wanted.store(false, Ordering::Relaxed);
    }
}

#[derive(Clone, Copy)]
struct Pieces {
    threads: usize,
    /// Rows of a piece.
    share: usize,
}

/// Threads take one piece after the other while `wanted`. `None` when they left off before the end.
fn in_pieces(
    engine: &dyn Engine,
    receivers: &[&Receiver],
    rows: &[&EligibleTx],
    Pieces { threads, share }: Pieces,
    wanted: impl Fn() -> bool + Sync,
) -> Option<Vec<Hit>> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut found = Vec::new();
        while wanted() {
            let first = next.fetch_add(share, Ordering::Relaxed);
            let Some(piece) = rows.get(first..rows.len().min(first + share)).filter(|p| !p.is_empty()) else {
                return Some(found);
            };
            let hits = engine.scan(receivers, piece).into_iter();
            found.extend(hits.map(|hit| Hit {
                row: first + hit.row,
                ..hit
            }));
        }
        None
    };
    if threads <= 1 {
        return work();
    }
    let found = scope(|scope| {
        let start = |_| Builder::new().name("scan".to_owned()).spawn_scoped(scope, work).ok();
        // Where the system refuses threads, those that there are do all the work.
        let running: Vec<_> = (0..threads).filter_map(start).collect();
        if running.is_empty() {
            return work().map(|found| vec![found]);
        }
        // An engine does not panic; if one did, what its thread had found would be missing.
        running
            .into_iter()
            .map(|thread| thread.join().ok().flatten())
            .collect::<Option<Vec<_>>>()
    });
    let mut hits: Vec<Hit> = found?.into_iter().flatten().collect();
    hits.sort_unstable_by_key(|hit| (hit.row, hit.receiver));
    Some(hits)
}

fn processors() -> usize {
    available_parallelism().map_or(1, NonZero::get)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Says which rows it was given, by their outputs, and in which order.
    struct Echo;

    impl Engine for Echo {
        fn scan(&self, receivers: &[&Receiver], rows: &[&EligibleTx]) -> Vec<Hit> {
            let hit = |row, receiver| Hit {
                receiver,
                row,
                matches: Vec::new(),
            };
            let odd = |(row, tx): (usize, &&EligibleTx)| (tx.outputs.len() % 2 == 1).then_some(row);
            let rows = rows.iter().enumerate().filter_map(odd);
            rows.flat_map(|row| (0..receivers.len()).map(move |r| hit(row, r)))
                .collect()
        }
    }

    #[test]
    fn threads_change_nothing() {
        use bitcoin::hashes::Hash as _;
        use bitcoin::secp256k1::{Secp256k1, SecretKey};
        use sdk_relay_bip352::{ScanKey, TaprootOutput};

        let key = SecretKey::from_slice(&[7; 32]).expect("a scalar");
        let point = key.public_key(&Secp256k1::new());
        let receiver = Receiver::new(ScanKey::from(key), point, []).expect("labels");
        let output = TaprootOutput {
            vout: 0,
            key: [1; 32],
            amount: bitcoin::Amount::ONE_SAT,
        };
        let rows: Vec<EligibleTx> = (0..601)
            .map(|n| EligibleTx {
                txid: bitcoin::Txid::all_zeros(),
                tweak: point,
                outputs: vec![output.clone(); n % 7],
            })
            .collect();
        let rows: Vec<&EligibleTx> = rows.iter().collect();
        for receivers in [vec![&receiver; 3], vec![&receiver; 100]] {
            let expected = Echo.scan(&receivers, &rows);
            for (threads, share) in [(1, 601), (2, 301), (4, 16), (3, 1)] {
                let found = in_pieces(&Echo, &receivers, &rows, Pieces { threads, share }, || true);
                assert_eq!(found.as_ref(), Some(&expected), "{threads} threads, pieces of {share}");
            }
            let unwanted = in_pieces(&Echo, &receivers, &rows, Pieces { threads: 2, share: 16 }, || false);
            assert_eq!(unwanted, None);
        }
    }
}

//! Scans for the relay's own wallet, on all processors: detection waits for them.

use std::num::NonZero;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{Builder, available_parallelism, scope};

use sdk_relay_bip352::{EligibleTx, Hit, Prepared, Scanner};
use sdk_relay_scheduler::Row;

/// Pairs of row and receiver per thread that justify the start of a thread (about 50 µs): about 10 ms of work of the
/// fast engine.
const PAIRS_A_THREAD: usize = 5_000;

/// The matches of the engine, ordered by row and then by receiver.
pub(super) fn scan(scanner: &Scanner, receivers: &[Arc<Prepared>], rows: &[Arc<Row>]) -> Vec<Hit> {
    let receivers: Vec<&Prepared> = receivers.iter().map(|r| &**r).collect();
    let rows: Vec<&EligibleTx> = rows.iter().map(|r| &r.eligible).collect();
    let threads = (receivers.len() * rows.len() / PAIRS_A_THREAD).clamp(1, processors());
    let share = rows.len().div_ceil(threads).max(1);
    let found = in_pieces(scanner, &receivers, &rows, Pieces { threads, share });
    found.unwrap_or_else(|| scanner.scan(&receivers, &rows))
}

#[derive(Clone, Copy)]
struct Pieces {
    threads: usize,
    /// Rows of a piece.
    share: usize,
}

/// Distributes pieces over threads. `None` if a thread failed.
fn in_pieces(
    scanner: &Scanner,
    receivers: &[&Prepared],
    rows: &[&EligibleTx],
    Pieces { threads, share }: Pieces,
) -> Option<Vec<Hit>> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut found = Vec::new();
        loop {
            let first = next.fetch_add(share, Ordering::Relaxed);
            let Some(piece) = rows.get(first..rows.len().min(first + share)).filter(|p| !p.is_empty()) else {
                return found;
            };
            let hits = scanner.scan(receivers, piece).into_iter();
            found.extend(hits.map(|hit| Hit {
                row: first + hit.row,
                ..hit
            }));
        }
    };
    if threads <= 1 {
        return Some(work());
    }
    let found = scope(|scope| {
        let start = |_| Builder::new().name("scan".to_owned()).spawn_scoped(scope, work).ok();
        // If the system refuses threads, the existing ones do all the work.
        let running: Vec<_> = (0..threads).filter_map(start).collect();
        if running.is_empty() {
            return Some(vec![work()]);
        }
        // An engine does not panic; if one did, the matches of its thread would be missing.
        running
            .into_iter()
            .map(|thread| thread.join().ok())
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
    use sdk_relay_bip352::{Engine, EngineError};

    use super::*;

    /// Reports the rows that it received, by their outputs, in order.
    struct Echo;

    impl Engine for Echo {
        fn name(&self) -> &'static str {
            "echo"
        }

        fn scan(&self, receivers: &[&Prepared], rows: &[&EligibleTx]) -> Result<Vec<Hit>, EngineError> {
            let hit = |row, receiver| Hit {
                receiver,
                row,
                matches: Vec::new(),
            };
            let odd = |(row, tx): (usize, &&EligibleTx)| (tx.outputs.len() % 2 == 1).then_some(row);
            let rows = rows.iter().enumerate().filter_map(odd);
            Ok(rows
                .flat_map(|row| (0..receivers.len()).map(move |r| hit(row, r)))
                .collect())
        }
    }

    #[test]
    fn threads_change_nothing() {
        use bitcoin::hashes::Hash as _;
        use bitcoin::secp256k1::{Secp256k1, SecretKey};
        use sdk_relay_bip352::{Receiver, ScanKey, TaprootOutput};

        let key = SecretKey::from_slice(&[7; 32]).expect("a scalar");
        let point = key.public_key(&Secp256k1::new());
        let scanner = Scanner::new(Arc::new(Echo), |_, _| {});
        let receiver = scanner.prepare(Receiver::new(ScanKey::from(key), point, []).expect("labels"));
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
            let expected = scanner.scan(&receivers, &rows);
            for (threads, share) in [(1, 601), (2, 301), (4, 16), (3, 1)] {
                let found = in_pieces(&scanner, &receivers, &rows, Pieces { threads, share });
                assert_eq!(found.as_ref(), Some(&expected), "{threads} threads, pieces of {share}");
            }
        }
    }
}

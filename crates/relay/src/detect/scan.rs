//! A block's scan on all processors.

use std::num::NonZero;
use std::thread::{available_parallelism, scope};

use sdk_relay_bip352::{EligibleTx, Engine, Hit, Receiver};

/// Pairs of row and receiver for which another thread is worth its start (some 50 µs): about 10 ms of the fast engine's work.
const PAIRS_A_THREAD: usize = 5_000;

/// What `engine` finds, ordered by row and then by receiver.
///
/// Detection waits for it, as what comes next in the chain is told afterwards: with the most watches that the default allows (10,000), a block
/// of 2,500 eligible transactions is 25 million pairs, tens of seconds on two processors.
pub(super) fn scan(engine: &dyn Engine, receivers: &[&Receiver], rows: &[&EligibleTx]) -> Vec<Hit> {
    let processors = available_parallelism().map_or(1, NonZero::get);
    let threads = (receivers.len() * rows.len() / PAIRS_A_THREAD).clamp(1, processors);
    let share = rows.len().div_ceil(threads).max(1);
    if share >= rows.len() {
        return engine.scan(receivers, rows);
    }
    scope(|threads| {
        let running: Vec<_> = rows
            .chunks(share)
            .map(|rows| (rows, threads.spawn(|| engine.scan(receivers, rows))))
            .collect();
        let mut hits = Vec::new();
        for (n, (rows, thread)) in running.into_iter().enumerate() {
            // An engine does not panic; if one did, the rows of its thread are scanned once more.
            let found = thread.join().unwrap_or_else(|_| engine.scan(receivers, rows));
            hits.extend(found.into_iter().map(|hit| Hit {
                row: hit.row + n * share,
                ..hit
            }));
        }
        hits
    })
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
            assert_eq!(scan(&Echo, &receivers, &rows), Echo.scan(&receivers, &rows));
        }
    }
}

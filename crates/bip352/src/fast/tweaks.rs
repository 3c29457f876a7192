//! Tweaks of many transactions at a time: input keys decompressed, summed and multiplied by the input hashes in lanes.
//!
//! The results are final, not candidates. Each is checked to be on the curve, which detects faults of the arithmetic; a
//! failed one, and every sum that meets infinity, is recomputed by libsecp256k1.

use bitcoin::secp256k1::PublicKey;
use secp_lanes::{
    Affine, AnySums, Decompress, EachScalar, Lane, LockstepDigits, MAX_LANES, MAX_VECTORS, Mask, Packed, Scratch,
    vectors,
};

use crate::batch::TxWithPrevouts;
use crate::hash;
use crate::input::{COMPRESSED, input_keys, pays_taproot, tweak};

/// The sum of the keys of a transaction, computed in place: the `count` points from `first` are still to be added.
struct Sum {
    tx: usize,
    outpoint: [u8; 36],
    first: usize,
    count: usize,
    meets_infinity: bool,
}

/// As [`tweak`] for each transaction.
pub(crate) fn of<L: Lane>(token: L::Token, txs: &[TxWithPrevouts<'_>]) -> Vec<Option<PublicKey>> {
    let mut keys = Vec::with_capacity(txs.len());
    let mut sums = Vec::with_capacity(txs.len());
    for (n, (tx, prevouts)) in txs.iter().enumerate() {
        if !pays_taproot(tx) {
            continue;
        }
        let outpoints = tx.input.iter().map(|input| input.previous_output);
        let (Some(of_tx), Some(outpoint)) = (input_keys(tx, prevouts), hash::smallest_outpoint(outpoints)) else {
            continue;
        };
        let first = keys.len();
        keys.extend(of_tx);
        sums.push(Sum {
            tx: n,
            outpoint,
            first,
            count: keys.len() - first,
            meets_infinity: false,
        });
    }
    let mut points = decompress::<L>(token, &keys, &mut sums);
    add_up::<L>(token, &mut points, &mut sums);

    let mut tweaks = vec![None; txs.len()];
    let (mut pairs, mut owners) = (Vec::with_capacity(sums.len()), Vec::with_capacity(sums.len()));
    for sum in sums {
        let (tx, prevouts) = txs[sum.tx];
        if sum.meets_infinity {
            tweaks[sum.tx] = tweak(tx, prevouts);
        } else if sum.count == 1 {
            let point = points[sum.first];
            let digest = hash::input_digest(&sum.outpoint, &point.compressed());
            if let Some(digits) = LockstepDigits::new(&digest) {
                pairs.push((point, digits));
                owners.push(sum.tx);
            }
        }
    }
    let products = EachScalar::<L>::new(token, pairs.len()).multiply(&pairs);
    for (n, product) in owners.into_iter().zip(products) {
        let (tx, prevouts) = txs[n];
        let product = product.and_then(|point| PublicKey::from_slice(&point.uncompressed()).ok());
        tweaks[n] = product.or_else(|| tweak(tx, prevouts));
    }
    tweaks
}

/// The points of all keys; invalid ones are omitted from their sums.
fn decompress<L: Lane>(token: L::Token, keys: &[[u8; COMPRESSED]], sums: &mut [Sum]) -> Vec<Packed> {
    let mut points = Vec::with_capacity(keys.len());
    let mut valid = Vec::with_capacity(keys.len());
    for some in keys.chunks(L::LANES) {
        let keys: [&[u8; COMPRESSED]; MAX_LANES] = std::array::from_fn(|lane| &some[lane.min(some.len() - 1)]);
        let (found, good) = L::vectorize(token, Decompress { keys: &keys });
        points.extend_from_slice(&found[..some.len()]);
        valid.extend((0..some.len()).map(|lane| good >> lane & 1 == 1));
    }
    for sum in sums {
        let mut kept = sum.first;
        for i in sum.first..sum.first + sum.count {
            if valid[i] {
                points[kept] = points[i];
                kept += 1;
            }
        }
        sum.count = kept - sum.first;
    }
    points
}

/// Reduces each sum to one point: adds the second half of the remaining points to the first, for all sums at once,
/// until each is done.
fn add_up<L: Lane>(token: L::Token, points: &mut [Packed], sums: &mut [Sum]) {
    // Each sum takes two points.
    let most = (points.len() / 2).div_ceil(L::LANES).min(vectors::<L>());
    let blank = Affine::blank(token);
    let (mut results, mut slopes) = (vec![blank; most], vec![blank; most]);
    let mut scratch = Scratch::new(token, most);
    let mut pairs: Vec<(usize, usize, usize)> = Vec::new();
    loop {
        pairs.clear();
        for (n, sum) in sums.iter_mut().enumerate().filter(|(_, sum)| !sum.meets_infinity) {
            let half = sum.count / 2;
            pairs.extend((0..half).map(|i| (n, sum.first + i, sum.first + sum.count - 1 - i)));
            sum.count -= half;
        }
        if pairs.is_empty() {
            return;
        }
        for pairs in pairs.chunks(most * L::LANES) {
            let vectors = pairs.len().div_ceil(L::LANES);
            let pair = |v: usize, lane: usize| pairs[(v * L::LANES + lane).min(pairs.len() - 1)];
            let mut bad = [0 as Mask; MAX_VECTORS];
            L::vectorize(
                token,
                AnySums {
                    points: &mut *points,
                    pairs: |v: usize, lane: usize| {
                        let (_, into, from) = pair(v, lane);
                        (into, from)
                    },
                    sums: &mut results[..vectors],
                    slopes: &mut slopes[..vectors],
                    scratch: &mut scratch,
                    bad: &mut bad[..vectors],
                },
            );
            for (v, of_vector) in pairs.chunks(L::LANES).enumerate() {
                for (lane, (n, ..)) in of_vector.iter().enumerate() {
                    sums[*n].meets_infinity |= bad[v] >> lane & 1 == 1;
                }
            }
        }
    }
}

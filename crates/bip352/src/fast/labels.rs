//! A receiver's keys: `P = t·G + B` against the outputs, and the labels by the cheaper of two methods.
//!
//! *Adding*: x(t·G + (B + L)) for each label L, looked up among the row's outputs: one addition for each label.
//! *Subtracting*: x(O - P) and x(-O - P) for each output O, looked up among the receiver's labels (BIP352, "Scanning"):
//! one inversion and two slopes for each output however many labels there are, and once for all receivers the square
//! root that O's y coordinate takes.

use secp_lanes::{Affine, Gather, Lane, MAX_VECTORS, Mask, Pack, Packed, Scratch, Sums, XSums, erase};

use super::finish::{CHAINS, Slot};
use super::rows::Rows;
use super::tables::Keys;

/// Cost of a step for a row of eight lanes, including look-ups, in multiplications.
const ADDING: usize = 6;
const SUBTRACTING: usize = 12;
const LIFTING: usize = 350;

/// A receiver of a call, with the method for its labels.
#[derive(Clone, Copy)]
pub(crate) struct Wanted<'a> {
    pub(crate) keys: &'a Keys,
    subtracting: bool,
}

impl<'a> Wanted<'a> {
    /// Chooses the method for each receiver: subtracting, if the saving exceeds the cost of lifting the outputs.
    pub(crate) fn of<L: Lane>(token: L::Token, keys: &[&'a Keys], rows: &mut Rows) -> Vec<Self> {
        let saved = |keys: &Keys| (keys.labels() * rows.len() * ADDING).saturating_sub(rows.outputs() * SUBTRACTING);
        let most = keys.iter().filter(|keys| keys.may_subtract()).map(|keys| saved(keys));
        let worth = most.sum::<usize>() > rows.outputs() * LIFTING;
        let wanted = keys
            .iter()
            .map(|keys| Self {
                keys,
                subtracting: worth && keys.may_subtract() && saved(keys) > 0,
            })
            .collect();
        if worth {
            rows.lift::<L>(token);
        }
        wanted
    }
}

/// Searches for the labels of a batch.
pub(crate) struct Search<'a, L: Lane> {
    pub(crate) token: L::Token,
    pub(crate) slots: &'a [Slot],
    pub(crate) wanted: &'a [Wanted<'a>],
    pub(crate) rows: &'a Rows,
    /// `t·G` of each slot, by vectors.
    pub(crate) points: &'a [Affine<L>],
    pub(crate) sums: &'a mut [Affine<L>],
    pub(crate) addends: &'a mut [Affine<L>],
    pub(crate) scratch: &'a mut Scratch<L>,
    /// Marks of lanes with hits or exceptional cases.
    pub(crate) marks: &'a mut [Mask],
}

impl<L: Lane> Search<'_, L> {
    pub(crate) fn run(mut self) {
        self.add();
        if self.slots.iter().any(|slot| self.wanted[slot.receiver].subtracting) {
            self.subtract();
        }
    }

    /// As many additions as the receiver with the most keys has; the others repeat their last.
    fn add(&mut self) {
        let (slots, wanted, rows) = (self.slots, self.wanted, self.rows);
        let vectors = self.points.len();
        let points = |slot: &Slot| -> &[Packed] {
            let Wanted { keys, subtracting } = &wanted[slot.receiver];
            if *subtracting { &keys.points[..1] } else { &keys.points }
        };
        let most = slots.iter().map(|slot| points(slot).len()).max().unwrap_or(0);
        for next in (0..most).step_by(CHAINS) {
            let some = CHAINS.min(most - next);
            for i in 0..some {
                self.sums[i * vectors..(i + 1) * vectors].copy_from_slice(self.points);
                for v in 0..vectors {
                    self.addends[i * vectors + v] = L::vectorize(
                        self.token,
                        Gather(|lane| {
                            let points = points(&slots[v * L::LANES + lane]);
                            &points[(next + i).min(points.len() - 1)]
                        }),
                    );
                }
            }
            let mut hits = [0 as Mask; MAX_VECTORS];
            L::vectorize(
                self.token,
                XSums {
                    p: &self.sums[..some * vectors],
                    q: &self.addends[..some * vectors],
                    difference: false,
                    scratch: self.scratch,
                    bad: self.marks,
                    seen: |i: usize, lane: usize, word: u64| {
                        let v = i % vectors;
                        hits[v] |= Mask::from(rows.has(slots[v * L::LANES + lane].row, word)) << lane;
                    },
                },
            );
            for (mark, hit) in self.marks.iter_mut().zip(hits) {
                *mark |= hit;
            }
        }
    }

    /// The lanes are pairs of a slot and an output of its row.
    fn subtract(&mut self) {
        let (slots, wanted, rows) = (self.slots, self.wanted, self.rows);
        let vectors = self.points.len();
        self.sums[..vectors].copy_from_slice(self.points);
        for (v, spend) in self.addends[..vectors].iter_mut().enumerate() {
            *spend = L::vectorize(
                self.token,
                Gather(|lane: usize| &wanted[slots[v * L::LANES + lane].receiver].keys.points[0]),
            );
        }
        L::vectorize(
            self.token,
            Sums {
                sums: &mut self.sums[..vectors],
                addends: &self.addends[..vectors],
                scratch: self.scratch,
                bad: self.marks,
            },
        );
        // P of each slot.
        let mut points: Vec<Packed> = Vec::with_capacity(slots.len());
        for point in &self.sums[..vectors] {
            points.extend_from_slice(&L::vectorize(self.token, Pack(point))[..L::LANES]);
        }
        let subtracting = |(_, slot): &(usize, &Slot)| !slot.filler && wanted[slot.receiver].subtracting;
        let pairs: Vec<(usize, &Packed)> = slots
            .iter()
            .enumerate()
            .filter(subtracting)
            .flat_map(|(n, slot)| rows.lifted(slot.row).iter().map(move |output| (n, output)))
            .collect();
        for pairs in pairs.chunks(self.sums.len() * L::LANES) {
            let vectors = pairs.len().div_ceil(L::LANES);
            let pair = |v: usize, lane: usize| pairs[(v * L::LANES + lane).min(pairs.len() - 1)];
            for v in 0..vectors {
                self.sums[v] = L::vectorize(self.token, Gather(|lane| &points[pair(v, lane).0]));
                self.addends[v] = L::vectorize(self.token, Gather(|lane| pair(v, lane).1));
            }
            let mut bad = vec![0 as Mask; vectors];
            let mut marked = Vec::new();
            L::vectorize(
                self.token,
                XSums {
                    p: &self.sums[..vectors],
                    q: &self.addends[..vectors],
                    difference: true,
                    scratch: self.scratch,
                    bad: &mut bad,
                    seen: |v: usize, lane: usize, word: u64| {
                        let slot = pair(v, lane).0;
                        if wanted[slots[slot].receiver].keys.labels.has(word) {
                            marked.push(slot);
                        }
                    },
                },
            );
            // An output whose x coordinate is P's is a payment without a label; libsecp256k1 scans it.
            for (v, bad) in bad.into_iter().enumerate() {
                marked.extend(
                    (0..L::LANES)
                        .filter(|lane| bad >> lane & 1 == 1)
                        .map(|lane| pair(v, lane).0),
                );
            }
            for slot in marked {
                self.marks[slot / L::LANES] |= 1 << (slot % L::LANES);
            }
        }
        erase(&mut points);
    }
}
